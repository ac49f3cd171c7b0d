"""Files of torch come back bit for bit, without torch and without running anything."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.foreign import torch_file
from tests.hub.torch_writing import (
    RANDOM,
    TYPES,
    Call,
    Storage,
    legacy,
    named,
    parameter,
    read,
    storage,
    tensor,
    typed,
    vector,
    zipped,
)


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


def test_a_configuration_beside_the_weights_is_passed_over(tmp_path: Path) -> None:
    """Nothing of it is imported, and a text says that it was there."""
    kind = named("typing", "Any"), named("builtins", "int")
    node = Call(named("omegaconf.nodes", "IntegerNode"), (), {"_val": 3, "_kinds": list(kind)})
    cfg = Call(named("omegaconf.dictconfig", "DictConfig"), (), {"_content": {"depth": node}})
    kept = Call(named("lightning.fabric.utilities.data", "AttributeDict"), ())
    found = read(zipped({"cfg": cfg, "kept": kept, "w": vector([1.0, 2.0])}), tmp_path)
    assert found["cfg"] == "settings, which were not read"
    assert (found["kept"], found["w"].tolist()) == ({}, [1, 2])
