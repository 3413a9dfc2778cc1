"""Prices side by side."""

from kernels import Variant
from planted_misses import allocate, reset
from planted_misses._sum import replay_from

VARIANT = Variant("dense", "baseline", "prices side by side", allocate(1), reset, replay_from)
