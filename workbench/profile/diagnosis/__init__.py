"""What a Numba expert would say about a function, per source line, each with its fix and the fix's measured effect."""

from workbench.profile.diagnosis.examine import Diagnosis, diagnose
from workbench.profile.diagnosis.model import Effect, Finding

__all__ = ["Diagnosis", "Effect", "Finding", "diagnose"]
