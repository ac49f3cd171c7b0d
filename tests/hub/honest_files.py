"""Small honest files of every format that is read from others, to be damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import scipy.io

from har_bench.converters.h36m import Human36M
from tests.hub.damages import Where, archive, in_members, in_stream, in_variables, members_of, plainly, saved


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


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        reader: which of :func:`tests.hub.readings.readers` reads it.
        honest: one that is as it should be.
        where: what of it is damaged.
        suffix: how its name ends.
    """

    reader: str
    honest: bytes
    where: Where = plainly
    suffix: str = ".bin"


def kinds(folder: Path) -> dict[str, Kind]:
    """Every kind of file from others, by name."""
    deflated, stored = in_members(zipfile.ZIP_DEFLATED), in_members(zipfile.ZIP_STORED)
    found: dict[str, Kind] = {
        f"pickle of protocol {number}": Kind("pickle", pickle.dumps(value(), number)) for number in (0, 2, 4, 5)
    }
    return found | {
        "joblib": Kind("joblib", joblib(0)),
        "joblib in zlib": Kind("joblib", joblib(3), in_stream(zlib.compress, zlib.decompress)),
        "npy": Kind("npy", npy()),
        "npy of objects": Kind("npy", members_of(npz())["objects.npy"]),
        "npz": Kind("npz", npz()),
        "npz, in its members": Kind("npz", npz(), deflated),
        "mat 4": Kind("mat", mat(version="4")),
        "mat 5": Kind("mat", mat()),
        "mat 5, in its variables": Kind("mat", mat(compressed=True), in_variables),
        "torch": Kind("torch", torch_zip()),
        "torch, in its members": Kind("torch", torch_zip(), stored),
        "torch weights": Kind("weights", torch_zip(), stored),
        "safetensors": Kind("weights", safetensors()),
        "hdf5": Kind("hdf5", hdf5()),
        "json": Kind("json", documents()),
        "json in gzip": Kind("json", gzip.compress(documents()), in_stream(gzip.compress, gzip.decompress)),
        "records": Kind("records", documents()),
        "gzip": Kind("packed", gzip.compress(npy())),
        "bzip2": Kind("packed", bz2.compress(npy())),
        "xz": Kind("packed", lzma.compress(npy())),
        "cdf": Kind("cdf", cdf(folder)),
    }
