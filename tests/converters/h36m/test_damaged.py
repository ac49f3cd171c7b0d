"""Human3.6M: damaged and other files are named, or mended and reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m.archives import NPZ, read_cdf
from har_bench.converters.h36m.sample import WITH_PIXELS, write_cdf
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from tests.h36m_raw import column, tables, tree

# ---- damaged input


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no Human3.6M poses .*; expected S\*/MyPoseFeatures/D3_Positions"):
        Human36M().discover(tmp_path)


@pytest.mark.parametrize("content", ["", "<a/>", "<a><mapping><tr/></mapping></a>", "not xml", "<a><w0>[1 2]</w0></a>"])
def test_another_metadata_xml_is_named(own: Path, content: str) -> None:
    (own / "metadata.xml").write_text(content)
    with pytest.raises(HarBenchError, match=r"metadata.xml is (not|empty)"):
        Human36M().discover(own)


def test_a_file_that_is_no_sequence_is_named(own: Path) -> None:
    folder = own / "S9" / "MyPoseFeatures" / "D3_Positions"
    shutil.copy(folder / "Walking 1.cdf", folder / "Dancing.cdf")
    with pytest.raises(HarBenchError, match=r"Dancing\.cdf holds S9 Dancing, which is no sequence of Human3.6M"):
        tables(own)


def test_the_same_sequence_twice_is_named(own: Path) -> None:
    folder = own / "S1" / "MyPoseFeatures" / "D3_Positions"
    shutil.copy(folder / "TakingPhoto 1.cdf", folder / "Photo 1.cdf")
    with pytest.raises(HarBenchError, match="hold the same sequence"):
        Human36M().discover(own)


def test_frames_without_a_pose_are_kept_and_reported_once(own: Path) -> None:
    path = own / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf"
    world = read_cdf(path, 3)
    world[3:5] = np.nan
    world[7, 15] = [np.inf, 0, 0]
    world[9, 2] = 1e30
    write_cdf(path, world)
    found = tables(own)["S9/Walking 1"]
    assert [(reject.source, reject.locator, reject.action) for reject in found.rejects] == [
        ("S9/MyPoseFeatures/D3_Positions/Walking 1.cdf", "4 frames from 3 to 9", "repaired")
    ]
    visibility = column(found, "visibility", "S9/Walking 1/54138969")
    absent = np.zeros_like(visibility, dtype=bool)
    absent[3:5] = absent[7, 15] = absent[9, 2] = True
    assert np.array_equal(visibility == 0, absent)
    for name in ("keypoints", "keypoints_3d"):
        values = column(found, name, "S9/Walking 1/54138969")
        assert len(values) == len(world)
        assert np.array_equal(np.isnan(values).all(axis=-1), absent)
        assert np.array_equal(np.isnan(values).any(axis=-1), absent)


@pytest.mark.parametrize(("length", "remedy"), [(-5, "the projection fills the rest"), (5, "the rest is left out")])
def test_pixels_of_another_length_are_repaired(own: Path, length: int, remedy: str) -> None:
    subject, name = WITH_PIXELS
    key = f"{subject}/{name}"
    expected = column(tables(own, key)[key], "keypoints")
    path = own / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.54138969.cdf"
    pixels = read_cdf(path, 2)
    write_cdf(path, pixels[:length] if length < 0 else np.concatenate([pixels, pixels[:length]]))
    found = tables(own, key)[key]
    (reject,) = found.rejects
    assert reject.source == f"{subject}/MyPoseFeatures/D2_Positions/{name}.54138969.cdf"
    assert reject.locator.startswith("5 frames from")
    assert reject.reason.endswith(remedy)
    assert np.abs(column(found, "keypoints") - expected).max() < 1e-4


def test_pixels_that_are_not_finite_are_repaired(own: Path) -> None:
    subject, name = WITH_PIXELS
    key = f"{subject}/{name}"
    expected = column(tables(own, key)[key], "keypoints")
    path = own / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.54138969.cdf"
    pixels = read_cdf(path, 2)
    pixels[6, 3, 0] = np.nan
    write_cdf(path, pixels)
    found = tables(own, key)[key]
    assert [reject.locator for reject in found.rejects] == ["frame 6"]
    assert np.abs(column(found, "keypoints") - expected).max() < 1e-4


def damaged(raw: Path) -> dict[str, bytes]:
    honest = (raw / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf").read_bytes()
    noise = np.random.default_rng(0).bytes(5000)
    return {
        "empty": b"",
        "cut off": honest[: len(honest) // 2],
        "noise": noise,
        "header and noise": honest[:400] + noise,
    }


@pytest.mark.parametrize("kind", ["empty", "cut off", "noise", "header and noise"])
def test_a_damaged_cdf_is_named(own: Path, kind: str) -> None:
    (own / "S9" / "MyPoseFeatures" / "D3_Positions" / "Walking 1.cdf").write_bytes(damaged(own)[kind])
    with pytest.raises(HarBenchError, match=r"Walking 1\.cdf is not a readable CDF"):
        tables(own, "S9/Walking 1")


@pytest.mark.parametrize("kind", ["empty", "cut off", "noise", "header and noise"])
def test_damaged_pixels_are_replaced_by_the_projection(own: Path, kind: str) -> None:
    subject, name = WITH_PIXELS
    key = f"{subject}/{name}"
    before = tables(own, key)[key]
    path = own / subject / "MyPoseFeatures" / "D2_Positions" / f"{name}.54138969.cdf"
    path.write_bytes(damaged(own)[kind])
    after = tables(own, key)[key]
    (reject,) = after.rejects
    assert (reject.source, reject.action) == (path.relative_to(own).as_posix(), "repaired")
    assert reject.reason.startswith(path.name)
    assert reject.reason.endswith("; the projection stands in")
    assert np.abs(column(after, "keypoints") - column(before, "keypoints")).max() < 1e-4


def test_a_damaged_file_of_one_camera_costs_that_camera(own: Path) -> None:
    subject, name = WITH_PIXELS
    key = f"{subject}/{name}"
    features = own / subject / "MyPoseFeatures"
    (features / "D3_Positions" / f"{name}.cdf").unlink()
    for camera in ("54138969", "55011271"):
        (features / "D3_Positions_mono" / f"{name}.{camera}.cdf").write_bytes(b"")
    found = tables(own, key)[key]
    assert found.sequences["camera"].to_pylist() == ["58860488", "60457274"]
    assert [reject.action for reject in found.rejects] == ["dropped", "dropped"]
    for path in (features / "D3_Positions_mono").glob("*.cdf"):
        path.write_bytes(b"")
    with pytest.raises(HarBenchError, match=r"no joint of Walking 1 has a position .*; download it again"):
        tables(own, key)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_sequence_without_a_single_position_is_refused(tmp_path: Path, value: float) -> None:
    root = tree(tmp_path, "S9", "Walking 1", np.full((5, 32, 3), value))
    with pytest.raises(HarBenchError, match=r"Walking 1\.cdf: no joint of Walking 1 has a position"):
        tables(root)


@pytest.mark.parametrize("shape", [(20, 26, 3), (20, 32, 2)])
def test_a_cdf_of_another_shape_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    root = tree(tmp_path, "S9", "Walking 1", np.zeros(shape))
    with pytest.raises(HarBenchError, match=r"Walking 1\.cdf"):
        tables(root)


def test_mutated_cdfs_are_read_or_named(tmp_path: Path) -> None:
    """Whatever the bytes, the outcome is tables or one HarBenchError."""
    rng = np.random.default_rng(11)
    path = tree(tmp_path, "S9", "Walking 1", walking_person(8)) / "S9/MyPoseFeatures/D3_Positions/Walking 1.cdf"
    honest = path.read_bytes()
    (shard,) = Human36M().discover(tmp_path)
    read, messages = 0, []
    for _ in range(300):
        forged = bytearray(honest)
        for position in rng.integers(0, len(forged), rng.integers(1, 4)):
            forged[position] = rng.integers(256)
        path.write_bytes(forged)
        try:
            Human36M().read(shard)
            read += 1
        except HarBenchError as error:
            messages.append(str(error))
    assert read > 10
    assert len(messages) > 10
    assert all("Walking 1.cdf" in message for message in messages)


def test_a_cdf_with_endless_counts_is_named_at_once(tmp_path: Path) -> None:
    """The numbers of variables, dimensions, elements and records, and the chain of variables."""
    path = tree(tmp_path, "S9", "Walking 1", walking_person(8)) / "S9/MyPoseFeatures/D3_Positions/Walking 1.cdf"
    honest = path.read_bytes()
    (shard,) = Human36M().discover(tmp_path)
    descriptor = int.from_bytes(honest[20:28], "big")
    variable = int.from_bytes(honest[descriptor + 20 : descriptor + 28], "big")
    endless = b"\x7f\xff\xff\xff"
    forgeries = [
        {descriptor + 60: endless, variable + 84: b"Nope", variable + 12: variable.to_bytes(8, "big")},
        {descriptor + 56: endless},
        {variable + 340: endless},
        {variable + 64: endless},
        {variable + 24: endless},
    ]
    for forgery in forgeries:
        forged = bytearray(honest)
        for place, content in forgery.items():
            forged[place : place + len(content)] = content
        path.write_bytes(forged)
        with pytest.raises(HarBenchError, match=r"Walking 1\.cdf is not a readable CDF"):
            Human36M().read(shard)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_damaged_h5_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "S9" / "MyPoses" / "3D_positions" / "Walking 1.h5"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=r"Walking 1\.h5 (is empty|cannot be read as HDF5)"):
        tables(tmp_path)


@pytest.mark.parametrize(
    "positions", [np.zeros(3), np.array([1], object), np.array({"S9": 1}, object), np.array({"S9": {"a": 1}}, object)]
)
def test_another_npz_is_named(tmp_path: Path, positions: np.ndarray) -> None:
    np.savez(tmp_path / NPZ, allow_pickle=True, positions_3d=positions)
    with pytest.raises(HarBenchError, match=r"it is not VideoPose3D's data_3d_h36m\.npz"):
        Human36M().discover(tmp_path)
