"""Fuzz the parsers of files: ``python parser_fuzz.py MESSAGES SEED``. Prints what each took, accepted and refused.

Run with NUMBA_BOUNDSCHECK=1 it first prints IndexError, to prove that the checks are on.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from kernels._jit import kernel_jit
from kernels.messages import EVENT, Kind
from workbench import workloads
from workbench.errors import InputError
from workbench.workloads import databento, itch, lobster, recording

MESSAGES = 200  # in each file
SIDES = {0, 1, 255}  # 255: an order of Databento's without a side, which a book refuses


@kernel_jit
def beyond(data):
    return data[np.uint64(3)]


def lobster_file(random):
    """Return the text of some messages, a few of them odd."""
    lines = []
    for i in range(MESSAGES):
        fields = [f"{34200 + i}.{random.integers(10**9):09}", random.integers(1, 8), random.integers(60)]
        fields += [random.integers(500), 100 * random.integers(1, 9000), random.choice([-1, 1])]
        lines.append(",".join(map(str, fields)))
    return ("\n".join(lines) + "\n").encode()


def itch_file(random, *, framed):
    """Return a stream with or without lengths."""
    events = workloads.synthetic(2, MESSAGES, seed=int(random.integers(2**31))).events
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.itch"
        workloads.write_itch(path, events, framed=framed)
        return path.read_bytes()


def recording_file(random):
    """Return a recording of noise: a parser that does not look at the events takes all of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.npy"
        workloads.write_recording(path, np.frombuffer(random.bytes(MESSAGES * EVENT.itemsize), EVENT))
        return path.read_bytes()


def databento_file(random):
    """Return records of every action behind the metadata that Databento's own package writes."""
    import databento_dbn as dbn

    metadata = dbn.Metadata(
        "GLBX.MDP3", 1, dbn.SType.RAW_SYMBOL, dbn.SType.INSTRUMENT_ID, dbn.Schema.MBO, [], [], [], []
    )
    records = np.zeros(MESSAGES, databento.RECORD)
    records["length"], records["rtype"], records["publisher_id"] = databento.RECORD.itemsize // 4, 160, 1
    records["instrument_id"] = random.integers(5, 8, MESSAGES)
    records["order_id"] = random.integers(0, 60, MESSAGES)
    records["price"] = random.integers(-5, 4000, MESSAGES) * 250_000_000
    records["size"] = random.integers(0, 50, MESSAGES)
    records["action"] = random.choice(np.frombuffer(b"AAAACCMMRTFN", np.uint8), MESSAGES)
    records["side"] = random.choice(np.frombuffer(b"ABN", np.uint8), MESSAGES)
    records["ts_recv"] = np.arange(MESSAGES)
    return metadata.encode() + records.tobytes()


def lines_in(data):
    """Return how many lines of `data` say something."""
    return sum(line not in (b"", b"\r") for line in data.split(b"\n"))


def orders_in(data):
    """Return how many records of `data` are of an order, a trade or a clear, and not of a quote."""
    at, count = 8 + int.from_bytes(data[4:8], "little"), 0
    while at < len(data):
        record = data[at : at + 4 * data[at]]
        if record[1] == 160 and record[38] in b"ACMRT":
            count += record[38] == ord("R") or not record[36] & (64 | 16)
        at += len(record)
    return count


FORMATS = {  # the parser, what makes a file, and how many events there are in one that it took
    "lobster": (lobster.parse, lobster_file, lines_in),
    "itch": (itch.parse, lambda random: itch_file(random, framed=True), None),
    "itch unframed": (itch.parse, lambda random: itch_file(random, framed=False), None),
    "databento": (databento.parse, databento_file, orders_in),
    "recording": (recording.parse, recording_file, None),
}


def damaged(random, data):
    """Return `data` cut, with bits turned, bytes changed, put in or taken out, or a part of it said twice; or noise."""
    raw = bytearray(data)
    for _ in range(random.integers(1, 4)):
        at, length = int(random.integers(len(raw) + 1)), int(random.integers(1, 80))
        style = random.integers(7)
        if style == 0:
            del raw[at:]
        elif style == 1:
            for place in random.integers(0, len(raw), length if raw else 0):
                raw[place] ^= 1 << int(random.integers(8))
        elif style == 2:
            raw[at : at + length] = random.bytes(length)
        elif style == 3:
            raw[at:at] = random.bytes(length)
        elif style == 4:
            del raw[at : at + length]
        elif style == 5:
            raw += raw[at:]
        elif random.random() < 0.1:
            raw = bytearray(random.bytes(len(raw)))
    return bytes(raw)


def check(parse, right, data):
    """Parse `data`; return whether it was taken."""
    try:
        parsed = parse(np.frombuffer(data, np.uint8), "file")
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return False
    events = parsed.events
    assert events.dtype == EVENT and events.size > 0
    if right is not None:
        assert events.size == right(data)
    if parsed.content == "recording":
        assert events.tobytes() == data[-events.nbytes :]
    else:
        assert set(events["kind"].tolist()) <= {int(kind) for kind in Kind} and set(events["side"].tolist()) <= SIDES
    return True


def main(messages, seed, name):
    """Return how many messages, how many files were taken and how many refused."""
    random = np.random.default_rng(seed)
    parse, make, right = FORMATS[name]
    done, taken, refused = 0, 0, 0
    while done < messages:
        whole = make(random)
        assert check(parse, right, whole)
        for _ in range(25):
            if check(parse, right, damaged(random, whole)):
                taken += 1
            else:
                refused += 1
            done += MESSAGES
    assert refused
    return done, taken, refused


if __name__ == "__main__":
    if os.environ.get("NUMBA_BOUNDSCHECK"):
        try:
            beyond(np.zeros(3, np.uint8))
        except IndexError:
            print("IndexError")
    for format_name in FORMATS:
        print(format_name, *main(int(sys.argv[1]), int(sys.argv[2]), format_name), sep=",")
