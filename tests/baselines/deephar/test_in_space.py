"""Poses in space about the true root: a network that says the truth of a crop is right to the millimetre."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import har_bench
from har_bench.baselines.deephar import Deephar, weighing
from har_bench.baselines.deephar.data.boxes import of_root
from har_bench.baselines.deephar.in_space import AboutRoots
from har_bench.baselines.deephar.layers import Network
from har_bench.baselines.deephar.seeing import Places, Seeing
from har_bench.protocol import make_protocol
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.baselines.deephar.networks import SPNET, loaded
from tests.pictures import save
from tests.sampled import sampled

pytest.importorskip("av")

PROTOCOL = "h36m/mpjpe:deephar,subjects=S9,cameras=54138969"
SIZE = 64


class Told(Network):
    """Says one pose, whatever it sees; a second block says that all is in the middle."""

    def __init__(self, pose: np.ndarray) -> None:
        super().__init__()
        self.pose = nn.Parameter(torch.tensor(pose, dtype=torch.float64))

    def poses(self, images: torch.Tensor, blocks: int = 0) -> list[torch.Tensor]:
        said = [torch.full_like(self.pose, 0.5), self.pose]
        return [each[None].expand(len(images), -1, -1).double() for each in said[: blocks or None]]

    def groups(self) -> dict[str, list[nn.Module]]:
        return {}


@pytest.fixture(scope="module")
def h36m(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path, str]:
    """The sample of Human3.6M, and the first frames of some videos, as folders of pictures; no other is scored."""
    home = tmp_path_factory.mktemp("h36m")
    store = sampled("h36m", home)
    chosen = make_protocol(PROTOCOL).select(store.sequences).to_pylist()
    for info in chosen:
        save(home / "raw" / info["media"] / "0.png", [(400, 300, 150, 400)], (info["width"], info["height"]))
    return store, home / "raw", chosen[0]["sequence"]


def test_the_truth_of_a_crop_becomes_the_truth_in_space(h36m: tuple[Store, Path, str]) -> None:
    store, images, name = h36m
    view = store.sequence(name)
    order = mapping(skeleton("h36m32"), skeleton("h36m-pa17"))
    body = order.points(view.keypoints_3d[:1].astype(np.float64))[0]
    info = view.info
    camera = store.camera(info["camera"], info["subject"])
    pixels = np.concatenate([camera.project(body), body[:, 2:]], axis=-1)
    focal = (float(camera.f[0]), float(camera.f[1]))
    seen = of_root((info["width"], info["height"]), focal, pixels[None], 1.0)
    low, high = np.trunc(seen.box[:2]), np.trunc(seen.box[:2] + seen.box[2:])
    flat = (pixels[:, :2] - low) / (high - low)
    deep = (pixels[:, 2:] - pixels[0, 2]) / 2000 + 0.5
    pose = np.concatenate([flat, deep, np.ones((17, 1))], axis=-1)

    seeing = Seeing(Told(pose), torch.device("cpu"), "float32")
    places = Places(seeing, SIZE, skeleton("h36m-pa17").flip, workers=1)
    middle, last = next(AboutRoots(places, store, images).predictions(make_protocol(PROTOCOL), "h36m-pa17"))
    first = last.filter(pa.array(np.asarray(last["sequence"]) == name)).slice(0, 1)
    found = to_numpy(first["keypoints_3d"], first.schema.field("keypoints_3d"))[0]
    np.testing.assert_allclose(found, body - body[0], atol=0.5)  # the lens is undone by one step, as in the original
    np.testing.assert_allclose(to_numpy(middle["keypoints_3d"], middle.schema.field("keypoints_3d")), 0, atol=1e-3)


def test_it_runs_and_says_how_it_was_told(h36m: tuple[Store, Path, str], tmp_path: Path) -> None:
    store, images, _ = h36m
    deep = type(SPNET)(spnet=type(SPNET.spnet)(**{**vars(SPNET.spnet), "joints": 17, "dims": 3, "actions": ()}))
    weights = tmp_path / "deep.safetensors"
    weighing.save(weights, loaded(deep, "h36m-pa17"))
    model = Deephar(images=str(images), outputs_too=True, device="cpu")
    result = har_bench.run(model, store, protocol=PROTOCOL, weights=weights)
    assert [row["output"] for row in result.tables["output"]][:4] == ["the score", "block 1", "block 2", "block 3"]
    assert result.environment["boxes"] == "truth"
    alone = Deephar(images=str(images), boxes="full", device="cpu")
    assert har_bench.run(alone, store, protocol=PROTOCOL, weights=weights)["MPJPE"] > 0
