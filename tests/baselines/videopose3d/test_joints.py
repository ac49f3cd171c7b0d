"""Which joints a checkpoint takes: its weights hold the mean pose that it was trained on, in its order of joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.baselines.videopose3d.joints import by_name, by_statistics, mean_pose  # noqa: E402
from har_bench.baselines.videopose3d.model import Architecture, TemporalModel  # noqa: E402
from har_bench.errors import HarBenchError  # noqa: E402
from har_bench.skeletons import mapping, skeleton  # noqa: E402
from tests.walkers import SIZE, walk  # noqa: E402

BOTH = ("h36m17", "coco17")


def poses(layout: str) -> np.ndarray[Any, Any]:
    """(2T, 17, 2) normalised keypoints of somebody who walks, and of their mirror image."""
    coco = walk(60, at=100)
    points = coco if layout == "coco17" else mapping(skeleton("coco17"), skeleton(layout)).points(coco)
    points = points / SIZE[0] * 2 - np.array([1, SIZE[1] / SIZE[0]])
    return np.concatenate([points, points[:, skeleton(layout).flip] * [-1, 1]])


def trained(
    layout: str, channels: int = 96, features: int = 2, noise: float = 0.0
) -> tuple[dict[str, Any], Architecture]:
    """A network whose first batch normalisation has seen these poses."""
    design = Architecture(joints_in=17, features=features, joints_out=17, channels=channels)
    torch.manual_seed(1)
    state = {name: tensor.numpy().copy() for name, tensor in TemporalModel(design).state_dict().items()}
    points = poses(layout)
    points = np.concatenate([points, np.full((*points.shape[:2], features - 2), 0.8)], axis=-1)
    seen = np.einsum("ci,ti->tc", state["expand_conv.weight"].sum(axis=-1), points.reshape(len(points), -1))
    mean = seen.mean(axis=0)
    rng = np.random.default_rng(0)
    state["expand_bn.running_mean"] = (mean + rng.normal(0, noise * abs(mean).mean(), mean.shape)).astype(np.float32)
    return state, design


@pytest.mark.parametrize("layout", BOTH)
@pytest.mark.parametrize("features", [2, 3])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_weights_tell_the_joints(layout: str, features: int, noise: float) -> None:
    state, design = trained(layout, 256, features, noise)
    found = mean_pose(state, design)
    assert found is not None
    np.testing.assert_allclose(found, poses(layout).mean(axis=0), atol=1e-4 if not noise else 0.5)
    assert by_statistics(state, design, BOTH) == layout


def test_weights_that_were_never_trained_tell_nothing() -> None:
    state, design = trained("coco17")
    rng = np.random.default_rng(0)
    random = {**state, "expand_bn.running_mean": rng.normal(size=96).astype(np.float32)}
    fresh = {**state, "expand_bn.running_mean": np.zeros(96, np.float32)}
    narrow, small = trained("coco17", channels=16)
    for each, shape in ((random, design), (fresh, design), (narrow, small)):
        assert mean_pose(each, shape) is None
        assert by_statistics(each, shape, BOTH) is None
    lying = {**state, "expand_bn.running_mean": -state["expand_bn.running_mean"]}
    assert by_statistics(lying, design, BOTH) is None  # with the feet above the head nothing is certain


@pytest.mark.parametrize("layout", BOTH)
@pytest.mark.parametrize("trajectory", [False, True])
def test_a_checkpoint_of_somebody_s_own_training_is_taken_for_what_it_is(
    layout: str, trajectory: bool, tmp_path: Path
) -> None:
    state, _ = trained(layout)
    content = {"epoch": 1, "model_pos": {name: torch.tensor(array) for name, array in state.items()}}
    if trajectory:
        path_design = Architecture(joints_in=17, joints_out=1, channels=96)
        content["model_traj"] = TemporalModel(path_design).state_dict()
    torch.save(content, tmp_path / "epoch_80.bin")
    model = VideoPose3D()
    model.load(tmp_path / "epoch_80.bin")
    assert (model.joints, model.target) == (layout, "h36m17")
    (said,) = model.taken.remarks("coco17")
    assert said.startswith(f"the model takes the joints of {layout}, by the mean of the keypoints it was trained on")
    other = VideoPose3D(layout="coco17")
    other.load(tmp_path / "epoch_80.bin")
    assert (other.joints, other.taken.remarks("coco17")) == ("coco17", [])


def test_names_tell_joints_and_the_past() -> None:
    assert by_name(Path("x/pretrained_h36m_detectron_COCO.bin")) == "coco17"
    assert by_name(Path("coco/pretrained_h36m.bin")) is None


def test_a_published_causal_model_is_one(tmp_path: Path) -> None:
    state, _ = trained("h36m17")
    content = {"model_pos": {name: torch.tensor(array) for name, array in state.items()}}
    for name, causal in (("cpn-ft-243-dbb-causal.bin", True), ("mine.bin", False)):
        torch.save(content, tmp_path / name)
        model = VideoPose3D()
        model.load(tmp_path / name)
        assert (model.causal, model.joints) == (causal, "h36m17")


def test_another_network_s_weights_are_named_for_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    names = ("module.temp_embed", "module.pos_embed", "module.joints_embed.weight", "module.head.weight")
    torch.save({"model_pos": {name: torch.zeros(2, 3) for name in names}}, path)
    with pytest.raises(HarBenchError) as caught:
        VideoPose3D().load(path)
    assert str(caught.value) == (
        f"{path} holds weights that are not those of a VideoPose3D network: 24 parameters in 4 tensors "
        "(temp_embed, pos_embed, joints_embed.weight, ...); it looks like MotionBERT; give VideoPose3D's weights"
    )
