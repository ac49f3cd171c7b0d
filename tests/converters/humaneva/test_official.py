"""HumanEva-I against the official MATLAB code and VideoPose3D's real archive; the packaged facts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.c3d import read_c3d
from har_bench.converters.humaneva.calibration import CAMERAS, COLOUR, read_cal, read_measures, read_sync
from har_bench.converters.humaneva.joints import body, seen, shoulder_radius
from har_bench.converters.humaneva.sample import write_cal
from har_bench.converters.humaneva.takes import calibrations, published
from har_bench.schema import to_numpy
from har_bench.store import Store
from tests.golden import load
from tests.humaneva_data import AVERAGED, DATA, FLAT, J15, J20, RAW, TO_15, assert_equals_ezc3d, convert, write_pickled

PARTITIONS = list(load("humaneva/golden/humaneva_partitions.json"))


VALID = list(load("humaneva/golden/humaneva_valid_table.json"))


OFFSETS_GOLDEN = load("humaneva/golden/humaneva_start_image_offsets.json")


RECOVERED = load("humaneva/golden/humaneva_cal_recovered.json")


OCTAVE = DATA / "golden" / "humaneva_synth_official_octave.npz"


def octave() -> dict[str, np.ndarray]:
    """What the official code gave under Octave on the synthetic raw tree."""
    if not OCTAVE.is_file():
        return {}
    with np.load(OCTAVE) as file:
        return {name: file[name] for name in file.files}


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
