"""Every codec against the reference: what comes back, what is refused, and that nothing else is touched."""

import json

import numpy as np
import pytest
from codec_oracle import COMPILED, KERNEL, KINDS, OURS, messages_of, random_records
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys

from kernels.messages import EVENT, MAX_ORDER_SIZE, MAX_PRICE_TICKS, ORDER, Action, Kind, Side, TimeInForce
from kernels.order_codec import baseline
from kernels.order_codec._messages import orders_from, records, words
from kernels.order_codec._words import Refusal

each_variant = pytest.mark.parametrize("variant", OURS, ids=lambda variant: variant.name)
each_compiled = pytest.mark.parametrize("variant", COMPILED, ids=lambda variant: variant.name)
each_kind = pytest.mark.parametrize("kind", list(KINDS))


def quick_for(*names):
    """Return the parameters of a test that is a slow one for all others: they compile for seconds."""
    marked = [pytest.param(v, id=v.name, marks=() if v.name in names else pytest.mark.slow) for v in COMPILED]
    return pytest.mark.parametrize("variant", marked)


def assert_as_the_reference(variant, messages, **parameters):
    instance, reference = variant.build(**parameters), KERNEL.reference()
    out, expected = variant.replay(instance, messages), reference.replay(messages)
    assert np.array_equal(out, expected)
    assert np.array_equal(instance.export_state()["bad"], reference.export_state()["bad"])


@each_variant
@each_kind
@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32), length=st.integers(0, 150), bad=st.sampled_from([0, 0.02, 0.5, 1]),
    batch=st.sampled_from([1, 2, 7, 64]),
)  # fmt: skip
def test_messages_come_back_as_they_were_or_are_refused(variant, kind, seed, length, bad, batch):
    assert_as_the_reference(variant, messages_of(random_records(seed, length, kind, bad)), message=kind, batch=batch)


def limits(kind):
    """Return messages at and just beyond each limit of each checked field."""
    good = random_records(1, 1, kind, 0)
    edges = {"side": [0, 1, 2, 255], "kind": [0, 1, 10, 11, 255], "order_type": [0, 1, 3, 4, 255],
             "time_in_force": [0, 3, 4, 255], "action": [0, 1, 3, 4, 255],
             "price_ticks": [-(2**31), -1, 0, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1, 2**31 - 1],
             "size": [-(2**31), -1, 0, MAX_ORDER_SIZE, MAX_ORDER_SIZE + 1, 2**31 - 1]}  # fmt: skip
    changes = [
        (name, value)
        for name in KINDS[kind].names
        for value in edges.get(name, [np.iinfo(KINDS[kind][name]).min, np.iinfo(KINDS[kind][name]).max])
    ]
    made = np.zeros(len(changes), KINDS[kind])
    for i, (name, value) in enumerate(changes):
        made[i] = good[0]
        made[i][name] = value
    return made


@each_variant
@each_kind
def test_limits_are_exact(variant, kind):
    assert_as_the_reference(variant, messages_of(limits(kind)), message=kind)


def test_the_limits_reach_every_refusal_of_a_field():
    seen = set()
    for kind in KINDS:
        reference = KERNEL.reference()
        reference.replay(messages_of(limits(kind)))
        seen |= set(reference.bad)
    assert seen == set(Refusal) - {Refusal.CUT, Refusal.FRAME, Refusal.LETTER, Refusal.PADDING}


@each_variant
@each_kind
def test_messages_in_pieces_and_after_a_reset_are_the_same(variant, kind):
    whole = messages_of(random_records(5, 90, kind))
    instance = variant.build(message=kind, batch=8)
    expected, out = KERNEL.reference().replay(whole), KERNEL.output(whole, instance.parameters)
    for _ in range(2):
        for begin, end in ((0, 3), (3, 3), (3, 50), (50, 90)):
            variant.replay(instance, messages_of(records(whole.rows[begin:end])), out[begin:end])
        assert np.array_equal(out, expected)
        out[:] = 7
        instance.reset()
        assert not instance.export_state()["bad"].any()


@each_compiled
@each_kind
def test_nothing_is_written_beyond_the_output(variant, kind):
    for length in (1, 2, 63, 64, 65):
        messages = messages_of(random_records(length, length, kind))
        room = np.full((length + 8, messages.rows.shape[1]), 123, np.uint64)
        variant.replay(variant.build(message=kind), messages, room[4:-4])
        assert (room[:4] == 123).all() and (room[-4:] == 123).all()


@each_compiled
@each_kind
def test_shares_of_threads_make_the_whole(variant, kind):
    messages = messages_of(random_records(8, 1001, kind))
    instance, reference = variant.build(message=kind, threads=3, batch=16), KERNEL.reference()
    assert np.array_equal(variant.replay(instance, messages), reference.replay(messages))
    assert np.array_equal(instance.export_state()["bad"], reference.export_state()["bad"])


@quick_for("aligned")
@each_kind
def test_one_message_at_a_time(variant, kind):
    """`encode` and `decode`, called from Python as a compiled caller would."""
    module = __import__(f"kernels.order_codec.{variant.name}", fromlist=["encode"])
    encode, decode = (module.encode, module.decode) if kind == "order" else (module.encode_event, module.decode_event)
    state = variant.build(message=kind).state
    buffer, at = np.full(300, 0xEE, np.uint8), 3
    for record in random_records(9, 3, kind, 0):
        values = [record[name] for name in KINDS[kind].names]
        end = encode(state, buffer, at, *values)
        assert decode(state, buffer, at, end) == (end, *values)
        assert decode(state, buffer, at, end - 1)[0] == -1 - Refusal.CUT
        at = end
    assert at < 230 and (buffer[at:] == 0xEE).all() and (buffer[:3] == 0xEE).all()
    assert encode(state, buffer, 300 - 20, *values) == -1 and (buffer[at:] == 0xEE).all()
    assert encode(state, buffer, -1, *values) == -1 and decode(state, buffer, -1, 100)[0] == -1 - Refusal.CUT
    assert decode(state, buffer, 290, 400)[0] == -1 - Refusal.CUT
    wrong = dict(zip(KINDS[kind].names, values, strict=True)) | {"side": 2}
    encode(state, buffer, 0, *wrong.values())
    assert decode(state, buffer, 0, 100)[0] == -1 - Refusal.SIDE
    assert state.bad[0, Refusal.SIDE] == 1 and state.bad[0, Refusal.CUT] == 5


@quick_for("aligned")
def test_the_probe_counts_batches_and_refusals(variant):
    messages = messages_of(random_records(2, 100, "order", 0.3))
    instance = variant.build(instrumented=True, batch=16)
    assert np.array_equal(variant.replay(instance, messages), KERNEL.reference().replay(messages))
    assert instance.probe.histogram.sum() == 7 and KERNEL.operations_per_sample(instance.parameters) == 16
    assert instance.counters()["refused"] == instance.export_state()["bad"].sum() > 0
    if variant.name == "lock_free":
        assert instance.counters()["lines_touched"] == 200
    else:
        assert 100 * 53 * 2 / 64 < instance.counters()["lines_touched"] < 240


@each_compiled
@each_kind
def test_no_memory_is_allocated(variant, kind):
    messages = messages_of(random_records(3, 200, kind))
    instance = variant.build(message=kind)
    out = variant.replay(instance, messages)
    _nrt_python.memsys_enable_stats()
    try:
        counts = []
        for begin in (0, len(messages.rows)):
            before = rtsys.get_allocation_stats().alloc
            variant.replay_from(instance.state, messages, out, begin, None)
            counts.append(rtsys.get_allocation_stats().alloc - before)
    finally:
        _nrt_python.memsys_disable_stats()
    assert counts[0] == counts[1]


@each_variant
@pytest.mark.parametrize("other", OURS, ids=lambda variant: variant.name)
def test_refusals_move_to_any_variant(variant, other):
    first, second = variant.build(threads=2), other.build()
    first.import_state({"bad": np.arange(11)})
    second.import_state(first.export_state())
    assert second.export_state()["bad"].tolist() == list(range(11))
    for wrong in ({}, {"bad": np.zeros(3, np.int64)}, {"bad": np.full(11, -1)}, {"bad": np.zeros(11)}):
        with pytest.raises(ValueError, match="a canonical state has 'bad'"):
            second.import_state(wrong)
    assert second.export_state()["bad"].tolist() == list(range(11))


def test_the_probe_of_text_counts_too():
    messages = messages_of(random_records(2, 20, "event", 0.5))
    instance = KERNEL.variants["baseline"].build(message="event", instrumented=True, batch=8)
    KERNEL.variants["baseline"].replay(instance, messages)
    assert instance.probe.histogram.sum() == 3
    assert instance.counters()["refused"] == instance.export_state()["bad"].sum() > 0


# ---- text ------------------------------------------------------------------------------------------------------------


@each_kind
def test_text_is_json_of_the_fields(kind):
    values = dict(zip(KINDS[kind].names, random_records(1, 1, kind, 0)[0].tolist(), strict=True))
    text = baseline.encode(values)
    assert json.loads(text) == values and b" " not in text
    assert baseline.decode(text, KINDS[kind]) == values


@settings(max_examples=200)
@given(data=st.one_of(st.binary(max_size=60), st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(ORDER.names), inner)),
    max_leaves=14,
).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_any_text_is_decoded_or_refused(data):
    assert isinstance(baseline.decode(data, ORDER), (dict, Refusal))


def test_text_that_is_nearly_right_is_refused():
    good = dict(zip(ORDER.names, random_records(1, 1, "order", 0)[0].tolist(), strict=True))
    assert baseline.decode(json.dumps(good).encode(), ORDER) == good
    for change in ({"side": True}, {"size": 1.0}, {"size": "1"}, {"symbol": 2**16}, {"symbol": -1}, {"size": None},
                   {"order_id": 2**64}, {"more": 1}):  # fmt: skip
        assert baseline.decode(json.dumps(good | change).encode(), ORDER) == Refusal.FRAME
    assert baseline.decode(json.dumps({k: v for k, v in good.items() if k != "size"}).encode(), ORDER) == Refusal.FRAME
    for data in (b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"size":' + b"9" * 5000 + b"}", b"NaN"):
        assert baseline.decode(data, ORDER) == Refusal.FRAME
    assert baseline.decode(json.dumps(good | {"action": 0}).encode(), ORDER) == Refusal.ACTION


# ---- the input -------------------------------------------------------------------------------------------------------


def test_orders_are_made_from_events():
    kinds = [Kind.ADD, Kind.CANCEL, Kind.TRADE, Kind.REPLACE, Kind.MODIFY, Kind.EXECUTE, Kind.HALT, Kind.DELETE]
    events = np.zeros(len(kinds), EVENT)
    events["kind"], events["order_id"], events["timestamp_ns"] = kinds, 77, np.arange(len(kinds))
    events["new_order_id"][3], events["price_ticks"], events["size"], events["symbol"] = 78, 100, 5, 3
    orders = orders_from(events)
    assert orders["action"].tolist() == [Action.NEW, Action.CANCEL, *[Action.REPLACE] * 2, Action.NEW, Action.CANCEL]
    assert orders["old_order_id"].tolist() == [0, 77, 77, 77, 0, 77] and orders["order_id"][2] == 78
    assert orders["market_ns"].tolist() == [0, 1, 3, 4, 5, 7] and (orders["account"] == 77 % 16).all()
    assert orders["side"][4] == Side.ASK and orders["time_in_force"][4] == TimeInForce.IMMEDIATE
    messages = KERNEL.prepare(events, KERNEL.check_parameters({}))
    assert np.array_equal(records(messages.rows), orders) and not messages.rows.flags.writeable
    assert KERNEL.reference().replay(messages).any(axis=1).all() is not False  # none is refused


def test_padding_of_the_input_is_not_passed_on():
    events = np.full(5 * EVENT.itemsize, 255, np.uint8).view(EVENT)
    rows = KERNEL.prepare(events, KERNEL.check_parameters({"message": "event"})).rows
    assert (rows.view(np.uint8).reshape(5, -1)[:, 36:] == 0).all() and (rows[:, :4] == 2**64 - 1).all()


def test_what_is_no_message_is_told():
    parameters = KERNEL.check_parameters({"message": "event"})
    for wrong in (np.zeros(3), np.zeros((2, 2), EVENT), [1, 2]):
        with pytest.raises(ValueError, match="one-dimensional array"):
            KERNEL.prepare(wrong, parameters)
    with pytest.raises(ValueError, match="no way from orders"):
        KERNEL.prepare(np.zeros(3, ORDER), parameters)
    with pytest.raises(ValueError, match="contiguous"):
        words(np.zeros(6, ORDER)[::2])
    assert len(KERNEL.prepare(np.zeros(3, ORDER), KERNEL.check_parameters({})).rows) == 3


def test_an_order_is_a_cache_line():
    assert ORDER.itemsize == 64 and ORDER.fields["action"][1] == 49
    assert all(offset % dtype.itemsize == 0 for dtype, offset in ORDER.fields.values())
