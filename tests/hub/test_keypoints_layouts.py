"""Layouts of today's detectors: told by their numbers of joints, and converted to what models take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.keypoints import open_track
from har_bench.skeletons import mapping, names, skeleton
from tests.walkers import SIZE, flat, walk

FRAMES = 12
ONE = walk(FRAMES)


def dump(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("form", ["x y z visibility", "shares", "landmarks", "pixels"])
def test_mediapipe_s_33_landmarks(form: str, tmp_path: Path) -> None:
    blaze = skeleton("blazepose33")
    points = np.zeros((FRAMES, 33, 2), np.float32)
    for index, joint in enumerate(blaze.joints):
        near = joint if joint in skeleton("coco17").joints else "nose"
        points[:, index] = ONE[:, skeleton("coco17").index(near)] + (0 if near == joint else 3)
    extra = np.stack([np.full((FRAMES, 33), -0.3), np.full((FRAMES, 33), 0.9)], axis=-1)
    if form == "landmarks":
        told = [
            [{"x": float(x / 1920), "y": float(y / 1080), "z": -0.3, "visibility": 0.9} for x, y in pose]
            for pose in points
        ]
        path = dump(tmp_path / "x.json", [{"pose_landmarks": frame} for frame in told])
    else:
        values = {
            "x y z visibility": np.concatenate([points, extra], axis=-1),
            "shares": np.concatenate([points / SIZE, extra[..., :1]], axis=-1),
            "pixels": points,
        }
        path = tmp_path / "x.npy"
        np.save(path, values[form])
    track = open_track(path, size=SIZE)
    assert track.layout == "blazepose33"
    np.testing.assert_allclose(track.points, points, atol=0.01)
    np.testing.assert_allclose(track.in_layout("coco17").points, ONE, atol=0.01)
    assert (track.scores is None) == (form in ("shares", "pixels"))


@pytest.mark.parametrize("layout", ["halpe26", "halpe136", "openpose18", "body25", "blazepose33"])
def test_layouts_are_told_by_the_number_of_joints_and_become_what_models_take(layout: str, tmp_path: Path) -> None:
    joints = skeleton(layout).joints
    coco = skeleton("coco17")
    middle = {"neck": ("left_shoulder", "right_shoulder"), "hip": ("left_hip", "right_hip"), "head": ("nose",)}
    middle["mid_hip"] = middle["hip"]
    pose = np.stack(
        [
            ONE[:, [coco.index(name) for name in middle.get(joint, (joint if joint in coco.joints else "nose",))]].mean(
                1
            )
            for joint in joints
        ],
        axis=1,
    )
    found = [{"image_id": f"{frame}.jpg", "keypoints": flat(pose[frame]), "score": 2.5} for frame in range(FRAMES)]
    track = open_track(dump(tmp_path / "alphapose-results.json", found), size=SIZE)
    assert track.layout == layout
    np.testing.assert_allclose(track.in_layout("coco17").points, ONE, atol=0.01)
    made = mapping(skeleton(layout), skeleton("h36m17"))
    assert "exact" not in made.grades
    lifted = track.in_layout("h36m17").points
    np.testing.assert_allclose(lifted[:, 0], ONE[:, [11, 12]].mean(axis=1), atol=0.01)
    shoulders, mouth = ONE[:, [5, 6]].mean(axis=1), ONE[:, coco.index("nose")]
    up = 0.175 if layout == "blazepose33" else 0  # a part of the way to the mouth, which is at the nose here
    np.testing.assert_allclose(lifted[:, 8], shoulders + up * (mouth - shoulders), atol=0.01)


def test_new_layouts_are_listed() -> None:
    assert {"blazepose33", "halpe26", "halpe136", "openpose18"} <= set(names())
