import sys
from pathlib import Path

from workbench import record
from workbench.gate.differences import counter_changes, machine_changes, no_code_change, noise_changes, same_code

sys.path.insert(0, str(Path(__file__).parents[1]))
import factory


def replicates(counters, switches=0):
    side = record.Side(
        variant="toy/fast",
        place=0,
        operations=100,
        elapsed_ns=1000,
        counters=counters,
        noise=record.Noise(involuntary_switches=switches),
    )
    block = record.Block(replicate=0, index=0, sides=[side, side])
    return [
        record.Replicate(
            index=0,
            core=0,
            clock=factory.CLOCK,
            started="2026-01-01T00:00:00Z",
            code_hash={"toy/fast": "aa"},
            peak_rss_bytes=1,
            blocks=[block],
        )
    ]


def test_fields_of_the_machine_that_changed_are_named():
    then = factory.machine(governor="performance", numba_settings={"NUMBA_OPT": "3"}, load_1min=0.3)
    now = factory.machine(
        governor="powersave",
        numba_settings={"NUMBA_OPT": "2"},
        load_1min=2.3,
        target_features_hash="bb66",
        versions={**factory.machine().versions, "numba": "0.99.0"},
        hardware_key="000000000000",
    )
    told = machine_changes(then, now)
    assert "governor: performance -> powersave" in told
    assert "numba settings NUMBA_OPT: 3 -> 2" in told
    assert "versions numba: 0.68.1 -> 0.99.0" in told
    assert "target features hash: aa55 -> bb66" in told
    assert "load 1min: 0.3 -> 2.3" in told
    assert len(told) == 5, "the hardware key is told by those who compare"
    assert machine_changes(then, then) == []
    assert machine_changes(then, factory.machine(**{**then.model_dump(), "load_1min": 0.5})) == []


def test_counters_are_compared_per_operation():
    then, now = replicates({"probes": 200, "retries": 3}), replicates({"probes": 250, "retries": 3})
    assert counter_changes(then, "toy/fast", now, "toy/fast") == ["toy/fast probes: 2 -> 2.5 an operation"]
    assert counter_changes(then, "toy/fast", then, "toy/fast") == []
    assert counter_changes(then, "toy/fast", replicates({}), "toy/fast")[0] == "toy/fast probes: 2 -> 0 an operation"


def test_disturbance_is_told_where_it_is_clear():
    assert noise_changes(replicates({}, 1), replicates({}, 50)) == ["involuntary switches while timing: 2 -> 100"]
    assert noise_changes(replicates({}, 1), replicates({}, 3)) == []


def test_no_code_change_is_said_with_what_did():
    then = factory.run(seed=1)
    now = factory.run(seed=2)
    assert same_code(then, now, "order_book/ladder")
    moved = now.model_copy(update={"machine": factory.machine(linux="6.99.0")})
    first, *lines = no_code_change(then, moved)
    assert first.startswith("no code change: order_book/") and "order_book/ladder" in first
    assert "  linux: 6.12.0 -> 6.99.0" in lines
    other = then.workload.model_copy(update={"sha256": "1" * 64, "name": "evening"})
    assert any("evening" in line for line in no_code_change(then, moved.model_copy(update={"workload": other})))
    (replicate, *_) = now.replicates
    hashes = dict.fromkeys(replicate.code_hash, "other")
    rebuilt = [each.model_copy(update={"code_hash": hashes}) for each in now.replicates]
    assert no_code_change(then, now.model_copy(update={"replicates": rebuilt})) == []
