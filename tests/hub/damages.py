"""Ways to damage a file at random: anywhere, inside its packing, or in a cell of its text."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from blake3 import blake3

Change = Callable[[bytes, np.random.Generator], bytes]
"""What is done to the bytes."""

Where = Callable[[bytes, Change, np.random.Generator], bytes]
"""Which bytes of a file it is done to."""


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in rng.integers(0, len(changed), rng.integers(1, 6)):
        changed[place] = rng.integers(256)
    return bytes(changed)


def extreme(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of one to eight bytes becomes as large or as small as it can be."""
    width = int(rng.choice([1, 2, 4, 8]))
    place = int(rng.integers(0, max(1, len(data) - width)))
    number = [b"\xff" * width, bytes(width), b"\xff" * (width - 1) + b"\x7f", b"\x7f" + b"\xff" * (width - 1)]
    return data[:place] + number[rng.integers(4)] + data[place + width :]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(1, len(data))]


def spliced(data: bytes, rng: np.random.Generator) -> bytes:
    """A piece of the file is doubled, moved or taken out."""
    (first, last), place = sorted(rng.integers(0, len(data), 2).tolist()), int(rng.integers(0, len(data)))
    piece = data[first:last][: 1 << 12]
    return [data[:place] + piece + data[place:], data[:first] + data[last:], data[:place] + piece * 9 + data[place:]][
        rng.integers(3)
    ]


WORDS = (
    b"nan",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"12.3.4",
    b"9" * 30,
    b"",
    b'"',
    b"[",
    b"}",
    b",",
    b"\n",
    b"\xff",
    b"null",
)


def worded(data: bytes, rng: np.random.Generator) -> bytes:
    """A number of a text becomes a word that may not stand there."""
    place = int(rng.integers(0, len(data)))
    first = next((at for at in range(place, len(data)) if chr(data[at]).isalnum()), place)
    last = next((at for at in range(first, len(data)) if not (chr(data[at]).isalnum() or data[at] == 46)), len(data))
    return data[:first] + WORDS[rng.integers(len(WORDS))] + data[last:]


CHANGES: tuple[Change, ...] = (flipped, flipped, extreme, extreme, spliced, cut, worded)


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with zipfile.ZipFile(stream, "w", method) as file:
            for name, content in members.items():
                file.writestr(name, content)

    return saved(write)


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def in_members(method: int) -> Callable[[bytes, Change, np.random.Generator], bytes]:
    """Damage inside a member of an archive, whose checksum is then right again."""

    def change(data: bytes, how: Change, rng: np.random.Generator) -> bytes:
        members = members_of(data)
        name = list(members)[rng.integers(len(members))]
        return archive(members | {name: how(members[name] or b"\0", rng)}, method)

    return change


def in_stream(pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Any:
    """Damage inside a compressed stream."""
    return lambda data, how, rng: pack(how(unpack(data), rng))


def in_variables(data: bytes, how: Change, rng: np.random.Generator) -> bytes:
    """Damage inside the compressed variables of a .mat file."""
    found, place = [data[:128]], 128
    while place < len(data):
        kind, size = struct.unpack_from("<2I", data, place)
        packed = zlib.compress(how(zlib.decompress(data[place + 8 : place + 8 + size]), rng))
        found.append(struct.pack("<2I", kind, len(packed)) + packed)
        place += 8 + size
    return b"".join(found)


def plainly(data: bytes, how: Change, rng: np.random.Generator) -> bytes:
    return how(data, rng)


def in_lines(data: bytes, how: Change, rng: np.random.Generator) -> bytes:
    """Damage in a line of a journal, whose checksum is then right again."""
    lines = data.splitlines()
    number = int(rng.integers(len(lines)))
    body = how(lines[number].partition(b" ")[2] or b" ", rng).replace(b"\n", b" ")
    lines[number] = blake3(body).hexdigest(8).encode() + b" " + body
    return b"\n".join(lines) + b"\n"
