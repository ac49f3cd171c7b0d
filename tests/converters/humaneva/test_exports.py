"""HumanEva in VideoPose3D's archives: the real ones come out as they went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import har_bench
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.humaneva_data import FLAT, convert


def test_the_joints_made_of_20_points_are_written_and_read_back(store: Store, tmp_path: Path) -> None:
    written = store.export("videopose3d", tmp_path / "out", quiet=True)
    assert [path.name for path in written.files] == ["data_2d_humaneva15_gt.npz", "data_3d_humaneva15.npz"]
    again = har_bench.convert("humaneva", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert again.skeleton().name == "humaneva15"
    names = again.sequences["sequence"].to_pylist()
    assert len(names) == written.sequences
    joints = mapping(store.skeleton(), skeleton("humaneva15"))
    worlds = np.load(tmp_path / "out" / "data_3d_humaneva15.npz", allow_pickle=True)["positions_3d"].item()
    assert {f"{subject}/{name}" for subject in worlds for name in worlds[subject]} == {
        name.rpartition("/")[0] for name in names
    }
    for name in names:
        clip, _, camera = name.rpartition("/")
        partition, subject, take = clip.split("/")
        points = joints.points(store.sequence(name).keypoints_3d)
        world = store.camera(camera, subject).to_world(points)
        assert worlds[f"{partition}/{subject}"][take] * 1000.0 == pytest.approx(world, abs=1e-3)
        assert again.sequence(name).keypoints == pytest.approx(joints.points(store.sequence(name).keypoints), abs=1e-4)


@pytest.mark.real
def test_the_real_archive_comes_back_value_by_value(tmp_path: Path) -> None:
    store = convert(FLAT, tmp_path / "store")
    store.export("videopose3d", tmp_path / "out", quiet=True)
    again = convert(tmp_path / "out", tmp_path / "again")
    assert again.fingerprint == store.fingerprint
