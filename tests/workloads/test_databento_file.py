"""A real file of Databento: equal to what its own package decodes, and read alike by every order book."""

import numpy as np
import pytest

import kernels
from kernels.messages import Kind
from kernels.order_book.reference import Reference
from workbench import workloads
from workbench.workloads import content

dbn = pytest.importorskip("databento_dbn")

pytestmark = [pytest.mark.data, pytest.mark.usefixtures("own_cache")]
FILE = "esh4-glbx-mdp3-20231224.mbo.dbn.zst"
TICK = 250_000_000  # a quarter of a point, in units of 1e-9
BOOK = kernels.get("order_book")


def test_the_real_file_equals_what_databento_decodes(real_data):
    raw = content.read_content(real_data / FILE).tobytes()
    decoder = dbn.DBNDecoder()
    decoder.write(raw)
    records = decoder.decode()[1:]
    loaded = workloads.load(real_data / FILE)
    events = loaded.events
    assert len(records) == events.size == 8725
    assert events["order_id"].tolist() == [one.order_id for one in records]
    assert (events["price_ticks"].astype(np.int64) * TICK).tolist() == [one.price for one in records]
    assert events["size"].tolist() == [one.size for one in records]
    assert events["timestamp_ns"].tolist() == [one.ts_recv for one in records]
    assert [("B", "A")[side] for side in events["side"]] == [str(one.side) for one in records]
    assert set(events["kind"].tolist()) == {Kind.ADD} == {Kind.ADD for one in records if str(one.action) == "A"}
    assert (loaded.symbol_names, loaded.tick_sizes, loaded.notes) == (("ESH4",), (2500,), ())


@pytest.mark.parametrize("name", [name for name in BOOK.variants if name != "peer_hftbacktest"])
def test_every_book_agrees_on_the_real_file_after_each_message(real_data, name):
    variant = BOOK.variants[name]
    if variant.missing():
        pytest.skip(f"{variant.full_name} cannot run here: {variant.missing()}")
    events = workloads.load(real_data / FILE).events
    reference, instance = Reference(symbols=1), variant.build(symbols=1)
    wanted = reference.replay(events)
    assert np.array_equal(variant.replay(instance, events), wanted)
    assert not instance.state.bad.any() and not reference.bad
    assert wanted[-1].tolist() == (19196, 16, 19198, 23)  # 4,799.00 and 4,799.50
    assert sum(order.size for order in reference.orders.values()) == int(events["size"].sum())
