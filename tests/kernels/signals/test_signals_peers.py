"""The peers compute what they claim, and are measured fairly: nothing is transposed or copied in a timed run."""

import numpy as np
import pytest
from signal_cases import KERNEL, NAMES, assert_agrees, can, expected_of, random_bars, run

PEERS = [variant for variant in KERNEL.variants.values() if variant.peer]
STARTS_OTHERWISE = {("peer_tulipy", "ema"), ("peer_tulipy", "atr"), ("peer_polars", "ema"), ("peer_polars", "macd")}
WEIGHS_OTHERWISE = ("peer_tulipy", "macd")
CASES = [
    pytest.param(
        peer,
        name,
        id=f"{peer.name}-{name}",
        marks=pytest.mark.skipif(peer.missing() is not None, reason=f"{peer.missing()}"),
    )
    for peer in PEERS
    for name in NAMES
    if can(peer, name)
]
each_case = pytest.mark.parametrize(("peer", "name"), CASES)


def some_bars(seed, rows, symbols):
    bars = random_bars(seed, rows, symbols)
    for column in (bars.volume, bars.bid_size, bars.ask_size):
        column[:] += 1
    return bars


def test_there_are_four():
    assert [peer.name for peer in PEERS] == ["peer_bottleneck", "peer_polars", "peer_talib", "peer_tulipy"]
    assert len(CASES) == 6 + 10 + 10 + 10


@each_case
def test_a_peer_computes_the_indicator(peer, name):
    bars = some_bars(3, 600, 4)
    out, expected = run(peer, name, bars), expected_of(name, bars, 20)
    if (peer.name, name) == WEIGHS_OTHERWISE:
        size = np.nanmax(np.abs(expected), axis=(0, 1))
        assert np.all(np.nanmax(np.abs(out - expected)[:, 400:], axis=(0, 1)) < 0.2 * size)
    elif (peer.name, name) in STARTS_OTHERWISE:
        late = slice(500, 600)
        assert np.allclose(out[:, late], expected[:, late], rtol=1e-7, atol=1e-12 * np.max(bars.close))
    else:
        assert_agrees(out, expected, name, bars, 1e-9)


@each_case
def test_a_timed_run_gets_its_columns_ready_and_copies_nothing(peer, name):
    bars = some_bars(4, 100, 3)
    instance = peer.build(symbols=3, indicator=name)
    out = KERNEL.output(bars, instance.parameters)
    peer.replay(instance, bars, out)
    written, columns = out.copy(), instance.state.columns
    assert all(np.asarray(column).flags.c_contiguous for of_symbol in columns for column in of_symbol)
    out[:] = 7.0
    instance.reset()
    assert peer.run(instance, bars, out)[0] == 100
    assert np.all(out == 7.0) and instance.state.columns is columns
    fresh = np.empty_like(out)
    peer.replay(instance, bars, fresh)
    assert np.array_equal(fresh, written, equal_nan=True)
    other = some_bars(5, 100, 3)
    assert np.array_equal(peer.replay(instance, other), run(peer, name, other), equal_nan=True)
    assert peer.run(instance, bars, out, 100)[0] == 100  # an empty call does nothing


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_what_a_peer_does_not_have_is_refused(peer):
    assert peer.refuses(KERNEL.check_parameters({"threads": 2})) is not None
    assert "flow" in peer.refuses(KERNEL.check_parameters({"indicator": "flow"}))
    if peer.name == "peer_talib":
        assert "fewer than 2" in peer.refuses(KERNEL.check_parameters({"indicator": "std", "window": 1}))
        assert can(peer, "macd", window=1)


def test_an_absent_package_is_told(monkeypatch):
    monkeypatch.setattr("kernels.signals._peers.importlib.util.find_spec", lambda package: None)
    for peer in PEERS:
        assert "pip install 'kernel-workbench[peers]'" in peer.missing()
