"""A native heap profiler is left out for a reason of its own, not for that of another tool of the same package."""

import pytest

from workbench import abilities
from workbench.abilities.ability import Ability
from workbench.profile import memory_native


@pytest.mark.parametrize(("native", "ability"), [("massif", "massif"), ("heaptrack", "heaptrack")])
def test_each_tool_is_tried_itself(monkeypatch, native, ability):
    for name in ("massif", "heaptrack", "callgrind"):
        works = name != ability
        monkeypatch.setattr(abilities, name, lambda name=name, works=works: Ability(name, works, f"{name} was tried"))
    assert f"{native} was left out: {ability} was tried" in memory_native.missing(native)
    monkeypatch.setattr(abilities, ability, lambda: Ability(ability, True, ""))
    assert memory_native.missing(native) is None
