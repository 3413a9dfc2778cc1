"""The machines behind a Dask scheduler, as the driver of a batch sees them: who is there, and what each can do.

Every answer of Dask comes through one queue, so that the batch's own thread sleeps until there is news.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import distributed
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.batch import dask_worker
from workbench.batch.job import code_hash
from workbench.errors import InputError

if TYPE_CHECKING:
    Future = distributed.Future[Any]

RESOURCE = "bench"  # of which a job needs one and a worker offers one: one job at a time
GATHER_S = 300.0  # how long a job's files may take to come back
_CONNECT_S = 10.0

Key = tuple[str, str]  # a worker's address, and its own folder: the same address may return with another process
News = tuple[str, Any, Any]  # what, of whom, and the news itself


class _Told(BaseModel):
    """What a worker says of itself, as `workbench.batch.dask_worker.describe` writes it."""

    model_config = ConfigDict(strict=True)

    hostname: str = Field(max_length=255)
    hardware_key: str = Field(pattern=r"^[0-9a-f]{12}\z")  # becomes a folder here: as `hardware_key` makes it, or none
    cpu_model: str = Field(max_length=200)
    code: str
    tools: list[str]
    sampled: bool
    threads: int


@dataclass(frozen=True)
class Host:
    """A worker that jobs can be sent to."""

    key: Key
    name: str
    hostname: str
    hardware_key: str

    @property
    def address(self) -> str:
        """Return where its worker listens."""
        return self.key[0]

    def is_called(self, name: str) -> bool:
        """Return whether a plan's ``host`` means this one: its worker's name, or its host's."""
        return name in (self.name, self.hostname, self.hostname.partition(".")[0])


class Cluster:
    """A connection to a scheduler. `hosts` are the workers that may have jobs, by their keys.

    `tell` gets a line for each worker that comes, goes, or cannot be used. Raises InputError when no scheduler answers.
    """

    def __init__(self, address: str, tell: Callable[[str], None]):
        self.hosts: dict[Key, Host] = {}
        self.news: queue.Queue[News] = queue.Queue()
        self._address, self._tell = address, tell
        self._topic = f"workbench-{uuid.uuid4().hex}"
        self._asked: dict[Key, Future | None] = {}  # who was asked to describe itself; None: it has
        self._client: distributed.Client | None = None
        self.connect()

    def connect(self) -> None:
        """Connect anew, and forget what was known of the workers."""
        self.close()
        try:
            with _quiet():
                self._client = distributed.Client(
                    self._address, timeout=_CONNECT_S, name="workbench-batch", set_as_default=False
                )
            self._client.subscribe_topic(self._topic, self._heard)
        except (OSError, ValueError, TimeoutError) as error:
            self.close()
            why = f" ({error})" if isinstance(error, ValueError) else ""
            raise InputError(
                f"no scheduler answers at {self._address[:80]}{why}: start one by `dask scheduler`, or correct it"
            ) from None

    def close(self) -> None:
        """Give the connection up; workers end what nobody waits for."""
        self.hosts, self._asked = {}, {}
        client, self._client = self._client, None
        if client is not None:
            with _quiet(), contextlib.suppress(Exception):  # a scheduler that is gone cannot be told
                client.close(timeout=2.0)

    def look(self) -> bool:
        """Bring `hosts` up to date; return False when the scheduler is lost."""
        client = self._client
        if client is None or client.status != "running":
            return False
        try:
            found = client.scheduler_info()["workers"]
        except (OSError, TimeoutError, RuntimeError, KeyError):
            return False
        there = {(address, str(each["local_directory"])): each for address, each in found.items()}
        for key in [key for key in self._asked if key not in there]:
            del self._asked[key]
            if (host := self.hosts.pop(key, None)) is not None:
                self._tell(f"worker {host.name} is gone")
        for key, each in there.items():
            if key not in self._asked and each.get("status", "running") == "running":
                self._ask(client, key, each)
        return True

    def described(self, key: Key, name: str, future: Future) -> None:
        """Take in what a worker said of itself, or tell why it gets no job."""
        if self._asked.pop(key, None) is None:
            return
        self._asked[key] = None
        try:
            told = _Told.model_validate_json(future.result(timeout=_CONNECT_S))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])[:80]
            self._tell(f"worker {name} gets no job: it describes itself oddly, {field or 'all of it'}: {first['msg']}")
            return
        except Exception as error:  # whatever its machine or its installation came up with
            self._tell(f"worker {name} gets no job: {str(error)[:300] or type(error).__name__}")
            return
        why = _unfit(told)
        if why:
            self._tell(f"worker {name} gets no job: {why}")
            return
        self.hosts[key] = Host(key, name, told.hostname, told.hardware_key)
        absent = "" if "valgrind" in told.tools else ", no valgrind"
        self._tell(f"worker {name} is there: {told.hostname}, {told.cpu_model}{absent}")
        if told.sampled:
            self._tell(f"worker {name} samples itself while it measures: start it by `workbench worker`")

    def submit(self, host: Host, package: bytes, mark: str, title: str) -> Future:
        """Send a job to `host`. Its news and its end come as ``("told", mark, …)`` and ``("over", mark, …)``."""
        assert self._client is not None
        future = self._client.submit(
            dask_worker.run,
            package,
            self._topic,
            mark,
            f"{title}-{mark}",
            key=f"{title}-{mark}",
            workers=[host.address],
            allow_other_workers=False,
            resources={RESOURCE: 1},
            pure=False,
            retries=0,
        )
        future.add_done_callback(lambda done: self.news.put(("over", mark, done)))
        return future

    def drop(self, future: Future) -> None:
        """Want the result no longer: its worker ends what it does for it."""
        with contextlib.suppress(Exception):  # the scheduler may be gone, or know nothing of it any more
            future.cancel(force=True)

    def _ask(self, client: distributed.Client, key: Key, found: dict[str, Any]) -> None:
        """Let a new worker describe itself."""
        name = str(found["name"])
        if not found.get("resources", {}).get(RESOURCE):
            self._asked[key] = None
            self._tell(f"worker {name} gets no job: it offers no {RESOURCE}, start it by `workbench worker`")
            return
        future = client.submit(dask_worker.describe, workers=[key[0]], allow_other_workers=False, pure=False)
        self._asked[key] = future
        future.add_done_callback(lambda done: self.news.put(("described", (key, name), done)))

    def _heard(self, event: tuple[float, Any]) -> None:
        self.news.put(("told", event[1]["mark"], event[1]))


def _unfit(told: _Told) -> str:
    """Return why a worker can have no job, or nothing."""
    if told.code != code_hash():
        return "its workbench is not the one here, install the same version there"
    if told.threads != 1:
        return f"it has {told.threads} threads, start it by `workbench worker`"
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from telling on the screen what the batch tells in its own words."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


quiet = functools.partial(_quiet)
