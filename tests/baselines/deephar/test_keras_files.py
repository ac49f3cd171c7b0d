"""Keras files of deephar's networks: written here as Keras writes them, and told apart from others."""

from __future__ import annotations

import json
import random
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from har_bench import HarBenchError
from har_bench.baselines.deephar import weighing
from har_bench.baselines.deephar.architecture import Architecture
from har_bench.baselines.deephar.keras_names import layers_of
from har_bench.baselines.deephar.keras_order import in_order
from har_bench.baselines.deephar.layers import Network, Norm, Separable
from har_bench.baselines.deephar.soft_argmax import Frozen
from tests.baselines.deephar.networks import MERGE, RECEPTION, SPNET, drawn

KINDS = {"sep": "separable_conv2d", "norm": "batch_normalization", "other": "conv2d"}


def write(path: Path, model: Network, *, pieces: bool = False, inside: str = "", first: int = 7) -> Path:
    """A network as Keras saves it: names that were counted go on from ``first``, tensors come in any order."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        names, counter, seen = [], Counter[str](), Counter[str]()
        for name, parts in model.groups().items():
            group = root.create_group(rename(name, first))
            names.append(rename(name, first))
            tensors = {}
            for part in parts:
                for layer, module in layers_of(part):
                    kind = kind_of(module)
                    counter[kind] += 1
                    called = layer if "sepconv" in layer else f"{KINDS[kind]}_{counter[kind] + first}"
                    if called == layer:
                        seen[layer] += 1
                        called = layer if seen[layer] == 1 else f"{layer}_{seen[layer] - 1}"
                    for tensor, array in keras(module).items():
                        tensors[f"{called}/{tensor}:0"] = array
            listed = list(tensors)
            random.Random(1).shuffle(listed)
            for each in listed:
                group.create_dataset(each, data=tensors[each])
            group.attrs["weight_names"] = [each.encode() for each in listed]
        if pieces:
            half = len(names) // 2
            root.attrs["layer_names0"], root.attrs["layer_names1"] = (
                [name.encode() for name in each] for each in (names[:half], names[half:])
            )
        else:
            root.attrs["layer_names"] = [name.encode() for name in names]
    return path


def rename(name: str, first: int) -> str:
    """As Keras would call a group in a process in which other networks were made before."""
    if act := re.fullmatch(r"act(\d+)_(.*)", name):
        return f"act{int(act[1]) + first}_{act[2]}"
    if name.startswith("HeatmapWeight"):
        return f"separable_conv2d_{first + (name.endswith('visual'))}"
    return f"td_{name}" if name in ("Stem", "rBlock1", "Model1") else name


def keras(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """The tensors of a layer as Keras has them."""
    state = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    if isinstance(module, Norm):
        known = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        return {known[name]: array for name, array in state.items() if name in known}
    if isinstance(module, Separable | Frozen):
        depthwise, pointwise = list(state.values())
        return {
            "depthwise_kernel": depthwise.transpose(2, 3, 0, 1),
            "pointwise_kernel": pointwise.transpose(2, 3, 1, 0),
        }
    (kernel,) = state.values()
    return {"kernel": kernel.transpose(*range(2, kernel.ndim), 1, 0)}


@pytest.mark.parametrize("architecture", [RECEPTION, MERGE, SPNET], ids=["reception", "merge", "spnet"])
@pytest.mark.parametrize("form", [{}, {"pieces": True}, {"inside": "model_weights", "first": 0}], ids=str)
def test_a_network_comes_back_from_its_file(
    architecture: Architecture, form: dict[str, object], tmp_path: Path
) -> None:
    model = drawn(architecture)
    loaded = weighing.load(write(tmp_path / "weights.h5", model, **form))  # type: ignore[arg-type]
    assert loaded.architecture == architecture
    assert loaded.layout == "mpii-pa16"
    for name, tensor in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(loaded.model.state_dict()[name], tensor, rtol=0, atol=0)


CLASSES = {"sep": "SeparableConv2D", "norm": "BatchNormalization", "other": "Conv2D"}


def kind_of(module: torch.nn.Module) -> str:
    return "sep" if isinstance(module, Separable | Frozen) else "norm" if isinstance(module, Norm) else "other"


def write_three(path: Path, model: Network, *, named: bool = True) -> dict[str, Any]:
    """A network as Keras 3 saves its weights: tensors are numbered, and their layers' names are attributes, or not.

    Returns:
        The model's configuration.
    """
    made, counter = Made(), Counter[str]()
    with h5py.File(path, "w") as file:
        file.create_group("optimizer/vars")["0"] = np.int64(7)
        for group, parts in model.groups().items():
            layers = [(layer, module) for part in parts for layer, module in layers_of(part)]
            if len(layers) == 1 and not layers[0][0]:
                made.add(file, "layers", "layers", group, layers[0][1], named=named)
                continue
            at, inner = made.model(file, group, named=named)
            for layer, module in layers:
                counter[kind_of(module)] += 1
                called = f"{KINDS[kind_of(module)]}_{counter[kind_of(module)] + 7}"
                made.add(file, f"{at}/layers", inner, layer if "sepconv" in layer else called, module, named=named)
    return {"class_name": "Functional", "config": {"name": "deephar", "layers": made.configs["layers"]}}


class Made:
    """Counts classes in each model, as Keras does, and keeps what the configuration says of them."""

    def __init__(self) -> None:
        self.counted = Counter[tuple[str, str]]()
        self.configs: dict[str, list[dict[str, Any]]] = {"layers": []}
        self.seen = Counter[str]()

    def place(self, at: str, called: str) -> str:
        number = self.counted[at, called]
        self.counted[at, called] += 1
        return f"{at}/{called}_{number}" if number else f"{at}/{called}"

    def model(self, file: h5py.File, name: str, *, named: bool) -> tuple[str, str]:
        """A model within the model, whose layers are applied to every frame: a layer with a layer."""
        at, frames = self.place("layers", "time_distributed"), f"td_{name}"
        for place, called in ((at, frames), (f"{at}/layer", name)):
            held = file.create_group(f"{place}/vars")
            if named:
                held.attrs["name"] = called
        self.configs[name] = []
        inner = {"class_name": "Functional", "config": {"name": name, "layers": self.configs[name]}}
        self.configs["layers"].append({"class_name": "TimeDistributed", "config": {"name": frames, "layer": inner}})
        return f"{at}/layer", name

    def add(self, file: h5py.File, at: str, listed: str, name: str, module: torch.nn.Module, *, named: bool) -> None:
        self.seen[name] += 1
        called = name if self.seen[name] == 1 else f"{name}_{self.seen[name] - 1}"
        held = file.create_group(self.place(at, KINDS[kind_of(module)]) + "/vars")
        for number, array in enumerate(keras(module).values()):
            held[str(number)] = array
        if named:
            held.attrs["name"] = called
        self.configs[listed].append({"class_name": CLASSES[kind_of(module)], "config": {"name": called}})


@pytest.mark.parametrize("architecture", [RECEPTION, MERGE, SPNET], ids=["reception", "merge", "spnet"])
def test_a_network_comes_back_from_what_keras_3_writes(architecture: Architecture, tmp_path: Path) -> None:
    """Weights with the layers' names beside them; a whole model, whose configuration names them; weights without."""
    model = drawn(architecture)
    write_three(tmp_path / "named.weights.h5", model)
    config = write_three(tmp_path / "model.weights.h5", model, named=False)
    with zipfile.ZipFile(tmp_path / "whole.keras", "w") as archive:
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", "{}")
    for name in ("named.weights.h5", "whole.keras"):
        loaded = weighing.load(tmp_path / name)
        assert loaded.architecture == architecture
        for place, tensor in model.state_dict().items():
            if not place.endswith("num_batches_tracked"):
                torch.testing.assert_close(loaded.model.state_dict()[place], tensor, rtol=0, atol=0)
    with pytest.raises(HarBenchError, match=r"model\.weights\.h5 does not say what its layers are called.*as \.keras"):
        weighing.load(tmp_path / "model.weights.h5")


def test_damaged_archives_of_keras_3_are_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "whole.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", b"\x89HDF")
    with pytest.raises(HarBenchError, match=r"whole\.keras holds no config\.json; give what Keras wrote"):
        weighing.load(path)
    for config in (b"{", b"[1]", json.dumps({"config": {"layers": [3, {"config": {"layers": 7}}]}}).encode()):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model.weights.h5", b"\x89HDF")
            archive.writestr("config.json", config)
        with pytest.raises(HarBenchError, match=r"; "):
            weighing.load(path)


def test_tensors_without_names_come_layer_by_layer_or_the_trained_ones_first() -> None:
    """As Keras and as TensorFlow's Keras list those of a model: the scales of a block, from the farthest by hand."""
    scales = drawn(RECEPTION).get_submodule("trunk.scales.0")
    units = ["narrow", *(f"sepconv_l{each}" for each in ("2_1", "3_1", "3_2", "3_3", "2_2"))]
    order = [f"{unit}.{layer}" for unit in units for layer in ("conv", "norm")]
    order += [f"sepconv_l2_3.{layer}" for layer in ("shortcut.conv", "conv", "shortcut.norm", "norm")]
    own = [keras(scales.get_submodule(name)) for name in (*order, "sepconv_l1.conv", "sepconv_l1.norm")]
    trained = [array for each in own for name, array in each.items() if "moving" not in name]
    rest = [array for each in own for name, array in each.items() if "moving" in name]
    for arrays in ([*trained, *rest], [array for each in own for array in each.values()]):
        found = in_order({"Variable": {str(at): array.shape for at, array in enumerate(arrays)}}, [scales])
        assert len(found) == len(arrays)
        for at, array in enumerate(arrays):
            place = found["Variable", str(at)]
            assert np.array_equal(keras(place.layer)[place.tensor], array)


def test_a_file_of_another_network_is_refused_and_what_differs_is_told(tmp_path: Path) -> None:
    """So it went for whoever loaded weights of 2018 into the network of 2020."""
    path = write(tmp_path / "weights.h5", drawn(MERGE))
    with pytest.raises(HarBenchError, match=r"weights\.h5 does not fit the model.*parameters where it needs.*lacks"):
        weighing.load(path, expected=SPNET)
    with pytest.raises(HarBenchError, match=r"has other shapes for heads\.pose"):
        weighing.load(path, expected=Architecture(MERGE.reception, MERGE.heads and type(MERGE.heads)(60)))


def test_what_is_no_file_of_deephar_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.zeros(3)
    with pytest.raises(HarBenchError, match="no layer_names"):
        weighing.load(path)
    with h5py.File(path, "w") as file:
        file.create_group("dense_1")["dense_1/kernel:0"] = np.zeros((2, 3))
        file["dense_1"].attrs["weight_names"] = [b"dense_1/kernel:0"]
        file.attrs["layer_names"] = [b"dense_1"]
    with pytest.raises(HarBenchError, match="none of deephar's networks"):
        weighing.load(path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"gone"]
    with pytest.raises(HarBenchError, match=r"names the layer 'gone'.*complete"):
        weighing.load(path)


def test_names_that_are_damaged_are_told_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("dense_1").attrs["weight_names"] = 7
        file.attrs["layer_names"] = [b"dense_1"]
    with pytest.raises(HarBenchError, match=r"weights\.h5 is damaged \(.*; give what Keras wrote"):
        weighing.load(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"layer_names\0", b"layer\xff\xffames\0"))
    with pytest.raises(HarBenchError, match=r"weights\.h5 .*; give what Keras wrote"):
        weighing.load(path)


def test_texts_among_the_attributes_do_not_send_hdf5_round_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", ["dense_1"], dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 16] = bytes(16)  # free space of no size
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=r"weights\.h5 is damaged \(the heap at byte \d+\); "):
        weighing.load(path)


def test_names_that_claim_more_than_there_is_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", ["x" * 777], dtype=h5py.string_dtype())
    content = path.read_bytes()
    at = content.index(b"layer_names\0")
    length = content.index((777).to_bytes(4, "little"), at)
    path.write_bytes(content[:length] + b"\xff" * 4 + content[length + 4 :])
    with pytest.raises(HarBenchError, match=r"weights\.h5 claims 4,294,967,295 bytes of texts in 'layer_names'; "):
        weighing.load(path)


def test_names_that_became_sequences_do_not_end_the_process(tmp_path: Path) -> None:
    """HDF5 follows the places of damaged sequences, wherever they lead."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs.create("layer_names", ["dense_1"], dtype=h5py.string_dtype("ascii"))
    content = bytearray(path.read_bytes())
    kind = content.index(b"layer_names\0") + 16  # class and version of its type, then whether it is text
    assert content[kind : kind + 2] == b"\x19\x01"
    content[kind + 1] = 57
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=r"weights\.h5 holds object as 'layer_names' where numbers"):
        weighing.load(path)


def test_a_tensor_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    for wrong in ("group", "text of varying length"):
        with h5py.File(path, "w") as file:
            group = file.create_group("dense_1")
            if wrong == "group":
                group.create_group("kernel:0")
            else:
                group.create_dataset("kernel:0", (1,), dtype=h5py.vlen_dtype(np.uint8))
            group.attrs["weight_names"] = [b"kernel:0"]
            file.attrs["layer_names"] = [b"dense_1"]
        with pytest.raises(
            HarBenchError, match=r"weights\.h5 (has a group for the tensor dense_1/kernel:0|holds object)"
        ):
            weighing.load(path)


@pytest.mark.parametrize("how", ["layers", "tensors", "links", "links of Keras 3"])
def test_a_tensor_that_is_named_again_and_again_is_paid_for_every_time(how: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        home = file.create_group("layers/dense/vars" if how == "links of Keras 3" else "dense")
        home.create_dataset("0", (1 << 20,), np.float32, chunks=(1 << 16,), compression="gzip")
        if how == "links of Keras 3":
            home.attrs["name"] = "dense"
            for number in range(1, 100):
                home[f"{number}"] = home["0"]
        else:
            home.attrs["weight_names"] = [b"0"] * (100 if how == "tensors" else 1)
            names = [f"dense{number}" for number in range(100)] if how == "links" else ["dense"] * 100
            for name in set(names) - {"dense"}:
                file[name] = home
            file.attrs["layer_names"] = np.array(names, "S")
    with pytest.raises(HarBenchError, match=r"weights\.h5 unfolds into more than the [\d,]+ bytes"):
        weighing.load(path)


def test_layers_that_only_a_longer_network_has_are_left_out(tmp_path: Path) -> None:
    """Keras keeps what feeds the next block; the last block of a network has none."""
    model = drawn(SPNET)
    path = write(tmp_path / "weights.h5", model, first=0)
    last = "up2_pb0_heatmaps_fw_maps"
    with h5py.File(path, "a") as file:
        file.create_group(last)["conv2d_9/kernel:0"] = np.zeros((1, 1, 24, 16), np.float32)
        file[last].attrs["weight_names"] = [b"conv2d_9/kernel:0"]
        file.attrs["layer_names"] = [*(np.bytes_(name) for name in file.attrs["layer_names"]), last.encode()]
    assert weighing.load(path).architecture == SPNET
