from workbench.measure import clock


def test_a_clock_in_steps_is_seen_through_rounding():
    stamps = [0]
    for i in range(5000):  # advances by 26, which scaling now and then splits into 25 and 1
        stamps.append(stamps[-1] + (25 if i % 20 == 0 else 1 if i % 20 == 1 else 26))
    cost, step = clock.cost_and_step(stamps)
    assert 23 < cost < 26
    assert 24 <= step <= 26


def test_an_interrupt_does_not_count_as_cost_or_step():
    stamps = list(range(0, 70_000, 7))
    late = [*stamps[:5000], *(stamp + 100_000 for stamp in stamps[5000:])]
    assert clock.cost_and_step(late) == (7, 7)


def test_readings_that_cost_less_than_a_step():
    stamps = [10 * (i // 3) for i in range(3000)]
    cost, step = clock.cost_and_step(stamps)
    assert step == 10
    assert 3 < cost < 3.7


def test_this_machine_has_a_plausible_clock():
    found = clock.measure_clock()
    assert found.invariant is (found.source == "tsc")
    assert 0.05 < found.ns_per_tick < 100
    assert 0 < found.cost_ns < 10_000
    assert 0 < found.step_ns < 10**6


def test_without_an_invariant_counter_the_system_clock_is_used(monkeypatch):
    monkeypatch.setattr(clock, "is_invariant", lambda: False)
    found = clock.measure_clock()
    assert (found.source, found.ns_per_tick, found.invariant) == ("clock_gettime", 1.0, False)
    assert found.step_ns >= 1
