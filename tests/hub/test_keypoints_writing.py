"""3D joints in files: each form holds the same numbers, its unit and its axes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench import HarBenchError
from har_bench.errors import Malformed
from har_bench.keypoints import write_joints
from har_bench.keypoints.bvh import bvh, with_constant_bones
from har_bench.keypoints.motion import CAMERA, UPRIGHT, WORLD, Axes, Motion, Scene, turned
from har_bench.keypoints.writing import remarks, write_scene
from har_bench.skeletons import skeleton

FRAMES = 5
RNG = np.random.default_rng(0)
JOINTS = RNG.normal(size=(FRAMES, 17, 3)).astype(np.float32) * 300
OTHER = RNG.normal(size=(3, 17, 3)).astype(np.float32) * 300
BONES = skeleton("h36m17")
BOTH = Scene([Motion(JOINTS, 4), Motion(OTHER, 9, 2)], BONES, 50.0, CAMERA, ("2 persons", "a guess"), "clip")


def test_written_joints_are_read_back(tmp_path: Path) -> None:
    for suffix in (".npy", ".parquet", ".json", ".csv"):
        write_joints(
            tmp_path / "new" / f"clip{suffix}", JOINTS, "h36m17", fps=50, notes=["looks odd"], person=3, start=7
        )
    folder = tmp_path / "new"
    assert sorted(path.name for path in folder.iterdir()) == ["clip.csv", "clip.json", "clip.npy", "clip.parquet"]
    np.testing.assert_array_equal(np.load(folder / "clip.npy"), JOINTS)
    table = pq.read_table(folder / "clip.parquet")
    told = {key: table.schema.metadata[key].decode() for key in (b"layout", b"fps", b"axes", b"notes")}
    assert list(told.values()) == ["h36m17", "50", "x right, y down, z forward", "looks odd"]
    field = table.schema.field("keypoints_3d")
    assert (field.metadata[b"unit"], field.metadata[b"about"]) == (b"mm", b"camera's axes: x right, y down, z forward")
    assert table["sequence"].unique().to_pylist() == ["clip"]
    assert (table["frame"].to_pylist(), table["person"].to_pylist()) == (list(range(7, 12)), [3] * 5)
    np.testing.assert_array_equal(np.array(table["keypoints_3d"].to_pylist(), np.float32).reshape(JOINTS.shape), JOINTS)
    content = json.loads((folder / "clip.json").read_text())
    assert (content["layout"], content["unit"], content["fps"]) == ("h36m17", "mm", 50)
    assert (content["axes"], content["notes"]) == ("x right, y down, z forward", ["looks odd"])
    assert (content["person"], content["first_frame"]) == (3, 7)
    assert (content["joints"], content["parents"]) == (list(BONES.joints), list(BONES.parents))
    np.testing.assert_allclose(content["frames"], JOINTS, atol=0.0006)
    rows = pd.read_csv(folder / "clip.csv")
    axes = ["x_right_mm", "y_down_mm", "z_forward_mm"]
    assert list(rows.columns) == ["frame", "time_s", "person", "joint", *axes, "notes"]
    assert rows["joint"][:17].tolist() == list(BONES.joints)
    assert (rows["frame"].unique().tolist(), rows["time_s"][17]) == (list(range(7, 12)), 0.16)
    assert rows["notes"].dropna().tolist() == ["looks odd"]
    np.testing.assert_allclose(rows[axes].to_numpy().reshape(JOINTS.shape), JOINTS, atol=0.0006)


def test_several_persons_in_one_file(tmp_path: Path) -> None:
    for suffix in (".npy", ".parquet", ".json", ".csv"):
        assert write_scene(tmp_path / f"x{suffix}", BOTH, everybody=True) == [tmp_path / f"x{suffix}"]
    array = np.load(tmp_path / "x.npy")
    assert array.shape == (2, 5, 17, 3)
    np.testing.assert_array_equal(array[0], JOINTS)
    np.testing.assert_array_equal(array[1, 2:], OTHER)
    assert np.isnan(array[1, :2]).all()
    table = pq.read_table(tmp_path / "x.parquet").to_pandas()
    assert list(zip(table["person"], table["frame"], strict=True)) == [(4, f) for f in range(5)] + [
        (9, 2),
        (9, 3),
        (9, 4),
    ]
    persons = json.loads((tmp_path / "x.json").read_text())["persons"]
    assert [(each["person"], each["first_frame"], len(each["frames"])) for each in persons] == [(4, 0, 5), (9, 2, 3)]
    rows = pd.read_csv(tmp_path / "x.csv")
    assert rows.groupby("person")["frame"].agg(["min", "max"]).to_numpy().tolist() == [[0, 4], [2, 4]]


@pytest.mark.parametrize("suffix", [".trc", ".bvh"])
def test_forms_for_one_person_are_a_file_each(suffix: str, tmp_path: Path) -> None:
    files = write_scene(tmp_path / f"x{suffix}", BOTH, everybody=True)
    assert [file.name for file in files] == [f"x_person4{suffix}", f"x_person9{suffix}"]
    assert sorted(tmp_path.iterdir()) == files


def test_a_table_of_markers_is_opensim_s(tmp_path: Path) -> None:
    write_joints(tmp_path / "x.trc", JOINTS, "h36m17", fps=50, start=2)
    lines = [line.split("\t") for line in (tmp_path / "x.trc").read_text().splitlines()]
    assert lines[0] == ["PathFileType", "4", "(X/Y/Z)", "x.trc"]
    assert dict(zip(lines[1], lines[2], strict=True)) == {
        "DataRate": "50",
        "CameraRate": "50",
        "NumFrames": "5",
        "NumMarkers": "17",
        "Units": "mm",
        "OrigDataRate": "50",
        "OrigDataStartFrame": "3",
        "OrigNumFrames": "5",
    }
    assert [name for name in lines[3][2:] if name] == list(BONES.joints)
    assert lines[4][2:5] == ["X1", "Y1", "Z1"]
    values = np.array([[float(value) for value in line] for line in lines[6:]])
    np.testing.assert_allclose(values[:, :2], np.column_stack([np.arange(3, 8), np.arange(2, 7) / 50]))
    np.testing.assert_allclose(values[:, 2:].reshape(JOINTS.shape), JOINTS * [1, -1, -1], atol=0.0006)


def test_axes_turn_upright_from_the_camera_and_from_the_room_and_back() -> None:
    right_down_forward = np.array([[[1, 2, 3]]], np.float32)
    right_forward_up = np.array([[[1, 3, -2]]], np.float32)
    right_up_backward = np.array([[[1, -2, -3]]], np.float32)
    assert turned(right_down_forward, CAMERA, UPRIGHT).tolist() == right_up_backward.tolist()
    assert turned(right_forward_up, WORLD, UPRIGHT).tolist() == right_up_backward.tolist()
    assert turned(right_up_backward, UPRIGHT, WORLD).tolist() == right_forward_up.tolist()
    assert turned(right_down_forward, CAMERA, CAMERA).dtype == np.float32


@pytest.mark.parametrize("axes", [CAMERA, WORLD, UPRIGHT])
def test_axes_are_told_by_their_words(axes: Axes) -> None:
    assert Axes.told(axes.words) == axes


@pytest.mark.parametrize("words", ["", "x right, y down", "x right, y left, z up", "x right, y down, z north"])
def test_other_words_are_no_axes(words: str) -> None:
    with pytest.raises(Malformed, match="which are none such as 'x right, y down, z forward'"):
        Axes.told(words)


class Bvh:
    """A reader of BVH of its own: the hierarchy, and where every joint is by forward kinematics."""

    def __init__(self, text: str) -> None:
        tree, _, motion = text.partition("MOTION\n")
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[list[str]] = []
        above: list[int] = []
        for words in self._words(tree):
            if words[0] in ("ROOT", "JOINT", "End"):
                self.names.append("" if words[0] == "End" else words[1])
                self.parents.append(above[-1] if above else -1)
                self.channels.append([])
                above.append(len(self.names) - 1)
            elif words[0] == "OFFSET":
                self.offsets.append([float(word) for word in words[1:]])
            elif words[0] == "CHANNELS":
                assert int(words[1]) == len(words) - 2
                self.channels[above[-1]] = words[2:]
            elif words[0] == "}":
                above.pop()
        lines = motion.splitlines()
        assert lines[0] == f"Frames: {len(lines) - 2}"
        self.seconds = float(lines[1].removeprefix("Frame Time: "))
        self.values = np.array([[float(word) for word in line.split()] for line in lines[2:]])

    @staticmethod
    def _words(tree: str) -> Iterator[list[str]]:
        for line in tree.splitlines()[1:]:
            yield line.split()

    def joints(self) -> dict[str, np.ndarray[Any, Any]]:
        """(T, 3) of every joint."""
        column, places, turned = 0, [], []
        for joint, parent in enumerate(self.parents):
            moved = np.broadcast_to(self.offsets[joint], (len(self.values), 3)).copy()
            rotation = np.broadcast_to(np.eye(3), (len(self.values), 3, 3))
            for channel in self.channels[joint]:
                value = self.values[:, column]
                column += 1
                axis = "XYZ".index(channel[0])
                if channel.endswith("position"):
                    moved[:, axis] += value
                    continue
                angle = np.radians(value)
                one, other = [(1, 2), (2, 0), (0, 1)][axis]
                about = np.zeros((len(value), 3, 3))
                about[:, axis, axis] = 1
                about[:, one, one] = about[:, other, other] = np.cos(angle)
                about[:, other, one], about[:, one, other] = np.sin(angle), -np.sin(angle)
                rotation = rotation @ about
            if parent < 0:
                places.append(moved)
                turned.append(rotation)
            else:
                places.append(places[parent] + np.einsum("tij,tj->ti", turned[parent], moved))
                turned.append(turned[parent] @ rotation)
        assert column == self.values.shape[1]
        return {name: place for name, place in zip(self.names, places, strict=True) if name}


def assert_same_motion(text: str, held: np.ndarray[Any, Any], layout: str) -> None:
    found = Bvh(text).joints()
    assert set(skeleton(layout).joints) <= set(found)
    for index, joint in enumerate(skeleton(layout).joints):
        np.testing.assert_allclose(found[joint], held[:, index], atol=1e-3)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from(["h36m17", "humaneva15", "coco17", "mpii16", "halpe26"]))
def test_forward_kinematics_of_a_bvh_are_the_joints_with_bones_held_at_their_lengths(seed: int, layout: str) -> None:
    bones = skeleton(layout)
    joints = np.random.default_rng(seed).normal(size=(7, len(bones), 3)) * 400
    assert_same_motion(bvh(joints, bones, 25), with_constant_bones(joints, bones), layout)


def test_a_rigid_person_comes_back_to_a_thousandth_of_a_millimetre(tmp_path: Path) -> None:
    held = with_constant_bones(JOINTS.astype(np.float64), BONES)
    np.testing.assert_allclose(np.ptp(np.linalg.norm(held[:, 1] - held[:, 0], axis=-1)), 0, atol=1e-9)
    write_joints(tmp_path / "x.bvh", held, "h36m17", fps=50)
    text = (tmp_path / "x.bvh").read_text()
    assert_same_motion(text, held * [1, -1, -1], "h36m17")
    assert Bvh(text).seconds == 0.02
    assert remarks(tmp_path / "x.bvh", Scene([Motion(held.astype(np.float32))], BONES, 50.0)) == [
        ".bvh has x right, y up, z backward, in mm",
        "bones keep their median lengths: joints move by 0.0 mm on average, 0.0 at most",
    ]


@pytest.mark.parametrize("pose", ["rest", "still", "folded", "one frame"])
def test_poses_in_which_rotations_are_not_unique(pose: str) -> None:
    """Bones that do not turn, or that turn right round."""
    rest = np.zeros((1, 17, 3))
    for joint, (name, parent) in enumerate(zip(BONES.joints, BONES.parents, strict=True)):
        side = {"left": 1, "righ": -1}.get(name[:4], 0)
        way = [0, -1, 0] if "knee" in name or "ankle" in name else [side, 0, 0] if side else [0, 1, 0]
        rest[:, joint] = rest[:, max(parent, 0)] + (0 if parent < 0 else 1) * 200.0 * np.array(way)
    poses = {
        "rest": rest.repeat(3, axis=0),
        "still": JOINTS[:1].repeat(3, axis=0),
        "folded": np.concatenate([rest, -rest, rest[..., [1, 0, 2]]]),
        "one frame": JOINTS[:1],
    }
    joints = poses[pose].astype(np.float64)
    assert_same_motion(bvh(joints, BONES, 50), with_constant_bones(joints, BONES), "h36m17")
    if pose == "rest":
        assert not Bvh(bvh(joints, BONES, 50)).values[:, 3:].any()


def test_angles_do_not_leap() -> None:
    turn = np.linspace(0, 4 * np.pi, 200)
    cos, sin, zero, one = np.cos(turn), np.sin(turn), np.zeros(200), np.ones(200)
    about_y = np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], axis=-1).reshape(-1, 3, 3)
    joints = np.einsum("tij,kj->tki", about_y, JOINTS[0].astype(np.float64))
    values = Bvh(bvh(joints, BONES, 50)).values
    assert abs(np.diff(values[:, 3:6], axis=0)).max() < 180
    assert abs(values[-1, 5] - values[0, 5]) == pytest.approx(720, abs=1)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"\.npy, \.parquet, \.json, \.csv, \.trc or \.bvh"):
        write_joints(tmp_path / "clip.fbx", JOINTS, "h36m17")
    with pytest.raises(HarBenchError, match=r"h36m17 is \(frames, 17, 3\)"):
        write_joints(tmp_path / "clip.npy", np.zeros((5, 16, 3)), "h36m17")
    for suffix in (".bvh", ".trc"):
        with pytest.raises(HarBenchError, match="needs the video's frames per second; give --fps"):
            write_joints(tmp_path / f"clip{suffix}", JOINTS, "h36m17")
    far = Scene([Motion(JOINTS), Motion(OTHER, 1, 10_000)], BONES)
    with pytest.raises(HarBenchError, match="would be nearly empty"):
        write_scene(tmp_path / "x.npy", far, everybody=True)
    assert not list(tmp_path.iterdir())
