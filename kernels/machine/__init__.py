"""What the CPU can do and Numba does not expose: a small library, one file per ability, for any ``@njit`` function.

Nothing here knows the kernels, and a file may be used without the others. Compiled code that uses them can be cached.

================  ==================================================================================================
file              what it gives
================  ==================================================================================================
`atomics`         load, store, add, sub, and_, or_, xor, minimum, maximum, exchange, compare_exchange, fence, each
                  with its memory order
`vector`          explicit SIMD: vectors as values with operators, masks, shuffles, gathers, reductions
`locks`           a real pthread mutex, spin, ticket and adaptive locks, in memory of the caller
`prefetch`        ask for a cache line before it is needed
`hints`           likely, unlikely, assume, pause, yield_core
`bits`            leading_zeros, trailing_zeros, popcount, byte_swap, rotations, scans of bitmaps
`endian`          big-endian integers at any address, as feeds send them
`cycles`          the time-stamp counter
`memory`          arrays aligned to a cache line, arrays on huge pages (called from Python)
`compiler_code`   give back the RAM of the compiler's own code, once everything is compiled (called from Python)
`stack`           small arrays on the stack: no allocation
`affinity`        pin a thread or the process to a core (from Python); the core that runs this (compiled)
`histogram`       record into an HDR histogram, also by many threads; merge, percentiles
`valgrind`        client requests: simulate this kernel and nothing else
`limits`          loops that each meet one limit of the machine: latency, bandwidth, atomics, the way between cores
================  ==================================================================================================

Compiled code trusts its arguments, as everywhere in this project: no bounds are checked. What can be refused when the
code is compiled (a wrong order, an array that is not contiguous, lanes of two kinds) is refused with one sentence.
``docs/machine.md`` has an example of each.
"""
