"""Offer this host to the batches of many machines: a Dask worker that runs one job at a time and disturbs none."""

from __future__ import annotations

import os
import socket
import sys

import click

from workbench.errors import InputError

# What a worker does by itself while a job measures, made rare. Each is read when the worker starts.
_CALM = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",  # looks at its threads every 10 ms
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "10s",  # else 20 ms
    "DASK_DISTRIBUTED__ADMIN__TICK__CYCLE": "60s",  # else 1 s
    "DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "60s",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__INTERVAL": "10s",  # else 500 ms
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__GIL__ENABLED": "False",
}


@click.command("worker")
@click.argument("scheduler", metavar="tcp://HOST:PORT")
@click.option("--name", help="What plans call this host by `host`. [its host name]")
@click.option("--folder", type=click.Path(file_okay=False), help="Where jobs run and leave nothing. [Dask's]")
def command(scheduler: str, name: str | None, folder: str | None) -> None:
    """Run a worker for the scheduler at that address until it is stopped, or until the scheduler is gone.

    \b
    dask scheduler --no-dashboard                       # on one host
    workbench worker tcp://that-host:8786               # on each host that measures
    workbench batch PLAN --engine dask --scheduler tcp://that-host:8786

    It ends with its scheduler: let systemd start it again (docs/many-machines.md).
    """
    import importlib.util

    if importlib.util.find_spec("distributed") is None:
        raise InputError("a worker needs distributed: pip install 'kernel-workbench[distributed]'")
    words = [
        scheduler, "--nworkers", "1", "--nthreads", "1", "--resources", "bench=1", "--memory-limit", "0",
        "--no-dashboard", "--name", name or socket.gethostname(),
        *(("--local-directory", folder) if folder else ()),
    ]  # fmt: skip
    environment = {**_CALM, **os.environ}  # who set one of them wants it
    os.execve(sys.executable, [sys.executable, "-m", "distributed.cli.dask_worker", *words], environment)
