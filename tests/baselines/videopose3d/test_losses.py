"""Losses and camera against numbers that the original code produced, and against the hub's camera."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from har_bench.cameras import Camera
from har_bench.protocols.mpjpe.errors import mpjpe as scored_mpjpe
from har_bench.protocols.mpjpe.errors import mpjve, n_mpjpe, p_mpjpe
from tests.golden import REAL

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from har_bench.baselines.videopose3d import losses  # noqa: E402
from har_bench.baselines.videopose3d.model import TemporalModel, architecture_of  # noqa: E402
from har_bench.training import weights  # noqa: E402

FOLDER = REAL / "models" / "videopose3d"
EXACT = {"rtol": 1e-5, "atol": 1e-5}
WIDTH, HEIGHT = 1000, 1002
CHAIN = (-1, 0, 1)


def arrays(name: str) -> dict[str, npt.NDArray[Any]]:
    path = FOLDER / f"{name}.npz"
    return dict(np.load(path)) if path.is_file() else {}


GOLDEN = arrays("camera_loss")
SEMI = arrays("semisup")
NORMALISATION = {"px", "px_norm", "px_back", "px_norm_1280x720", "det_rand"}  # of windows, not of losses
GIVEN = {"world", "q", "t", "intrinsic", "cam_clamp", "qrot_q", "qrot_v", "m_pred", "m_gt", "m_w", "m_reflect"}


def rotation(quaternion: npt.NDArray[Any]) -> Rotation:
    return Rotation.from_quat(quaternion, scalar_first=True)


def calibrated() -> Camera:
    """The golden's camera as the hub holds it [m, px]; the golden's rotation and position are the camera's own."""
    fx, fy, cx, cy, k1, k2, k3, p2, p1 = GOLDEN["intrinsic"].astype(np.float64)
    to_camera = rotation(GOLDEN["q"]).inv().as_matrix()
    return Camera(
        f=np.array([fx, fy]) * WIDTH / 2,
        c=np.array([cx * WIDTH + WIDTH, cy * WIDTH + HEIGHT]) / 2,
        R=to_camera,
        t=-to_camera @ GOLDEN["t"],
        distortion=np.array([k1, k2, p1, p2, k3]),
        model="h36m",
    )


def computed(key: str) -> Any:
    """Our number for a key of the goldens of camera and losses."""
    given = {name: torch.tensor(value) for name, value in GOLDEN.items()}
    predicted, truth = GOLDEN["m_pred"], GOLDEN["m_gt"]
    intrinsics = given["intrinsic"][None]
    found = {
        "cam": lambda: calibrated().to_camera(GOLDEN["world"]),
        "world_back": lambda: calibrated().to_world(GOLDEN["cam"]),
        "qrot": lambda: rotation(GOLDEN["qrot_q"]).apply(GOLDEN["qrot_v"]),
        "proj": lambda: losses.project(given["cam"][None], intrinsics)[0],
        "proj_linear": lambda: losses.project(given["cam"][None], intrinsics, linear=True)[0],
        "proj_clamp": lambda: losses.project(given["cam_clamp"][None], intrinsics)[0],
        "proj_px": lambda: calibrated().project(GOLDEN["cam"]),
        "mpjpe": lambda: losses.distance(given["m_pred"], given["m_gt"]),
        "wmpjpe": lambda: losses.weighted_mpjpe(given["m_pred"], given["m_gt"], given["m_w"]),
        "p_mpjpe": lambda: p_mpjpe(predicted, truth),
        "p_mpjpe_reflect": lambda: p_mpjpe(predicted, GOLDEN["m_reflect"]),
        "n_mpjpe": lambda: n_mpjpe(predicted, truth),
        "vel": lambda: mpjve(predicted, truth),
    }
    return np.asarray(found[key]())


@pytest.mark.real
@pytest.mark.parametrize("key", sorted(GOLDEN.keys() - NORMALISATION - GIVEN - {"qinv"}))
def test_camera_and_losses_are_the_originals(key: str) -> None:
    # pixels are hundreds, and the original computes in float32
    tolerance = {"rtol": 1e-6, "atol": 1e-4} if key == "proj_px" else EXACT
    np.testing.assert_allclose(computed(key), GOLDEN[key], **tolerance)


@pytest.mark.real
def test_the_inverse_of_a_quaternion_is_the_originals() -> None:
    inverse = rotation(GOLDEN["qrot_q"]).inv().as_quat(scalar_first=True)
    length = np.linalg.norm(GOLDEN["qrot_q"], axis=-1, keepdims=True)
    sign = np.sign(inverse[:, :1] * GOLDEN["qinv"][:, :1])  # q and -q are one rotation
    np.testing.assert_allclose(inverse * length * sign, GOLDEN["qinv"], **EXACT)


@pytest.mark.real
def test_the_metric_and_the_loss_are_one_number() -> None:
    predicted, truth = GOLDEN["m_pred"], GOLDEN["m_gt"]
    assert scored_mpjpe(predicted, truth) == pytest.approx(float(computed("mpjpe")), abs=1e-6)


def semisupervised() -> dict[str, Any]:
    """Our numbers for the results in the golden of semi-supervised training: three labelled windows, then three not."""
    given = {key: torch.tensor(value) for key, value in SEMI.items()}
    # its trajectory network was given the weights of the other one, as far as it has them
    poses, trajectory = (lifted(given["x"], joints) for joints in (17, 1))
    truth = given["gt3d"].clone()
    root = truth[:, :, :1].clone()
    truth[:, :, 0] = 0
    keypoints, cameras = given["x"][3:, 13:14], given["cam"]
    unlabelled = poses[3:] + trajectory[3:]
    return {
        "pos": poses,
        "traj": trajectory,
        "loss_pos": losses.distance(poses[:3], truth),
        "loss_traj": losses.trajectory_loss(trajectory[:3], root),
        "rec": losses.project(unlabelled, cameras),
        "rec_linear": losses.project(unlabelled, cameras, linear=True),
        "loss_rec": losses.reprojection_loss(poses[3:], trajectory[3:], cameras, keypoints),
        "bone_penalty": losses.bone_length_loss(poses[:3], poses[3:], SEMI["parents"].tolist()),
    }


def lifted(windows: Any, joints: int) -> Any:
    state = dict(weights.read(FOLDER / "tm_333.safetensors").models[""])
    state |= {name: state[name][: joints * 3] for name in ("shrink.weight", "shrink.bias")}
    model = TemporalModel(architecture_of(state)).eval()
    weights.fill(model, state, "tm_333")
    with torch.no_grad():
        return model(windows, strided=True)


@pytest.mark.real
@pytest.mark.parametrize("key", sorted(SEMI.keys() - {"x", "gt3d", "cam", "parents"}))
def test_semi_supervised_terms_are_the_originals(key: str) -> None:
    found = semisupervised()[key]
    np.testing.assert_allclose(found.numpy(), SEMI[key], **EXACT)


def test_linear_reprojection_ignores_the_lens_and_the_scores() -> None:
    intrinsics = torch.tensor([[2.0, 2.0, 0.1, 0.2, -0.2, 0.2, 0.0, 0.01, 0.02]])
    poses, root = torch.tensor([[[[0.0, 0.0, 0.0], [0.4, 0.2, 0.0]]]]), torch.tensor([[[[0.0, 0.0, 2.0]]]])
    seen = torch.tensor([[[[0.1, 0.2, 1.0], [0.5, 0.4, 0.3]]]])
    assert losses.reprojection_loss(poses, root, intrinsics, seen, linear=True).item() == pytest.approx(0, abs=1e-6)
    assert losses.reprojection_loss(poses, root, intrinsics, seen).item() > 1e-4


def test_a_trajectory_far_away_counts_less() -> None:
    near, far = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, 8.0]])
    step = torch.tensor([[0.3, 0.0, 0.4]])
    assert losses.trajectory_loss(near + step, near).item() == pytest.approx(0.25)
    assert losses.trajectory_loss(far + step, far).item() == pytest.approx(0.0625)


def test_bones_are_the_distances_to_parents_wherever_the_root_is() -> None:
    poses = torch.tensor([[[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [3.0, 4.0, 2.0]]])
    assert losses.bone_lengths(poses, CHAIN).tolist() == [[5, 2]]
    assert losses.bone_lengths(poses, (1, 2, -1)).tolist() == [[5, 2]]


def test_bone_lengths_are_averaged_before_they_are_compared() -> None:
    unit = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    spread = torch.stack((unit * 0.5, unit * 1.5))[:, None]
    assert losses.bone_length_loss(spread, unit[None, None], CHAIN).item() == 0
    assert losses.bone_length_loss(2 * spread, unit[None, None], CHAIN).item() == pytest.approx(1.5)


@pytest.mark.parametrize("depth", [0.0, 1e-9, -1e-9])
def test_points_beside_the_camera_have_a_projection(depth: float) -> None:
    point = torch.tensor([[[0.3, -0.2, depth]]])
    intrinsics = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    sign = math.copysign(1, depth)
    assert losses.project(point, intrinsics).tolist() == [[[sign, -sign]]]
