"""What is no data in a file of torch is refused, and nothing else happens."""

from __future__ import annotations

import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import torch_file
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
    storage,
    tensor,
    typed,
    vector,
    zipped,
)

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
LARGE = 64 << 20
"""More than a small file may unfold into."""

MEMORY = 32 << 20
"""What refusing a file may cost."""

ONE = vector(np.arange(4.0))
HUGE = 1 << 45
SYSTEM = named("posix", "system")


def deep(levels: int) -> bytes:
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


def forged(held: Any = None, size: Any = (4,), stride: Any = (1,), offset: Any = 0, *more: Any) -> Call:
    return tensor(storage(np.arange(4.0)) if held is None else held, size, stride, offset, *more)


VALUES: dict[str, tuple[Any, str]] = {
    "a call": (Call(SYSTEM, ("touch OWNED",)), "asks for posix.system, which is not data"),
    "a call beside tensors": ([ONE, Call(SYSTEM, ("touch OWNED",))], "asks for posix.system"),
    "a call as a shape": (forged(size=Call(SYSTEM, ("touch OWNED",))), "asks for posix.system"),
    "a call as a type": (forged(Storage("system", b"", 0, "0", module="posix")), "asks for posix.system"),
    "a call as a key": ({Call(SYSTEM, ("touch OWNED",)): 1}, "asks for posix.system"),
    "a whole module": (Call(named("torch.nn.modules.linear", "Linear"), ()), "asks for torch.nn.modules.linear.Linear"),
    "a load in a load": (Call(named("torch.storage", "_load_from_bytes"), (b"x",)), "asks for torch.storage._load"),
    "a sparse tensor": (Call(named("torch._utils", "_rebuild_sparse_tensor"), ()), "_rebuild_sparse_tensor, which is"),
    "a type by itself": (named("torch", "FloatStorage"), "holds a function"),
    "a call of a type": (Call(named("torch", "FloatStorage"), (HUGE,)), "calls what is no function"),
    "an attribute of torch": (Call(named("torch", "os.system"), ("touch OWNED",)), "asks for torch.os.system"),
    "no storage": (forged(held=[1.0] * 4), "a tensor without a storage"),
    "a tensor of a tensor": (forged(held=ONE), "a tensor without a storage"),
    "a parameter of nothing": (parameter([1.0]), "a parameter without a tensor"),
    "a state for a tensor": (Call(*forged().__reduce__(), {"array": 1}), "gives a state to a ndarray"),
    "a tensor as a key": ({1: 1, (ONE,): 2}, "has a key that is a ndarray"),
    "a shape beyond": (forged(size=(5,)), "goes beyond its storage"),
    "an offset beyond": (forged(offset=1), "goes beyond its storage"),
    "a stride beyond": (forged(size=(2, 2), stride=(3, 1)), "goes beyond its storage"),
    "a huge stride": (forged(size=(2,), stride=(1 << 200,)), "goes beyond its storage"),
    "a huge shape": (forged(size=(HUGE, HUGE)), "malformed"),
    "a huge shape of strides": (forged(size=(HUGE, HUGE), stride=(1, 1)), "goes beyond its storage"),
    "a huge expansion": (
        forged(size=(HUGE, 4), stride=(0, 1)),
        "unfolds into more than .* bytes may become; if you trust it",
    ),
    "many expansions": (
        [forged(size=(1 << 18, 4), stride=(0, 1)) for _ in range(80)],
        "unfolds into more than .* bytes may become; if you trust it",
    ),
    "a huge empty shape": (forged(size=(0, 1 << 70), stride=(1, 1)), "not a readable pickle"),
    "too many dimensions": (forged(size=(1,) * 99, stride=(1,) * 99), "not a readable pickle"),
    "a negative stride": (forged(stride=(-1,), offset=3), "malformed"),
    "a negative offset": (forged(offset=-1), "malformed"),
    "a negative shape": (forged(size=(-1,)), "malformed"),
    "a shape of floats": (forged(size=(4.0,)), "malformed"),
    "a shape of truths": (forged(size=(True,)), "malformed"),
    "a shape of text": (forged(size="4"), "malformed"),
    "no stride": (forged(stride=()), "malformed"),
    "a size of text": (Call(named("torch", "Size"), ("a" * 99,)), "malformed"),
    "conjugated": (forged(None, (4,), (1,), 0, {"conj": True}), "conjugated or negated"),
    "a type of a typed storage": (typed(storage([1.0]), "uint16", (1,), (1,)), "another type"),
    "odd bytes": (typed(Storage("UntypedStorage", b"abc", 3, "0"), "uint16", (1,), (1,)), "another type"),
    "one storage as two types": ([vector([1.0]), vector([1], "IntStorage")], "as two types"),
    "one storage of two sizes": ([vector([1.0]), vector([1.0, 2.0])], "as two types"),
    "more storage than bytes": (forged(Storage("FloatStorage", b"", HUGE, "0")), "more storage than it has bytes"),
    "less than no storage": (forged(Storage("FloatStorage", b"", -4, "0")), "more storage than it has bytes"),
    "a part beyond": (forged(storage([1.0], part=(("1", 0, 9),))), "malformed part"),
    "a part before": (forged(storage([1.0], part=(("1", -1, 1),))), "malformed part"),
    "a random state of nothing": (Call(named("numpy.random", "__RandomState_ctor"), (), [1]), "random state"),
    "a bit generator": (Call(named("numpy.random._pickle", "__generator_ctor"), ("PCG64",)), "__generator_ctor, which"),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_is_no_data_is_refused(
    name: str, save: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, reason = VALUES[name]
    assert_refused(save(value), reason, tmp_path, monkeypatch)


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
        zipped(forged(Storage("FloatStorage", b"", 4, "../data.pkl")), changes={"data/../data.pkl": None}),
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
def test_a_hostile_file_is_refused_and_nothing_else_happens(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, reason = FILES[name]
    assert_refused(data, reason, tmp_path, monkeypatch)


def assert_refused(data: bytes, reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    path = folder / "hostile.pt"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(HarBenchError, match=reason) as caught:
            torch_file.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))
    assert peak < MEMORY
    assert [found.name for found in folder.iterdir()] == ["hostile.pt"]


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"absent\.pt cannot be read"):
        torch_file.load(tmp_path / "absent.pt")
    with pytest.raises(HarBenchError, match="is a folder; name a file"):
        torch_file.load(tmp_path)


def mutated(honest: bytes, rng: np.random.Generator) -> bytes:
    forged = bytearray(honest)
    for position in rng.integers(0, len(forged), rng.integers(1, 6)):
        forged[position] = rng.integers(256)
    return bytes(forged[: rng.integers(len(forged))] if rng.random() < 0.1 else forged)


@pytest.mark.parametrize("where", ["zip", "legacy", "pickle"])
def test_random_mutations_never_escape(where: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(23)
    half = Storage("BFloat16Storage", bytes(8), 4, "1")
    value = {"a": parameter(ONE), "b": [tensor(half, (2, 2), (2, 1))], "random": RANDOM["NumPy 1.17"]}
    outcomes = []
    for _ in range(FUZZ):
        if where == "pickle":  # in the archive, whose checksums would find the mutations first
            data = zipped(value, changes={"data.pkl": mutated(pickled(value)[0], rng)})
        else:
            data = mutated(FORMATS[where](value), rng)
        try:
            read(data, tmp_path)
            outcomes.append("read")
        except HarBenchError:
            outcomes.append("refused")
    assert len(outcomes) == FUZZ
    assert "refused" in outcomes
