"""The thresholds, where one who judges looks for them; they stand in `workbench.policy`, below all that need them."""

from workbench.policy import *  # noqa: F403
