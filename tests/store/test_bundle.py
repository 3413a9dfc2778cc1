"""A bundle carries records whole, is readable without a workbench, and harms nobody who opens a bad one."""

import hashlib
import json
import zipfile

import factory
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from workbench import record
from workbench.errors import InputError
from workbench.measure.histogram import merge
from workbench.measure.results import block_histogram
from workbench.store import open_store
from workbench.store.bundle import Bundle, write_bundle
from workbench.store.moving import heads, take_in


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "first.sqlite3"))


@pytest.fixture
def other(tmp_path):
    return open_store(str(tmp_path / "second.sqlite3"))


def profile(artefacts):
    return record.ProfileRecord(
        machine=factory.machine(),
        variant="order_book/ladder",
        profile_kind="cpu",
        artefacts=[str(a) for a in artefacts],
    )


def import_bundle(path, store, baselines=False):
    with Bundle(path) as bundle:
        return take_in(store, bundle.records(), bundle.baselines() if baselines else [])


def test_records_and_baselines_arrive_whole_and_once(store, other, tmp_path):
    runs = [factory.run(seed=1), factory.run("signals", seed=2, with_blocks=False), factory.loaded()]
    store.save_baseline("monday", runs[0])
    store.add(runs[1])
    path = tmp_path / "out" / "bundle.wbz"
    write_bundle(path, runs, store.baselines())
    new, taken = import_bundle(path, other, baselines=True)
    assert sorted(new) == sorted(run.record_id for run in runs) and taken == []
    assert sorted(other.runs(), key=str) == sorted(runs, key=str)
    assert other.baseline("monday") == runs[0]
    assert other.baselines() == store.baselines()
    assert other.results("signals") == store.results("signals")
    assert import_bundle(path, other, baselines=True) == ([], [])
    assert len(other.runs()) == 3


def test_the_same_records_make_the_same_bytes_but_for_the_manifest(tmp_path):
    run = factory.run()
    for name in ("a", "b"):
        write_bundle(tmp_path / name, [run])
    with zipfile.ZipFile(tmp_path / "a") as a, zipfile.ZipFile(tmp_path / "b") as b:
        assert [(i.filename, i.CRC, i.date_time) for i in a.infolist()][:-1] == [
            (i.filename, i.CRC, i.date_time) for i in b.infolist()
        ][:-1]


def test_the_histograms_are_read_back_by_the_hdrhistogram_package(tmp_path):
    run = factory.run()
    write_bundle(tmp_path / "bundle", [run])
    with zipfile.ZipFile(tmp_path / "bundle") as archive:
        archive.extractall(tmp_path / "plain")
    folder = tmp_path / "plain" / "histograms" / run.record_id
    assert sorted(file.name for file in folder.iterdir()) == [
        f"order_book-{variant}.hlog" for variant in ("aligned", "baseline", "ladder")
    ]
    reader = HistogramLogReader(str(folder / "order_book-ladder.hlog"), HdrHistogram(1, 60 * 10**9, 3))
    whole, tags = HdrHistogram(1, 60 * 10**9, 3), []
    while (interval := reader.get_next_interval_histogram()) is not None:
        whole.add(interval)
        tags.append(interval.get_tag())
    reader.close()
    own = merge(
        found
        for replicate in run.replicates
        for block in replicate.blocks
        if (found := block_histogram(block, "order_book/ladder"))
    )
    assert whole.get_total_count() == own.total
    for percentile in (50, 99, 99.9, 100):
        assert whole.get_value_at_percentile(percentile) == own.value_at(percentile)
    assert len(set(tags)) == len(tags) == 18
    assert reader.get_start_time_sec() == pytest.approx(run.replicates[0].started.timestamp())


def test_it_can_be_read_with_a_zip_program_and_sha256sum(tmp_path):
    run = factory.run(with_blocks=False)
    write_bundle(tmp_path / "bundle", [run])
    with zipfile.ZipFile(tmp_path / "bundle") as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        for name, member in manifest["members"].items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == member["sha256"]
        assert json.loads(archive.read(f"records/{run.record_id}.json")) == json.loads(run.to_json())
        assert json.loads(archive.read(f"machines/{run.record_id}.json"))["host"] == "bench-1"
    assert manifest["schema"] == "workbench/bundle/1"


def test_artefacts_of_profiles_that_exist_come_along(tmp_path):
    there = tmp_path / "top.html"
    there.write_text("<p>lines</p>")
    record_ = profile([there, tmp_path / "gone.html"])
    write_bundle(tmp_path / "bundle", [record_])
    with Bundle(tmp_path / "bundle") as bundle:
        assert bundle.artefacts() == [f"artefacts/{record_.record_id}/top.html"]
        assert bundle.read(bundle.artefacts()[0]) == b"<p>lines</p>"


def test_heads(store):
    run = factory.run(with_blocks=False)
    store.add(run)
    store.add(profile([]))
    first, second = sorted(heads(store), key=lambda head: head.kind)
    assert (first.kind, first.kernel) == ("profile", None)
    assert (second.record_id, second.kernel, second.kernels, second.created) == (
        run.record_id,
        "order_book",
        1,
        run.created,
    )
    assert [head.record_id for head in heads(store, "order_book")] == [run.record_id]
    assert heads(store, "signals") == []


def test_a_name_that_stands_for_another_record_is_left(store, other, tmp_path):
    old, new = factory.run(seed=1, with_blocks=False), factory.run(seed=2, with_blocks=False)
    store.save_baseline("monday", new)
    other.save_baseline("monday", old)
    write_bundle(tmp_path / "bundle", [new], store.baselines())
    assert import_bundle(tmp_path / "bundle", other, baselines=True) == ([new.record_id], ["monday"])
    assert other.baseline("monday") == old


def test_another_record_of_the_same_id_takes_nothing_in(other, tmp_path):
    run = factory.run(with_blocks=False)
    other.add(run.model_copy(update={"duration_s": 99.0}))
    further = factory.run(seed=5, with_blocks=False)
    write_bundle(tmp_path / "bundle", [further, run])
    with pytest.raises(InputError, match="keeps another record"):
        import_bundle(tmp_path / "bundle", other)
    assert len(other.runs()) == 1


def rewritten(path, change):
    """Write the bundle anew with `change(name, data)` applied: None leaves a member out."""
    with zipfile.ZipFile(path) as archive:
        held = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in held.items():
            changed = change(name, data)
            if changed is not None:
                archive.writestr(name, changed)


def of_manifest(**changes):
    def change(name, data):
        return json.dumps({**json.loads(data), **changes}) if name == "manifest.json" else data

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda name, data: data[:-2] + b" }" if name.startswith("records") else data, "not what it was"),
        (lambda name, data: None if name.startswith("records") else data, "is missing"),
        (lambda name, data: None if name == "manifest.json" else data, "no manifest.json"),
        (lambda name, data: b"{" if name == "manifest.json" else data, "is not JSON"),
        (of_manifest(schema="workbench/bundle/2"), "has version 2 of bundles, this program reads 1: update it"),
        (of_manifest(schema="other"), "has schema 'other'"),
        (of_manifest(members={}), "stands in no manifest"),
        (of_manifest(records=[]), "do not agree"),
        (of_manifest(created="yesterday"), "field created"),
        (
            of_manifest(
                baselines=[
                    {"name": "x", "hardware_key": "", "kernels": [], "record_id": "?", "saved": "2026-01-01T00:00:00Z"}
                ]
            ),
            "stands for a record that is not there",
        ),
    ],
)  # fmt: skip
def test_a_bundle_that_was_changed_is_refused(change, sentence, other, tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(with_blocks=False)])
    rewritten(path, change)
    with pytest.raises(InputError, match=sentence) as caught:
        import_bundle(path, other)
    assert "\n" not in str(caught.value)
    assert other.runs() == []


def rehashed(path, change):
    """Change records so that the manifest agrees: what a bundle made by hand may hold."""
    rewritten(path, change)
    with zipfile.ZipFile(path) as archive:
        members = {
            name: {"sha256": hashlib.sha256(archive.read(name)).hexdigest(), "bytes": len(archive.read(name))}
            for name in archive.namelist()
            if name != "manifest.json"
        }
    rewritten(path, of_manifest(members=members))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (b'"workbench/run/2"', b'"workbench/run/99"', "has version 99 of run"),
        (b'"duration_s"', b'"durations"', "field"),
        (b'"histogram":"HIST', b'"histogram":"XIST', "HdrHistogram"),
    ],
)
def test_a_record_that_is_wrong_is_refused(old, new, sentence, other, tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(seed=3, with_blocks=False), factory.run()])
    rehashed(path, lambda name, data: data.replace(old, new) if name.startswith("records") else data)
    with pytest.raises(InputError, match=sentence):
        import_bundle(path, other)
    assert other.runs() == []


def test_a_record_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(with_blocks=False)])
    rehashed(path, lambda name, data: b"[" * 100_000 if name.startswith("records") else data)
    with pytest.raises(InputError, match=r"records/.* is nested deeper"):
        Bundle(path)


def test_a_damaged_name_beside_the_data_is_refused(tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(with_blocks=False)])
    data = bytearray(path.read_bytes())
    data[7] |= 0x08  # the first local header: its name is UTF-8
    data[30] = 0xFF  # which this is not
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged at records/"):
        Bundle(path)


@pytest.mark.parametrize("member", ["artefacts/{}/top.html", "machines/{}.json", "histograms/{}/a.hlog"])
def test_a_member_of_a_record_that_is_not_in_it_is_refused(member, tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(with_blocks=False)])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member.format("somebodys"), b"{}")
    rehashed(path, lambda name, data: data)
    with pytest.raises(InputError, match=r"somebodys.* belongs to no record of it"):
        Bundle(path)


def test_every_cut_and_every_flipped_byte_is_one_sentence_or_harmless(other, tmp_path):
    path, bad = tmp_path / "bundle", tmp_path / "bad"
    run = factory.run(with_blocks=False)
    write_bundle(path, [run])
    data = path.read_bytes()
    for length in range(0, len(data), max(len(data) // 40, 1)):
        bad.write_bytes(data[:length])
        with pytest.raises(InputError):
            Bundle(bad)
    refused = 0
    for place in range(0, len(data), max(len(data) // 300, 1)):
        bad.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        try:
            with Bundle(bad) as bundle:
                assert list(bundle.records()) == [run]  # a byte that no reader looks at, as a time or an attribute
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 200


def test_what_is_no_bundle(tmp_path):
    (tmp_path / "garbage").write_bytes(b"\x00garbage" * 1000)
    for path in (tmp_path / "garbage", tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            Bundle(path)
    with pytest.raises(InputError, match="no record to export"):
        write_bundle(tmp_path / "x", [])
    assert not (tmp_path / "x").exists()
