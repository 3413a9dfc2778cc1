"""Records in and out, between machines and databases: list, export, import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from workbench.errors import InputError

if TYPE_CHECKING:
    from workbench.record import Record
    from workbench.store import Store


@click.group("store")
def command() -> None:
    """Records in and out, between machines and databases.

    \b
    workbench store list
    workbench store export 5f0c2d7e91ab -o run.wbz
    workbench store export --newest order_book --baselines -o night.wbz
    workbench store import night.wbz
    """


_store_option = click.option(
    "--store", "url", metavar="URL", help="The database. [$WORKBENCH_STORE, else the data folder's]"
)


@command.command("list")
@click.option("-k", "--kernel", help="Only the records of this kernel.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@_store_option
def list_(kernel: str | None, limit: int, as_json: bool, url: str | None) -> None:
    """List the records, the newest first, and what baselines there are."""
    from workbench.store import open_store
    from workbench.store.moving import heads

    store = open_store(url)
    found, names = heads(store, kernel, limit), store.baselines()
    named: dict[str, list[str]] = {}
    for baseline in names:
        named.setdefault(baseline.record_id, []).append(baseline.name)
    if as_json:
        click.echo(json.dumps({"schema": "workbench/store-list/1", "results": [_row(each, named) for each in found]}))
        return
    for head in found:
        about = head.kernel or "-"
        if head.kernels > 1:
            about += f" and {head.kernels - 1} more"
        mark = f"  baseline {', '.join(named[head.record_id])}" if head.record_id in named else ""
        click.echo(f"{head.record_id}  {head.created:%Y-%m-%d %H:%M}  {head.kind:<8} {head.host:<16} {about}{mark}")
    click.echo(f"{_number(len(found), 'record')} of {store.where}" if found else f"{store.where} holds no such record")


def _row(head: Any, named: dict[str, list[str]]) -> dict[str, Any]:
    return {**vars(head), "created": head.created.isoformat(), "baselines": named.get(head.record_id, [])}


@command.command("export")
@click.argument("record_ids", nargs=-1, metavar="[RECORD_ID]...")
@click.option("--all", "everything", is_flag=True, help="Every record of the store.")
@click.option("--newest", "kernels", metavar="KERNEL", multiple=True, help="The newest run of a kernel; repeatable.")
@click.option("--baselines", "with_baselines", is_flag=True, help="Also the baselines' names.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The bundle.")
@_store_option
def export(
    record_ids: tuple[str, ...],
    everything: bool,
    kernels: tuple[str, ...],
    with_baselines: bool,
    out: Path,
    url: str | None,
) -> None:
    """Write records into one file that another machine opens; the beginning of an id is enough.

    Where nothing else is named, --baselines alone exports the records that baselines stand for.
    """
    from workbench.store import open_store
    from workbench.store.bundle import write_bundle

    if everything and (record_ids or kernels):
        raise InputError("--all is every record: leave the others away")
    store = open_store(url)
    names = store.baselines() if with_baselines else []
    records = _chosen(store, record_ids, everything, kernels)
    if not records and with_baselines:
        records = {each.record_id: store.get(each.record_id) for each in names}
    manifest = write_bundle(out, list(records.values()), names)
    told = f" and {_number(len(manifest.baselines), 'baseline')}" if manifest.baselines else ""
    size = out.stat().st_size / 1e6
    click.echo(f"wrote {_number(len(manifest.records), 'record')}{told} to {out} ({size:,.2f} MB)")


def _chosen(store: Store, record_ids: tuple[str, ...], everything: bool, kernels: tuple[str, ...]) -> dict[str, Record]:
    """Return the records that were named, once each."""
    if everything:
        from workbench.store.moving import heads

        record_ids = tuple(head.record_id for head in heads(store))
    chosen = {record.record_id: record for record in map(store.get, record_ids)}
    for kernel in kernels:
        found = store.runs(kernel, limit=1)
        if not found:
            raise InputError(f"{store.where} has no run of {kernel!r}: `workbench store list` shows what there is")
        chosen[found[0].record_id] = found[0]
    return chosen


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--baselines", "with_baselines", is_flag=True, help="Take over the names of baselines as well.")
@_store_option
def import_(file: Path, with_baselines: bool, url: str | None) -> None:
    """Take in the records of a bundle, all or none; what is there already stays as it is."""
    from workbench import files
    from workbench.store import open_store
    from workbench.store.bundle import Bundle
    from workbench.store.moving import take_in

    with Bundle(file) as bundle:
        store = open_store(url)
        new, taken = take_in(store, bundle.records(), bundle.baselines() if with_baselines else [])
        folder = files.data_folder()
        for name in bundle.artefacts():
            if not (folder / name).exists():
                files.write_bytes(folder / name, bundle.read(name))
        total = len(bundle.manifest.records)
        click.echo(
            f"took in {len(new)} of {_number(total, 'record')}, {total - len(new)} were there already: {store.where}"
        )
        if bundle.artefacts():
            click.echo(f"artefacts of profiles lie in {folder / 'artefacts'}")
        for name in taken:
            click.echo(f"baseline {name} stands for another record here and was left as it is")
        if bundle.manifest.baselines and not with_baselines:
            click.echo(
                f"left out {_number(len(bundle.manifest.baselines), 'baseline')}: --baselines takes the names over"
            )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
