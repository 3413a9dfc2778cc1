"""The parts of the pipeline: which variants of each there are, and how compiled code calls the one that was chosen.

A part's state is wrapped in a *tag*: a named tuple class that exists for one variant of one part and holds nothing but
the state. Several variants of a part may keep the same class of state, so that alone would not tell them apart. A
function of a part is only a name here; Numba gives it, for each tag, the function of that name in the variant's file
when it compiles. So the machine code of a pipeline holds the functions of its own parts and nothing of the others, as
if they had been written there, and the compiled-code cache tells the pipelines apart by their tags.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from numba.extending import overload

from kernels import get
from kernels.catalog import Canonical, Variant
from kernels.tick_to_order._modules import MODULES
from kernels.tick_to_order._names import PART_KERNELS, VARIANTS

_tag_of: dict[type, tuple[str, str]] = {}


def _make_tag(part: str, variant: str) -> type:
    """Return the class that marks a state as that of a variant of a part; it can be imported from here by its name."""
    tag = namedtuple(f"{part}_{variant}", ("state",), module=__name__)  # type: ignore[misc]
    setattr(sys.modules[__name__], tag.__name__, tag)
    _tag_of[tag] = part, variant
    return tag


TAGS = {(part, variant): _make_tag(part, variant) for part, names in VARIANTS.items() for variant in names}


def module_of(part: str, variant: str) -> ModuleType:
    """Return the file of a part's variant."""
    return MODULES[f"{part}_{variant}"]


def chosen(part: Any) -> tuple[str, str]:
    """Return which part a tagged state is, and of which variant."""
    return _tag_of[type(part)]


def variant_of(part: Any) -> Variant:
    """Return the variant, as the catalog has it, of a tagged state."""
    name, variant = chosen(part)
    return get(PART_KERNELS[name]).variants[variant]


def allocate(part: str, variant: str, parameters: Mapping[str, Any]) -> Any:
    """Return the tagged state of a part's variant, built with `parameters` and its kernel's defaults for the others.

    Raises ValueError, with one sentence, where the variant refuses them.
    """
    found = get(PART_KERNELS[part]).variants[variant]
    return TAGS[part, variant](found.build(**dict(parameters)).state)


def reset(part: Any) -> None:
    """Empty a part, keeping its room."""
    variant_of(part).reset(part.state)


def grow(part: Any) -> Any:
    """Return the part with more room."""
    grown = variant_of(part).grow
    assert grown is not None
    return type(part)(grown(part.state))


def export_state(part: Any) -> Canonical:
    """Return a part's content in the canonical form of its kernel."""
    exported = variant_of(part).export_state
    assert exported is not None
    return exported(part.state)


def import_state(part: Any, canonical: Canonical) -> Any:
    """Return the part with the content of `canonical`. Raises ValueError, changing nothing, when it does not fit."""
    imported = variant_of(part).import_state
    assert imported is not None
    return type(part)(imported(part.state, canonical))


# ---- calls from compiled code ------------------------------------------------------------------------------------

OPTIONS: Any = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}


def of_part(part: Any) -> tuple[str, str] | None:
    """Return part and variant of Numba's type of a tagged state; None for another type."""
    return _tag_of.get(getattr(part, "instance_class", type(None)))


def _route(name: str) -> Callable[..., Any]:
    """Return the function `name` of whatever part it is called with; for compiled code only."""

    def call(part: Any, *arguments: Any) -> Any:
        raise RuntimeError(f"{name} of a part runs in compiled code only")

    def choose(part, *arguments):
        found = of_part(part)
        if found is None:
            return None
        body = getattr(module_of(*found), name)
        return lambda part, *arguments: body(part.state, *arguments)

    overload(call, jit_options=OPTIONS)(choose)
    return call


update = _route("update")
check = _route("check")
release = _route("release")
encode = _route("encode")
decode = _route("decode")
push = _route("push")
pop = _route("pop")
take = _route("take")
give_back = _route("give_back")
read = _route("read")
write = _route("write")
apply_fill = _route("apply_fill")
