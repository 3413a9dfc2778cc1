"""One of the processes that write into a store at the same time: `writer.py ADDRESS NAME RECORDS`."""

import datetime
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import factory

from workbench.store import open_store
from workbench.store.steps import AcceptedStep, accept

NIGHT = datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)


def main(address, name, number):
    store = open_store(address)
    print("ready", flush=True)
    sys.stdin.readline()  # all begin together
    waited_s = 0.0
    for place in range(number):
        record = factory.run(host=f"{name}-{place}", with_blocks=False)
        before = time.monotonic()
        store.add(record)
        if place % 4 == 0:  # what a person does beside the nights: a name, a pinned night, an accepted step
            store.save_baseline("pinned", record)
            store.save_baseline(f"{name} {place}", record)
            accept(store, AcceptedStep("order_book", None, None, None, "k", NIGHT.date(), str(place), name, NIGHT))
        waited_s = max(waited_s, time.monotonic() - before)
    print(waited_s)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
