"""A start line in compiled code: threads that wait beside each other are let go within a fraction of a microsecond.

A thread that comes out of a `threading.Barrier` still has to be woken by Linux, to get Python's lock and to take its
arguments apart before its compiled code begins; meanwhile the others work alone. Here all that lies before the line:
`call_compiled` and `call_foreign` wait inside compiled code, without Python's lock, and call what they were given from
there. Beginnings and ends are read from the system's monotonic clock in the same place. `kernels.beginnings` measures
the difference.

What is called is the machine code that the dispatcher itself runs, by its address: no copy, nothing inlined.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.dispatcher import Dispatcher
from numba.core.errors import TypingError
from numba.extending import intrinsic

from kernels._jit import kernel_jit
from kernels.machine import atomics
from kernels.machine._llvm import I32, I64, VOID, external
from kernels.machine.atomics import ACQ_REL, ACQUIRE
from kernels.machine.hints import pause
from kernels.machine.memory import aligned
from kernels.machine.sleep import sleep_us

_CLOCK = getattr(time, "CLOCK_MONOTONIC", 1)  # the clock of time.perf_counter_ns on Linux
_ARRIVED, _RELEASED = 0, 16  # int64 words, two cache lines apart: some wait for one while others come to the other
_CALLED_OFF = -1
_APART = 16  # int64 words between what two threads write
_PATIENT = 1_000_000  # pauses, some 20 ms: with a core for each thread the others come within that
_IMPATIENT = 64  # with fewer cores: who is awaited may need this very one
_NAP_US = 20


@intrinsic  # type: ignore[untyped-decorator]
def clock_ns(typingctx):
    """Return the monotonic clock of the system in ns as int64: ``clock_gettime``, one for all cores."""

    def codegen(context, builder, signature, args):
        place = cgutils.alloca_once(builder, ir.ArrayType(I64, 2))  # struct timespec: seconds, ns
        function = external(builder, "clock_gettime", I32, [I32, place.type])
        builder.call(function, [ir.Constant(I32, _CLOCK), place])
        seconds, rest = cgutils.unpack_tuple(builder, builder.load(place), 2)
        return builder.add(builder.mul(seconds, ir.Constant(I64, 10**9)), rest)

    return types.int64(), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _call_at(typingctx, address, like, arguments):
    """Call the machine code that Numba made for `arguments` (a tuple) and that returns the type of `like`."""
    result, given = types.unliteral(like), arguments
    if not isinstance(given, types.BaseTuple):
        raise TypingError(f"the arguments must be a tuple, not {given}")

    def codegen(context, builder, signature, args):
        kind = context.call_conv.get_function_type(result, given.types)
        pointer = builder.inttoptr(args[0], kind.as_pointer())
        values = cgutils.unpack_tuple(builder, args[2], len(given.types))
        status, answer = context.call_conv.call_function(builder, pointer, result, given.types, values)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return answer

    return result(types.intp, like, given), codegen


@intrinsic  # type: ignore[untyped-decorator]
def _call_c(typingctx, address, numbers):
    """Call the C function at `address` that takes these addresses and whole numbers of 64 bits and returns nothing."""
    if not isinstance(numbers, types.UniTuple) or numbers.dtype != types.int64:
        raise TypingError(f"the arguments must be whole numbers of 64 bits, not {numbers}")

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(VOID, [I64] * numbers.count)
        builder.call(
            builder.inttoptr(args[0], kind.as_pointer()), cgutils.unpack_tuple(builder, args[1], numbers.count)
        )
        return context.get_dummy_value()

    return types.none(types.intp, numbers), codegen


@kernel_jit(_nrt=False)
def line_up(words, threads, patience):
    """Wait until so many threads have come; return whether they may go, False when it was called off.

    The last one to come lets all go. Who has waited for `patience` pauses takes naps: it may have the core of another.
    """
    # ACQ_REL: whoever is let go sees what any thread wrote before it came.
    if atomics.add(words, _ARRIVED, 1, ACQ_REL) + 1 == threads:
        atomics.compare_exchange(words, _RELEASED, 0, 1, ACQ_REL)
    turn = 0
    while True:
        released = atomics.load(words, _RELEASED, ACQUIRE)
        if released:
            return released > 0
        if turn < patience:
            pause()
        else:
            sleep_us(_NAP_US)
        turn += 1


@kernel_jit(_nrt=False)
def call_compiled(words, threads, patience, span, address, like, arguments):
    """Line up, then call the compiled code at `address`; write begin and end to `span` (int64[2]) in ns."""
    if not line_up(words, threads, patience):
        return like
    span[0] = clock_ns()
    answer = _call_at(address, like, arguments)
    span[1] = clock_ns()
    return answer


@kernel_jit(_nrt=False)
def call_foreign(words, threads, patience, span, address, numbers):
    """Line up, then call the C function at `address`; write begin and end to `span` (int64[2]) in ns."""
    if line_up(words, threads, patience):
        span[0] = clock_ns()
        _call_c(address, numbers)
        span[1] = clock_ns()


class ForeignReplay:
    """The replay of a peer whose work is one C function: callable as any ``replay_from``, and from the start line.

    ``bind(state, input, out, begin) -> (function, numbers, reached)`` says what to call: a ctypes function
    whose ``argtypes`` are set and whose answer nobody wants, its arguments as addresses and whole numbers of 64 bits,
    and where the replay ends.
    """

    def __init__(self, bind: Callable[[Any, Any, Any, int], tuple[Any, tuple[int, ...], int]]):
        self.bind = bind

    def __call__(self, state: Any, prepared: Any, out: Any, begin: int, probe: Any) -> int:
        """Do the work, in one call without Python's lock; return where it ended."""
        function, numbers, reached = self.bind(state, prepared, out, begin)
        function(*numbers)
        return reached


class StartLine:
    """The line that so many threads start from, once."""

    def __init__(self, threads: int, cores: int):
        self._words = aligned(2 * _APART, np.int64, 8 * _APART)
        self._threads = threads
        self._patience = _PATIENT if cores >= threads else _IMPATIENT
        self._spans = aligned((threads, _APART), np.int64, 8 * _APART)

    def behind(self, index: int, call: Callable[[], Any]) -> Callable[[], Any]:
        """Return what thread `index` calls in order to line up and then do `call`.

        A partial of a compiled function is called from compiled code, and so is one of a `ForeignReplay`; what has to
        be compiled for that is compiled here. Anything else begins as soon as the thread has Python's lock again.
        """
        line = (self._words, self._threads, self._patience, self._spans[index, :2])
        if isinstance(call, functools.partial) and not call.keywords:
            if isinstance(call.func, Dispatcher):
                return self._compiled(line, call) or functools.partial(self._by_python, line, call)
            if isinstance(call.func, ForeignReplay):
                function, numbers, reached = call.func.bind(*call.args[:-1])  # the probe is None
                address = ctypes.cast(function, ctypes.c_void_p).value
                arguments = (*line, address, tuple(map(int, numbers)))
                _code(call_foreign, arguments)
                return functools.partial(_foreign, reached, arguments)
        return functools.partial(self._by_python, line, call)

    def call_off(self) -> None:
        """Let everyone who waits, or comes later, go home."""
        self._words[_RELEASED] = _CALLED_OFF

    def span_ns(self) -> int:
        """Return the time from the first begin to the last end."""
        return int(self._spans[:, 1].max() - self._spans[:, 0].min())

    def skew_ns(self) -> int:
        """Return the time from the first begin to the last begin."""
        return int(self._spans[:, 0].max() - self._spans[:, 0].min())

    def _compiled(self, line: tuple[Any, ...], call: functools.partial[Any]) -> Callable[[], Any] | None:
        """Return a call from compiled code; None for what returns anything but nothing or a whole number."""
        found = _code(call.func, call.args)
        like = {types.int64: 0, types.none: None}.get(found.signature.return_type, found)
        if like is found:
            return None
        address = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
        arguments = (*line, address, like, call.args)
        _code(call_compiled, arguments)
        return functools.partial(call_compiled, *arguments)

    def _by_python(self, line: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        if not line_up(*line[:3]):
            raise threading.BrokenBarrierError
        span = line[3]
        span[0] = time.perf_counter_ns()
        answer = call()
        span[1] = time.perf_counter_ns()
        return answer


def _foreign(reached: int, arguments: tuple[Any, ...]) -> int:
    call_foreign(*arguments)
    return reached


def _code(dispatcher: Any, arguments: tuple[Any, ...]) -> Any:
    """Return what Numba knows of the code of `dispatcher` for these arguments, compiled or loaded where it was not."""
    kinds = tuple(map(dispatcher.typeof_pyval, arguments))
    if kinds not in dispatcher.overloads:
        dispatcher.compile(kinds)
    return dispatcher.overloads[kinds]
