"""ITCH 5.0 in plain Python: an oracle for the compiled parser, and a maker of random messages."""

import struct

from kernels.feeds.itch_parser import SIZES
from kernels.messages import Kind

LETTERS = "".join(SIZES)


class Oracle:
    """Parses a whole stream; `fault` is None, or (byte, letter or None for a wrong prefix, or "cut")."""

    def __init__(self, data, cents=True):
        self.cents, self.events, self.ids, self.names, self.halted, self.fault = cents, [], {}, {}, set(), None
        framed, at = data[:2] != b"\0\0", 0
        while at < len(data):
            letter = chr(data[at + 2]) if len(data) > at + 2 else None
            if letter is None:
                self.fault = None if framed and data[at:] == b"\0\0" else (at, "cut")
                return
            if letter not in SIZES:
                self.fault = (at, letter)
                return
            if int.from_bytes(data[at : at + 2], "big") != (SIZES[letter] if framed else 0):
                self.fault = (at, None)
                return
            message = data[at + 2 : at + 2 + SIZES[letter]]
            if len(message) < SIZES[letter]:
                self.fault = (at, "cut")
                return
            self.read(letter, message)
            at += 2 + SIZES[letter]

    def read(self, letter, m):
        locate = int.from_bytes(m[1:3], "big")
        name_at = {"R": 11, "H": 11, "A": 24, "F": 24, "P": 24, "Q": 19}.get(letter)
        if name_at:
            self.names.setdefault(locate, m[name_at : name_at + 8])
        kind, order, new, price, size, side = 0, 0, 0, 0, 0, 0
        if letter in "AFP":
            kind = Kind.TRADE if letter == "P" else Kind.ADD
            order, buy, size, price = struct.unpack(">QcI8xI", m[11:36])
            side = int(buy != b"B")
        elif letter in "ECX":
            kind = Kind.CANCEL if letter == "X" else Kind.EXECUTE
            order, size = struct.unpack(">QI", m[11:23])
        elif letter == "D":
            kind, order = Kind.DELETE, int.from_bytes(m[11:19], "big")
        elif letter == "U":
            kind = Kind.REPLACE
            order, new, size, price = struct.unpack(">QQII", m[11:35])
        elif letter == "Q":
            size, price = struct.unpack(">Q8xI", m[11:31])
            kind = Kind.TRADE if 0 < size < 2**31 else 0
        elif letter == "H":
            if m[19:20] == b"T":
                kind = Kind.RESUME if locate in self.halted else 0
                self.halted.discard(locate)
            else:
                kind = Kind.HALT
                self.halted.add(locate)
        if not kind:
            return
        if self.cents:
            price = price // 100 if price % 100 == 0 or kind == Kind.TRADE else 0
        symbol = self.ids.setdefault(locate, len(self.ids))
        time = int.from_bytes(m[5:11], "big")
        self.events.append((time, order, new, signed(price), signed(size), symbol, int(kind), side))

    @property
    def symbol_names(self):
        found = (self.names.get(locate, b"").decode("ascii", "replace").strip(" \0") for locate in self.ids)
        return tuple(name or f"#{locate}" for name, locate in zip(found, self.ids, strict=True))


def signed(value):
    """Return 32 bits as they lie in an event."""
    return value - 2**32 if value >= 2**31 else value


def message(random, letter=None, locates=5, orders=50):
    """Return a random message, with fields that often make sense; `random` is a ``random.Random``."""
    letter = letter or random.choice("AAAAFEECXDDDUUPQHHRS" + LETTERS)
    body = bytearray(random.randbytes(SIZES[letter]))
    body[0] = ord(letter)
    body[1:3] = random.randrange(locates).to_bytes(2, "big")
    if random.random() < 0.95:
        order = random.randrange(1, orders).to_bytes(8, "big")
        shares = random.randrange(1, 200).to_bytes(4, "big")
        price = (random.randrange(9_000, 9_100) * 100 + (random.random() < 0.02)).to_bytes(4, "big")
        if letter in "AFPECXDU":
            body[11:19] = order
        if letter in "AFP":
            body[19:36] = random.choice(b"BS").to_bytes(1, "big") + shares + b"STOCK   " + price
        elif letter in "ECX":
            body[19:23] = shares
        elif letter == "U":
            body[19:35] = random.randrange(1, orders).to_bytes(8, "big") + shares + price
        elif letter == "Q":
            body[11:31] = bytes(4) + random.choice([shares, bytes(4)]) + b"CROSSED " + price
        elif letter == "H":
            body[19:20] = random.choice([b"T", b"H"])
    return bytes(body)


def framed(messages, lengths=True):
    """Return the messages in one stream, behind their lengths or behind zeros."""
    return b"".join((len(m) if lengths else 0).to_bytes(2, "big") + m for m in messages)


def cut(random, data, pieces):
    """Return `data` in so many pieces, cut anywhere."""
    places = sorted(random.randrange(len(data) + 1) for _ in range(pieces - 1))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def damaged(random, data, changes):
    """Return `data` with so many places overwritten, taken out or filled in."""
    raw = bytearray(data)
    for _ in range(changes):
        at = random.randrange(len(raw) + 1)
        raw[at : at + random.randrange(4)] = random.randbytes(random.randrange(4))
    return bytes(raw)
