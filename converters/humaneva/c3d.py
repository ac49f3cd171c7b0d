"""Point trajectories of ``.c3d`` files, read with NumPy alone and without trusting a count in the file.

The format is that of c3d.org's user guide: a header of one 512-byte block, parameters, then one record per frame of
x, y, z and a residual for each point, followed by analog samples. Numbers are Intel's, DEC's or SGI's. ezc3d reads the
same (the tests compare), but a few damaged bytes make it crash the whole process.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.foreign import opening

BLOCK = 512
MAGIC = 0x50
INTEL, DEC, SGI = 84, 85, 86
"""Processor types: little-endian IEEE, VAX floats, big-endian IEEE."""

_LARGEST = 1 << 30  # bytes of one file; a HumanEva take has some megabytes


@dataclass(frozen=True)
class Trajectories:
    """Labelled points over time.

    Attributes:
        source: the file.
        labels: P names, possibly with a prefix such as ``Subject:``.
        points: (N, P, 3) positions [mm]; a point that was not seen is (0, 0, 0), as MATLAB's readers leave it.
    """

    source: Path
    labels: tuple[str, ...]
    points: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.points)

    def index(self, *names: str) -> int:
        """The first label that contains one of ``names``; an earlier name wins.

        Raises:
            HarBenchError: no label does.
        """
        for name in names:
            for place, label in enumerate(self.labels):
                if name in label:
                    return place
        raise HarBenchError(f"{self.source} has no marker {' or '.join(names)}; it is no complete take of HumanEva")


def read_c3d(path: Path) -> Trajectories:
    """Every point of a file.

    Raises:
        HarBenchError: the file is no C3D file, damaged or cut off.
    """
    if path.stat().st_size > _LARGEST:
        raise HarBenchError(f"{path} is larger than any take of HumanEva; remove it")
    content = opening.read(path)
    try:
        with np.errstate(all="ignore"):  # damaged numbers overflow; what is not finite is not a position
            return _read(path, content)
    except (struct.error, IndexError, ValueError) as error:
        raise HarBenchError(f"{path} is not a readable C3D file ({error}); unpack or download it again") from error


def _read(path: Path, content: bytes) -> Trajectories:
    parameters = (content[0] - 1) * BLOCK
    if content[1] != MAGIC or parameters < BLOCK:
        raise ValueError("it does not begin as one")
    processor = content[parameters + 3]
    if processor not in (INTEL, DEC, SGI):
        raise ValueError(f"no processor type is {processor}")
    order = ">" if processor == SGI else "<"
    count, analog, first, last = struct.unpack_from(f"{order}4H", content, 2)
    scale = float(_floats(content[12:16], processor)[0])
    start = (struct.unpack_from(f"{order}H", content, 16)[0] - 1) * BLOCK
    if start < BLOCK or last < first or not count or not np.isfinite(scale):
        raise ValueError(f"its header names {count} points in frames {first} to {last} from byte {start}")
    size = 4 if scale < 0 else 2
    frames, width = last - first + 1, 4 * count + analog
    if start + frames * width * size > len(content):
        raise ValueError(f"it ends before the last of its {frames} frames")
    labels = _labels(content[parameters:start], order)
    if not labels:
        raise ValueError("it has no POINT:LABELS")
    raw = content[start : start + frames * width * size]
    values = _floats(raw, processor) if size == 4 else np.frombuffer(raw, f"{order}i2")
    records = values.reshape(frames, width)[:, : 4 * count].reshape(frames, count, 4)
    points = records[..., :3] * np.float64(1 if size == 4 else scale)
    unseen = (records[..., 3] < 0) | np.isnan(points).any(axis=-1)
    points[unseen] = 0
    return Trajectories(path, tuple(labels[:count]), points)


def _floats(raw: bytes, processor: int) -> npt.NDArray[np.float32]:
    """Four-byte floats of any of the three processors."""
    if processor != DEC:
        return np.frombuffer(raw, ">f4" if processor == SGI else "<f4")
    # a VAX float has its 16-bit halves exchanged and an exponent that is 2 larger
    halves = np.frombuffer(raw, "<u2").reshape(-1, 2)
    return np.ascontiguousarray(halves[:, ::-1]).view("<f4")[:, 0] * np.float32(0.25)


def _labels(section: bytes, order: str) -> list[str]:
    """``POINT:LABELS`` and, of more than 255 points, ``LABELS2`` and so on."""
    groups: dict[int, str] = {}
    bodies: dict[tuple[int, str], bytes] = {}
    for number, name, body in _records(section, order):
        if number < 0:
            groups[-number] = name
        elif name.startswith("LABELS"):
            bodies[number, name] = body
    point = {name: body for (number, name), body in bodies.items() if groups.get(number) == "POINT"}
    return [label for name in sorted(point) for label in _strings(point[name])]


def _records(section: bytes, order: str) -> Iterator[tuple[int, str, bytes]]:
    """Number, name and body of every group (negative number) and parameter of the section."""
    place = 4
    while True:
        length, number = struct.unpack_from("bb", section, place)
        length = abs(length)  # negative: locked against changes
        if not length or not number:
            return
        name = section[place + 2 : place + 2 + length].decode("latin1").upper()
        place += 2 + length
        (offset,) = struct.unpack_from(f"{order}H", section, place)
        body = section[place + 2 : place + offset] if offset else section[place + 2 :]
        yield number, name, body
        if not offset:  # the last one
            return
        place += offset


def _strings(body: bytes) -> list[str]:
    """A text parameter: a list of strings of one length, the first dimension."""
    kind, dimensions = struct.unpack_from("bB", body)
    sizes = body[2 : 2 + dimensions]
    if kind != -1 or dimensions != 2 or len(sizes) != 2:
        raise ValueError("its POINT:LABELS are no list of names")
    length, count = sizes
    text = body[4 : 4 + length * count]
    return [text[place : place + length].decode("latin1").strip() for place in range(0, len(text), max(length, 1))]
