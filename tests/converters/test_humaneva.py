"""HumanEva-I: joints, pixels, validity and sync against the official code and VideoPose3D's archives; damaged files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np
import pyarrow.compute as pc
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Tables
from har_bench.converters.humaneva import HumanEva, archives
from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.c3d import DEC, INTEL, SGI, read_c3d
from har_bench.converters.humaneva.calibration import CAMERAS, COLOUR, Sync, read_cal, read_measures, read_sync
from har_bench.converters.humaneva.clips import runs
from har_bench.converters.humaneva.joints import SKIN, body, seen, shoulder_radius
from har_bench.converters.humaneva.mat import read_mat
from har_bench.converters.humaneva.sample import OFFSETS, ROWS, UNCAPTURED, markers, write_c3d, write_cal
from har_bench.converters.humaneva.takes import calibrations, published
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store
from tests.golden import REAL, load

CONVERTER = "har_bench.converters.humaneva:HumanEva"
FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
DATA = REAL / "humaneva"
RAW = DATA / "humaneva_synth_raw"
FLAT = DATA / "humaneva15_flat.npz"
PARTITIONS = list(load("humaneva/golden/humaneva_partitions.json"))
VALID = list(load("humaneva/golden/humaneva_valid_table.json"))
OFFSETS_GOLDEN = load("humaneva/golden/humaneva_start_image_offsets.json")
RECOVERED = load("humaneva/golden/humaneva_cal_recovered.json")
OCTAVE = DATA / "golden" / "humaneva_synth_official_octave.npz"

J20, J15 = skeleton("humaneva20"), skeleton("humaneva15")
TO_15 = mapping(J20, J15)
AVERAGED = [joint for joint, grade in enumerate(TO_15.grades) if grade == "midpoint"]


def octave() -> dict[str, np.ndarray]:
    """What the official code gave under Octave on the synthetic raw tree."""
    if not OCTAVE.is_file():
        return {}
    with np.load(OCTAVE) as file:
        return {name: file[name] for name in file.files}


def convert(raw: Path, out: Path, **options: Any) -> Store:
    return har_bench.convert(CONVERTER, raw, out, jobs=1, quiet=True, options=options)


def tables(raw: Path, *keys: str) -> dict[str, Tables]:
    converter = HumanEva()
    return {shard.key: converter.read(shard) for shard in converter.discover(raw) if not keys or shard.key in keys}


def column(found: Tables, name: str, sequence: str) -> np.ndarray:
    assert found.poses is not None
    rows = found.poses.filter(pc.equal(found.poses["sequence"], sequence))
    return to_numpy(rows[name], rows.schema.field(name))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("humaneva") / "raw"
    HumanEva.sample(out, seed=1)
    return out


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


@pytest.fixture(scope="module")
def store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(raw, tmp_path_factory.mktemp("humaneva") / "store", format="both")


# ---- the official code's output


@pytest.fixture(scope="module")
def own_octave() -> dict[str, np.ndarray]:
    """The same numbers as :func:`octave`, from this converter's parts."""
    golden, folder = octave(), RAW / "S1"
    take = read_c3d(folder / "Mocap_Data" / "Walking_1.c3d")
    sync = read_sync([folder / "Sync_Data" / f"Walking_1_({camera}).ofs" for camera in CAMERAS])
    assert sync.images is not None
    rows = sync.rows(golden["frames"])
    radius = shoulder_radius(read_c3d(folder / "Mocap_Data" / "Static.c3d"))
    # the official code gives the joints of frames without a pose, too
    joints = body(take, rows, radius, read_measures(folder / "Mocap_Data" / "S1.mp"))
    views = [read_cal(folder / "Calibration_Data" / f"{camera}.cal") for camera in COLOUR]
    pixels = np.stack([view.project(view.camera.to_camera(joints)) for view in views], axis=1)
    return {
        "mocap_position": rows,
        "stream_offset": np.array(sync.start),
        "stream_scaling": np.array(sync.step),
        "image_offsets": np.array([sync.images[camera] for camera in CAMERAS]),
        "frames_beyond_end": golden["frames_beyond_end"][~seen(take, sync.rows(golden["frames_beyond_end"]))],
        "valid": seen(take, rows),
        "names": np.array(J20.official),
        "joints20_mm": joints,
        "joints15_mm": TO_15.points(joints),
        "px20": pixels,
        "px15": TO_15.points(pixels),
    }


INPUTS = {"frames", "limb_params"}  # which frames were asked for, and the surfaces of the limbs, which no pose needs


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(octave().keys() - INPUTS))
def test_equals_the_official_code(own_octave: dict[str, np.ndarray], name: str) -> None:
    expected, found = octave()[name], own_octave[name]
    if expected.dtype.kind == "f":
        assert np.array_equal(np.isnan(found), np.isnan(expected))
        assert np.nanmax(np.abs(found - expected)) < 1e-6
    else:
        assert np.array_equal(found, expected)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(RAW, tmp_path_factory.mktemp("official") / "store", format="both")


@pytest.mark.real
@pytest.mark.parametrize("camera", COLOUR)
@pytest.mark.parametrize("joints", [20, 15])
def test_the_store_equals_the_official_code(official: Store, camera: str, joints: int) -> None:
    golden = octave()
    frames = golden["frames"].tolist()
    names = [
        name for name in official.sequences["sequence"].to_pylist() if name.startswith("Validate") and camera in name
    ]
    poses = official.poses(sequences=names, skeleton=f"humaneva{joints}")
    starts = dict(zip(*(official.sequences[name].to_pylist() for name in ("sequence", "start_frame")), strict=True))
    videos = dict(zip(*(official.sequences[name].to_pylist() for name in ("sequence", "video_frame")), strict=True))
    points, pixels = (to_numpy(poses[name], poses.schema.field(name)) for name in ("keypoints_3d", "keypoints"))
    world = official.camera(camera, "S1").to_world(points)
    compared = 0
    for row, (name, frame) in enumerate(zip(poses["sequence"].to_pylist(), poses["frame"].to_pylist(), strict=True)):
        number = starts[name] + frame
        image = golden["image_offsets"][CAMERAS.index(camera)]
        assert videos[name] + frame == number + image - 2
        if number in frames:
            place = frames.index(number)
            assert golden["valid"][place]
            assert np.abs(world[row] - golden[f"joints{joints}_mm"][place]).max() < 1e-6
            assert np.abs(pixels[row] - golden[f"px{joints}"][place, COLOUR.index(camera)]).max() < 1e-6
            compared += 1
    assert compared == sum(valid and frame >= 6 for valid, frame in zip(golden["valid"], frames, strict=True)) > 10


@pytest.mark.real
def test_the_twin_in_matlab_gives_the_same(official: Store, tmp_path: Path) -> None:
    shutil.copytree(RAW, tmp_path / "raw", copy_function=shutil.copy)
    for path in sorted((tmp_path / "raw").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in (tmp_path / "raw").glob("S1/Mocap_Data/*.c3d"):
        path.unlink()
    twin = convert(tmp_path / "raw", tmp_path / "store")
    assert twin.fingerprint == official.fingerprint


@pytest.mark.real
def test_ezc3d_reads_the_same_trajectories() -> None:
    for path in sorted(RAW.rglob("*.c3d")):
        assert_equals_ezc3d(path)


# ---- VideoPose3D's real archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return convert(FLAT, tmp_path_factory.mktemp("archive") / "store")


@pytest.mark.real
def test_the_archive_is_whole(archive: Store) -> None:
    assert [check.what for check in archive.manifest.published if check.expected != check.found] == []
    assert archive.manifest.splits == {
        "official/train": 105, "official/validate": 126, "videopose3d/test": 126, "videopose3d/train": 105
    }  # fmt: skip
    assert archive.manifest.rows["poses"] == 3 * 9577
    assert archive.skeleton() == J15
    assert archive.manifest.rejects == 0


@pytest.mark.real
@pytest.mark.parametrize("row", VALID, ids=lambda row: f"{row['split_subject']} {row['action']}")
def test_frames_and_chunks_of_the_archive(archive: Store, row: dict[str, Any]) -> None:
    for camera in COLOUR:
        found = {
            str(each["chunk"]): each["n_frames"]
            for each in archive.sequences.to_pylist()
            if each["sequence"].startswith(f"{row['split_subject']}/{row['action']} ") and each["camera"] == camera
        }
        assert found == row["chunks"]
    take = next(take for take in published().takes if take.key == f"{row['split_subject']}/{row['action']}")
    assert (take.first, take.last) == (row["first_frame_1based"], row["last_frame"])
    assert take.last - take.first + 1 == row["frames"]
    assert sum((take.chunks or {}).values()) == row["valid"]


@pytest.mark.real
@pytest.mark.parametrize("camera", COLOUR)
@pytest.mark.parametrize("split", ["videopose3d/train", "videopose3d/test"])
def test_the_calibrations_project_the_real_poses(archive: Store, camera: str, split: str) -> None:
    """To one step of a float32 pixel, in which poses and pixels are given.

    All joints but the averaged ones: their pixels are means of pixels, as much as 0.24 px beside the mean's projection.
    """
    exact = np.setdiff1d(np.arange(len(J15)), AVERAGED)
    with np.load(FLAT) as file:
        raw = {name: file[name] for name in file.files}
    for row in archive.select(split).to_pylist():
        if row["camera"] == camera:
            view = archive.sequence(row["sequence"])
            key = f"{row['partition']}/{row['subject']}|{row['action']} 1 chunk{row['chunk']}"
            assert np.array_equal(view.keypoints, raw[f"2d|{key}|{camera}"])
            calibrated = archive.camera(camera, row["subject"])
            assert np.abs(calibrated.to_world(view.keypoints_3d) - raw[f"3d|{key}"] * np.float64(1000)).max() < 1e-9
            shifts = np.abs(calibrated.project(view.keypoints_3d) - view.keypoints)
            assert shifts[:, exact].max() < np.spacing(np.float32(512))
            assert shifts.max() < 0.25


@pytest.mark.real
def test_the_pickled_archives_give_the_same_store(archive: Store, tmp_path: Path) -> None:
    with np.load(FLAT) as file:
        write_pickled(tmp_path, {name: file[name] for name in file.files})
    assert convert(tmp_path, tmp_path / "store").fingerprint == archive.fingerprint


def write_pickled(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """VideoPose3D's two files from the flat archive's arrays."""
    positions: dict[str, dict[str, Any]] = {}
    pixels: dict[str, dict[str, Any]] = {}
    for name in (name for name in arrays if name.startswith("3d|")):
        _, subject, action = name.split("|")
        positions.setdefault(subject, {})[action] = arrays[name]
        views = [arrays[f"2d|{subject}|{action}|{camera}"] for camera in COLOUR]
        pixels.setdefault(subject, {})[action] = views
    np.savez_compressed(folder / archives.POSES, allow_pickle=True, positions_3d=np.array(positions, object))
    metadata = {"layout_name": "humaneva15", "num_joints": 15}
    np.savez_compressed(
        folder / archives.PIXELS, allow_pickle=True, positions_2d=np.array(pixels, object), metadata=np.array(metadata)
    )


# ---- the packaged facts


@pytest.mark.real
def test_the_packaged_partitions_are_the_official_ones() -> None:
    golden = [row for row in PARTITIONS if row["dataset"] == "HumanEvaI"]
    names = ("subject", "action", "trial", "frame_start_1based", "frame_end_inclusive", "partition")
    expected = [tuple(row[name] for name in names) for row in golden]
    takes = published().takes
    assert [(t.subject, t.action, t.trial, t.first, t.last, t.partition) for t in takes] == expected
    assert len(takes) == 69


@pytest.mark.real
@pytest.mark.parametrize("subject", OFFSETS_GOLDEN)
def test_the_packaged_video_offsets_are_videopose3ds(subject: str) -> None:
    packaged = {name: starts for name, starts in published().image_starts.items() if name.startswith(f"{subject}/")}
    assert packaged == {f"{subject}/{name}": tuple(starts) for name, starts in OFFSETS_GOLDEN[subject].items()}


@pytest.mark.real
@pytest.mark.parametrize("key", RECOVERED)
def test_the_packaged_calibrations_are_the_recovered_ones(key: str, tmp_path: Path) -> None:
    subject, camera = key.split("/")
    golden, packaged = RECOVERED[key], calibrations(subject)[camera]
    for found, name in (("f", "fc"), ("c", "cc"), ("distortion", "kc"), ("R", "Rc_ext"), ("t", "Tc_ext")):
        assert np.array_equal(getattr(packaged.camera, found), golden[name])
    assert packaged.skew == golden["alpha_c"]
    assert np.abs(packaged.camera.centre - golden["camera_centre_mm"]).max() < 1e-6
    write_cal(tmp_path / "C.cal", packaged)
    again = read_cal(tmp_path / "C.cal")
    assert np.abs(again.camera.R - packaged.camera.R).max() < 1e-9
    if subject == "S1":
        official = read_cal(RAW / "S1" / "Calibration_Data" / f"{camera}.cal")
        assert np.abs(official.camera.t - packaged.camera.t).max() < 1e-5


def test_skeletons_belong_together() -> None:
    assert len(J20) == len(J20.official) == 20
    assert [J15.joints[joint] for joint in AVERAGED] == [
        "thorax", "left_elbow", "right_elbow", "left_knee", "right_knee"
    ]  # fmt: skip
    assert sorted(source for sources in TO_15.sources for source in sources) == list(range(20))
    assert len(J20.pairs) == 8
    assert len(J15.pairs) == 6


# ---- reading C3D files


def assert_equals_ezc3d(path: Path) -> None:
    expected, found = ezc3d.c3d(str(path)), read_c3d(path)
    points = np.nan_to_num(expected["data"]["points"][:3].transpose(2, 1, 0))
    groups = expected["parameters"]["POINT"]
    labels = [groups[name]["value"] for name in ("LABELS", "LABELS2") if name in groups]
    assert list(found.labels) == [label for part in labels for label in part]
    assert np.array_equal(found.points, points)


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


# ---- the sample


def test_the_sample_has_every_kind_of_take(store: Store) -> None:
    rows = store.sequences.to_pylist()
    assert store.manifest.rejects == 0
    assert {(row["partition"], row["trial"]) for row in rows} == {
        ("Train", 1), ("Validate", 1), ("Test", 2), ("Train", 3)
    }  # fmt: skip
    for row in rows:
        assert row["rows"] == (row["n_frames"] if row["chunk"] is not None else 0)
        assert (row["media"] is None) == (row["trial"] == 3) == (row["video_frame"] is None)
        used = (
            row["trial"] == 1 and row["chunk"] is not None and row["camera"] in COLOUR and row["action"] != "ThrowCatch"
        )
        family = {"Train": ["videopose3d/train"], "Validate": ["videopose3d/test"]}.get(row["partition"], [])
        assert row["splits"] == [f"official/{row['partition'].lower()}", *(family if used else [])]
        assert ("damaged-mocap" in row["defects"]) == (row["action"] == "ThrowCatch")
        assert ("no-pose" in row["defects"]) == (row["partition_valid"] == 0)
        assert (row["partition_valid"] is None) == ((row["subject"], f"{row['action']}_{row['trial']}") in UNCAPTURED)
    assert {row["media"] for row in rows if row["sequence"] == "Test/S4/Walking 2/C2"} == {
        "S4/Image_Data/Walking_2_(C2).avi"
    }
    assert [row["skew"] for row in store.table("cameras").to_pylist()] == [0] * 21
    assert [(row["fps"], row["camera"], row["n_frames"]) for row in rows if row["trial"] == 3] == [(120, "C1", 40)]


def test_both_formats_hold_the_same(store: Store) -> None:
    again = har_bench.open_store(store.path / "arrays.h5")
    assert again.digest() == store.digest() == store.fingerprint


def test_published_counts_name_what_is_missing(store: Store) -> None:
    found = {check.what: (check.expected, check.found) for check in store.manifest.published}
    assert found["subjects; missing: S2"] == (4, 3)
    assert found["S4: calibrated cameras"] == (7, 7)
    assert found["Train/S1/Jog 3: frames of motion capture (official release)"] == (3175, 40)
    (missing,) = (what for what in found if what.startswith("S4: partitions"))
    assert missing.endswith(
        "missing: Test/S4/Jog 2, Test/S4/ThrowCatch 2, Test/S4/Gestures 2, Test/S4/Box 2, Test/S4/Combo 2)"
    )


@pytest.mark.parametrize("take", [take for take in ROWS if take[1].endswith("_1")])
def test_frames_with_lost_markers_have_no_pose(raw: Path, store: Store, take: tuple[str, str]) -> None:
    """Against ezc3d and a loop over frames and markers."""
    subject, stem = take
    capture = ezc3d.c3d(str(raw / subject / "Mocap_Data" / f"{stem}.c3d"))
    labels = capture["parameters"]["POINT"]["LABELS"]["value"]
    points = capture["data"]["points"][:3]
    paths = [raw / subject / "Sync_Data" / f"{stem}_({camera}).ofs" for camera in CAMERAS]
    expected = set()
    for frame in range(6, 741):
        place = float(read_sync(paths).rows(np.array([frame]))[0])
        edges = {int(np.floor(place)), int(np.ceil(place))}
        if max(edges) <= points.shape[2]:
            columns = [next(i for i, text in enumerate(labels) if any(n in text for n in m.split("|"))) for m in SKIN]
            if np.isfinite(points[:, columns][:, :, [edge - 1 for edge in edges]]).all():
                expected.add(frame)
    found = {
        row["start_frame"] + frame
        for row in store.sequences.to_pylist()
        if (row["subject"], f"{row['action']}_{row['trial']}", row["camera"]) == (*take, "C1")
        for frame in range(row["rows"])
    }
    assert found == expected
    assert len(found) > 5


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


# ---- part of the data


@pytest.mark.parametrize(
    ("path", "key", "message"),
    [
        ("S1/Mocap_Data/Static.c3d", "Validate/S1/Jog 1", r"Static\.c3d is missing"),
        ("S1/Mocap_Data/S1.mp", "Validate/S1/Jog 1", r"S1\.mp is missing"),
        ("S1/Mocap_Data/Jog_1.c3d", "Train/S1/Jog 1", r"Jog_1\.c3d is missing"),
        ("S1/Sync_Data/Jog_1_(BW2).ofs", "Validate/S1/Jog 1", r"Jog_1_\(BW2\)\.ofs is missing, and all seven"),
    ],
)
def test_a_missing_file_is_named(own: Path, tmp_path: Path, path: str, key: str, message: str) -> None:
    (own / path).unlink()
    with pytest.raises(HarBenchError, match=message):
        tables(own, key)
    rejects = convert(own, tmp_path / "store").table("rejects").to_pylist()
    assert key in {row["locator"] for row in rejects}
    assert {row["action"] for row in rejects} == {"dropped"}


def test_cameras_without_calibration_are_left_out(own: Path) -> None:
    for camera in ("C3", "BW1", "BW4"):
        (own / "S1" / "Calibration_Data" / f"{camera}.cal").unlink()
    found = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    assert set(found.sequences["camera"].to_pylist()) == {"C1", "C2", "BW2", "BW3"}
    shutil.rmtree(own / "S1" / "Calibration_Data")
    with pytest.raises(HarBenchError, match=r"Calibration_Data holds no \.cal file"):
        tables(own, "Validate/S1/Jog 1")


def test_videos_alone_make_the_test_set(tmp_path: Path, raw: Path) -> None:
    shutil.copytree(raw / "S4" / "Calibration_Data", tmp_path / "S4" / "Calibration_Data")
    (tmp_path / "S4" / "Image_Data").mkdir()
    (tmp_path / "S4" / "Image_Data" / "Combo_2_(C1).avi").write_bytes(b"")
    (found,) = tables(tmp_path).values()
    assert found.poses is None
    assert found.sequences["video_frame"].to_pylist() == [None] * 7
    assert found.sequences["n_frames"].to_pylist() == [1102 - 6 + 1] * 7


def test_a_take_of_another_name_is_named(own: Path) -> None:
    folder = own / "S1" / "Mocap_Data"
    shutil.copy(folder / "Jog_1.c3d", folder / "Dance_1.c3d")
    with pytest.raises(HarBenchError, match=r"Dance_1\.c3d is no take of HumanEva-I; remove it"):
        tables(own)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no HumanEva: expected S\*/\{Image_Data"):
        HumanEva().discover(tmp_path)


def test_the_matlab_twin_stands_in(own: Path) -> None:
    before = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    for path in sorted((own / "S1" / "Mocap_Data").glob("*.c3d")):
        write_mat(path.with_suffix(".mat"), path)
        path.unlink()
    after = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    assert after.poses == before.poses
    assert after.sequences == before.sequences


def write_mat(path: Path, c3d: Path) -> None:
    """What MATLAB's readc3d saves beside a C3D file."""
    take = read_c3d(c3d)
    labels = np.empty((1, len(take.labels)), object)
    labels[0] = take.labels
    parameter = {"name": np.array([["LABELS"]], object), "data": labels}
    group = {"name": np.array([["POINT"]], object), "Parameter": parameter}
    scipy.io.savemat(path, {"Markers": take.points, "ParameterGroup": group})


# ---- VideoPose3D's layout


def flat(raw: Path) -> dict[str, np.ndarray]:
    """The sample's colour cameras as VideoPose3D would archive them."""
    arrays = {}
    for found in tables(raw).values():
        for row in found.sequences.to_pylist():
            if any(name.startswith("videopose3d") for name in row["splits"]):
                key = f"{row['partition']}/{row['subject']}|{row['action']} 1 chunk{row['chunk']}"
                view = read_cal(raw / row["subject"] / "Calibration_Data" / f"{row['camera']}.cal").camera
                points = TO_15.points(column(found, "keypoints_3d", row["sequence"]))
                arrays[f"3d|{key}"] = (view.to_world(points) / 1000).astype("f4")
                pixels = TO_15.points(column(found, "keypoints", row["sequence"]))
                arrays[f"2d|{key}|{row['camera']}"] = pixels.astype("f4")
    return arrays


@pytest.mark.parametrize("form", ["flat", "pickled"])
def test_the_archives_of_the_sample(raw: Path, store: Store, tmp_path: Path, form: str) -> None:
    arrays = flat(raw)
    if form == "flat":
        np.savez(tmp_path / "humaneva15.npz", **arrays)
    else:
        write_pickled(tmp_path, arrays)
    for subject in ("S1", "S3"):
        shutil.copytree(raw / subject / "Calibration_Data", tmp_path / subject / "Calibration_Data")
    found = convert(tmp_path, tmp_path / "store")
    used = [row for row in store.sequences.to_pylist() if any("videopose3d" in name for name in row["splits"])]
    assert found.sequences["sequence"].to_pylist() == [row["sequence"] for row in used]
    assert found.skeleton() == J15
    for row in used:
        own, other = found.sequence(row["sequence"]), store.sequence(row["sequence"])
        assert np.abs(own.keypoints_3d - TO_15.points(other.keypoints_3d)).max() < 1e-3
        assert np.abs(own.keypoints - TO_15.points(other.keypoints)).max() < 1e-4
        assert own.info["start_frame"] == (row["start_frame"] if row["chunk"] == 0 else None)
        assert (own.info["partition_frames"], own.info["splits"]) == (row["partition_frames"], row["splits"])


def test_without_the_2d_archive_there_are_no_pixels(raw: Path, tmp_path: Path) -> None:
    write_pickled(tmp_path, flat(raw))
    (tmp_path / archives.PIXELS).unlink()
    found = convert(tmp_path, tmp_path / "store")
    poses = found.manifest.rows["poses"]
    view = found.sequence("Validate/S1/Jog 1 chunk0/C1")
    assert np.isnan(view.keypoints).all()
    assert np.isfinite(view.keypoints_3d).all()
    checks = {check.what: (check.expected, check.found) for check in found.manifest.published}
    assert checks["poses with pixels (data_2d_humaneva15_gt.npz)"] == (poses, 0)


def test_odd_arrays_of_an_archive_are_reported(raw: Path, tmp_path: Path) -> None:
    arrays = flat(raw)
    name = next(name for name in arrays if name.startswith("2d|Validate/S1") and name.endswith("chunk0|C2"))
    arrays[name] = arrays[name][1:]
    arrays["3d|Train/S1|Jog 1 chunk0"] = np.zeros((3, 17, 3), "f4")
    arrays["3d|Train/S9|Dance chunk0"] = np.zeros((3, 15, 3), "f4")
    np.savez(tmp_path / "a.npz", **arrays)
    rejects = convert(tmp_path / "a.npz", tmp_path / "store").table("rejects").to_pylist()
    assert {(row["locator"], row["action"]) for row in rejects} == {
        ("Validate/S1 Jog 1 chunk0", "repaired"),
        ("Train/S1 Jog 1 chunk0", "dropped"),
        ("Train/S9/Dance chunk0", "dropped"),
    }


@pytest.mark.parametrize("content", [np.zeros(3), np.array([1], object), np.array({"Train/S1": 1}, object)])
def test_another_npz_is_named(tmp_path: Path, content: np.ndarray) -> None:
    np.savez(tmp_path / archives.POSES, allow_pickle=True, positions_3d=content)
    with pytest.raises(HarBenchError, match="it is not VideoPose3D's"):
        HumanEva().discover(tmp_path)


# ---- damaged input


@pytest.mark.parametrize("text", ["", "1 2", "a b c", "nan 1 2", "1 2 0", "1 2 -2", "1 2 3 4"])
def test_a_damaged_ofs_is_named(own: Path, text: str) -> None:
    (own / "S1" / "Sync_Data" / "Jog_1_(C2).ofs").write_text(text)
    with pytest.raises(HarBenchError, match=r"Jog_1_\(C2\)\.ofs"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize("text", ["", "1 2", "1 " * 22, "x " * 22, "inf " * 22])
def test_a_damaged_cal_is_named(own: Path, text: str) -> None:
    (own / "S1" / "Calibration_Data" / "BW2.cal").write_text(text)
    with pytest.raises(HarBenchError, match=r"BW2\.cal"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize("text", ["", "$LShoulderOffset = 50", "$LShoulderOffset = x\n$RShoulderOffset = 1"])
def test_a_damaged_mp_is_named(own: Path, text: str) -> None:
    (own / "S1" / "Mocap_Data" / "S1.mp").write_text(text)
    with pytest.raises(HarBenchError, match=r"S1\.mp"):
        tables(own, "Validate/S1/Jog 1")


def test_a_take_without_a_marker_is_named(own: Path) -> None:
    labels, points = markers(walking_person(60, 1))
    write_c3d(own / "S1" / "Mocap_Data" / "Jog_1.c3d", ["?" if label == "T10" else label for label in labels], points)
    with pytest.raises(HarBenchError, match=r"Jog_1\.c3d has no marker T10"):
        tables(own, "Validate/S1/Jog 1")


def test_a_segment_that_is_cut_off_is_named(own: Path) -> None:
    labels, points = markers(walking_person(60, 1))
    write_c3d(own / "S1" / "Mocap_Data" / "Jog_1.c3d", labels[:-2], points[:, :-2])
    with pytest.raises(HarBenchError, match=r"Jog_1\.c3d ends within the four points of the segment RRA"):
        tables(own, "Validate/S1/Jog 1")


@pytest.mark.parametrize(
    "content", [{}, {"Markers": np.zeros((3, 4))}, {"ParameterGroup": 1, "Markers": np.zeros((3, 4, 3))}]
)
def test_another_mat_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(HarBenchError, match=r"a\.mat holds no Markers"):
        read_mat(tmp_path / "a.mat")


def mutations(honest: bytes, rng: np.random.Generator) -> bytes:
    forged = bytearray(honest)
    reach = len(forged) if rng.integers(2) else min(len(forged), 4000)  # headers are where it hurts
    for position in rng.integers(0, reach, rng.integers(1, 6)):
        forged[position] = rng.integers(256)
    if not rng.integers(8):
        del forged[int(rng.integers(len(forged))) :]
    return bytes(forged)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """One tiny tree per format: its root, and the file to damage."""
    root = tmp_path_factory.mktemp("small")
    HumanEva.sample(root / "full", seed=2)
    folder = root / "full" / "S3"
    for path in (folder / "Mocap_Data" / "Walking_1.c3d", *(folder / "Sync_Data").glob("Walking*")):
        path.unlink()
    twin = Path(shutil.copytree(root / "full" / "S3", root / "twin" / "S3"))
    for path in sorted((twin / "Mocap_Data").glob("*.c3d")):
        write_mat(path.with_suffix(".mat"), path)
        path.unlink()
    for form in ("flat", "pickled"):
        (root / form).mkdir()
    arrays = {
        name: np.random.default_rng(0).normal(0, 1, (3, 15, 3 if name[0] == "3" else 2)).astype("f4")
        for chunk in ("Train/S1|Jog 1 chunk0", "Train/S1|Jog 1 chunk2")
        for name in (f"3d|{chunk}", *(f"2d|{chunk}|{camera}" for camera in COLOUR))
    }
    np.savez(root / "flat" / "a.npz", **arrays)
    write_pickled(root / "pickled", arrays)
    shutil.move(folder, root / "c3d" / "S3")
    return {
        "c3d": (root / "c3d", "S3/Mocap_Data/ThrowCatch_1.c3d"),
        "static": (root / "c3d", "S3/Mocap_Data/Static.c3d"),
        "cal": (root / "c3d", "S3/Calibration_Data/C2.cal"),
        "ofs": (root / "c3d", "S3/Sync_Data/ThrowCatch_1_(C3).ofs"),
        "mp": (root / "c3d", "S3/Mocap_Data/S3.mp"),
        "mat": (root / "twin", "S3/Mocap_Data/ThrowCatch_1.mat"),
        "flat": (root / "flat", "a.npz"),
        "pickled": (root / "pickled", archives.POSES),
        "pixels": (root / "pickled", archives.PIXELS),
    }


@pytest.mark.parametrize("form", ["c3d", "static", "cal", "ofs", "mp", "mat", "flat", "pickled", "pixels"])
def test_mutated_files_are_read_or_named(small: dict[str, tuple[Path, str]], form: str) -> None:
    """Whatever the bytes, the outcome is tables or one HarBenchError."""
    root, name = small[form]
    path = root / name
    honest = path.read_bytes()
    rng = np.random.default_rng(17)
    read, messages = 0, []
    try:
        for _ in range(FUZZ):
            path.write_bytes(mutations(honest, rng))
            try:
                tables(root)
                read += 1
            except HarBenchError as error:
                messages.append(str(error))
    finally:
        path.write_bytes(honest)
    assert read + len(messages) == FUZZ
    assert messages


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
