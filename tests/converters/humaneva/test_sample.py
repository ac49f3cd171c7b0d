"""HumanEva-I: the sample, parts of it, and the same in VideoPose3D's layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import ezc3d
import numpy as np
import pytest

import har_bench
from har_bench.converters.humaneva import HumanEva, archives
from har_bench.converters.humaneva import release as release
from har_bench.converters.humaneva.calibration import CAMERAS, COLOUR, read_sync
from har_bench.converters.humaneva.joints import SKIN
from har_bench.converters.humaneva.sample import ROWS, UNCAPTURED
from har_bench.errors import HarBenchError
from har_bench.store import Store
from tests.humaneva_data import J15, TO_15, convert, flat, tables, write_mat, write_pickled

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
    with pytest.raises(HarBenchError, match=r"holds no HumanEva .*; expected S\*/\{Image_Data"):
        HumanEva().discover(tmp_path)


def test_the_matlab_twin_stands_in(own: Path) -> None:
    before = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    for path in sorted((own / "S1" / "Mocap_Data").glob("*.c3d")):
        write_mat(path.with_suffix(".mat"), path)
        path.unlink()
    after = tables(own, "Validate/S1/Jog 1")["Validate/S1/Jog 1"]
    assert after.poses == before.poses
    assert after.sequences == before.sequences


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
