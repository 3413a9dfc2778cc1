"""Pages by the command line: the site, the difference of two nights, criteria, an index anew."""

import json

import factory
import pytest
from batch_folders import a_batch, a_job, a_run, measured
from click.testing import CliRunner

from workbench.commands.report import command
from workbench.errors import Exit, InputError
from workbench.store import open_store


@pytest.fixture
def out(tmp_path, monkeypatch):
    """Two nights, in the second of which aligned has other machine code and costs 8 % more."""
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WORKBENCH_STORE", raising=False)
    slower = {**factory.SPEEDS_NS, "aligned": 31.0 * 1.08}
    for day, run in (("04", a_run()), ("05", a_run(slower, seed=2, code="changed"))):
        folder = tmp_path / "out" / f"nightly-2026-01-{day}"
        job = a_job(folder, records=[run], outcome=measured(), report=False)
        a_batch(folder, [job], created=f"2026-01-{day}T01:00:00Z")
    return tmp_path / "out"


def invoke(*words):
    return CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)


def test_the_site_is_written_from_the_batches_that_are_there(out):
    ran = invoke("site", "--out", out)
    assert ran.return_value == Exit.FINE and ran.output.splitlines()[-1] == str(out / "index.html")
    assert "2 nights" in (out / "index.html").read_text()
    assert invoke("site", "--out", out, "--add", "nightly-2026-01-05").return_value == Exit.FINE
    assert "2 nights" in (out / "index.html").read_text()
    with pytest.raises(InputError, match="holds no batch"):
        invoke("site", "--out", out / "nothing")


def test_the_difference_of_two_nights_ends_with_the_verdict(out):
    ran = invoke("diff", "nightly-2026-01-04", "nightly-2026-01-05", "--out", out)
    assert ran.return_value == Exit.REGRESSION
    page = out / "nights" / "nightly-2026-01-04..nightly-2026-01-05.html"
    assert ran.output.splitlines()[-1] == str(page) and 'href="../nightly-2026-01-05/index.html"' in page.read_text()
    assert "SLOWER" in ran.output and "order_book/aligned" in ran.output
    told = json.loads(invoke("diff", "nightly-2026-01-04", out / "nightly-2026-01-05", "--out", out, "--json").output)
    assert told["schema"] == "workbench/night-diff/1" and told["page"] == str(page)
    assert {row["variant"] for row in told["results"] if row["verdict"] == "SLOWER"} == {"order_book/aligned"}
    with pytest.raises(InputError, match="the same night"):
        invoke("diff", "nightly-2026-01-04", "nightly-2026-01-04", "--out", out)


def test_the_criteria_are_judged_on_the_store(out, tmp_path, monkeypatch):
    monkeypatch.setattr("workbench.measure.machine.fingerprint", lambda *_: factory.machine())
    file = tmp_path / "criteria.toml"
    file.write_text('["book"]\nwords = "Fast"\nbudget = "market_data.order_book_update"\n')
    assert invoke("criteria", file, "--out", out).return_value == Exit.FINE
    open_store().add(factory.run(scale=1000.0, with_blocks=False))
    ran = invoke("criteria", file, "--out", out)
    assert ran.return_value == Exit.REGRESSION and ran.output.startswith("NOT MET          Fast")
    assert ran.output.splitlines()[-1] == str(out / "criteria.html")
    assert (
        "**NOT MET** | Fast" in (out / "criteria.md").read_text() and "NOT MET" in (out / "criteria.html").read_text()
    )


def test_an_index_is_written_anew(out):
    ran = invoke("index", out / "nightly-2026-01-05")
    assert ran.output.strip() == str(out / "nightly-2026-01-05" / "index.html")
    assert (out / "nightly-2026-01-05" / "summary.md").is_file()
    with pytest.raises(InputError, match="is no batch"):
        invoke("index", out)
