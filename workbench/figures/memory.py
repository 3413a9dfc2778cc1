"""Memory as figures: what a process holds over time, and which lines allocate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from workbench.figures.table import Table
from workbench.figures.text import label, number, plain
from workbench.figures.theme import colour_of, finish, note, row_height
from workbench.record import ProfileRecord

MOST_SITES = 12
KEPT, GIVEN_BACK = "#d2491f", "#2f7dd1"
MEASURED = "calls"  # the phase that counts; what is before it is drawn dotted


class MemoryPhase(NamedTuple):
    """A part of a process's life, in s since its start, with its page faults."""

    name: str
    began_s: float
    ended_s: float
    minor_faults: int
    major_faults: int


class MemoryLife(NamedTuple):
    """The resident memory of one process: (s since its start, bytes), and its phases."""

    title: str
    rss: Sequence[tuple[float, int]]
    phases: Sequence[MemoryPhase]


def rss_over_time(lives: Sequence[MemoryLife]) -> go.Figure:
    """Return the resident memory of each process over time: dotted until it is warm, solid while it is called."""
    figure = go.Figure()
    for place, life in enumerate(lives):
        begins = next((phase.began_s for phase in life.phases if phase.name == MEASURED), 0.0)
        parts = (
            ("dot", [row for row in life.rss if row[0] <= begins]),
            ("solid", [row for row in life.rss if row[0] >= begins]),
        )
        for dash, part in parts:
            figure.add_scatter(
                x=[at for at, _ in part],
                y=[size for _, size in part],
                mode="lines",
                name=label(life.title),
                legendgroup=str(place),
                showlegend=dash == "solid",
                line={"color": colour_of(place), "width": 2, "dash": dash},
                hovertemplate="%{x:.2f} s: %{y:.4s}B<extra></extra>",
            )
    if not any(life.rss for life in lives):
        note(figure, "no memory was sampled")
    figure.update_xaxes(title_text="time since the process began (s)")
    figure.update_yaxes(title_text="resident memory (bytes, from zero)", tickformat="~s", rangemode="tozero")
    told = tuple(row for life in lives for row in _phase_rows(life))
    table = Table(("process", "phase", "from", "to", "memory at its end", "minor faults", "major faults"), told)
    how = "Dotted until everything is compiled and warm, solid while it is called: a solid line that climbs is growth."
    return finish(figure, "Resident memory over time", how, table, 400)


def _phase_rows(life: MemoryLife) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for phase in life.phases:
        last = next((size for at, size in reversed(life.rss) if at <= phase.ended_s), 0)
        times = f"{phase.began_s:.2f} s", f"{phase.ended_s:.2f} s"
        faults = f"{phase.minor_faults:,}", f"{phase.major_faults:,}"
        rows.append((life.title, phase.name, *times, number(float(last), "bytes"), *faults))
    return rows


def allocation_sites(records: Sequence[ProfileRecord]) -> go.Figure:
    """Return what each line allocates in an operation (of a function: a call), most first; red is never given back.

    `records` are of the kind memory, with ``counted_operations`` among their overhead.
    """
    ranked = sorted((site for record in records for site in _sites(record)), key=lambda site: -site["bytes"])
    sites = ranked[:MOST_SITES]
    figure = go.Figure()
    places = list(range(len(sites)))
    for name, colour, part in (("given back", GIVEN_BACK, "back"), ("kept at the end", KEPT, "kept")):
        figure.add_bar(
            x=[site[part] for site in sites],
            y=places,
            orientation="h",
            name=name,
            marker={"color": colour},
            hovertemplate="%{x:.4s}B an operation<extra></extra>",
        )
    for place, site in enumerate(sites):
        text = f"  {site['allocations']:.3g} × an operation"
        figure.add_annotation(x=site["bytes"], y=place, text=text, xanchor="left", showarrow=False)
    if not sites:
        note(figure, "no line allocates")
    else:
        figure.update_xaxes(range=[0, sites[0]["bytes"] * 1.7])
    figure.update_xaxes(title_text="bytes allocated in an operation", tickformat="~s")
    figure.update_yaxes(
        tickvals=places,
        ticktext=[label(site["place"], 40) for site in sites],
        range=[len(sites) - 0.4, -0.6],
        showgrid=False,
    )
    figure.update_layout(barmode="stack", bargap=0.4)
    rows = tuple(_site_row(site) for site in ranked[:100])
    columns = ("line", "of", "source", "bytes an operation", "allocations an operation", "kept in all", "bytes kept")
    how = "Each bar is one line of source; an operation of a function is one call. A hot path should have none."
    name = "Allocations by line"
    return finish(figure, name, how, Table(columns, rows), row_height(sites, 40))


def _sites(record: ProfileRecord) -> list[dict[str, Any]]:
    operations = record.overhead.get("counted_operations", 0.0) or 1.0
    found = []
    for row in record.results:
        counters = row["counters"]
        allocated, kept = counters.get("allocated_bytes", 0.0), counters.get("leaked_bytes", 0.0)
        found.append(
            {
                "place": f"{row['file'].rpartition('/')[2]}:{row['line']}" if row["line"] else row["function"],
                "of": record.variant,
                "source": str(row.get("source", "")).strip(),
                "bytes": allocated / operations,
                "back": max(0.0, allocated - kept) / operations,
                "kept": min(kept, allocated) / operations,
                "allocations": counters.get("allocations", 0.0) / operations,
                "leaked": counters.get("leaked", 0.0),
                "leaked_bytes": kept,
            }
        )
    return found


def _site_row(site: dict[str, Any]) -> tuple[str, ...]:
    return (
        plain(site["place"], 80),
        plain(site["of"], 80),
        plain(site["source"], 120),
        number(site["bytes"], "bytes"),
        f"{site['allocations']:.4g}",
        f"{site['leaked']:,.0f}",
        number(site["leaked_bytes"], "bytes"),
    )
