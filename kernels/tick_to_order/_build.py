"""How a pipeline is built, emptied, grown, exported and imported: each of it part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.catalog import Canonical
from kernels.machine.memory import aligned
from kernels.messages import EVENT
from kernels.tick_to_order import _decode, _parts, _standin
from kernels.tick_to_order._layout import (
    ACCOUNTS,
    DROP,
    EDGE,
    GATEWAY_LENGTH,
    LOT,
    PENDING,
    SETTINGS_LENGTH,
    SYMBOLS,
    TALLY_LENGTH,
    THREADS,
    TickState,
)
from kernels.tick_to_order._names import ALL, INDICATORS, LIVE, OWN, PART_KERNELS, VARIANTS

PARCEL_BYTES = 128  # four words and the longest encoded order, which is 64 bytes, in whole cache lines
EDGE_UNIT = 1 << 12  # a sixteenth of a half tick, in units of 2**-16 half ticks

# The parts' own parameters, by the pipeline's: what is not named here has the default of the part's kernel.
_PASSED: dict[str, dict[str, str]] = {
    "book": {"symbols": "symbols", "orders": "orders", "levels": "levels", "window_ticks": "window_ticks"},
    "signal": {"symbols": "symbols", "window": "window"},
    "risk": {
        "accounts": "accounts",
        "collar": "collar",
        "order_size": "lot",
        "position": "position_limit",
        "notional": "notional_limit",
        "open_orders": "order_limit",
        "interval_ns": "interval_ns",
        "burst": "burst",
    },
    "codec": {},
    "queue": {"slots": "queue_slots"},
    "pool": {"slots": "pool_slots"},
    "position": {"accounts": "accounts", "symbols": "symbols", "positions": "symbols"},
}


def part_parameters(part: str, parameters: Mapping[str, int]) -> dict[str, Any]:
    """Return the parameters that a part's kernel is built with."""
    passed: dict[str, Any] = {name: parameters[own] for name, own in _PASSED[part].items()}
    if part == "signal":
        passed["indicator"] = INDICATORS[parameters["indicator"]]
    if part == "queue":
        passed["record_bytes"] = PARCEL_BYTES
    return passed


def choice(part: str, parameters: Mapping[str, int], own: Mapping[str, str]) -> str:
    """Return the variant of a part: the one that the parameters name, else the pipeline's own."""
    name = (OWN, *VARIANTS[part])[parameters[part]]
    return own[part] if name == OWN else name


def allocate(parameters: Mapping[str, int], own: Mapping[str, str]) -> TickState:
    """Return a pipeline that has seen nothing, of the parts that the parameters name, else those of `own`."""
    symbols = parameters["symbols"]
    settings = np.zeros(SETTINGS_LENGTH, np.int64)
    settings[SYMBOLS], settings[ACCOUNTS], settings[LOT] = symbols, parameters["accounts"], parameters["lot"]
    settings[EDGE] = parameters["edge"] * EDGE_UNIT
    settings[DROP], settings[THREADS] = parameters["overload"], parameters["threads"]
    parts = {
        part: _parts.allocate(part, choice(part, parameters, own), part_parameters(part, parameters))
        for part in PART_KERNELS
    }
    live = LIVE[parameters["live"]]
    if live != ALL:
        _check_alone(parameters)
        parts = {name: part if name == live else _standin.stand_in(part) for name, part in parts.items()}
    return TickState(
        **parts,
        itch=_decode.allocate(symbols),
        decoded=aligned(1, EVENT),
        settings=settings,
        touch=aligned((symbols, 4), np.int64),
        parcel=aligned(PARCEL_BYTES, np.uint8, 128),
        received=aligned(PARCEL_BYTES, np.uint8, 128),
        tally=aligned(TALLY_LENGTH, np.int64, 128),
        gateway=aligned(GATEWAY_LENGTH, np.int64, 128),
        gate=aligned(16, np.int64, 128),
    )


def reset(state: TickState) -> None:
    """Forget every message, keeping the room."""
    for part in _of(state):
        (_standin if _standin.is_stand_in(part) else _parts).reset(part)
    for array in (state.touch, state.tally, state.gateway, state.gate):
        array[:] = 0
    state.settings[PENDING] = 0
    _decode.reset(state.itch, int(state.settings[SYMBOLS]))


def grow(state: TickState) -> TickState:
    """Return the pipeline with more room: on the tapes of stand-ins that are full, else in the book."""
    full = {
        name: _standin.grow(part)
        for name, part in zip(PART_KERNELS, _of(state), strict=True)
        if _standin.is_stand_in(part) and _standin.is_full(part)
    }
    if full:
        return state._replace(**full)
    book = state.book
    if _standin.is_stand_in(book):
        return state._replace(book=book._replace(part=_parts.grow(book.part)))
    return state._replace(book=_parts.grow(book))


def _of(state: TickState) -> list[Any]:
    """Return the parts of a pipeline."""
    return [getattr(state, part) for part in PART_KERNELS]


def _check_alone(parameters: Mapping[str, int]) -> None:
    """Raise ValueError for what a pipeline with one live part cannot do."""
    if parameters["threads"] != 1 or parameters["feed"] != 0:
        raise ValueError(
            "tick_to_order: live=PART is for one thread and feed=records: leave threads and feed as they are"
        )


def _refuse_stand_ins(state: TickState) -> None:
    if any(map(_standin.is_stand_in, _of(state))):
        raise ValueError("tick_to_order: with one part live the others have no state of their own: build with live=all")


def export_state(state: TickState) -> Canonical:
    """Return the canonical form: the parts' own, each name with its part before it; ``touch``, ``tally``, ``gateway``.

    To be called between two messages. What is in the queue, and which slots of the pool are taken by which open order,
    goes along; a stream of ITCH goes on where it was, as whole messages come.
    """
    _refuse_stand_ins(state)
    canonical = {"touch": state.touch.copy(), "tally": state.tally.copy()}
    canonical["gateway"] = state.gateway.copy()
    for part in PART_KERNELS:
        for name, array in _parts.export_state(getattr(state, part)).items():
            canonical[f"{part}.{name}"] = array
    return canonical


def import_state(state: TickState, canonical: Canonical) -> TickState:
    """Return `state` with the content of `canonical`, grown where it had to be.

    Raises ValueError when it does not fit; the state is then to be reset or built anew.
    """
    _refuse_stand_ins(state)
    own = ("touch", "tally", "gateway")
    for name in own:
        found = canonical.get(name)
        if found is None or found.shape != getattr(state, name).shape or found.dtype != np.int64:
            raise ValueError(
                f"tick_to_order: canonical {name!r} must be int64 of the shape {getattr(state, name).shape}: "
                "build with the same symbols"
            )
    imported = {}
    for part in PART_KERNELS:
        start = f"{part}."
        content = {name[len(start) :]: array for name, array in canonical.items() if name.startswith(start)}
        imported[part] = _parts.import_state(getattr(state, part), content)
    for name in own:
        getattr(state, name)[:] = canonical[name]
    state.gate[:] = 0
    return state._replace(**imported)
