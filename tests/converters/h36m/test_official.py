"""Human3.6M: cameras, projection and names against the official files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m import metadata as h36m_metadata
from har_bench.converters.h36m.archives import read_cdf
from har_bench.converters.h36m.converter import FRAMES
from har_bench.converters.h36m.metadata import packaged, rotation
from tests.golden import REAL, load
from tests.h36m_raw import H36M, J17, column, tables, tree

GOLDEN = f"{H36M}/golden"


TABLE: list[dict[str, Any]] = list(load(f"{GOLDEN}/h36m_sequence_table.json"))


PROJECTION = load(f"{GOLDEN}/h36m_projection_golden.json")


CAMERAS = load(f"{GOLDEN}/h36m_cameras.json")


# ---- cameras and names against the official metadata.xml


@pytest.mark.real
@pytest.mark.parametrize("key", CAMERAS)
def test_cameras_equal_the_calibration(key: str) -> None:
    subject, name = key.split("|")
    golden = CAMERAS[key]
    for metadata in (packaged(), h36m_metadata.read(REAL / H36M / "metadata.xml")):
        camera = metadata.camera(subject, name)
        assert np.allclose(camera.R, golden["R_world_to_cam"], rtol=0, atol=1e-12)
        assert np.allclose(camera.centre, golden["camera_centre_mm"], rtol=0, atol=1e-9)
        assert camera.f.tolist() == golden["f"]
        assert camera.c.tolist() == golden["c"]
        k1, k2, p1, p2, k3 = camera.distortion.tolist()
        assert ([k1, k2, k3], [p1, p2]) == (golden["k"], golden["p"])


@pytest.mark.real
@pytest.mark.parametrize("path", sorted((REAL / H36M / "h36m_mmpose_sample").glob("*.jpg")), ids=lambda path: path.stem)
def test_image_sizes_are_those_of_the_real_frames(path: Path) -> None:
    """S7's camera 55011271 is 1002 high, although VideoPose3D's camera table says 1000."""
    subject, name = path.stem.split("_")[0], path.stem.split(".")[1].split("_")[0]
    with Image.open(path) as image:
        assert packaged().sizes[subject][packaged().cameras.index(name)] == image.size


@pytest.mark.real
def test_the_packaged_metadata_is_the_official_file() -> None:
    official, own = h36m_metadata.read(REAL / H36M / "metadata.xml"), packaged()
    assert [(name, getattr(official, name)) for name in ("cameras", "challenge", "sizes", "w0", "takes")] == [
        (name, getattr(own, name)) for name in ("cameras", "challenge", "sizes", "w0", "takes")
    ]


@pytest.mark.real
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row['subject']} {row['official_file']}")
def test_the_sequence_table_holds_every_name(row: dict[str, Any]) -> None:
    take = packaged().take(row["subject"], row["official_file"])
    assert take is not None
    assert (take.act, take.subact, take.name) == (row["action_id"], row["subaction"], row["canonical"])
    assert list(take.video_frames) == row["video_frames"]
    surplus = min(row["video_frames"]) - row["mocap_frames"]
    assert ("mocap-short" in take.defects(row["mocap_frames"])) == (surplus > 5)


@pytest.mark.real
def test_the_defects_of_the_real_lengths_are_the_known_ones() -> None:
    found: dict[str, set[str]] = {}
    for row in TABLE:
        take = packaged().take(row["subject"], row["canonical"])
        assert take is not None
        for code in take.defects(row["mocap_frames"]):
            found.setdefault(code, set()).add(f"{take.subject} {take.name}")
    assert found == {
        "shifted": {"S9 Greeting", "S9 SittingDown 1", "S9 Waiting 1"},
        "camera-missing": {"S11 Directions"},
        "mocap-short": {
            "S1 SittingDown", "S1 SittingDown 2",
            "S9 Greeting", "S9 Phoning", "S9 SittingDown 1", "S9 Waiting 1", "S9 Walking",
        },
    }  # fmt: skip


# ---- projection against official files


@pytest.mark.real
@pytest.mark.parametrize("case", PROJECTION.get("official_cdf_samples", []), ids=lambda case: case["subject"])
def test_poses_equal_the_official_camera_and_pixel_files(case: dict[str, Any], tmp_path: Path) -> None:
    root = tree(tmp_path, case["subject"], case["action"], np.array([case["world_mm_32"]]))
    (found,) = tables(root).values()
    sequence = f"{case['subject']}/{h36m_metadata.canonical(case['action'])}/{case['camera']}"
    points, pixels = (J17.points(column(found, name, sequence)[0]) for name in ("keypoints_3d", "keypoints"))
    assert np.abs(points - case["official_D3_mono_mm_17"]).max() < 1e-4 + np.spacing(np.float32(8000)) / 2
    assert np.abs(pixels - case["official_D2_px_17"]).max() < 1e-4


@pytest.mark.real
def test_poses_equal_mmposes_conversion_of_the_official_files(tmp_path: Path) -> None:
    with np.load(REAL / H36M / "h36m_mmpose_sample" / "test_h36m_body3d.npz") as sample:
        official, metres = sample["part"], sample["S"]
    for index, case in enumerate(PROJECTION["official_cdf_samples"]):
        root = tree(tmp_path / str(index), case["subject"], case["action"], np.array([case["world_mm_32"]]))
        (found,) = tables(root).values()
        sequence = f"{case['subject']}/{case['action']}/{case['camera']}"
        assert np.abs(J17.points(column(found, "keypoints", sequence)[0]) - official[index, :, :2]).max() < 1e-4
        points = J17.points(column(found, "keypoints_3d", sequence)[0])
        assert np.abs(points - 1000 * metres[index, :, :3]).max() < 1e-3


@pytest.mark.real
@pytest.mark.parametrize(
    "case", PROJECTION.get("computed", []), ids=lambda case: f"{case['subject']} {case['action']} {case['camera']}"
)
def test_poses_equal_the_golden_projection(case: dict[str, Any], tmp_path: Path) -> None:
    root = tree(tmp_path, case["subject"], case["action"], np.array(case["world_mm_32"]))
    (found,) = tables(root).values()
    sequence = f"{case['subject']}/{case['action']}/{case['camera']}"
    points, pixels = (J17.points(column(found, name, sequence)) for name in ("keypoints_3d", "keypoints"))
    assert np.abs(points - case["cam_mm_17"]).max() < 5e-4  # half a float32 step at 8 m
    assert np.abs(pixels - case["px_17_float64"]).max() < 1e-4
    assert np.abs(pixels - case["px_17_videopose3d_float32"]).max() < 5e-4


GROUND_TRUTH = sorted((REAL / H36M).glob("h36m_S*_real_data2dgt.npz"))


@pytest.mark.real
@pytest.mark.parametrize("path", GROUND_TRUTH, ids=lambda path: path.stem)
def test_pixels_equal_the_real_data_2d_h36m_gt(path: Path, tmp_path: Path) -> None:
    """The values of VideoPose3D's real ``data_2d_h36m_gt.npz``, of the sequence that the file is named after."""
    _, subject, *name, camera, _, _ = path.stem.split("_")
    with np.load(path) as real:
        (found,) = tables(tree(tmp_path, subject, " ".join(name), real["world_mm_32"])).values()
        pixels = J17.points(column(found, "keypoints", f"{subject}/{' '.join(name)}/{camera}"))
        assert pixels.shape == real["px_17"].shape
        assert np.abs(pixels - real["px_17"]).max() < 5e-4


FULL = REAL / H36M / "h36m_raw_full"
VIEWS = sorted(
    {
        (path.parents[1].parent.name, *path.stem.rsplit(".", 1))
        for kind in ("D3_Positions_mono", "D2_Positions")
        for path in FULL.glob(f"S*/MyPoseFeatures/{kind}/*.cdf")
    }
)
"""Subject, official name and camera of every full-rate file that says what the converter should compute."""


@pytest.mark.real
@pytest.mark.parametrize(("subject", "name", "camera"), VIEWS)
def test_whole_sequences_equal_d3_mono_and_d2(subject: str, name: str, camera: str, tmp_path: Path) -> None:
    features = FULL / subject / "MyPoseFeatures"
    mono, pixels = (features / kind / f"{name}.{camera}.cdf" for kind in ("D3_Positions_mono", "D2_Positions"))
    world = read_cdf(features / "D3_Positions" / f"{name}.cdf", 3)
    (found,) = tables(tree(tmp_path, subject, name, world)).values()
    sequence = f"{subject}/{h36m_metadata.canonical(name)}/{camera}"
    assert mono.is_file() or pixels.is_file()
    if mono.is_file():
        points, official = column(found, "keypoints_3d", sequence), read_cdf(mono, 3)
        assert points.shape == (len(official), 32, 3)
        # the official file is float32 as well: two roundings of a number below 8 m may differ by one step
        step = np.spacing(np.float32(4096))
        assert np.abs(points - official).max() < 1e-4 + step
        assert np.abs(packaged().camera(subject, camera).to_camera(world) - official).max() < 1e-4 + step / 2
    if pixels.is_file():
        assert np.abs(column(found, "keypoints", sequence) - read_cdf(pixels, 2)).max() < 1e-4


MINI = REAL / H36M / "h36m_raw_mini"


@pytest.mark.real
def test_a_whole_tree_gives_every_sequence_of_the_table() -> None:
    found = tables(MINI)
    present = {f"{row['subject']}/{row['canonical']}": row for row in TABLE if row["present"]}
    assert found.keys() == present.keys()
    assert len(found) == len(list(MINI.rglob("*.cdf"))) == 205
    for key, shard in found.items():
        row = present[key]
        rows = shard.sequences.to_pylist()
        assert not shard.rejects
        assert [each["camera"] for each in rows] == list(packaged().cameras)
        assert [each["video_frames"] for each in rows] == row["video_frames"]
        for each in rows:
            expected = row["official_file"], row["canonical"], row["action_id"], row["subaction"], 12
            assert tuple(each[name] for name in ("official", "name", "act", "subact", "n_frames")) == expected
            assert each["action"] == row["canonical"].split()[0]
            assert "mocap-short" in each["defects"]  # the files are cut to 12 frames
            assert ("shifted" in each["defects"]) == (key in {"S9/Greeting", "S9/SittingDown 1", "S9/Waiting 1"})
            assert ("camera-missing" in each["defects"]) == (key == "S11/Directions")
            assert (each["height"] == 1000) == (each["camera"] in ("55011271", "58860488") and each["subject"] != "S7")
    names = [name for shard in found.values() for name in shard.sequences["sequence"].to_pylist()]
    assert names == sorted(names)


# ---- published counts


class Counted:
    """A store whose sequences have the published lengths."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def table(self, name: str) -> pa.Table:
        assert name == "sequences"
        return pa.Table.from_pylist(self.rows)


@pytest.mark.real
def test_the_published_counts_hold_for_the_real_lengths() -> None:
    rows = [
        {"subject": row["subject"], "name": row["canonical"], "n_frames": row["mocap_frames"]}
        for row in TABLE
        for _ in range(4)
    ]
    checks = Human36M().check(Counted(rows))  # type: ignore[arg-type]
    assert len(checks) == 2 * len(FRAMES) + 2
    assert [check.what for check in checks if not check.ok] == []


def test_a_part_of_the_dataset_reports_what_is_missing() -> None:
    rows = [
        {"subject": take.subject, "name": take.name, "n_frames": 10}
        for take in packaged().takes
        if take.subject == "S9" and take.act > 1 and take.name not in ("Waiting", "Walking 1")
    ]
    files, frames = Human36M().check(Counted(rows))  # type: ignore[arg-type]
    assert (files.expected, files.found) == (30, 28)
    assert "missing: Waiting, Walking 1" in files.what
    assert (frames.expected, frames.found) == (79417, 280)


def test_the_packaged_rotation_convention_is_right_handed() -> None:
    quarter = np.pi / 2
    assert np.allclose(rotation([quarter, 0, 0]) @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(rotation([0, quarter, 0]) @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(rotation([0, 0, quarter]) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(rotation([0.1, 0.2, 0.3]), rotation([0.1, 0, 0]) @ rotation([0, 0.2, 0]) @ rotation([0, 0, 0.3]))
