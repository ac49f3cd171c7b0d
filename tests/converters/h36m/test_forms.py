"""Human3.6M: the sample in every form, with and without metadata.xml; the person in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from har_bench.cameras import Camera
from har_bench.converter import Tables
from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m import metadata as h36m_metadata
from har_bench.converters.h36m.archives import NPZ, read_cdf
from har_bench.converters.h36m.converter import POSES, SEQUENCES
from har_bench.converters.h36m.metadata import packaged
from har_bench.converters.h36m.sample import TAKES, WITH_PIXELS, write_cdf
from har_bench.samples import walking_person
from har_bench.skeletons import skeleton
from tests.h36m_raw import column, tables

# ---- the sample, in every form


def test_the_sample_becomes_what_was_written(raw: Path) -> None:
    found = tables(raw)
    expected = {
        f"{s}/{h36m_metadata.canonical(name)}" for s, names in TAKES.items() for name in names if name[0] != "_"
    }
    assert set(found) == expected
    names = [name for shard in found.values() for name in shard.sequences["sequence"].to_pylist()]
    assert names == sorted(names)
    for shard in found.values():
        assert not shard.rejects
        assert shard.poses is not None
        assert shard.poses.schema.equals(POSES, check_metadata=True)
        assert shard.sequences.schema.equals(SEQUENCES, check_metadata=True)
        assert shard.cameras.num_rows == 4
        subject = shard.sequences["subject"][0].as_py()
        official = shard.sequences["official"][0].as_py()
        world = read_cdf(raw / subject / "MyPoseFeatures" / "D3_Positions" / f"{official}.cdf", 3)
        for row, sequence in zip(shard.cameras.to_pylist(), shard.sequences.to_pylist(), strict=True):
            camera, name = Camera.from_row(row), sequence["sequence"]
            assert sequence["n_frames"] == len(world)
            assert np.array_equal(column(shard, "frame", name), np.arange(len(world)))
            assert np.abs(camera.to_world(column(shard, "keypoints_3d", name)) - world).max() < 2e-3
            assert np.abs(camera.project_world(world) - column(shard, "keypoints", name)).max() < 1e-4
            assert (column(shard, "visibility", name) == 2).all()


def test_the_sample_carries_the_quirks_of_the_real_tree(raw: Path) -> None:
    rows = {row["sequence"]: row for shard in tables(raw).values() for row in shard.sequences.to_pylist()}
    photo = rows["S1/Photo 1/60457274"]
    assert photo["official"] == "TakingPhoto 1"
    assert photo["media"] == "S1/Videos/TakingPhoto 1.60457274.mp4"
    assert photo["action"] == "Photo"
    assert photo["splits"] == ["standard/train", "challenge/train"]
    assert rows["S9/SittingDown/54138969"]["action"] == "SittingDown"
    assert rows["S9/SittingDown/54138969"]["subact"] == 1
    assert rows["S9/Greeting/54138969"]["splits"] == ["standard/test", "challenge/train"]
    flawed = {(name.rsplit("/", 1)[0], *row["defects"]) for name, row in rows.items() if row["defects"]}
    assert flawed == {
        ("S9/Greeting", "shifted", "mocap-short"),
        ("S9/SittingDown 1", "shifted", "mocap-short"),
        ("S11/Directions", "camera-missing"),
    }


def test_the_sample_depends_on_nothing_but_its_seed(raw: Path, tmp_path: Path) -> None:
    Human36M.sample(tmp_path / "same", seed=1)
    Human36M.sample(tmp_path / "other", seed=2)
    roots = tmp_path / "same", tmp_path / "other", raw
    same, other, here = (column(tables(root, "S9/Walking 1")["S9/Walking 1"], "keypoints_3d") for root in roots)
    assert np.array_equal(same, here)
    assert same.shape != other.shape or not np.array_equal(same, other)


def worlds(raw: Path) -> dict[tuple[str, str], np.ndarray]:
    files = sorted(raw.glob("S*/MyPoseFeatures/D3_Positions/[!_]*.cdf"))
    return {(path.parents[2].name, path.stem): read_cdf(path, 3) for path in files}


@pytest.mark.parametrize("separator", [" ", "_"])
def test_the_h5_archive_gives_the_same_tables(raw: Path, tmp_path: Path, separator: str) -> None:
    for (subject, name), pose in worlds(raw).items():
        folder = tmp_path / subject / "MyPoses" / "3D_positions"
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"{name.replace(' ', separator)}.h5", "w") as file:
            file["3D_positions"] = pose.reshape(len(pose), 96).T
    shutil.copy(raw / "metadata.xml", tmp_path)
    assert_same(tables(raw), tables(tmp_path), atol=0)


def test_videopose3ds_npz_gives_the_same_tables(raw: Path, tmp_path: Path) -> None:
    positions: dict[str, dict[str, np.ndarray]] = {}
    for (subject, name), pose in worlds(raw).items():
        positions.setdefault(subject, {})[h36m_metadata.canonical(name)] = (pose.astype("f4") / 1000).astype("f4")
    np.savez_compressed(tmp_path / NPZ, allow_pickle=True, positions_3d=np.array(positions, object))
    shutil.copy(raw / "metadata.xml", tmp_path)
    assert_same(tables(raw), tables(tmp_path), atol=2e-3)
    assert_same(tables(tmp_path / NPZ), tables(tmp_path), atol=0)


def assert_same(one: dict[str, Tables], other: dict[str, Tables], atol: float) -> None:
    assert list(one) == list(other)
    for key, expected in one.items():
        found = other[key]
        assert found.sequences.equals(expected.sequences)
        assert found.cameras.equals(expected.cameras)
        assert np.abs(column(found, "keypoints_3d") - column(expected, "keypoints_3d")).max() <= atol
        # D2_Positions are rounded from the same projection
        assert np.abs(column(found, "keypoints") - column(expected, "keypoints")).max() <= atol + 1e-4


def test_without_metadata_xml_the_packaged_calibration_is_used(own: Path) -> None:
    before = tables(own)
    (own / "metadata.xml").unlink()
    after = tables(own)
    for key, shard in before.items():
        assert after[key].cameras.equals(shard.cameras)
        assert after[key].poses == shard.poses
    assert tables(own)["S9/Walking 1"].sequences["video_frames"].to_pylist() == [2447, 2450, 2450, 2447]


@pytest.mark.parametrize("place", ["../metadata.xml", "below/metadata.xml"])
def test_metadata_xml_is_found_beside_or_below(own: Path, place: str) -> None:
    expected = tables(own)["S9/Walking 1"].sequences
    target = own / place
    target.resolve().parent.mkdir(exist_ok=True)
    (own / "metadata.xml").rename(target.resolve())
    assert tables(own)["S9/Walking 1"].sequences.equals(expected)
    assert target.resolve() in Human36M().discover(own)[0].sources


def test_metadata_xml_counts_where_it_is_there(own: Path) -> None:
    path = own / "metadata.xml"
    path.write_text(path.read_text().replace("1149.67569986785", "1000.5"))
    cameras = tables(own)["S9/Walking 1"].cameras.to_pylist()
    assert [camera["fx"] for camera in cameras if camera["camera"] == "55011271"] == [1000.5]


def test_camera_frame_files_alone_are_enough(own: Path) -> None:
    subject, name = WITH_PIXELS
    key = f"{subject}/{name}"
    before = tables(own, key)[key]
    features = own / subject / "MyPoseFeatures"
    (features / "D3_Positions" / f"{name}.cdf").unlink()
    (features / "D3_Positions_mono" / f"{name}.58860488.cdf").unlink()
    after = tables(own, key)[key]
    assert after.sequences["camera"].to_pylist() == ["54138969", "55011271", "60457274"]
    for sequence in after.sequences["sequence"].to_pylist():
        difference = column(after, "keypoints_3d", sequence) - column(before, "keypoints_3d", sequence)
        assert np.abs(difference).max() <= np.spacing(np.float32(4096))
        assert np.array_equal(column(after, "keypoints", sequence), column(before, "keypoints", sequence))


def test_the_pixels_are_those_of_d2_positions(own: Path) -> None:
    subject, name = WITH_PIXELS
    path = own / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.54138969.cdf"
    moved = read_cdf(path, 2) + 7
    write_cdf(path, moved)
    found = tables(own)[f"{subject}/{name}"]
    assert np.abs(column(found, "keypoints", f"{subject}/{name}/54138969") - moved).max() < 1e-4


# ---- the synthetic person


@pytest.mark.parametrize("seed", range(5))
def test_the_walking_person_is_plausible(seed: int) -> None:
    bones = skeleton("h36m32")
    pose = walking_person(150, seed).astype(np.float64)
    assert pose.shape == (150, 32, 3)
    lengths = np.linalg.norm(pose[:, 1:] - pose[:, list(bones.parents[1:])], axis=-1)
    assert np.ptp(lengths, axis=0).max() < 1e-3
    assert 1400 < pose[:, bones.index("head"), 2].mean() < 1900
    assert np.allclose(pose[..., 2].min(axis=1), 40, atol=0.01)
    speed = 50 * np.linalg.norm(np.diff(pose, axis=0), axis=-1)
    assert 700 < speed[:, 0].mean() < 2500
    assert speed.max() < 10_000
    across = pose[:, bones.index("left_hip")] - pose[:, bones.index("right_hip")]
    ahead = pose[:, bones.index("right_toe_tip")] - pose[:, bones.index("right_ankle")]
    # a person whose left is to the left of where the feet point
    assert (ahead[:, 0] * across[:, 1] - ahead[:, 1] * across[:, 0] > 0).mean() > 0.95
    for camera in packaged().cameras:
        pixels = packaged().camera("S9", camera).project_world(pose)
        assert ((pixels > 0) & (pixels < 1000)).all()
