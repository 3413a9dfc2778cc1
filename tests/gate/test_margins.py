import pytest

from workbench import policy
from workbench.errors import InputError
from workbench.gate.margins import Margins, read_margins, same_for_all

GOOD = """
[other]
anything = "is left alone"

[gate.margins]
p99 = 0.2
throughput = 0.05

[gate.margins.order_book]
p99 = 0.5
"""


def test_a_kernels_own_margin_wins_then_the_files_then_the_policys(tmp_path):
    (tmp_path / "gate.toml").write_text(GOOD)
    margins = read_margins(tmp_path / "gate.toml")
    assert margins.of("order_book", "service_time", "p99") == 0.5
    assert margins.of("signals", "service_time", "p99") == 0.2
    assert margins.of("order_book", "throughput", "mean") == 0.05
    assert margins.of("order_book", "service_time", "p50") == policy.MARGIN
    assert margins.of("order_book", "service_time", "p999") == policy.TAIL_MARGIN
    assert margins.of("order_book", "instructions", "total") == policy.INSTRUCTION_MARGIN


def test_one_threshold_is_for_everything():
    margins = same_for_all(10)
    assert margins.of("k", "instructions", "total") == margins.of("k", "service_time", "p999") == 0.1
    for wrong in (0, -1, 100, float("nan")):
        with pytest.raises(InputError, match="above 0 and below 100"):
            same_for_all(wrong)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gate.margins]\np98 = 0.1", "there is no metric 'p98'"),
        ("[gate.margins]\np99 = 10", "between 0 and 1"),
        ("[gate.margins]\np99 = 0", "between 0 and 1"),
        ("[gate.margins]\np99 = nan", "between 0 and 1"),
        ("[gate.margins]\np99 = true", "between 0 and 1"),
        ('[gate.margins.k]\np99 = "x"', r"\[gate.margins\] k.p99"),
        ("[gate]\nmargins = 3", "no table"),
        ("gate = 3", "no table"),
        ("[gate", "is not TOML"),
        ("", "no table"),
    ],
)
def test_garbage_is_told_by_file_and_key(tmp_path, text, told):
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        read_margins(tmp_path / "gate.toml")
    assert str(tmp_path / "gate.toml") in str(caught.value)


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_margins(tmp_path / "absent.toml")
    (tmp_path / "gate.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not TOML"):
        read_margins(tmp_path / "gate.toml")


def test_the_policy_is_what_an_empty_one_says():
    assert Margins().of("k", "throughput", "mean") == policy.MARGIN
