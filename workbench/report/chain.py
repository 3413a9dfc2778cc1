"""The chain of a kernel's variants: from the root to the leaves, by parents, as the catalog knows them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.errors import InputError

if TYPE_CHECKING:
    from kernels import Kernel, Variant


@dataclass(frozen=True)
class Step:
    """One variant of the chain. `parent` is the nearest ancestor that can run here, `depth` how many there are."""

    variant: str
    parent: str | None
    root: str
    depth: int
    idea: str
    readable: bool  # other threads may read while it works
    peer: bool = False


@dataclass(frozen=True)
class Chain:
    """The steps of one kernel, each after its parent, then the peers; and what had to be left out, in sentences."""

    kernel: str
    title: str
    operations: tuple[str, ...]  # what an operation is
    steps: tuple[Step, ...]
    peers: tuple[Step, ...]
    left_out: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Step, ...]:
        """Return the steps and the peers, in this order."""
        return self.steps + self.peers

    def pairs(self) -> list[tuple[str, str]]:
        """Return what is compared, (A, B): each step with its parent, with its root and with every peer."""
        found: dict[tuple[str, str], None] = {}
        for step in self.steps:
            others = [step.parent, step.root, *(peer.variant for peer in self.peers)]
            found.update({(other, step.variant): None for other in others if other and other != step.variant})
        return list(found)

    def _repr_html_(self) -> str:
        items = "".join(_item(step) for step in self.all)
        left = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.left_out)
        operation = html.escape("; ".join(self.operations))
        return f"<p><strong>{html.escape(self.title)}</strong> An operation: {operation}.</p><ul>{items}</ul>{left}"

    def __str__(self) -> str:
        lines = [f"{'  ' * step.depth}{step.variant}: {step.idea}" for step in self.all]
        return "\n".join([self.title, *lines, *self.left_out])

    def __repr__(self) -> str:
        return str(self)


def _item(step: Step) -> str:
    origin = " (a peer's code)" if step.peer else f" (from {step.parent})" if step.parent else " (the root)"
    head = f"<strong>{html.escape(step.variant)}</strong>{html.escape(origin)}: "
    return f'<li style="margin-left:{1.5 * step.depth}em">{head}{html.escape(step.idea)}</li>'


def chain_of(kernel: str, variants: Sequence[str] = ()) -> Chain:
    """Return the chain of `kernel` that leads to `variants`, with all their ancestors; to every leaf by default.

    Peers come along as far as they can run here. Raises InputError for a kernel or a variant that there is not, and
    where nothing can run.
    """
    import kernels

    try:
        found = kernels.get(kernel)
        chosen = [found.variant(name) for name in variants]
    except KeyError as error:
        raise InputError(str(error.args[0])) from None
    usual = found.check_parameters({})
    missing = {name: variant.missing() or variant.refuses(usual) for name, variant in found.variants.items()}
    named = {variant.name for variant in chosen if not variant.peer} or set(found.variants)
    wanted = {ancestor for name in named for ancestor in [name, *_ancestors(found, name)]}
    own = {name: v for name, v in found.variants.items() if not v.peer and name in wanted and not missing[name]}
    peers = [v for v in found.variants.values() if v.peer and not missing[v.name]]
    if not own:
        raise InputError(f"{found.name}: none of its variants can run here")
    sentences = [
        f"{name} was left out: {reason}."
        for name, reason in missing.items()
        if reason and (name in wanted or found.variants[name].peer)
    ]
    return Chain(
        kernel=found.name,
        title=found.title.rstrip(".") + ".",
        operations=tuple(found.operations.values()),
        steps=tuple(_step(found, variant, own) for variant in _depth_first(own, found)),
        peers=tuple(Step(v.name, None, v.name, 0, v.idea, v.read is not None, True) for v in peers),
        left_out=tuple(sentences),
    )


def _ancestors(kernel: Kernel, name: str) -> list[str]:
    """Return the parent of a variant, its parent, and so on up to the root."""
    found = []
    parent = kernel.variants[name].parent
    while parent is not None:
        found.append(parent)
        parent = kernel.variants[parent].parent
    return found


def _step(kernel: Kernel, variant: Variant, own: Mapping[str, Variant]) -> Step:
    above = [name for name in _ancestors(kernel, variant.name) if name in own]
    root = above[-1] if above else variant.name
    return Step(variant.name, above[0] if above else None, root, len(above), variant.idea, variant.read is not None)


def _depth_first(own: Mapping[str, Variant], kernel: Kernel) -> list[Variant]:
    """Return the variants so that each stands below its parent, the children of one parent in the catalog's order."""
    parents = {name: next((a for a in _ancestors(kernel, name) if a in own), None) for name in own}

    def below(parent: str | None) -> list[Variant]:
        return [each for name in own if parents[name] == parent for each in (own[name], *below(name))]

    return below(None)
