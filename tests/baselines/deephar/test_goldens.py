"""deephar's networks against the outputs of the original program, with weights of its Keras files."""

import gzip
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from har_bench.baselines.deephar.architecture import Architecture, told_by
from har_bench.baselines.deephar.keras_file import KerasFile, load
from har_bench.baselines.deephar.keras_names import Tensor, places
from har_bench.baselines.deephar.layers import Network
from har_bench.baselines.deephar.published import ARCHITECTURES
from har_bench.errors import Malformed
from tests.golden import REAL

FOLDER = REAL / "models/deephar"
CASES = [path.name.partition(".")[0] for path in sorted(FOLDER.glob("*.meta.json.gz"))]
MAPS = [path.name.partition(".")[0] for path in sorted(FOLDER.glob("weight_maps/*.torchmap.json.gz"))]

pytestmark = pytest.mark.real


def read(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))


def built(architecture: Architecture) -> Network:
    return architecture.build().eval()


def numbers_in(model: Network) -> int:
    """As Keras counts them: with statistics and what is frozen."""
    return sum(each.numel() for name, each in model.state_dict().items() if not name.endswith("num_batches_tracked"))


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_the_original_program(case: str) -> None:
    meta = read(FOLDER / f"{case}.meta.json.gz")
    golden = np.load(FOLDER / f"{case}.io.npz")
    file = FOLDER / meta.get("weights_file", f"{case}.weights.h5")
    architecture = told_by(KerasFile(file).groups, "cvpr18" if case.endswith("_cvpr") else "master")
    model = built(architecture)
    assert numbers_in(model) == meta["params"]
    load(model, file)
    images = (torch.tensor(golden["x_u8"]).movedim(-1, -3) / 255 - 0.5) * 2
    with torch.no_grad():
        found = model(images)
    poses, logits = (found, []) if isinstance(found, list) else found
    expected = [golden[name] for name in sorted(golden) if name.startswith("out_")]
    made = [part for pose in poses for part in parts(pose, expected[0].shape[-1], architecture.shape.dims)]
    made += [each.softmax(dim=-1) for each in logits]
    assert len(made) == len(expected)
    for ours, theirs in zip(made, expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.weights.h5")), ids=lambda path: path.name.partition(".")[0])
def test_tensors_without_names_are_told_by_their_order(file: Path, tmp_path: Path) -> None:
    """Each group of a file of the original program with its tensors called Variable_0 and so on."""
    erased = tmp_path / "erased.h5"
    with h5py.File(file) as named, h5py.File(erased, "w") as nameless:
        for group in named:
            made = nameless.create_group(group)
            names = [f"Variable_{number}:0" for number in range(len(named[group].attrs["weight_names"]))]
            for name, old in zip(names, named[group].attrs["weight_names"], strict=True):
                made[name] = named[group][old][()]
            made.attrs["weight_names"] = [name.encode() for name in names]
        nameless.attrs["layer_names"] = named.attrs["layer_names"]
    original, without = KerasFile(file), KerasFile(erased)
    with torch.device("meta"):
        model = built(told_by(original.groups))
    expected, found = original.state(model), without.state(model)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)
    with pytest.raises(Malformed, match=r"names none of its tensors") as told:
        told_by(without.groups)
    assert told.value.remedy.endswith("--set architecture=NAME")


def parts(pose: torch.Tensor, width: int, dims: int) -> list[torch.Tensor]:
    """A pose as the original gives it: places and visibility as one, or one after the other."""
    return [pose] if width == dims + 1 else [pose[..., :dims], pose[..., dims:]]


@pytest.mark.parametrize("case", MAPS)
def test_published_weight_maps_cover_every_tensor(case: str) -> None:
    listing = read(FOLDER / f"weight_maps/{case}.json.gz")
    with torch.device("meta"):
        model = built(ARCHITECTURES[case])
    assert numbers_in(model) == listing["params"]
    groups: dict[str, dict[str, dict[str, tuple[int, ...]]]] = {}
    shapes = {}
    rows = iter(read(FOLDER / f"weight_maps/{case}.torchmap.json.gz")["rows"])
    for group, _, tensors in listing["groups"]:
        for (name, shape), row in zip(tensors, rows, strict=False):
            layer, _, tensor = name.partition(":")[0].partition("/")
            groups.setdefault(group, {}).setdefault(layer, {})[tensor] = tuple(shape)
            shapes[group, layer, tensor] = tuple(row[-1])
    state = model.state_dict()
    found = places(groups, model)
    assert set(found) == {name for name in state if not name.endswith("num_batches_tracked")}
    for name, tensor in found.items():
        assert shapes[tensor] == tuple(state[name].shape), name
    assert told_by(groups) == ARCHITECTURES[case]
    erased, written = {}, {}
    for group, _, tensors in listing["groups"]:
        erased[group] = {"Variable": {str(at): tuple(shape) for at, (_, shape) in enumerate(tensors)}}
        for at, (name, _) in enumerate(tensors):
            layer, _, tensor = name.partition(":")[0].partition("/")
            written[Tensor(group, layer, tensor)] = Tensor(group, "Variable", str(at))
    assert places(erased, model) == {name: written[tensor] for name, tensor in found.items()}, "in their order too"
