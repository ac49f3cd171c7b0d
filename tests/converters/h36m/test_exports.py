"""Human3.6M in VideoPose3D's and MMPose's archives, read back by our own converter and held against real ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import har_bench
from har_bench.foreign.writing import write_npz
from har_bench.keypoints import open_detections
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.golden import REAL

J17 = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
"""The 17 of the 32 that everybody uses."""


@pytest.fixture(scope="module")
def store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return har_bench.convert("h36m", raw, tmp_path_factory.mktemp("h36m") / "store", jobs=1, quiet=True)


def test_videopose3d_s_archives_are_read_back(store: Store, tmp_path: Path) -> None:
    written = store.export("videopose3d", tmp_path / "out", quiet=True)
    assert [path.name for path in written.files] == ["data_2d_h36m_gt.npz", "data_3d_h36m.npz"]
    assert len(store.sequences) - written.sequences == 4  # S11 Directions
    again = har_bench.convert("h36m", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    names = again.sequences["sequence"].to_pylist()
    assert names == [name for name in store.sequences["sequence"].to_pylist() if not name.startswith("S11/Directions/")]
    shared = ["sequence", "subject", "action", "camera", "n_frames", "fps", "splits", "name", "act", "subact"]
    assert again.sequences.select(shared).equals(store.select(sequences=names).select(shared))
    for name in names:
        ours, theirs = store.sequence(name), again.sequence(name)
        assert np.allclose(ours.keypoints_3d, theirs.keypoints_3d, rtol=0, atol=2e-3, equal_nan=True)
        assert np.allclose(ours.keypoints, theirs.keypoints, rtol=0, atol=2e-3, equal_nan=True)
        assert np.array_equal(ours.visibility, theirs.visibility)
    everything = store.export("videopose3d", tmp_path / "all", options={"everything": True}, quiet=True)
    assert everything.sequences == len(store.sequences)


def test_its_pixels_are_the_lifter_s_keypoints(store: Store, tmp_path: Path) -> None:
    store.export("videopose3d", tmp_path / "out", quiet=True)
    path = tmp_path / "out" / "data_2d_h36m_gt.npz"
    with np.load(path, allow_pickle=True) as archive:
        views = archive["positions_2d"].item()["S9"]["Walking 1"]
        metadata = archive["metadata"].item()
    assert metadata == {
        "layout_name": "h36m",
        "num_joints": 17,
        "keypoints_symmetry": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
    }
    for camera, pixels in zip(("54138969", "55011271", "58860488", "60457274"), views, strict=True):
        assert pixels.dtype == np.float32
        assert np.array_equal(pixels, store.sequence(f"S9/Walking 1/{camera}").keypoints[:, J17])
    found = open_detections(path, store).of("S9/Walking 1/60457274")
    assert found is not None
    assert np.array_equal(found[..., :2], views[3])


def test_mmpose_s_archives_hold_what_theirs_hold(store: Store, tmp_path: Path) -> None:
    store.export("mmpose", tmp_path / "out", options={"every": 5}, quiet=True)
    with np.load(tmp_path / "out" / "h36m_test.npz") as archive:
        names, shapes = archive["imgname"], {name: archive[name].shape[1:] for name in archive.files}
        place = names.tolist().index("S9/S9_Walking_1.54138969/S9_Walking_1.54138969_000006.jpg")
        part, points = archive["part"][place], archive["S"][place]
    assert shapes == {"imgname": (), "center": (2,), "scale": (), "part": (17, 3), "S": (17, 4)}
    view = store.sequence("S9/Walking 1/54138969")
    joints = mapping(store.skeleton(), skeleton("h36m17"))
    assert np.array_equal(part[:, :2], joints.points(view.keypoints)[5])
    assert points[:, :3] * 1000 == pytest.approx(joints.points(view.keypoints_3d)[5], abs=1e-3)
    assert (part[:, 2] == 1).all()
    assert (points[:, 3] == 1).all()


@pytest.mark.real
def test_the_real_archive_of_videopose3d_has_the_same_numbers(tmp_path: Path) -> None:
    """Its S1 Smoking of one camera, and the world poses it was made of."""
    with np.load(REAL / "h36m" / "h36m_S1_Smoking_55011271_real_data2dgt.npz") as real:
        world, pixels = real["world_mm_32"], real["px_17"]
    (tmp_path / "raw").mkdir()
    write_npz(tmp_path / "raw" / "data_3d_h36m.npz", {"positions_3d": {"S1": {"Smoking": world / np.float32(1000)}}})
    smoking = har_bench.convert("h36m", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    smoking.export("videopose3d", tmp_path / "out", quiet=True)
    with np.load(tmp_path / "out" / "data_2d_h36m_gt.npz", allow_pickle=True) as archive:
        assert np.abs(archive["positions_2d"].item()["S1"]["Smoking"][1] - pixels).max() < 5e-4
    with np.load(tmp_path / "out" / "data_3d_h36m.npz", allow_pickle=True) as archive:
        assert np.abs(archive["positions_3d"].item()["S1"]["Smoking"] * 1000.0 - world).max() < 1e-3


@pytest.mark.real
def test_real_poses_are_read_back(tmp_path: Path) -> None:
    real = har_bench.convert("h36m", REAL / "h36m" / "h36m_raw_full", tmp_path / "store", jobs=1, quiet=True)
    real.export("videopose3d", tmp_path / "out", quiet=True)
    again = har_bench.convert("h36m", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert again.sequences["sequence"].equals(real.sequences["sequence"])
    for name in ("keypoints_3d", "keypoints"):
        ours, theirs = (to_numpy(each.table("poses")[name], each.schema("poses").field(name)) for each in (real, again))
        assert np.abs(ours - theirs).max() < 2e-3


@pytest.mark.real
def test_a_frame_of_mmpose_s_own_archive(tmp_path: Path) -> None:
    """Its sample's first row is the first frame of S1's Directions 1, made by MMPose from the official files."""
    with np.load(REAL / "h36m" / "h36m_mmpose_sample" / "test_h36m_body3d.npz") as archive:
        theirs = {name: archive[name][0] for name in archive.files}
    folder = tmp_path / "raw" / "S1" / "MyPoseFeatures" / "D3_Positions"
    folder.mkdir(parents=True)
    source = REAL / "h36m" / "h36m_raw_mini" / "S1" / "MyPoseFeatures" / "D3_Positions" / "Directions 1.cdf"
    shutil.copy(source, folder)
    real = har_bench.convert("h36m", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    real.export("mmpose", tmp_path / "out", quiet=True)
    with np.load(tmp_path / "out" / "h36m_train.npz") as archive:
        place = archive["imgname"].tolist().index(theirs["imgname"])
        ours = {name: archive[name][place] for name in archive.files}
    assert ours["S"] == pytest.approx(theirs["S"], abs=1e-6)
    assert ours["part"] == pytest.approx(theirs["part"], abs=1e-3)
    assert ours["center"] == pytest.approx(theirs["center"], abs=1e-3)
    assert ours["scale"] == pytest.approx(theirs["scale"], abs=1e-5)
