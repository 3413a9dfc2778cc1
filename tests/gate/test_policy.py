from workbench import policy
from workbench.gate import policy as handed_on


def test_the_gate_hands_every_threshold_on():
    names = [name for name in vars(policy) if not name.startswith("_")]
    assert {"ALPHA", "MARGINS", "margin_for"} < set(names)
    assert all(getattr(handed_on, name) is getattr(policy, name) for name in names)
