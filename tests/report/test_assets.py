"""One copy of plotly.js for many pages: linked, found, and a page below half a megabyte."""

import os

import factory
import plotly.graph_objects as go
from batch_folders import KEY, a_figure_cell, a_job, measured

from workbench.report import page
from workbench.report.assets import share_assets, shared_script


def test_one_file_serves_every_batch_and_a_batch_alone_has_its_own(tmp_path):
    first, second = (share_assets(tmp_path / name, tmp_path) for name in ("a", "b"))
    assert first.name == second.name and first.stat().st_size > 1_000_000
    assert len({path.stat().st_ino for path in (first, second, tmp_path / "assets" / first.name)}) == 1
    assert share_assets(tmp_path / "a", tmp_path) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "assets", "b"]


def test_a_page_finds_the_file_at_most_two_folders_above(tmp_path):
    assert shared_script(tmp_path / "a" / KEY / "job") is None
    file = share_assets(tmp_path / "a")
    assert shared_script(tmp_path / "a" / KEY / "job") == f"../../assets/{file.name}"
    assert shared_script(tmp_path / "a") == f"assets/{file.name}"
    assert shared_script(tmp_path / "a" / KEY / "job" / "deeper") is None


def test_a_file_system_without_hard_links_gets_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    copied = share_assets(tmp_path / "a", tmp_path)
    assert copied.stat().st_nlink == 1 and copied.stat().st_size > 1_000_000


def test_a_report_with_shared_assets_is_small_and_its_policy_lets_only_that_file_in(tmp_path):
    file = share_assets(tmp_path / "b")
    cells = [a_figure_cell(go.Figure(go.Scatter(x=[1], y=[2])))]
    a_job(tmp_path / "b", "latency-1", [factory.run(with_blocks=False)], measured(), cells=cells)
    text = (tmp_path / "b" / KEY / "latency-1" / "report.html").read_text()
    assert len(text) < 500_000 and f'<script src="../../assets/{file.name}"></script>' in text
    assert page.SHARED_POLICY in text and "default-src 'none'; script-src 'self' 'unsafe-inline'" in page.SHARED_POLICY
    assert "plotly.js v" not in text
    a_job(tmp_path / "b", "plain-1", [factory.run(with_blocks=False)], measured())
    without = (tmp_path / "b" / KEY / "plain-1" / "report.html").read_text()
    assert page.POLICY in without and "assets/" not in without, "a page without figures asks for nothing"
