"""Cameras against the official Human3.6M samples, VideoPose3D's pixels and HumanEva's real calibrations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from har_bench.arrays import Floats
from har_bench.cameras import Camera, Model, distort
from har_bench.errors import HarBenchError
from tests.golden import REAL, load
from tests.h36m_data import cameras

PROJECTION = load("h36m/golden/h36m_projection_golden.json")
H36M17 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
HUMANEVA = load("humaneva/golden/humaneva_cal_recovered.json")

LENS = np.array([-0.2, 0.25, -0.0014, -0.001, -0.003])


def camera(model: Model = "opencv") -> Camera:
    turn = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
    return Camera(f=np.array([1145.0, 1143.8]), c=np.array([512.5, 515.4]), R=turn, t=np.array([100.0, 200, 4000]),
                  distortion=LENS, model=model)  # fmt: skip


@pytest.mark.parametrize("case", PROJECTION.get("official_cdf_samples", []), ids=lambda case: case["subject"])
@pytest.mark.real
def test_official_samples(case: dict[str, Any]) -> None:
    """The official files' own world, camera and pixel positions of the same frames."""
    found = cameras()[f"{case['subject']}|{case['camera']}"]
    points = found.to_camera(np.array(case["world_mm_32"])[H36M17])
    np.testing.assert_allclose(points, case["official_D3_mono_mm_17"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.project(points), case["official_D2_px_17"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "case", PROJECTION.get("computed", []), ids=lambda case: f"{case['subject']}-{case['action']}-{case['camera']}"
)
@pytest.mark.real
def test_projection_of_whole_arrays(case: dict[str, Any]) -> None:
    found = cameras()[f"{case['subject']}|{case['camera']}"]
    world = np.array(case["world_mm_32"])[:, H36M17]
    np.testing.assert_allclose(found.to_camera(world), case["cam_mm_17"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.project_world(world), case["px_17_float64"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.project_world(world), case["px_17_videopose3d_float32"], rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", load("h36m/golden/h36m_cameras.json"))
@pytest.mark.real
def test_every_calibration_is_a_rotation_about_its_centre(name: str) -> None:
    row = load("h36m/golden/h36m_cameras.json")[name]
    found = cameras()[name]
    x, y, z = row["angles_xyz"]
    turns = (  # Rx(x) Ry(y) Rz(z)
        [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]],
        [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]],
        [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]],
    )
    np.testing.assert_allclose(found.R, np.linalg.multi_dot([np.array(turn) for turn in turns]), atol=1e-12)
    np.testing.assert_allclose(found.centre, row["camera_centre_mm"], rtol=1e-12)


AVERAGED = [1, 3, 6, 9, 12]  # HumanEva's thorax, elbows and knees: their pixels are a mean of two projections


@pytest.mark.parametrize("name", HUMANEVA)
@pytest.mark.real
def test_opencv_model_gives_the_real_pixels_of_humaneva(name: str) -> None:
    """World [m] and pixels [px] of every frame that this subject and camera have, float32 in the data."""
    subject, view = name.split("/")
    row = HUMANEVA[name]
    k1, k2, p1, p2, k3 = row["kc"]
    found = Camera(
        f=np.array(row["fc"]),
        c=np.array(row["cc"]),
        R=np.array(row["Rc_ext"]),
        t=np.array(row["Tc_ext"]),
        distortion=np.array([k1, k2, p1, p2, k3]),
    )
    with np.load(REAL / "humaneva" / "humaneva15_flat.npz") as file:
        clips = [key for key in file.files if key.startswith("3d|") and f"/{subject}|" in key]
        world = np.concatenate([file[key] for key in clips])
        pixels = np.concatenate([file[f"{key.replace('3d|', '2d|')}|{view}"] for key in clips])
    assert len(world) > 500
    projected = found.project_world(1000 * world.astype(np.float64))
    np.testing.assert_allclose(np.delete(projected - pixels, AVERAGED, axis=1), 0, atol=2e-4)


points = arrays(np.float64, (7, 2), elements=st.floats(-0.6, 0.6))
coefficients = arrays(np.float64, 5, elements=st.floats(-0.3, 0.3))


@given(xy=points, lens=coefficients)
def test_opencv_model_is_browns(xy: Floats, lens: Floats) -> None:
    """The radial and the two decentring terms of Brown (1966) one by one, in complex numbers z = x + iy.

    With P = p2 + i p1 the decentring shift is ``P |z|² + 2 z Re(conj(P) z)``.
    """
    k1, k2, p1, p2, k3 = lens
    z, P = xy[:, 0] + 1j * xy[:, 1], p2 + 1j * p1
    r = abs(z)
    expected = z * (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) + P * r**2 + 2 * z * (P.conjugate() * z).real
    found = distort(xy, lens, "opencv")
    np.testing.assert_allclose(found[:, 0] + 1j * found[:, 1], expected, rtol=0, atol=1e-12)


@given(xy=points, lens=coefficients)
def test_h36m_model_lacks_half_of_the_cross_term(xy: Floats, lens: Floats) -> None:
    _, _, p1, p2, _ = lens
    cross = xy * (p1 * xy[:, 1:] + p2 * xy[:, :1])
    np.testing.assert_allclose(distort(xy, lens, "h36m"), distort(xy, lens, "opencv") - cross, rtol=0, atol=1e-12)


def test_opencv_model_by_hand() -> None:
    """x = 0.5, y = -0.25: r² = 0.3125, every term by hand for k1 = 0.1, p1 = 0.01, p2 = 0.02."""
    found = distort([0.5, -0.25], [0.1, 0, 0.01, 0.02, 0], "opencv")
    radial = 1.03125
    assert found[0] == pytest.approx(0.5 * radial + 2 * 0.01 * 0.5 * -0.25 + 0.02 * (0.3125 + 2 * 0.25))
    assert found[1] == pytest.approx(-0.25 * radial + 0.01 * (0.3125 + 2 * 0.0625) + 2 * 0.02 * 0.5 * -0.25)


@given(world=arrays(np.float64, (2, 5, 3), elements=st.floats(-3000, 3000)))
def test_world_and_camera_frame_are_inverses(world: Floats) -> None:
    found = camera()
    np.testing.assert_allclose(found.to_world(found.to_camera(world)), world, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.to_camera(found.centre), 0, atol=1e-9)


@pytest.mark.parametrize("model", ["none", "h36m", "opencv"])
def test_the_optical_axis_meets_the_principal_point(model: Model) -> None:
    np.testing.assert_allclose(camera(model).project([0, 0, 2500]), [512.5, 515.4])


def test_without_a_lens_a_projection_is_a_division() -> None:
    np.testing.assert_allclose(
        camera("none").project([[100, 200, 1000], [100, 200, 4000]]),
        [[512.5 + 114.5, 515.4 + 228.76], [512.5 + 28.625, 515.4 + 57.19]],
    )


def test_a_camera_of_a_store_row() -> None:
    original = camera("h36m")
    row = {
        "fx": original.f[0], "fy": original.f[1], "cx": original.c[0], "cy": original.c[1], "model": "h36m",
        "distortion": original.distortion.tolist(), "R": original.R.ravel().tolist(), "t": original.t.tolist(),
    }  # fmt: skip
    pose = np.random.default_rng(0).uniform(-1000, 1000, (3, 17, 3))
    np.testing.assert_array_equal(Camera.from_row(row).project_world(pose), original.project_world(pose))


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(HarBenchError, match="'fisheye'; there are h36m, opencv, none"):
        distort([0.0, 0.0], LENS, "fisheye")  # type: ignore[arg-type]
