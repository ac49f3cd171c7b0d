"""Small honest files of every format, damaged at random: each is read or refused, in bounded time and memory.

``HAR_BENCH_FUZZ=N`` damages each file N times; with ``-s`` a table says what came of it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from har_bench.converters.h36m import Human36M
from tests.hub.readings import Reading, read_elsewhere

ROUNDS = int(os.environ.get("HAR_BENCH_FUZZ", "15"))
SECONDS = 60.0
"""After which a file counts as endless; honest ones of this size take milliseconds."""

MEGABYTES = 600.0
"""What reading a file of some kilobytes may take, the libraries that it loads included."""

BATCH = 400

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")

Change = Callable[[bytes, np.random.Generator], bytes]


def value() -> dict[str, Any]:
    """Something of everything that pickles of this field hold."""
    objects = np.empty(2, object)
    objects[0], objects[1] = [np.arange(3.0)], {"text": "ç", (1, "a"): {1, 2}}
    shared = np.arange(4, dtype="i2")
    return {
        "frames": [{"frame": n, "score": 0.5 * n, "keypoints": [[1.0 * n, 2.0], [3.0, 4.0]]} for n in range(4)],
        "array": np.arange(12, dtype="f4").reshape(3, 4),
        "twice": [shared, shared],
        "objects": objects,
        "others": (frozenset("ab"), 1 << 70, None, True, b"\x00\xff", np.float64(1.5), np.random.RandomState(0)),
    }


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


CHANGES: tuple[Change, ...] = (flipped, flipped, extreme, extreme, spliced, cut)


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


def hdf5() -> bytes:
    def write(stream: io.BytesIO) -> None:
        with h5py.File(stream, "w") as file:
            file["poses"] = np.arange(60.0).reshape(10, 3, 2)
            file.create_dataset("a/packed", data=np.arange(500), chunks=(100,), compression="gzip", shuffle=True)
            file.create_dataset("text", data=["S9/Walking", "ç"] * 5, dtype=h5py.string_dtype(), chunks=(4,))
            file["fixed"] = np.array([b"ab", b"c"])

    return saved(write)


def torch_zip() -> bytes:
    numbers = np.arange(6, dtype="f4").tobytes()
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
    tensor += b"X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR"
    code = b"\x80\x02}(X\x01\x00\x00\x00m}X\x01\x00\x00\x00a" + tensor + b"sX\x05\x00\x00\x00epochK\x05u."
    members = {"m/data.pkl": code, "m/byteorder": b"little", "m/version": b"3\n", "m/data/0": numbers}
    return archive(members, zipfile.ZIP_STORED)


def joblib(compress: int) -> bytes:
    real = pytest.importorskip("joblib")
    plain = {key: each for key, each in value().items() if key != "objects"}
    return saved(lambda stream: real.dump(plain, stream, compress=compress))


def documents() -> bytes:
    people = [{"image_id": n, "keypoints": [1.5, 2, 1] * 4, "score": 0.5, "name": "ç\\n"} for n in range(4)]
    return json.dumps(people).encode()


def mat(*, compressed: bool = False, version: str = "5") -> bytes:
    variables: dict[str, Any] = {"numbers": np.arange(6.0).reshape(2, 3), "text": "abc"}
    if version == "5":
        cells = np.array([["a", np.int8([[-1]])]], object)
        variables |= {"cell": cells, "record": {"inner": {"value": 1.5}, "name": "x"}, "complex": np.array([[1 + 2j]])}
    return saved(lambda stream: scipy.io.savemat(stream, variables, do_compression=compressed, format=version))


def npy() -> bytes:
    return saved(lambda stream: np.save(stream, np.arange(12.0).reshape(3, 4)))


def npz() -> bytes:
    with_objects = {"objects": np.array(value(), object), "floats": np.arange(6.0), "text": np.array(["a", "ç"])}
    return saved(lambda stream: np.savez_compressed(stream, allow_pickle=True, **with_objects))


def safetensors() -> bytes:
    real = pytest.importorskip("safetensors.numpy")
    return bytes(real.save({"m/a": np.arange(6, dtype="f4")}, metadata={"options": '{"width": 4}'}))


def cdf(folder: Path) -> bytes:
    Human36M.sample(folder)
    return next(iter(sorted(folder.rglob("*.cdf")))).read_bytes()


Kind = tuple[str, bytes, Callable[[bytes, Change, np.random.Generator], bytes]]


def kinds(folder: Path) -> dict[str, Kind]:
    """By name: the reader, an honest file, and where it is damaged."""
    deflated, stored = in_members(zipfile.ZIP_DEFLATED), in_members(zipfile.ZIP_STORED)
    found: dict[str, Kind] = {
        f"pickle of protocol {number}": ("pickle", pickle.dumps(value(), number), plainly) for number in (0, 2, 4, 5)
    }
    return found | {
        "joblib": ("joblib", joblib(0), plainly),
        "joblib in zlib": ("joblib", joblib(3), in_stream(zlib.compress, zlib.decompress)),
        "npy": ("npy", npy(), plainly),
        "npy of objects": ("npy", members_of(npz())["objects.npy"], plainly),
        "npz": ("npz", npz(), plainly),
        "npz, in its members": ("npz", npz(), deflated),
        "mat 4": ("mat", mat(version="4"), plainly),
        "mat 5": ("mat", mat(), plainly),
        "mat 5, in its variables": ("mat", mat(compressed=True), in_variables),
        "torch": ("torch", torch_zip(), plainly),
        "torch, in its members": ("torch", torch_zip(), stored),
        "torch weights": ("weights", torch_zip(), stored),
        "safetensors": ("weights", safetensors(), plainly),
        "hdf5": ("hdf5", hdf5(), plainly),
        "json": ("json", documents(), plainly),
        "json in gzip": ("json", gzip.compress(documents()), in_stream(gzip.compress, gzip.decompress)),
        "records": ("records", documents(), plainly),
        "gzip": ("packed", gzip.compress(npy()), plainly),
        "bzip2": ("packed", bz2.compress(npy()), plainly),
        "xz": ("packed", lzma.compress(npy()), plainly),
        "cdf": ("cdf", cdf(folder), plainly),
    }


def damaged(folder: Path, rng: np.random.Generator) -> Iterator[list[tuple[str, str, Path]]]:
    """Batches of (kind, reader, file); the honest files come first."""
    batch: list[tuple[str, str, Path]] = []
    every = kinds(folder / "samples")
    for round_ in range(ROUNDS + 1):
        for number, (kind, (reader, honest, where)) in enumerate(every.items()):
            path = folder / f"{round_}-{number}.bin"
            path.write_bytes(where(honest, CHANGES[rng.integers(len(CHANGES))], rng) if round_ else honest)
            batch.append((kind, reader, path))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def test_damaged_files_are_read_or_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    rng = np.random.default_rng(int(os.environ.get("HAR_BENCH_FUZZ_SEED", "0")))
    folder, nowhere = tmp_path / "files", tmp_path / "nowhere"
    folder.mkdir()
    nowhere.mkdir()
    readings: dict[str, list[Reading]] = defaultdict(list)
    wrong: list[Reading] = []
    for batch in damaged(folder, rng):
        found = read_elsewhere([(reader, path) for _, reader, path in batch], folder=nowhere, seconds=SECONDS)
        for (kind, _, path), reading in zip(batch, found, strict=True):
            readings[kind].append(reading)
            if reading.outcome in ("escaped", "ended") or reading.megabytes > MEGABYTES or not said(reading):
                wrong.append(reading)
            else:
                path.unlink()
    print(table(readings))
    assert wrong == []
    assert [kind for kind, found in readings.items() if found[0].outcome != "read"] == [], "an honest file is refused"
    assert list(nowhere.iterdir()) == []
    assert all(len(found) == ROUNDS + 1 for found in readings.values())


def said(reading: Reading) -> bool:
    """Whether a refusal is one sentence with the file's name and a remedy."""
    text = reading.text
    named = text.startswith(reading.path) and "\n" not in text and len(text) < 700 + len(reading.path)
    return reading.outcome == "read" or (named and "; " in text)


def table(readings: dict[str, list[Reading]]) -> str:
    head = f"\n{'format':26}{'files':>8}{'read':>8}{'refused':>9}{'escaped':>9}{'ended':>7}{'max s':>9}{'max MB':>9}"
    lines = [head]
    for kind, found in {**readings, "all": [each for some in readings.values() for each in some]}.items():
        counts = Counter(each.outcome for each in found)
        outcomes = "".join(f"{counts[name]:>{width}}" for name, width in (("read", 8), ("refused", 9), ("escaped", 9)))
        slowest, largest = max(each.seconds for each in found), max(each.megabytes for each in found)
        lines.append(f"{kind:26}{len(found):>8}{outcomes}{counts['ended']:>7}{slowest:>9.3f}{largest:>9.1f}")
    return "\n".join(lines)
