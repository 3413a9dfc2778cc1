"""Nothing unsafe is unpacked from a bundle, and none is written that would not be opened again."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import factory
import pytest

from workbench import record
from workbench.errors import InputError
from workbench.store import bundle as bundle_module
from workbench.store import bundle_entries
from workbench.store.bundle import Bundle, write_bundle


def profile(*artefacts):
    return record.ProfileRecord(
        machine=factory.machine(),
        variant="order_book/ladder",
        profile_kind="cpu",
        artefacts=[str(artefact) for artefact in artefacts],
    )


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "records/../../evil.json",
        "records/x/y.json",
        "artefacts/x.json",
        "artefacts/x/..",
        "artefacts/x/.",
        "artefacts/x/a\\b",
        "artefacts/x/y/z",
        "readme.txt",
    ],
)
def test_no_member_leads_out_of_its_folder(name, tmp_path):
    path = tmp_path / "bundle"
    write_bundle(path, [factory.run(with_blocks=False)])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(InputError, match="no part of a bundle"):
        Bundle(path)


def test_bombs_and_doubles_are_not_unpacked(tmp_path, monkeypatch):
    run = factory.run(with_blocks=False)
    path = tmp_path / "bundle"
    write_bundle(path, [run])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"artefacts/{run.record_id}/zeros", bytes(4 << 20))
    with pytest.raises(InputError, match="4,194,304 bytes"):
        Bundle(path)
    write_bundle(path, [run])
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"records/{run.record_id}.json", b"{}")
    with pytest.raises(InputError, match="twice"):
        Bundle(path)
    write_bundle(path, [run])
    monkeypatch.setattr(bundle_entries, "MOST_BYTES_TOGETHER", 100)
    with pytest.raises(InputError, match="more than a bundle holds"):
        Bundle(path)


def test_a_bomb_that_lies_about_its_size_is_unpacked_no_further_than_it_says(tmp_path):
    path, zeros = tmp_path / "bundle", tmp_path / "zeros"
    zeros.write_bytes(bytes(1000))
    write_bundle(path, [profile(zeros)])
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, bytes(32 << 20) if name.endswith("/zeros") else content)
    with zipfile.ZipFile(path) as archive:
        local = next(entry for entry in archive.infolist() if entry.filename.endswith("/zeros")).header_offset
        name = next(name for name in held if name.endswith("/zeros")).encode()
    data = bytearray(path.read_bytes())
    central = data.rindex(name) - 46
    for place in (local + 22, central + 24):
        assert struct.unpack_from("<I", data, place) == (32 << 20,)
        struct.pack_into("<I", data, place, 1000)
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"is damaged at artefacts/.*/zeros"):
            Bundle(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 << 20


@pytest.mark.parametrize(
    ("limit", "value", "sentence"),
    [
        ("MOST_MEMBERS", 3, "3 files"),
        ("MOST_BYTES_TOGETHER", 1000, "1,000 bytes: export fewer"),
        ("MOST_BYTES", 1000, "more than anything in a bundle"),
    ],
)
def test_what_would_be_refused_is_not_written(limit, value, sentence, tmp_path, monkeypatch):
    path = tmp_path / "bundle"
    path.write_text("as it was")
    monkeypatch.setattr(bundle_entries, limit, value)
    with pytest.raises(InputError, match=sentence) as caught:
        write_bundle(path, [factory.run(seed=seed, with_blocks=False) for seed in (1, 2)])
    assert "\n" not in str(caught.value)
    assert path.read_text() == "as it was" and list(tmp_path.iterdir()) == [path]


def test_an_artefact_no_bundle_can_hold_is_named(tmp_path, monkeypatch):
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(4 << 20))
    with pytest.raises(InputError, match=r"/zeros' would unpack to 4,194,304 bytes.* or move the artefact away"):
        write_bundle(tmp_path / "bundle", [profile(zeros)])
    monkeypatch.setattr(bundle_module, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read whole"))
    with pytest.raises(InputError, match=f"{zeros} has 4,194,304 bytes, a file in a bundle at most 1,048,576"):
        write_bundle(tmp_path / "bundle", [profile(zeros)])
    assert not (tmp_path / "bundle").exists()


def test_an_artefact_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    secret = tmp_path / "secret.html"
    secret.write_text("x")

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)  # not by chmod: root reads everything
    with pytest.raises(InputError, match=f"artefact {secret} of record .* cannot be read"):
        write_bundle(tmp_path / "bundle", [profile(secret)])
    assert not (tmp_path / "bundle").exists()


def test_artefacts_of_one_name_are_numbered(tmp_path):
    files = [tmp_path / folder / name for folder, name in (("a", "top.html"), ("b", "top.html"), ("c", "top-2.html"))]
    for file in files:
        file.parent.mkdir()
        file.write_text(file.parent.name)
    held = profile(*files, files[0])
    write_bundle(tmp_path / "bundle", [held])
    with Bundle(tmp_path / "bundle") as bundle:
        found = {name.rpartition("/")[2]: bundle.read(name) for name in bundle.artefacts()}
    assert found == {"top.html": b"a", "top-2.html": b"b", "top-2-2.html": b"c"}
