"""Every variant of the risk check against the reference, request by request; its single operations; its workload."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind
from kernels.risk_check import KERNEL
from kernels.risk_check._batch import BATCH, FAR
from kernels.risk_check._orders import Orders, divide, make_orders
from kernels.risk_check._rules import CLOSED, FILLED, MAX_TIME_NS, REASONS, RELEASE_BIT, Reason

VARIANTS = [variant for variant in KERNEL.variants.values() if not variant.peer]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
SMALL = {
    "accounts": 3, "collar": 100, "order_size": 50, "position": 90, "notional": 9_000, "open_orders": 4,
    "interval_ns": 10, "burst": 3,
}  # fmt: skip

actions = st.one_of(st.integers(0, 1), st.integers(0, 1), st.integers(8, 15), st.sampled_from([2, 7, 16, 200, 255]))
accounts = st.one_of(st.integers(0, 2), st.integers(0, 2), st.sampled_from([-(2**31), -1, 3, 2**31 - 1]))
prices = st.one_of(st.integers(95, 105), st.sampled_from([-(2**31), 0, 1, 89, 111, MAX_PRICE_TICKS, 2**30, 2**31 - 1]))
references = st.one_of(st.just(100), st.just(100), st.sampled_from([-(2**31), -1, 0, 1, 97, 2**31 - 1]))
sizes = st.one_of(st.integers(1, 30), st.sampled_from([-(2**31), 0, 50, 51, 91, MAX_ORDER_SIZE, 2**24, 2**31 - 1]))
steps = st.one_of(st.integers(0, 8), st.sampled_from([0, 100]))
wrong_times = st.one_of(st.none(), st.none(), st.none(), st.none(), st.sampled_from([-1, -(2**63), 2**62, 2**63 - 1]))
rows = st.tuples(actions, accounts, prices, references, sizes, steps, wrong_times)
requests = st.lists(rows, min_size=1, max_size=60).map(lambda given: orders_of(given))


def module_of(variant):
    return importlib.import_module(f"kernels.risk_check.{variant.name}")


def orders_of(given_rows):
    """Return orders of (action, account, price, reference, size, step of the clock, wrong time or None)."""
    columns = list(zip(*given_rows, strict=True))
    clock = 1000 + np.cumsum(columns[5])
    times = [int(now) if wrong is None else wrong for now, wrong in zip(clock, columns[6], strict=True)]
    return make_orders(
        timestamp_ns=times,
        action=columns[0],
        account=columns[1],
        price_ticks=columns[2],
        reference_ticks=columns[3],
        size=columns[4],
    )


def repeated(orders, times):
    return Orders(*(np.tile(column, times) for column in orders))


def random_orders(seed, length, **parameters):
    """Return requests of a market with these parameters: orders, releases of what passed, and every mistake."""
    random, reference = np.random.default_rng(seed), KERNEL.reference(**KERNEL.check_parameters(parameters))
    accounts, now, resting, made = len(reference.accounts), 0, [], []
    for _ in range(length):
        now += int(random.integers(0, 12))
        account, price = int(random.integers(accounts)), int(random.integers(97, 104))
        row = {"action": int(random.integers(2)), "account": account, "price_ticks": price, "size": 1 + now % 19}
        if resting and random.random() < 0.55:  # take back or fill a part or all of an order
            order = resting.pop(int(random.integers(len(resting))))
            size = int(random.integers(1, order["size"] + 1))
            closed = CLOSED if size == order["size"] else 0
            row = {**order, "size": size, "action": order["action"] | RELEASE_BIT | closed | int(random.choice([0, 4]))}
            if not closed:
                resting.append({**order, "size": order["size"] - size})
        elif random.random() < 0.1:
            name = str(random.choice(list(row)))
            row[name] = {"action": 5, "account": accounts, "price_ticks": 150, "size": 60}[name]
        elif random.random() < 0.05:
            row = {**row, "action": 12 | row["action"], "size": 10**6}
        row.update(timestamp_ns=now, reference_ticks=100)
        if reference.apply(**row) == Reason.ACCEPTED and row["action"] < RELEASE_BIT:
            resting.append({name: row[name] for name in ("action", "account", "price_ticks", "size")})
        made.append(row)
    return make_orders(**{name: [row[name] for row in made] for name in Orders._fields})


def assert_equal(variant, orders, **parameters):
    """Replay in both, compare answers and state; return the answers and the reference."""
    instance = variant.build(**parameters)
    reference = KERNEL.reference(**instance.parameters)
    wanted = reference.replay(orders)
    found = variant.replay(instance, orders)
    different = np.flatnonzero(found != wanted)
    assert not len(different), f"request {different[0]}: {Reason(found[different[0]])}, {Reason(wanted[different[0]])}"
    for name, array in reference.export_state().items():
        assert np.array_equal(instance.export_state()[name], array), name
    return found, reference


@each_variant
@given(orders=requests)
@settings(max_examples=60)
def test_requests_of_all_kinds(variant, orders):
    assert_equal(variant, orders, **SMALL)
    assert_equal(variant, repeated(orders, -(-BATCH // len(orders.action))), **SMALL)  # whole batches too


@each_variant
@pytest.mark.parametrize("accounts", [1, 3, 70])
def test_long_streams_meet_every_reason(variant, accounts):
    limits = {1: (12, 9, 8000, 60), 3: (30, 9, 8000, 60), 70: (900, 6, 5000, 60)}[accounts]
    names = ("interval_ns", "open_orders", "notional", "position")
    parameters = {**SMALL, "accounts": accounts, **dict(zip(names, limits, strict=True))}
    orders = random_orders(accounts, 4000, **parameters)
    answers, reference = assert_equal(variant, orders, **parameters)
    assert {Reason(reason) for reason in range(Reason.COLLAR, REASONS)} <= set(reference.refused)
    assert np.count_nonzero(answers == Reason.ACCEPTED) > len(orders.action) / 3


@each_variant
def test_each_request_fails_the_first_of_its_checks(variant):
    """A request that would fail every check, mended one check at a time."""
    far, big, late = 111, 60, -1
    cases = [
        ((5, 9, 0, 100, 0, late), Reason.BAD_ACTION),
        ((0, 9, 0, 100, 0, late), Reason.BAD_ACCOUNT),
        ((0, 0, 0, 100, 0, late), Reason.BAD_PRICE),
        ((0, 0, far, 100, 0, late), Reason.BAD_SIZE),
        ((0, 0, far, 100, big, late), Reason.BAD_TIME),
        ((0, 0, far, 100, big, 1), Reason.KILLED),
        ((0, 1, far, 100, big, 1), Reason.COLLAR),
        ((0, 1, far, 0, big, 1), Reason.COLLAR),
        ((0, 1, 100, 100, big, 1), Reason.SIZE),
        ((0, 1, 100, 100, 50, 1), Reason.POSITION),
        ((0, 2, 100, 100, 50, 1), Reason.NOTIONAL),
        ((0, 2, 100, 100, 1, 1), Reason.OPEN_ORDERS),
        ((12, 0, 100, 100, 1, 1), Reason.OVER_RELEASE),
    ]
    for pad in (0, BATCH):
        instance = variant.build(**{**SMALL, "open_orders": 2, "burst": 2})
        module_of(variant).kill(instance.state, 0, 1)
        first = [(0, 1, 100, 100, 50, 0), (0, 2, 80, 80, 30, 0), (1, 2, 80, 80, 30, 0)]
        rows = [(*row, None) for row in first] + [(*row[:5], 1, row[5] if row[5] < 0 else None) for row, _ in cases]
        answers = variant.replay(instance, orders_of(rows + [(0, 9, 1, 1, 1, 0, None)] * pad))
        assert [Reason(answer) for answer in answers[: len(rows)]] == [0, 0, 0] + [reason for _, reason in cases]
        counted = instance.export_state()["refused"]
        assert counted.sum() == len(cases) + pad and (counted[[reason for _, reason in cases]] > 0).all()


@each_variant
def test_rate_is_a_burst_and_then_one_message_an_interval(variant):
    times = [0, 0, 0, 0, 9, 10, 10, 20, 100, 100, 100, 100]
    wanted = [0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 1]
    rows = make_orders(
        timestamp_ns=times, action=[0] * 12, account=[0] * 12, price_ticks=[100] * 12, reference_ticks=[100] * 12,
        size=[1] * 12,
    )  # fmt: skip
    answers = variant.replay(variant.build(**{**SMALL, "open_orders": 100}), rows)
    assert answers.tolist() == [Reason.RATE if refused else Reason.ACCEPTED for refused in wanted]


@each_variant
def test_the_collar_is_exact(variant):
    """At 100/1024 of the reference price and one tick beyond, also where 32 bits would not hold the product."""
    for reference in (1, 10, 11, 100, 1023, 1024, 1025, 99_999, 2**29 + 12_345):
        away = reference * 100 // 1024
        prices_ = [p for p in (reference - away - 1, reference - away, reference + away, reference + away + 1) if p > 0]
        rows = [(0, 0, price, reference, 1, 1000, None) for price in prices_] * BATCH
        instance = variant.build(**{**SMALL, "notional": 2**43 - 1, "open_orders": 10_000, "position": 2**30})
        answers = variant.replay(instance, orders_of(rows))[: len(prices_)]
        inside = [abs(price - reference) * 1024 <= reference * 100 for price in prices_]
        assert answers.tolist() == [Reason.ACCEPTED if near else Reason.COLLAR for near in inside]


@each_variant
def test_limits_at_their_largest_do_not_overflow(variant):
    most = {
        "accounts": 1, "collar": 1023, "order_size": MAX_ORDER_SIZE, "position": 2**30, "notional": 2**43 - 1,
        "open_orders": 2**20 - 1, "interval_ns": 2**40, "burst": 2**20,
    }  # fmt: skip
    rows = [(0, 0, MAX_PRICE_TICKS, MAX_PRICE_TICKS, MAX_ORDER_SIZE, 0, None)]  # its notional alone is far above
    rows += [(side, 0, 1, 1, MAX_ORDER_SIZE, 0, None) for side in (0, 1) for _ in range(70)]
    rows += [(12 + side, 0, 1, 1, MAX_ORDER_SIZE, 0, None) for side in (0, 1) for _ in range(70)]
    orders = orders_of(rows)
    orders.timestamp_ns[1:] = MAX_TIME_NS
    _, reference = assert_equal(variant, orders, **most)
    assert reference.refused[Reason.NOTIONAL] == 1 and reference.refused[Reason.POSITION] >= 12
    assert reference.accounts[0].position > 2**27


@each_variant
def test_single_operations_are_those_of_replay(variant):
    """`check` and `release`, called one by one, answer as `replay` does, and `exposure` shows what they left."""
    module, orders = module_of(variant), random_orders(9, 400, **SMALL)
    instance, reference = variant.build(**SMALL), KERNEL.reference(**{**KERNEL.check_parameters(SMALL)})
    for i, wanted in enumerate(reference.replay(orders)):
        action, account = int(orders.action[i]), int(orders.account[i])
        price, size = int(orders.price_ticks[i]), int(orders.size[i])
        if action >= RELEASE_BIT:
            filled, closed = bool(action & FILLED), bool(action & CLOSED)
            answer = module.release(instance.state, account, action & 1, price, size, filled, closed)
        elif action < 2:
            answer = module.check(
                instance.state,
                account,
                action,
                price,
                size,
                int(orders.reference_ticks[i]),
                int(orders.timestamp_ns[i]),
            )
        else:
            answer = module.check(instance.state, account, 2, price, size, 100, 0)
        assert answer == wanted, i
    for account, held in enumerate(reference.accounts):
        found = module.exposure(instance.state, account)
        assert found == (held.worst(0), held.worst(1), held.notional, held.orders)
    assert np.array_equal(instance.export_state()["refused"], reference.export_state()["refused"])


@each_variant
def test_the_switches_stop_orders_and_not_releases(variant):
    module, instance = module_of(variant), variant.build(**SMALL)
    order, back = orders_of([(0, 1, 100, 100, 5, 20, None)] * BATCH), orders_of([(10, 1, 100, 100, 5, 0, None)])
    far = orders_of([(0, 1, 150, 100, 5, 20, None)] * BATCH)

    def first(orders):
        return Reason(variant.replay(instance, orders)[0])

    assert first(order) == Reason.ACCEPTED
    module.kill(instance.state, 1, 1)
    assert first(order) == Reason.KILLED and first(far) == Reason.KILLED and first(back) == Reason.ACCEPTED
    assert instance.export_state()["accounts"]["killed"].tolist() == [0, 1, 0]
    instance.reset()
    assert first(order) == Reason.KILLED  # a reset is no permission
    module.kill(instance.state, 1, 0)
    module.kill(instance.state, -1, 1)
    assert first(order) == Reason.KILLED and first(far) == Reason.KILLED
    module.kill(instance.state, -1, 0)
    assert first(order) == Reason.ACCEPTED and first(far) == Reason.COLLAR


def market():
    """Return market events of a few orders that are added, cut, filled and taken out."""
    rows = []
    for i in range(1, 400):
        rows.append((Kind.ADD, i, 1000 + i % 7, 10 + i % 5, i % 2))
        if i % 3 == 0:
            rows.append((Kind.EXECUTE, i, 1000 + i % 7, 4, i % 2))
        if i % 4 == 0:
            rows.append((Kind.CANCEL, i, 1000 + i % 7, 2, i % 2))
        if i > 20:
            rows.append((Kind.DELETE, i - 20, 1000, 0, i % 2))
    events = np.zeros(len(rows), EVENT)
    for name, column in zip(("kind", "order_id", "price_ticks", "size", "side"), zip(*rows, strict=True), strict=True):
        events[name] = column
    events["timestamp_ns"] = 10**6 * np.arange(len(rows))
    return events


def test_the_workload_releases_what_passed_and_nothing_else():
    parameters = KERNEL.check_parameters({"accounts": 5, "interval_ns": 1000, "violating": 100})
    orders = KERNEL.prepare(market(), parameters)
    reference = KERNEL.reference(**parameters)
    answers = reference.replay(orders)
    assert np.array_equal(orders.action, KERNEL.prepare(market(), parameters).action)  # deterministic
    releases = orders.action >= RELEASE_BIT
    assert releases.sum() > 300 and not answers[releases].any()
    assert {Reason.BAD_ACTION, Reason.BAD_ACCOUNT, Reason.BAD_SIZE, Reason.SIZE, Reason.COLLAR} <= set(
        reference.refused
    )
    assert sum(account.orders for account in reference.accounts) == np.sum(answers[~releases] == 0) - np.sum(
        (orders.action & CLOSED != 0) & releases
    )


def test_simd_asks_ahead_for_the_lines_of_many_accounts():
    parameters = {**SMALL, "accounts": FAR + 5}
    orders = random_orders(3, 3 * BATCH, **SMALL)
    orders.account[orders.account == 1] = FAR + 4
    assert_equal(KERNEL.variants["simd"], orders, **parameters)


def peer_equals_reference(orders, **parameters):
    """Replay in the C++ peer; compare answers and counts; return the reference."""
    peer = KERNEL.variants["peer_atomic"]
    if peer.missing():
        pytest.skip(peer.missing())
    instance, reference = peer.build(**parameters), KERNEL.reference(**KERNEL.check_parameters(parameters))
    wanted = reference.replay(orders)
    for _ in range(2):
        assert np.array_equal(peer.replay(instance, orders), wanted)
        assert np.array_equal(instance.state.refused, reference.export_state()["refused"])
        instance.reset()
    return reference


@given(orders=requests)
@settings(max_examples=60)
def test_the_peer_in_cpp_takes_requests_of_all_kinds(orders):
    peer_equals_reference(orders, **SMALL)


def test_the_peer_in_cpp_answers_as_the_reference():
    parameters = {**SMALL, "accounts": 1, "interval_ns": 12, "open_orders": 9, "notional": 8000, "position": 60}
    reference = peer_equals_reference(random_orders(1, 4000, **parameters), **parameters)
    assert {Reason(reason) for reason in range(Reason.COLLAR, REASONS)} <= set(reference.refused)


def test_threads_get_all_requests_once():
    parameters = KERNEL.check_parameters({"accounts": 5, "interval_ns": 1000})
    orders = KERNEL.prepare(market(), parameters)
    out = KERNEL.output(orders, parameters)
    assert divide(orders, out, {**parameters, "threads": 1}) == [(orders, out)]
    for shared in (0, 1):
        parts = divide(orders, out, {**parameters, "threads": 3, "shared": shared})
        assert sum(len(part.action) for part, _ in parts) == len(out)
        assert all(len(part.action) == len(mine) and mine.dtype == np.uint8 for part, mine in parts)
        owners = [set((part.account % 3).tolist()) for part, _ in parts]
        assert all(len(owner) == 1 for owner in owners) if not shared else all(len(owner) == 3 for owner in owners)


def test_inputs_are_checked_at_the_border():
    with pytest.raises(ValueError, match="one-dimensional array of kernels"):
        KERNEL.prepare(np.zeros(3), KERNEL.check_parameters({}))
    with pytest.raises(ValueError, match="orders have the columns"):
        make_orders(action=[0])
    columns = {name: [0] for name in Orders._fields}
    with pytest.raises(ValueError, match="of one length"):
        make_orders(**{**columns, "size": [1, 2]})
    with pytest.raises(ValueError, match="what prepare or make_orders returns"):
        KERNEL.output(np.zeros(3), {})
    with pytest.raises(ValueError, match="for one thread"):
        KERNEL.variants["simd"].build(threads=2)
    assert len(KERNEL.prepare(np.zeros(0, EVENT), KERNEL.check_parameters({})).action) == 0
    assert len(Reason) == REASONS
