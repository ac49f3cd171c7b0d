"""HumanEva-I's files one by one: C3D of every processor, sync, cameras, the sample's poses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import ezc3d
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.converters.humaneva import HumanEva, archives
from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.c3d import DEC, INTEL, SGI, read_c3d
from har_bench.converters.humaneva.calibration import CAMERAS, Sync, read_cal, read_measures, read_sync
from har_bench.converters.humaneva.clips import runs
from har_bench.converters.humaneva.joints import body, seen
from har_bench.converters.humaneva.mat import read_mat
from har_bench.converters.humaneva.sample import OFFSETS, markers, write_c3d, write_cal
from har_bench.converters.humaneva.takes import calibrations
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from har_bench.skeletons import skeleton
from tests.humaneva_data import J20, assert_equals_ezc3d, column, convert, tables

# ---- reading C3D files


@pytest.mark.parametrize(
    ("processor", "scale"), [(INTEL, -1.0), (INTEL, 0.1), (DEC, -1.0), (DEC, 0.1), (SGI, -1.0), (SGI, 0.1)]
)
def test_c3d_files_of_every_processor(tmp_path: Path, processor: int, scale: float) -> None:
    labels, points = markers(walking_person(30, 3))
    points[4:8, 3] = np.nan
    path = tmp_path / "take.c3d"
    write_c3d(path, labels, points, processor=processor, scale=scale)
    found = read_c3d(path)
    assert found.labels == tuple(labels)
    assert np.array_equal(found.points == 0, np.isnan(points))
    assert np.abs(found.points - np.nan_to_num(points)).max() <= (1e-3 if scale < 0 else 0.501 * scale)
    if processor != SGI:  # ezc3d does not read those
        assert_equals_ezc3d(path)


def test_ezc3ds_own_files_are_read(tmp_path: Path) -> None:
    """With events, analog channels and more than 255 points, whose labels are in two parameters."""
    rng = np.random.default_rng(5)
    points = rng.normal(0, 500, (4, 300, 12))
    points[3] = 1
    points[:3, 7, 4] = np.nan
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [120]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"Subject:M{number}" for number in range(300)]
    file["parameters"]["ANALOG"]["RATE"]["value"] = [240]
    file["parameters"]["ANALOG"]["LABELS"]["value"] = ["force"]
    file["data"]["points"] = points
    file["data"]["analogs"] = rng.normal(0, 1, (1, 1, 24))
    path = tmp_path / "take.c3d"
    file.write(str(path))
    assert_equals_ezc3d(path)
    assert read_c3d(path).index("M12") == 12
    assert read_c3d(path).index("no such", "M29") == 29


@pytest.mark.parametrize("content", [b"", b"P" * 2000, b"\x02\x50" + bytes(2000)])
def test_another_file_is_no_c3d(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "take.c3d"
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=r"take\.c3d is not a readable C3D file"):
        read_c3d(path)


def test_a_c3d_that_is_cut_off_is_named(own: Path) -> None:
    path = own / "S1" / "Mocap_Data" / "Jog_1.c3d"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HarBenchError, match=r"Jog_1\.c3d .*ends before the last of its 760 frames"):
        tables(own, "Validate/S1/Jog 1")


# ---- joints, sync and cameras


def test_sync_as_the_official_code() -> None:
    assert Sync().rows(np.array([1, 2, 40])).tolist() == [1, 2, 40]


def test_the_capture_may_begin_after_the_videos(tmp_path: Path) -> None:
    """Then frame 1 is where the motion capture begins, and all videos are that much further."""
    paths = []
    for camera in CAMERAS:
        paths.append(tmp_path / f"{camera}.ofs")
        paths[-1].write_text("1\n-9\n2\n" if camera == "C1" else "3\n-5\n2\n")
    sync = read_sync(paths)
    assert sync.start == 1
    assert sync.step == 2
    assert sync.images == dict.fromkeys(CAMERAS, 6)


def test_a_skewed_camera_is_projected_exactly_and_kept(own: Path) -> None:
    path = own / "S1" / "Calibration_Data" / "C2.cal"
    numbers = path.read_text().split()
    numbers[4] = "0.002"
    before = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    path.write_text(" ".join(numbers))
    after = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    name = "Validate/S1/Jog 1 chunk0/C2"
    shift = column(after, "keypoints", name) - column(before, "keypoints", name)
    fx, cy, fy = float(numbers[0]), float(numbers[3]), float(numbers[1])
    assert np.abs(shift[..., 0] - fx * 0.002 * (column(before, "keypoints", name)[..., 1] - cy) / fy).max() < 1e-9
    assert not shift[..., 1].any()
    assert [row["skew"] for row in after.cameras.to_pylist() if row["camera"] == "C2"] == [0.002]


@pytest.mark.parametrize(
    ("valid", "expected"),
    [("", {}), ("0", {}), ("1", {0: (0, 1)}), ("0110", {1: (1, 3)}), ("1011", {0: (0, 1), 2: (2, 4)})],
)
def test_runs_without_a_pose_are_counted(valid: str, expected: dict[int, tuple[int, int]]) -> None:
    found = runs(np.array([letter == "1" for letter in valid], bool))
    assert {number: (part.start, part.stop) for number, part in found} == expected


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**16),
    rows=st.integers(14, 70),
    lost=st.lists(st.tuples(st.integers(0, 69), st.integers(0, 38)), max_size=4),
    prefix=st.sampled_from(["", "Subject:", "x_"]),
    processor=st.sampled_from([INTEL, DEC, SGI]),
)
def test_values_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    rows: int,
    lost: list[tuple[int, int]],
    prefix: str,
    processor: int,
) -> None:
    """Joints that are points or ends of bones come back as they were; each frame is every second row."""
    root = tmp_path_factory.mktemp("trip")
    person = walking_person(rows, seed, fps=120)
    labels, points = markers(person, "FRM" if seed % 2 else "FRA")
    for row, marker in lost:
        points[min(row, rows - 1), marker] = np.nan
    mocap, sync, cal = (root / "raw" / "S2" / f"{kind}_Data" for kind in ("Mocap", "Sync", "Calibration"))
    for folder in (mocap, sync, cal):
        folder.mkdir(parents=True)
    for stem in ("Static", "Box_1"):
        write_c3d(mocap / f"{stem}.c3d", [prefix + label for label in labels], points, processor=processor)
    (mocap / "S2.mp").write_text("".join(f"${side}ShoulderOffset={value}\r\n" for side, value in OFFSETS.items()))
    for number, camera in enumerate(CAMERAS):
        (sync / f"Box_1_({camera}).ofs").write_text(f"{10 + number}\n1\n2\n")  # row 2 f - 1 is frame f
        write_cal(cal / f"{camera}.cal", calibrations("S2").get(camera, calibrations("S2")["C3"]))
    store = convert(root / "raw", root / "store")

    gone = {min(row, rows - 1) for row, _ in lost}
    frames = [frame for frame in range(6, (rows + 1) // 2 + 1) if 2 * frame - 2 not in gone]
    chosen = [row for row in store.sequences.to_pylist() if row["camera"] == "C1" and row["chunk"] is not None]
    found = [row["start_frame"] + frame for row in chosen for frame in range(row["rows"])]
    assert sorted(found) == frames
    assert store.manifest.rejects == 0
    at = {name: person[:, place] for place, name in enumerate(skeleton("h36m32").joints)}
    for row in chosen:
        assert row["video_frame"] == row["start_frame"] - 1 + 9
        view = store.sequence(row["sequence"])
        world = store.camera("C1", "S2").to_world(view.keypoints_3d)
        here = 2 * (row["start_frame"] + np.arange(row["rows"])) - 2
        for name, joint in {
            "head_proximal": "thorax",
            "left_upper_leg_proximal": "left_hip",
            "left_upper_leg_distal": "left_knee",
            "right_lower_leg_proximal": "right_knee",
            "right_lower_leg_distal": "right_ankle",
            "left_upper_arm_proximal": "left_shoulder",
        }.items():
            assert np.abs(world[:, J20.index(name)] - at[joint][here]).max() < 2e-3
        for side in ("left", "right"):
            upper, lower = (
                [J20.index(f"{side}_{bone}_arm_{end}") for end in ("proximal", "distal")] for bone in ("upper", "lower")
            )
            for (near, far), (one, other) in ((upper, ("shoulder", "elbow")), (lower, ("elbow", "wrist"))):
                bone = np.linalg.norm(at[f"{side}_{one}"][here] - at[f"{side}_{other}"][here], axis=-1)
                assert np.abs(np.linalg.norm(world[:, near] - world[:, far], axis=-1) - bone).max() < 2e-3
        head = world[:, J20.index("head_distal")] - world[:, J20.index("head_proximal")]
        assert np.abs(np.linalg.norm(head, axis=-1) - 316.103).max() < 1e-6
        assert (view.visibility == 2).all()
    shutil.rmtree(root)


def test_text_and_trajectories_of_any_size(tmp_path: Path) -> None:
    """Infinite and huge positions are no poses, or are kept as they are; nothing overflows aloud."""
    labels, points = markers(walking_person(40, 1))
    points[20:24, 5:60] = 3e38
    points[30, 45] = np.inf
    path = tmp_path / "take.c3d"
    write_c3d(path, labels, points)
    take = read_c3d(path)
    rows = np.arange(1.0, 40.5, 0.5)
    found = seen(take, rows[rows <= 40])
    joints = body(take, rows[rows <= 40][found], 150.0, {"LShoulderOffset": 50, "RShoulderOffset": 50})
    assert np.isfinite(joints).all(axis=(1, 2)).sum() > 30


Reader = Callable[[Path], object]


@pytest.mark.parametrize("reader", [read_c3d, read_cal, read_measures, read_mat])
def test_readers_name_the_file(tmp_path: Path, reader: Reader) -> None:
    path = tmp_path / "noise.bin"
    path.write_bytes(np.random.default_rng(0).bytes(3000))
    with pytest.raises(HarBenchError, match=r"noise\.bin"):
        reader(path)


def test_the_layouts_are_told_to_the_user() -> None:
    assert release.LAYOUT in HumanEva.raw
    assert archives.LAYOUT in HumanEva.raw
