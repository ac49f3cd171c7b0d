"""A file of torch that is cut, forged or of another kind is refused, and nothing else happens.

``HAR_BENCH_FUZZ=N`` damages each form of one N times.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.damage import damaged, refused
from tests.hub.torch_writing import (
    FORMATS,
    RANDOM,
    Call,
    Storage,
    legacy,
    named,
    parameter,
    pickled,
    read,
    tensor,
    vector,
    zipped,
)

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
LARGE = 64 << 20
"""More than a small file may unfold into."""

ONE = vector(np.arange(4.0))
SYSTEM = named("posix", "system")


def deep(levels: int) -> bytes:
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


ZIPS: dict[str, tuple[bytes, str]] = {
    "cut in the table": (zipped(ONE)[:-30], "damaged"),
    "cut in a member": (zipped(ONE)[:100], "damaged"),
    "a zip bomb": (zipped(ONE, changes={"data/0": bytes(LARGE * 2)}, method=zipfile.ZIP_DEFLATED), "is compressed or"),
    "a way up": (
        zipped(ONE, changes={"../OWNED": b"x"}),
        "a member called '../OWNED', as no honest archive does; download it",
    ),
    "from the root": (zipped(ONE, changes={"/OWNED": b"x"}), "a member called '/OWNED'"),
    "a way up in Windows": (zipped(ONE, changes={"a\\..\\OWNED": b"x"}), "a member called"),
    "no pickle": (zipped(ONE, changes={"data.pkl": None}), "no torch checkpoint"),
    "no version": (zipped(ONE, changes={"version": None}), "unknown version"),
    "a version to come": (zipped(ONE, changes={"version": b"11\n"}), "unknown version"),
    "a version of words": (zipped(ONE, changes={"version": b"x" * 99}), "unknown version"),
    "another byte order": (zipped(ONE, order=b"middle"), "unknown byte order"),
    "a program": (zipped(ONE, changes={"constants.pkl": b"."}), "TorchScript program"),
    "no storage": (zipped(ONE, changes={"data/0": None}), "has no storage '0'"),
    "a storage elsewhere": (
        zipped(tensor(Storage("FloatStorage", b"", 4, "../data.pkl"), (4,), (1,)), changes={"data/../data.pkl": None}),
        "has no storage",
    ),
    "a short storage": (zipped(ONE, changes={"data/0": bytes(15)}), "holds 15 bytes for storage '0' where .* need 16"),
    "a long storage": (zipped(ONE, changes={"data/0": bytes(17)}), "holds 17 bytes"),
    "a damaged storage": (zipped(ONE).replace(np.arange(4.0, dtype="f4").tobytes(), b"x" * 16), "damaged"),
    "a cut pickle": (zipped(ONE, changes={"data.pkl": pickled(ONE)[0][:-3]}), "a damaged one: it ends early"),
    "an id of text": (zipped(ONE, changes={"data.pkl": b"Pfile:///etc/passwd\n."}), "outside itself"),
    "an id of a number": (zipped(ONE, changes={"data.pkl": b"\x80\x02K\x01Q."}), "something that is no storage"),
    "a module": (zipped(ONE, changes={"data.pkl": b"\x80\x02((X\x06\x00\x00\x00moduleNNNtQ."}), "no storage"),
    "nested lists": (zipped(ONE, changes={"data.pkl": deep(20_000)}), "nested more than 100 deep"),
    "nested tuples": (zipped(ONE, changes={"data.pkl": b"\x80\x02N" + b"\x85" * 50_000 + b"Q."}), "no storage"),
    "a folder of numpy": (zipped(ONE, changes={"data.pkl": None, "a.npy": b""}), "no torch checkpoint"),
}
LEGACY: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty; was it"),
    "text": (b"hello", "is no pickle, or a damaged one"),
    "a pickle": (pickle.dumps({"a": 1}), "is a pickle but no torch checkpoint"),
    "a pickle with code": (pickled(Call(SYSTEM, ("touch OWNED",)))[0], "asks for posix.system"),
    "another version": (legacy(ONE, version=1002), "unknown version"),
    "cut in its storages": (legacy(ONE)[:-1], "cut off in its storage '0'"),
    "cut before its storages": (legacy(ONE)[:-24], "holds 0 bytes for storage '0'"),
    "cut before its keys": (legacy(ONE)[:-35], "is no pickle, or a damaged one"),
    "keys that are no text": (legacy(ONE, keys=[0]), "malformed list"),
    "keys that are no list": (legacy(ONE, keys={"0": 1}), "malformed list"),
    "another key": (legacy(ONE, keys=["1"]), "other storages"),
    "a key twice": (legacy(ONE, keys=["0", "0"]), "other storages"),
    "code in the keys": (legacy(ONE, keys=[os.system]), "asks for posix.system"),
    "another length": (legacy(ONE).replace(struct.pack("<q", 4), struct.pack("<q", 5)), "holds 20 bytes for storage"),
    "a negative length": (legacy(ONE).replace(struct.pack("<q", 4), struct.pack("<q", -1)), "bytes for storage"),
}


FILES = {
    f"{kind} - {name}": case for kind, cases in (("zip", ZIPS), ("legacy", LEGACY)) for name, case in cases.items()
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_and_nothing_else_happens(name: str, refuses: Callable[[bytes, str], None]) -> None:
    refuses(*FILES[name])


@pytest.mark.parametrize("where", [*FORMATS, "pickle"])
def test_random_mutations_never_escape(where: str, tmp_path: Path) -> None:
    half = Storage("BFloat16Storage", bytes(8), 4, "1")
    value = {"a": parameter(ONE), "b": [tensor(half, (2, 2), (2, 1))], "random": RANDOM["NumPy 1.17"]}
    honest = pickled(value)[0] if where == "pickle" else FORMATS[where](value)

    def load(data: bytes) -> None:  # a pickle in its archive, whose checksums would find the mutations first
        read(zipped(value, changes={"data.pkl": data}) if where == "pickle" else data, tmp_path)

    assert refused(load, damaged(honest, FUZZ, seed=23)) > 0
