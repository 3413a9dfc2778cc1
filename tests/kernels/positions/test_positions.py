"""Every variant of the positions against the reference, fill by fill; its single operations; its workload."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels._jit import kernel_jit
from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, Kind
from kernels.positions import KERNEL
from kernels.positions._fills import FEWEST_FILLS, SHARDS, Fills, divide, make_fills
from kernels.positions._rules import MARK, MAX_PROFIT, MAX_QUANTITY, NO_ROOM, REASONS, Reason, part_of_cost

VARIANTS = [variant for variant in KERNEL.variants.values() if not variant.peer]
each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
SMALL = {"accounts": 3, "symbols": 2}

actions = st.one_of(st.integers(0, 1), st.integers(0, 1), st.just(MARK), st.sampled_from([3, 255]))
accounts = st.one_of(st.integers(0, 2), st.integers(0, 2), st.sampled_from([-(2**31), -1, 3, 2**31 - 1]))
symbols = st.one_of(st.integers(0, 1), st.integers(0, 1), st.sampled_from([-1, 2, 65536]))
prices = st.one_of(st.integers(1, 12), st.sampled_from([-(2**31), 0, 10**6, MAX_PRICE_TICKS, 2**30, 2**31 - 1]))
sizes = st.one_of(st.integers(1, 30), st.sampled_from([-(2**31), 0, 7919, MAX_ORDER_SIZE, 2**24, 2**31 - 1]))
fills_of_all_kinds = st.lists(st.tuples(accounts, symbols, prices, sizes, actions), max_size=60).map(
    lambda rows: fills_of(rows)
)


def module_of(variant):
    return importlib.import_module(f"kernels.positions.{variant.name}")


def fills_of(rows):
    """Return fills of (account, symbol, price, size, action)."""
    columns = list(zip(*rows, strict=True)) or [()] * 5
    return make_fills(**dict(zip(Fills._fields, columns, strict=True)))


def random_fills(seed, length, accounts=3, symbols=2):
    """Return good fills with many turns through zero, and some marks."""
    random = np.random.default_rng(seed)
    return make_fills(
        account=random.integers(0, accounts, length),
        symbol=random.integers(0, symbols, length),
        price_ticks=random.integers(90, 110, length),
        size=random.choice([1, 2, 3, 5, 7, 100, 10_000], length),
        action=random.choice([0, 1, MARK], length, p=[0.45, 0.45, 0.1]),
    )


def assert_equal(variant, fills, **parameters):
    """Replay in both and compare all that can be seen; return the instance and the reference."""
    reference = KERNEL.reference(**parameters)
    wanted = reference.replay(fills)
    instance = variant.build(**parameters)
    found = variant.replay(instance, fills)
    different = np.flatnonzero(found != wanted)
    assert not len(different), f"fill {different[0]}: {found[different[0]]} is not {wanted[different[0]]}"
    expected = reference.export_state()
    if variant.peer:
        assert np.array_equal(instance.state.bad, expected["bad"])
        return instance, reference
    for name, array in expected.items():
        assert np.array_equal(instance.export_state()[name], array), name
    for account in range(min(parameters["accounts"], 4)):
        for symbol in range(min(parameters["symbols"], 4)):
            assert module_of(variant).read(instance.state, account, symbol) == (*reference.read(account, symbol), 0)
    return instance, reference


@pytest.mark.parametrize("name", list(KERNEL.variants))
@given(fills=fills_of_all_kinds)
@settings(max_examples=100)
def test_fills_of_all_kinds(name, fills):
    variant = KERNEL.variants[name]
    if variant.missing():
        pytest.skip(f"{variant.full_name} cannot run here: {variant.missing()}")
    assert_equal(variant, fills, **SMALL, positions=1)


@each_variant
@pytest.mark.parametrize(("accounts", "symbols"), [(1, 1), (3, 2), (200, 40), (7, 65536)])
def test_tables_that_grow_many_times(variant, accounts, symbols):
    instance, reference = assert_equal(
        variant, random_fills(accounts, 3000, accounts, symbols), accounts=accounts, symbols=symbols, positions=1
    )
    cash = [position.realised - position.cost * np.sign(position.quantity) for position in reference.positions.values()]
    assert cash == [position.cash for position in reference.positions.values()]
    rows = np.zeros((len(reference.positions), 6), np.int64)
    assert module_of(variant).snapshot(instance.state, rows) == len(rows)
    expected = sorted((*key, *reference.read(*key)) for key in reference.positions)
    assert sorted(map(tuple, rows.tolist())) == expected
    few = np.full((2, 6), -7, np.int64)
    assert module_of(variant).snapshot(instance.state, few[:1]) == len(rows)
    assert (few[1] == -7).all()  # nothing beyond the rows that there are


@each_variant
def test_known_numbers(variant):
    module, state = module_of(variant), variant.build(**SMALL).state
    steps = [
        ((0, 100, 10), (10, 1000, 0)),  # buy 10 at 100
        ((0, 103, 5), (15, 1515, 0)),  # at 101 on average
        ((1, 110, 4), (11, 1111, 36)),  # sell 4: 404 of the cost go
        ((1, 99, 20), (-9, 891, 36 + 11 * 99 - 1111)),  # through zero: short 9 at 99
        ((0, 98, 2), (-7, 693, 14 + 2)),
        ((0, 100, 7), (0, 0, 16 - 7)),
    ]
    for (side, price, size), wanted in steps:
        assert module.apply_fill(state, 1, 1, side, price, size) == Reason.ACCEPTED
        assert module.read(state, 1, 1) == (*wanted, 0, 0)
    module.apply_fill(state, 1, 1, 1, 50, 4)
    assert module.mark(state, 1, 45) == Reason.ACCEPTED
    assert module.read(state, 1, 1) == (-4, 200, 9, 20, 0)
    assert module.read(state, 0, 1) == (0, 0, 0, 0, 0)
    assert module.mark(state, 2, 45) == Reason.BAD_SYMBOL and module.mark(state, 0, 0) == Reason.BAD_PRICE


@each_variant
def test_rounding_loses_nothing(variant):
    """A cost that does not divide: the rest stays in what is left, until the last share takes it all."""
    module, state = module_of(variant), variant.build(**SMALL).state
    for price in (10, 10, 11):
        module.apply_fill(state, 0, 0, 0, price, 1)  # 31 for 3 shares
    held = []
    for _ in range(3):
        module.apply_fill(state, 0, 0, 1, 20, 1)
        held.append(module.read(state, 0, 0)[:3])
    assert held == [(2, 21, 10), (1, 11, 20), (0, 0, 29)]


@each_variant
def test_the_largest_positions_do_not_overflow(variant):
    """As many shares and as high prices as there can be, closed in parts that do not divide."""
    fills = [(0, 0, MAX_PRICE_TICKS, MAX_ORDER_SIZE, 0)] * 130  # 128 of them fit
    fills += [(0, 0, 1, size, 1) for size in (MAX_ORDER_SIZE, 7919, 1, MAX_ORDER_SIZE - 1, 3)]
    fills += [(1, 0, MAX_PRICE_TICKS - 1, MAX_ORDER_SIZE, 1)] * 129 + [(1, 0, 3, MAX_ORDER_SIZE, 0)]
    for _ in range(9):  # buy high, sell low, until no more loss can be booked
        fills += [(2, 0, MAX_PRICE_TICKS, MAX_ORDER_SIZE, 0)] * 128 + [(2, 0, 1, MAX_ORDER_SIZE, 1)] * 128
    _, reference = assert_equal(variant, fills_of(fills), **SMALL)
    assert reference.bad[Reason.POSITION_FULL] >= 3 and reference.bad[Reason.PROFIT_FULL] > 0
    assert max(abs(position.quantity) for position in reference.positions.values()) > MAX_QUANTITY - MAX_ORDER_SIZE
    assert max(abs(position.realised) for position in reference.positions.values()) > MAX_PROFIT - 2**56


@kernel_jit
def _part(cost, size, held):
    return part_of_cost(cost, size, held)


@given(held=st.integers(1, MAX_QUANTITY), share=st.floats(0, 1), price=st.floats(0, 1), bits=st.integers(0, 30))
@settings(max_examples=800)
def test_a_part_of_the_cost_is_rounded_down_exactly(held, share, price, bits):
    held = max(held >> bits, 1)
    size, cost = int(share * held), int(price * held * MAX_PRICE_TICKS)
    assert _part(cost, size, held) == cost * size // held
    near = cost // held * held  # a quotient that is whole, and its neighbours
    for close in (near, max(near - 1, 0), near + 1):
        assert _part(close, size, held) == close * size // held


@each_variant
def test_each_bad_fill_is_counted_under_the_first_check_it_fails(variant):
    cases = [
        ((9, 9, 0, 0, 3), Reason.BAD_ACTION),
        ((9, 9, 0, 0, 0), Reason.BAD_ACCOUNT),
        ((-1, 9, 0, 0, 0), Reason.BAD_ACCOUNT),
        ((0, 9, 0, 0, 0), Reason.BAD_SYMBOL),
        ((0, 1, 0, 0, 0), Reason.BAD_PRICE),
        ((0, 1, 1, 0, 0), Reason.BAD_SIZE),
        ((9, 2, 0, 0, MARK), Reason.BAD_SYMBOL),  # a mark has neither account nor size
        ((9, 1, 0, 0, MARK), Reason.BAD_PRICE),
        ((9, 1, 5, 0, MARK), Reason.ACCEPTED),
    ]
    for row, reason in cases:
        instance = variant.build(**SMALL)
        variant.replay(instance, fills_of([row]))
        counted = np.zeros(REASONS, np.int64)
        counted[reason] += reason != Reason.ACCEPTED
        assert instance.export_state()["bad"].tolist() == counted.tolist(), row
        assert not len(instance.export_state()["positions"])
    assert_equal(variant, fills_of([row for row, _ in cases]), **SMALL)


@each_variant
def test_a_full_table_says_so_and_changes_nothing(variant):
    module, state = module_of(variant), variant.build(accounts=64, symbols=1000, positions=1).state
    answers = [module.apply_fill(state, 0, symbol, 0, 5, 1) for symbol in range(1000)]
    room = answers.index(NO_ROOM)
    assert set(answers[:room]) == {Reason.ACCEPTED} and set(answers[room:]) == {NO_ROOM}
    assert module.read(state, 0, room) == (0, 0, 0, 0, 0)
    assert module.apply_fill(state, 0, 0, 0, 5, 1) == Reason.ACCEPTED  # what is there can change
    assert module.read(state, 0, 0)[0] == 2


def market(trades=50, symbols=3):
    events = np.zeros(2 * trades, EVENT)
    events["kind"][::2], events["kind"][1::4], events["kind"][3::4] = Kind.ADD, Kind.EXECUTE, Kind.TRADE
    events["price_ticks"], events["size"] = 100 + np.arange(2 * trades) % 7, 1 + np.arange(2 * trades) % 5
    events["symbol"] = np.arange(2 * trades) // 2 % symbols
    return events


def test_every_trade_gives_two_fills_and_marks_follow():
    assert KERNEL.parameters_for(market()) == {"symbols": 3}
    parameters = KERNEL.check_parameters({"symbols": 3, "accounts": 5, "mark_every": 4})
    fills = KERNEL.prepare(market(), parameters)
    marks = np.flatnonzero(fills.action == MARK)
    assert len(fills.action) - len(marks) >= FEWEST_FILLS and np.array_equal(marks, np.arange(4, len(fills.action), 5))
    assert np.array_equal(fills.price_ticks[marks], fills.price_ticks[marks - 1])
    bought, sold = fills.action == 0, fills.action == 1
    assert np.array_equal(fills.size[bought], fills.size[sold])
    assert np.array_equal(fills.price_ticks[bought][:50], market()["price_ticks"][1::2])
    assert set(fills.account.tolist()) == set(range(5)) and fills.symbol[:10:5].tolist() == [0, 2]
    none = KERNEL.prepare(market(), {**parameters, "mark_every": 0})
    assert not (none.action == MARK).any()


def test_threads_get_accounts_of_their_own():
    parameters = KERNEL.check_parameters({"symbols": 3, "accounts": 200})
    fills = KERNEL.prepare(market(), parameters)
    out = KERNEL.output(fills, parameters)
    assert divide(fills, out, {**parameters, "threads": 1}) == [(fills, out)]
    parts = divide(fills, out, {**parameters, "threads": 3})
    shards = [set((part.account % SHARDS).tolist()) for part, _ in parts]
    assert sum(map(len, shards)) == len(set.union(*shards)) == SHARDS
    assert sum(len(part.action) for part, _ in parts) == len(out) and all(len(p.action) == len(o) for p, o in parts)


def test_inputs_are_checked_at_the_border():
    with pytest.raises(ValueError, match="one-dimensional array of kernels"):
        KERNEL.prepare(np.zeros(3), KERNEL.check_parameters({}))
    with pytest.raises(ValueError, match="no execution or trade"):
        KERNEL.prepare(market()[::2], KERNEL.check_parameters({}))
    with pytest.raises(ValueError, match="fills have the columns"):
        make_fills(action=[0])
    with pytest.raises(ValueError, match="of one length"):
        make_fills(**{**{name: [0] for name in Fills._fields}, "size": [1, 2]})
    with pytest.raises(ValueError, match="what prepare or make_fills returns"):
        KERNEL.output(np.zeros(3), {})
