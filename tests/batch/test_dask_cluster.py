"""What a worker says of itself is checked before anything is made of it."""

import json

import pytest

pytest.importorskip("distributed")
from workbench.batch.dask_cluster import Cluster
from workbench.batch.job import code_hash

KEY = ("tcp://w:1", "/w")


def telling(**changes):
    told = {
        "hostname": "w.lan",
        "hardware_key": "0123456789ab",
        "cpu_model": "EPYC",
        "code": code_hash(),
        "tools": ["valgrind"],
        "sampled": False,
        "threads": 1,
        "taken_out": [],
    }
    return json.dumps({name: value for name, value in {**told, **changes}.items() if value is not None})


class Future:
    def __init__(self, answer):
        self._answer = answer

    def result(self, timeout):
        return self._answer


def described(monkeypatch, answer):
    """Return the hosts, and what was told, after a worker gave `answer`."""
    monkeypatch.setattr(Cluster, "connect", lambda self: None)
    said = []
    cluster = Cluster("tcp://x:1", said.append)
    future = Future(answer)
    cluster._asked[KEY] = future
    cluster.described(KEY, "w", future)
    return list(cluster.hosts.values()), said


def test_a_worker_that_describes_itself_becomes_a_host(monkeypatch):
    (host,), said = described(monkeypatch, telling())
    assert (host.key, host.name, host.hardware_key) == (KEY, "w", "0123456789ab")
    assert said == ["worker w is there: w.lan, EPYC"]


@pytest.mark.parametrize(
    "answer",
    [
        "[]",
        "null",
        "no JSON",
        "[" * 100_000,
        None,
        17,
        telling(hardware_key="/home/u/../../tmp/evil"),
        telling(hardware_key="0123456789ab\n"),
        telling(hardware_key=7),
        telling(hardware_key=None),
        telling(tools=None),
        telling(threads="1"),
        telling(threads=2),
        telling(code="another"),
    ],
)
def test_an_odd_worker_is_told_and_left_out(monkeypatch, answer):
    hosts, said = described(monkeypatch, answer)
    assert hosts == []
    assert len(said) == 1 and said[0].startswith("worker w gets no job: ") and "\n" not in said[0]
