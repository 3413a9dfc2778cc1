"""A profile that times something holds the host's timing lock meanwhile."""

import pytest

from workbench import workloads
from workbench.measure.timing_lock import lock_path
from workbench.profile import contention, cpu, memory, system


class SeenError(Exception):
    pass


@pytest.mark.parametrize(
    ("room", "name", "run"),
    [
        (system, "watch", lambda: system.profile_system("order_book", "aligned", workload=EVENTS)),
        (contention, "watch", lambda: contention.profile_contention("message_queue", "lock_free", workload=EVENTS)),
        (cpu, "_sample", lambda: cpu.profile_cpu("order_book", "aligned", workload=EVENTS)),
        (memory, "execute", lambda: memory.profile_memory("order_book/aligned", workload=EVENTS)),
    ],
    ids=["system", "contention", "cpu", "memory"],
)
def test_the_lock_is_held_while_something_is_watched(monkeypatch, room, name, run):
    def watch(*given, **options):
        if "track" in given:  # recording is no timing
            return {}, None
        raise SeenError(lock_path().read_text())

    monkeypatch.setattr(room, name, watch)
    with pytest.raises(SeenError, match=r"(system profile|contention|memory|time by line) of"):
        run()


EVENTS = workloads.synthetic(events=64).events
