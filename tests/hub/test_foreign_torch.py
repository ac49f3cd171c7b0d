"""Checkpoints written by hand as ``torch.save`` lays them out: read without torch; forged ones end in one sentence."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import pickles, torch_file

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
LARGE = 64 << 20
"""More than a small file may unfold into."""

MEMORY = 32 << 20
"""What refusing a file may cost."""

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SIZES = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
TYPES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "ComplexFloatStorage": "c8",
    "ComplexDoubleStorage": "c16",
}


@dataclass(frozen=True)
class Name:
    """Pickles as a global of torch, which need not be here."""

    module: str
    name: str

    def __call__(self) -> None:
        """A pickle's calls are of what is callable."""


@dataclass
class Storage:
    """Pickles as a persistent id; ``content`` goes beside the pickle."""

    kind: str
    content: bytes
    elements: int
    key: str
    device: str = "cpu"
    part: tuple[Any, ...] = ()
    module: str = "torch"

    def identity(self) -> tuple[Any, ...]:
        return ("storage", named(self.module, self.kind), self.key, self.device, self.elements, *self.part)


@dataclass(eq=False)
class Call:
    """Pickles as a call."""

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (self.function, self.arguments) if self.state is None else (self.function, self.arguments, self.state)


NAMES: dict[tuple[str, str], Name] = {}


def named(module: str, name: str) -> Name:
    """One object per name, so that the pickle's memo finds it."""
    return NAMES.setdefault((module, name), Name(module, name))


class Saver(pickle._Pickler):  # type: ignore[name-defined]
    """The pickler of ``torch.save``: protocol 2, storages outside."""

    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self.storages: dict[str, Storage] = {}
        super().__init__(self.stream, 2)

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            self.storages[value.key] = value
            return value.identity()
        return None

    def save_name(self, value: Name) -> None:
        self.write(f"c{value.module}\n{value.name}\n".encode())
        self.memoize(value)

    dispatch[Name] = save_name


def pickled(value: Any) -> tuple[bytes, dict[str, Storage]]:
    saver = Saver()
    saver.dump(value)
    return saver.stream.getvalue(), saver.storages


def zipped(
    value: Any,
    *,
    order: bytes | None = b"little",
    changes: dict[str, bytes | None] | None = None,
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    """A file of torch 2; ``changes`` are to its members, by their names below the folder."""
    code, storages = pickled(value)
    members: dict[str, bytes | None] = {"data.pkl": code, ".format_version": b"1", ".storage_alignment": b"64"}
    members["byteorder"] = order
    members |= {f"data/{key}": storage.content for key, storage in storages.items()}
    members |= {"version": b"3\n", ".data/serialization_id": b"0" * 40} | (changes or {})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            if content is not None:
                info = zipfile.ZipInfo(name if name.startswith(("/", "..")) else f"model/{name}")
                info.compress_type = method
                info.extra = b"FB\x04\x00ZZZZ"  # torch aligns storages with such fields
                archive.writestr(info, content)
    return stream.getvalue()


def legacy(value: Any, *, keys: Any = None, head: Any = MAGIC, version: Any = PROTOCOL) -> bytes:
    """A file of torch 0.4 to 1.5."""
    code, storages = pickled(value)
    found = b"".join(pickle.dumps(part, 2) for part in (head, version, SIZES)) + code
    found += pickle.dumps(sorted(storages) if keys is None else keys, 2)
    for key in sorted(storages):
        found += struct.pack("<q", storages[key].elements) + storages[key].content
    return found


FORMATS: dict[str, Callable[..., bytes]] = {"zip": zipped, "legacy": legacy}


def storage(array: Any, kind: str = "FloatStorage", key: str = "0", **other: Any) -> Storage:
    flat = np.asarray(array, TYPES[kind]).ravel()
    return Storage(kind, flat.tobytes(), flat.size, key, **other)


def tensor(held: Any, size: Any, stride: Any, offset: Any = 0, *more: Any) -> Call:
    return Call(named("torch._utils", "_rebuild_tensor_v2"), (held, offset, size, stride, False, OrderedDict(), *more))


def vector(values: Any, kind: str = "FloatStorage", key: str = "0") -> Call:
    held = storage(values, kind, key)
    return tensor(held, (held.elements,), (1,))


def parameter(inner: Any) -> Call:
    return Call(named("torch._utils", "_rebuild_parameter"), (inner, True, OrderedDict()))


def typed(held: Any, dtype: str, size: Any, stride: Any) -> Call:
    arguments = held, 0, size, stride, False, OrderedDict(), named("torch", dtype)
    return Call(named("torch._utils", "_rebuild_tensor_v3"), arguments)


def read(data: bytes, folder: Path) -> Any:
    path = folder / "model.pt"
    path.write_bytes(data)
    return torch_file.load(path)


@pytest.fixture(params=FORMATS)
def save(request: pytest.FixtureRequest) -> Callable[..., bytes]:
    return FORMATS[request.param]


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_comes_back_bit_for_bit(kind: str, save: Callable[..., bytes], tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 2, 24).astype(TYPES[kind])
    found = read(save({"a": tensor(storage(values, kind), (2, 3, 4), (12, 4, 1))}), tmp_path)["a"]
    assert found.dtype == values.dtype
    assert found.tolist() == values.reshape(2, 3, 4).tolist()
    assert found.flags.writeable
    assert found.flags.c_contiguous


def test_bfloat16_becomes_float32(save: Callable[..., bytes], tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 0.0, np.inf, 2.0**-126, 3.140625], np.float32)
    half = Storage("BFloat16Storage", (values.view(np.uint32) >> 16).astype("<u2").tobytes(), 6, "0")
    found = read(save(tensor(half, (3, 2), (2, 1))), tmp_path)
    assert found.dtype == np.float32
    assert found.tolist() == values.reshape(3, 2).tolist()


def test_views_share_the_memory_of_their_storage(save: Callable[..., bytes], tmp_path: Path) -> None:
    held = storage(np.arange(12.0))
    value = {
        "rows": tensor(held, (3, 4), (4, 1)),
        "columns": tensor(held, (4, 3), (1, 4)),
        "one column": tensor(held, (3,), (4,), 1),
        "one": tensor(held, (), (), 5),
        "expanded": tensor(held, (5, 2), (0, 1), 10),
        "weight": parameter(tensor(held, (2, 2), (4, 1), 6)),
        "alone": tensor(held, (1, 1), (1 << 40, 3), 11),
        "flat": held,
        "other": vector([7.0], key="1"),
    }
    found = read(save(value), tmp_path)
    rows = np.arange(12.0).reshape(3, 4)
    assert found["rows"].tolist() == rows.tolist()
    assert found["columns"].tolist() == rows.T.tolist()
    assert found["one column"].tolist() == [1, 5, 9]
    assert found["one"].shape == ()
    assert found["one"] == 5
    assert found["expanded"].tolist() == [[10, 11]] * 5
    assert found["weight"].tolist() == [[6, 7], [10, 11]]
    assert found["alone"].tolist() == [[11]]
    assert found["flat"].tolist() == list(range(12))
    assert [name for name in found if not np.shares_memory(found[name], found["flat"])] == ["other"]


def test_a_checkpoint_of_a_training_run_is_plain_data(save: Callable[..., bytes], tmp_path: Path) -> None:
    weights = OrderedDict(
        zip(["a.weight", "a.bias"], [vector([1.0, 2.0]), vector([3], "LongStorage", "1")], strict=True)
    )
    metadata = {"_metadata": OrderedDict({"": {"version": 1}})}
    value = {
        "model_pos": Call(OrderedDict, (tuple(weights.items()),), metadata),
        "epoch": 80,
        "lr": np.float64(0.5),
        "size": Call(named("torch", "Size"), ((2, 3),)),
        "device": [Call(named("torch", "device"), ("cuda", 1)), Call(named("torch", "device"), ("cpu",))],
        "milestones": Call(Counter, ({3: 1},)),
        "empty": tensor(storage([], key="2"), (0, 3), (3, 1)),
        "array": np.arange(3),
        "optimizer": {"state": {140: {"step": 4, "exp_avg": vector([0.5], key="3")}}, "param_groups": [{"lr": 1e-3}]},
    }
    found = read(save(value), tmp_path)
    assert list(found["model_pos"]) == ["a.weight", "a.bias"]
    assert found["model_pos"]["a.weight"].tolist() == [1, 2]
    assert found["model_pos"]["a.bias"].tolist() == [3]
    assert not vars(found["model_pos"])
    assert (found["epoch"], found["lr"], found["size"]) == (80, 0.5, (2, 3))
    assert found["device"] == ["cuda:1", "cpu"]
    assert found["milestones"] == {3: 1}
    assert found["empty"].shape == (0, 3)
    assert found["array"].tolist() == [0, 1, 2]
    assert found["optimizer"]["state"][140]["exp_avg"].tolist() == [0.5]


def test_older_and_newer_ways_to_write_a_tensor(tmp_path: Path) -> None:
    values = np.array([1, 1 << 15, 65_535], "<u2")
    untyped = Storage("UntypedStorage", values.tobytes(), 6, "0", module="torch.storage")
    old = Call(named("torch._utils", "_rebuild_tensor"), (storage([1, 2], key="1"), 0, (2,), (1,)))
    state = Call(named("torch._utils", "_rebuild_parameter_with_state"), (old, True, OrderedDict(), {"a": 1}))
    found = read(zipped([typed(untyped, "uint16", (3,), (1,)), old, state, untyped]), tmp_path)
    assert found[0].dtype == np.uint16
    assert [array.tolist() for array in found[:3]] == [values.tolist(), [1, 2], [1, 2]]
    assert found[3].tobytes() == values.tobytes()


@pytest.mark.parametrize("order", [b"little", b"big", None])
def test_the_byte_order_is_that_of_its_record(order: bytes | None, tmp_path: Path) -> None:
    sign = ">" if order == b"big" else "<"
    values = np.array([1.5, -2.0], np.float32)
    half = Storage("BFloat16Storage", (values.view(np.uint32) >> 16).astype(f"{sign}u2").tobytes(), 2, "0")
    numbers = Storage("IntStorage", np.array([1, -70_000], f"{sign}i4").tobytes(), 2, "1")
    untyped = Storage("UntypedStorage", np.array([1, 258], f"{sign}u2").tobytes(), 4, "2", module="torch.storage")
    value = [tensor(half, (2,), (1,)), tensor(numbers, (2,), (1,)), typed(untyped, "uint16", (2,), (1,))]
    found = read(zipped(value, order=order), tmp_path)
    assert [array.tolist() for array in found] == [[1.5, -2.0], [1, -70_000], [1, 258]]


def test_parts_of_storages_in_old_files(tmp_path: Path) -> None:
    whole = storage(np.arange(6.0), part=(None,))
    part = storage(np.arange(6.0), part=(("7", 2, 3),))
    found = read(legacy([tensor(whole, (6,), (1,)), tensor(part, (2,), (2,))]), tmp_path)
    assert [array.tolist() for array in found] == [[0, 1, 2, 3, 4, 5], [2, 4]]


def test_what_follows_a_storage_of_an_old_file_stays_in_step(tmp_path: Path) -> None:
    values = {kind: np.arange(n) % 100 for n, kind in enumerate(TYPES, start=9)}
    found = read(legacy({kind: vector(array, kind, kind) for kind, array in values.items()}), tmp_path)
    for kind, array in values.items():
        assert found[kind].tolist() == array.astype(TYPES[kind]).tolist()


STATE = np.random.RandomState(5).get_state(legacy=True)
RANDOM = {
    "NumPy 1.16": Call(named("numpy.random", "__RandomState_ctor"), (), STATE),
    "NumPy 1.17": Call(
        named("numpy.random._pickle", "__randomstate_ctor"),
        ("MT19937",),
        np.random.RandomState(5).get_state(legacy=False),
    ),
    "here": np.random.RandomState(5),
}


@pytest.mark.parametrize("version", RANDOM)
def test_a_random_state_is_plain_data_that_continues_the_run(
    version: str, save: Callable[..., bytes], tmp_path: Path
) -> None:
    found = read(save({"random_state": RANDOM[version]}), tmp_path)["random_state"]
    assert isinstance(found, dict)
    assert isinstance(found["state"]["key"], np.ndarray)
    again = np.random.RandomState(1)
    again.set_state(found)
    assert again.randint(1 << 30, size=9).tolist() == np.random.RandomState(5).randint(1 << 30, size=9).tolist()


def test_a_random_state_in_a_plain_pickle_is_data_too(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(np.random.RandomState(5)))
    assert pickles.load(path)["bit_generator"] == "MT19937"
    path.write_bytes(pickled(Call(named("numpy.random", "__RandomState_ctor"), (), (1, 2)))[0])
    with pytest.raises(HarBenchError, match="holds a random state that is malformed"):
        pickles.load(path)


def test_an_attribute_cannot_hide_a_method_of_an_ordered_dict(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickled(Call(OrderedDict, (), {"items": 3}))[0])
    assert list(pickles.load(path).items()) == []


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_what_torch_itself_writes(new: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(24.0).reshape(4, 6)
    model = torch.nn.Sequential(torch.nn.Conv1d(3, 4, 3), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    model(torch.ones(2, 3, 5)).sum().backward()
    optimizer.step()
    value = {
        "views": [base, base.t(), base[1:, ::2], base[2, 3], base[:1].expand(3, 6), torch.empty(0, 3)],
        "types": [base.to(getattr(torch, name)) for name in ("float16", "float64", "int8", "bool", "complex64")],
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "parameter": torch.nn.Parameter(base),
        "bfloat16": base.bfloat16(),
        "size": base.size(),
        "random_state": np.random.RandomState(5),
    }
    if new:
        value["unsigned"] = torch.tensor([1, 65_535]).to(torch.uint16)
    path = tmp_path / "real.pt"
    torch.save(value, path, _use_new_zipfile_serialization=new)
    found = torch_file.load(path)
    assert found["bfloat16"].tolist() == base.tolist()
    assert found["size"] == (4, 6)

    def assert_same(one: Any, other: Any) -> None:
        if isinstance(other, torch.Tensor):
            expected = other.detach().numpy()
            assert (one.dtype, one.shape, one.tolist()) == (expected.dtype, expected.shape, expected.tolist())
        elif isinstance(other, dict):
            assert list(one) == list(other)
            for key in other:
                assert_same(one[key], other[key])
        elif isinstance(other, list):
            assert len(one) == len(other)
            for left, right in zip(one, other, strict=True):
                assert_same(left, right)
        else:
            assert one == other

    for name in set(value) - {"bfloat16", "random_state", "size"}:
        assert_same(found[name], value[name])


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
