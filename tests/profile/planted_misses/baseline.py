"""One price from each cache line."""

from kernels import Variant
from planted_misses import allocate, reset
from planted_misses._sum import replay_from

VARIANT = Variant("baseline", None, "one price from each cache line", allocate(8), reset, replay_from)
