"""Weights: what is written is read; published files are read as they are; what does not fit is named."""

from __future__ import annotations

import os
import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.numpy")

from har_bench.training import weights  # noqa: E402

SOURCE = "net.bin"


def network(width: int = 4, outputs: int = 2) -> Any:
    return torch.nn.Sequential(
        OrderedDict(
            expand=torch.nn.Conv1d(3, width, 3, bias=False),
            bn=torch.nn.BatchNorm1d(width),
            shrink=torch.nn.Conv1d(width, outputs, 1),
        )
    )


def arrays(model: Any) -> dict[str, Any]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def assert_same(model: Any, state: Any) -> None:
    mine = arrays(model)
    assert mine.keys() == state.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, state[name], strict=True)


def published(**changes: Any) -> dict[str, Any]:
    """A checkpoint as VideoPose3D saves it, after a step of training."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    model(torch.randn(2, 3, 5)).sum().backward()
    optimizer.step()
    return {
        "epoch": 80,
        "lr": 1.7e-5,
        "random_state": np.random.RandomState(1234),
        "optimizer": optimizer.state_dict(),
        "model_pos": model.state_dict(),
        "model_traj": network(outputs=1).state_dict(),
        "random_state_semi": None,
        **changes,
    }


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    models = {"model_pos": network(), "model_traj": network(outputs=1)}
    options = {"arc": [3, 3, 3], "causal": True, "note": "ö"}
    weights.write(path, models, options)
    assert list(tmp_path.iterdir()) == [path]
    found = weights.read(path)
    assert (found.path, found.options, found.extra) == (path, options, {})
    assert list(found.models) == list(models)
    for name, model in models.items():
        assert_same(model, found.models[name])
        other = network(outputs=model.shrink.out_channels)
        weights.fill(other, found.models[name], str(path))
        assert_same(other, arrays(model))


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    model = network()
    for name in ("a", "b"):
        weights.write(tmp_path / name, {"model": model}, {"x": 1, "y": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_writing_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"before")
    with pytest.raises(TypeError):
        weights.write(path, {"model": network()}, {"model": network()})
    assert [(each, each.read_bytes()) for each in tmp_path.iterdir()] == [(path, b"before")]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("trajectory", [True, None, False], ids=["with", "none", "absent"])
def test_published_files_are_read_as_they_are(tmp_path: Path, zipped: bool, trajectory: bool | None) -> None:
    content = published()
    if trajectory is None:
        content["model_traj"] = None
    elif not trajectory:
        del content["model_traj"]
    path = tmp_path / "pretrained.bin"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = weights.read(path)
    assert list(found.models) == ["model_pos", "model_traj"][: 2 if trajectory else 1]
    assert (found.options, found.extra) == ({}, {"epoch": 80, "lr": 1.7e-5})
    model = network()
    weights.fill(model, found.models["model_pos"], str(path))
    assert_same(model, {name: tensor.numpy() for name, tensor in content["model_pos"].items()})


def test_bare_state_dicts_have_no_name(tmp_path: Path) -> None:
    state = network().state_dict()
    torch.save(state, tmp_path / "a")
    safetensors.save_file({name: tensor.numpy() for name, tensor in state.items()}, tmp_path / "b")
    for name in ("a", "b"):
        found = weights.read(tmp_path / name)
        assert (list(found.models), found.options, found.extra) == ([""], {}, {})
        model = network()
        weights.fill(model, found.models[""], name)
        assert_same(model, {key: tensor.numpy() for key, tensor in state.items()})


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    for zipped in (True, False):
        path = tmp_path / "hostile.bin"
        torch.save(published(random_state=Hostile()), path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(HarBenchError, match=r"hostile\.bin .*mkdir"):
            weights.read(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"weights", b"\x10" + bytes(7) + b"{" + bytes(20), pickle.dumps([1, 2])])
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=re.escape(str(path))):
        weights.read(path)
    with pytest.raises(HarBenchError, match="cannot be read"):
        weights.read(tmp_path / "absent")


@pytest.mark.parametrize("content", [{"epoch": 1, "model_pos": None}, [1, 2], {}])
def test_a_checkpoint_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "empty.bin"
    torch.save(content, path)
    with pytest.raises(HarBenchError, match="holds no weights of a model"):
        weights.read(path)


@pytest.mark.parametrize("options", ["[1]", "no json", "[" * 100_000])
def test_options_that_are_no_mapping_are_refused(tmp_path: Path, options: str) -> None:
    path = tmp_path / "file"
    safetensors.save_file({"model/x": np.zeros(1)}, path, metadata={"options": options})
    with pytest.raises(HarBenchError, match="file"):
        weights.read(path)


def test_counters_of_batches_may_be_absent() -> None:
    model, given = network(), network()
    given(torch.randn(2, 3, 5))
    state = arrays(given)
    del state["bn.num_batches_tracked"]
    weights.fill(model, state, SOURCE)
    del (mine := arrays(model))["bn.num_batches_tracked"]
    for name, array in mine.items():
        np.testing.assert_array_equal(array, state[name])


def test_models_of_several_gpus_fit() -> None:
    model, given = network(), arrays(network())
    weights.fill(model, {f"module.{name}": array for name, array in given.items()}, SOURCE)
    assert_same(model, given)


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "model.module."]
)
@pytest.mark.parametrize("wrapped", [None, "state_dict", "model", "model_pos"])
def test_prefixes_that_others_put_before_every_name_are_left_out(
    prefix: str, wrapped: str | None, tmp_path: Path
) -> None:
    given = network()
    state = {f"{prefix}{name}": tensor for name, tensor in given.state_dict().items()}
    torch.save(state if wrapped is None else {wrapped: state, "epoch": 3}, tmp_path / "w.bin")
    found = weights.read(tmp_path / "w.bin")
    name = "model_pos" if wrapped == "model_pos" else ""
    assert list(found.models) == [name]
    assert list(found.models[name]) == list(given.state_dict())
    model = network()
    weights.fill(model, found.models[name], SOURCE)
    assert_same(model, arrays(given))


def test_a_compiled_layer_is_the_layer() -> None:
    model, given = network(), arrays(network())
    weights.fill(model, {name.replace("shrink.", "shrink._orig_mod."): array for name, array in given.items()}, SOURCE)
    assert_same(model, given)


def test_a_prefix_that_the_model_has_itself_stays() -> None:
    model = torch.nn.ModuleDict({"model": network()})
    given = arrays(torch.nn.ModuleDict({"model": network()}))
    weights.fill(model, given, SOURCE)
    assert_same(model, given)


def test_a_filled_model_owns_its_weights() -> None:
    model, given = network(), arrays(network())
    weights.fill(model, given, SOURCE)
    for array in given.values():
        array[...] = 7
    assert not (model.expand.weight == 7).any()


def test_what_does_not_fit_is_named_and_nothing_is_copied() -> None:
    model, state = network(), arrays(network(width=5))
    before = arrays(model)
    for name in ("shrink.bias", "bn.weight"):
        del state[name]
    state |= {f"layers.{index}.weight": np.zeros((2, 2)) for index in range(5)}
    with pytest.raises(HarBenchError) as caught:
        weights.fill(model, state, SOURCE)
    assert str(caught.value) == (
        "net.bin does not fit the model (80 parameters where it needs 54): it lacks bn.weight, shrink.bias; "
        "it has besides layers.0.weight, layers.1.weight, layers.2.weight and 2 more; "
        "it has other shapes for expand.weight (5, 3, 3) where (4, 3, 3) is needed, "
        "bn.bias (5,) where (4,) is needed, bn.running_mean (5,) where (4,) is needed and 2 more; "
        "give the options that the weights were made with"
    )
    assert_same(model, before)


def test_counts_are_told_only_where_they_differ() -> None:
    state = arrays(network())
    state["other.bias"] = state.pop("shrink.bias")
    with pytest.raises(HarBenchError, match=r"does not fit the model: it lacks shrink\.bias; it has besides other"):
        weights.fill(network(), state, SOURCE)


def test_only_what_training_changes_is_counted() -> None:
    model = network()
    assert weights.count(model) == 36 + 8 + 10
    model.expand.requires_grad_(False)
    assert weights.count(model) == 8 + 10
