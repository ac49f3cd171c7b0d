"""NTU RGB+D: raw folders with one file, what a shard holds, and the lines of a body."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.converter import Tables
from har_bench.converters.ntu import NTU60
from har_bench.converters.ntu.sample import write_file
from har_bench.converters.ntu.skeleton_file import FLAGS, Frames, SkeletonFile, read
from har_bench.converters.ntu.tables import to_metres
from har_bench.schema import to_numpy
from tests.golden import REAL

NTU = REAL / "ntu60"
FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


def tables(raw: Path, converter: Any = NTU60) -> Tables:
    (shard,) = converter().discover(raw)
    return converter().read(shard)


def column(found: Tables, name: str) -> np.ndarray:
    assert found.poses is not None
    return to_numpy(found.poses[name], found.poses.schema.field(name))


def one_file(folder: Path, content: bytes | SkeletonFile, name: str = "S001C001P001R001A001") -> Path:
    """A raw folder with one file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.skeleton"
    if isinstance(content, SkeletonFile):
        write_file(path, content)
    else:
        path.write_bytes(content)
    return folder


def body(lines: list[str] | None = None, head: str = "72057594037944738 0 1 1 1 1 0 0.5 -1 2") -> list[str]:
    return [head, "25", *(lines or ["1 2 3 4 5 6 7 8 9 10 11 2"] * 25)]


def written(path: Path) -> Frames:
    """A file's frames with its bodies in the store's order."""
    found = read(path).frames
    order = np.lexsort((found.frame, found.person))
    return Frames(found.bodies, *(column[order] for column in found[1:]))


def same(view: Any, path: Path) -> None:
    """A sequence of the store holds what its file does."""
    expected = written(path)
    assert view.info["n_frames"] == len(expected.bodies)
    np.testing.assert_array_equal(view.frame, expected.frame)
    np.testing.assert_array_equal(view.slot, expected.slot)
    np.testing.assert_array_equal(view.person, expected.person)
    numbers = expected.numbers.astype(np.float32)
    np.testing.assert_array_equal(to_metres(view.keypoints_3d), expected.numbers[:, :, :3])
    np.testing.assert_array_equal(view.depth_keypoints, numbers[:, :, 3:5])
    np.testing.assert_array_equal(view.keypoints, numbers[:, :, 5:7])
    np.testing.assert_array_equal(view.orientation, numbers[:, :, 7:])
    np.testing.assert_array_equal(view.lean, expected.lean.astype(np.float32))
    np.testing.assert_array_equal(view.tracking_state, expected.tracking)
    for place, name in enumerate(FLAGS):
        np.testing.assert_array_equal(getattr(view, name), expected.flags[:, place], err_msg=name)


def arrays(raw: Path) -> dict[str, Frames]:
    return {path.stem: read(path).frames for path in sorted((raw / "nturgb+d_skeletons").glob("*.skeleton"))}


def slots(frames: Frames, count: int) -> np.ndarray:
    """(count, T, 25, 3) metres of the first slots, 0 where nobody is."""
    values = np.zeros((count, len(frames.bodies), 25, 3))
    inside = frames.slot < count
    values[frames.slot[inside], frames.frame[inside]] = frames.numbers[inside, :, :3]
    return values


def mutated(honest: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes overwritten, a piece removed, or a piece repeated."""
    forged = bytearray(honest)
    first, second = sorted(rng.integers(0, len(forged) + 1, 2).tolist())
    kind = rng.integers(0, 4)
    if kind == 0:
        del forged[first:second]
    elif kind == 1:
        forged[first:first] = forged[first : min(second, first + 2000)]
    else:
        alphabet = b"0123456789 .-\r\nENax\x00\xff"
        for place in rng.integers(0, len(forged), rng.integers(1, 6)):
            forged[place] = alphabet[rng.integers(len(alphabet))] if kind == 2 else rng.integers(256)
    return bytes(forged)


GOOD = "1 2 3 4 5 6 7 8 9 10 11 2"
