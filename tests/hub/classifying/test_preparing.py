"""Clips as networks see them: by hand, and equal to pyskl's own pipeline on real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.classifying.preparing import preparation, turning
from har_bench.classifying.seen import Seen, of_detections
from tests.golden import REAL, load

SKELETON = REAL / "models/skeleton"
PICTURE = (200.0, 100.0)


def golden(name: str) -> dict[str, Any]:
    """The arrays of a file of goldens; none without the data."""
    path = SKELETON / f"{name}.npz"
    return dict(np.load(path)) if path.is_file() else {}


SUMMARY = load("models/skeleton/ntu_pipeline_summary.json")
NTU, PENN, FLAT = golden("ntu_pipeline"), golden("penn_pipeline"), golden("augmentation_and_2d")
NTU_FILES = sorted(key.partition("/")[0] for key in NTU if key.endswith("/input"))
PENN_FILES = sorted(key.partition("/")[0] for key in PENN if key.endswith("/normalised"))


def seen(points: Any, scores: Any = None, size: Any = PICTURE) -> Seen:
    found = np.asarray(points, float)
    return Seen(found, np.ones(found.shape[:-1]) if scores is None else np.asarray(scores, float), size)


def test_rms_by_hand() -> None:
    """Two points 6 apart in x lie 3 from their mean; over x and y, the root of the mean square is 3 / sqrt(2)."""
    found = preparation("rms").prepared(seen([[[[10, 5], [16, 5], [900, 900]]]], [[[1, 1, 0]]]))
    np.testing.assert_allclose(found, [[[[-(2**0.5), 0, 1], [2**0.5, 0, 1], [0, 0, 0]]]], atol=1e-5)


def test_one_scale_for_both_axes_and_for_all_persons() -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(2, 5, 4, 2)) * [5, 50]
    found = preparation("rms").prepared(seen(points))
    np.testing.assert_allclose(np.square(found[..., :2]).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(found, preparation("rms").prepared(seen(7 * points + 100)), atol=1e-5)
    assert found[..., 1].std() > 5 * found[..., 0].std()


def test_a_filled_joint_is_where_it_was_before_and_after() -> None:
    points = np.zeros((1, 4, 2, 2))
    points[0, :, 1, 0] = [0, 2, 99, 6]
    shown = [[[1, 1], [1, 1], [1, 0], [1, 1]]]
    found = preparation("rms-filled").prepared(seen(points, shown))[0, :, 1]
    np.testing.assert_allclose(np.diff(found[:, 0]) / (found[1, 0] - found[0, 0]), [1, 1, 1], atol=1e-4)
    assert found[:, 2].tolist() == [1, 1, 0, 1]
    assert not preparation("rms").prepared(seen(points, shown))[0, 2, 1].any()


def test_a_clip_without_a_visible_joint_is_zero_and_one_without_a_person_empty() -> None:
    for view in ("rms", "rms-filled"):
        found = preparation(view).prepared(seen(np.ones((1, 3, 2, 2)), np.zeros((1, 3, 2))))
        assert found.shape == (1, 3, 2, 3)
        assert not found.any()
    assert preparation("pyskl").prepared(seen(np.zeros((0, 0, 25, 3)))).shape == (0, 0, 25, 3)


def test_what_a_detector_did_not_find_is_not_seen() -> None:
    found = of_detections(np.array([[[1, 2, 0.5], [np.nan, np.nan, np.nan]]]), PICTURE)
    assert found.scores.tolist() == [[[0.5, 0]]]
    assert np.isfinite(found.points).all()
    assert of_detections(np.ones((1, 2, 2)), PICTURE).scores.tolist() == [[[1, 1]]]


def test_pyskl_takes_the_person_in_more_frames_and_leaves_the_absent_one_at_zero() -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(2, 6, 25, 3))
    points[0, :4] = 0
    points[1, 1] = 0
    found = preparation("pyskl").prepared(seen(points))
    assert found.shape == (2, 5, 25, 3)
    assert not found[0, 0, 1].any()
    assert found[0].any(axis=(1, 2)).all()
    assert found[1].any(axis=(1, 2)).tolist() == [False, False, False, True, True]
    first = found[0, 0]
    np.testing.assert_allclose((first[8] - first[4])[1:], 0, atol=1e-6)  # the shoulders lie along x
    assert np.linalg.norm(first[8] - first[4]) == pytest.approx(np.linalg.norm(points[1, 0, 8] - points[1, 0, 4]))


def test_a_direction_that_is_there_already_or_is_none_is_not_turned() -> None:
    for axis in ([0, 0, 2], [0, 0, 0]):
        np.testing.assert_array_equal(turning(np.array(axis, float), np.array([0, 0, 1])), np.eye(3))
    np.testing.assert_allclose(turning(np.array([0, 3.0, 0]), np.array([0, 0, 1])) @ [0, 3, 0], [0, 0, 3], atol=1e-12)


def test_a_preparation_says_what_it_cannot_prepare() -> None:
    for view, points, size, words in (
        ("pyskl", np.ones((1, 2, 17, 3)), PICTURE, "25 joints.*17 joints.*view=rms"),
        ("pyskl-2d", np.ones((1, 2, 17, 2)), (None, None), "how large the picture is"),
        ("pyskl-2d", np.ones((1, 2, 17, 3)), PICTURE, "in the picture; give"),
    ):
        with pytest.raises(HarBenchError, match=words):
            preparation(view).prepared(seen(points, size=size))
    with pytest.raises(HarBenchError, match="did you mean 'pyskl'"):
        preparation("pyskll")


@pytest.fixture(scope="module")
def ntu(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("ntu") / "store"
    return har_bench.convert("ntu60", REAL / "ntu60/skeletons", out, jobs=1, quiet=True)


@pytest.mark.real
@pytest.mark.parametrize("name", NTU_FILES)
def test_the_view_pyskl_of_a_real_file_is_pyskls(name: str, ntu: Store) -> None:
    sequence = ntu.sequence(name)
    np.testing.assert_array_equal(sequence.view("ctrgcn"), NTU[f"{name}/input"])
    np.testing.assert_allclose(sequence.view("pyskl"), NTU[f"{name}/prenormalize3d"], atol=1e-6)
    apart = np.abs(sequence.view("pyskl-float16") - sequence.view("pyskl")).max()
    assert apart == pytest.approx(SUMMARY[f"{name}/float16_vs_float32_max_m"], abs=1e-5)


@pytest.mark.real
def test_the_main_person_may_change() -> None:
    name = "S001C001P001R001A050"
    points = NTU[f"{name}/input"].astype(float)
    points[0, 10:20] = 0
    found = preparation("pyskl").prepared(seen(points))
    np.testing.assert_allclose(found, NTU["edge/gap/prenormalize3d"], atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("name", PENN_FILES)
def test_the_view_rms_of_a_real_file_is_the_reference_s(name: str, tmp_path: Path) -> None:
    labels = tmp_path / "raw/labels"
    labels.mkdir(parents=True)
    (labels / f"{name}.mat").write_bytes((REAL / f"penn_action/labels/{name}.mat").read_bytes())
    store = har_bench.convert("penn_action", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    np.testing.assert_allclose(store.sequence(name).view("rms")[0], PENN[f"{name}/normalised"], atol=1e-5)


@pytest.mark.real
def test_the_view_pyskl_2d_is_pyskls() -> None:
    found = preparation("pyskl-2d").prepared(Seen(FLAT["coco/xy"], FLAT["coco/score"], (1920, 1080)))
    np.testing.assert_allclose(found, FLAT["coco/prenormalize2d"], atol=1e-6)
