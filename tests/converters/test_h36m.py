"""Human3.6M: cameras, projection and names against the official files; the sample in every form; damaged files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from har_bench.cameras import Camera
from har_bench.converter import Tables
from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m import metadata as h36m_metadata
from har_bench.converters.h36m.archives import NPZ, read_cdf
from har_bench.converters.h36m.converter import FRAMES, POSES, SEQUENCES
from har_bench.converters.h36m.metadata import packaged, rotation
from har_bench.converters.h36m.sample import TAKES, WITH_PIXELS, write_cdf
from har_bench.errors import HarBenchError
from har_bench.samples import walking_person
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from tests.golden import REAL, load

J17 = mapping(skeleton("h36m32"), skeleton("h36m17"))
H36M = "h36m"
GOLDEN = f"{H36M}/golden"
TABLE: list[dict[str, Any]] = list(load(f"{GOLDEN}/h36m_sequence_table.json"))
PROJECTION = load(f"{GOLDEN}/h36m_projection_golden.json")
CAMERAS = load(f"{GOLDEN}/h36m_cameras.json")


def tables(raw: Path, *keys: str) -> dict[str, Tables]:
    converter = Human36M()
    return {shard.key: converter.read(shard) for shard in converter.discover(raw) if not keys or shard.key in keys}


def column(found: Tables, name: str, sequence: str | None = None) -> np.ndarray:
    assert found.poses is not None
    rows = found.poses if sequence is None else found.poses.filter(pa.compute.equal(found.poses["sequence"], sequence))
    return to_numpy(rows[name], POSES.field(name))


def tree(root: Path, subject: str, name: str, world: np.ndarray) -> Path:
    """A raw folder with one world file."""
    write_cdf(root / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf", np.asarray(world))
    return root


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("h36m") / "raw"
    Human36M.sample(out, seed=1)
    return out


@pytest.fixture
def own(raw: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(raw, tmp_path / "raw"))


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


@pytest.mark.real
def test_pixels_equal_the_real_data_2d_h36m_gt(tmp_path: Path) -> None:
    """The values of VideoPose3D's real ``data_2d_h36m_gt.npz``: S1 Smoking, 2478 frames."""
    with np.load(REAL / H36M / "h36m_S1_Smoking_55011271_real_data2dgt.npz") as real:
        (found,) = tables(tree(tmp_path, "S1", "Smoking", real["world_mm_32"])).values()
        pixels = J17.points(column(found, "keypoints", "S1/Smoking/55011271"))
        assert pixels.shape == real["px_17"].shape
        assert np.abs(pixels - real["px_17"]).max() < 5e-4


FULL = sorted((REAL / H36M / "h36m_raw_full").glob("S*/MyPoseFeatures/D3_Positions_mono/*.cdf"))


@pytest.mark.real
@pytest.mark.parametrize("mono", FULL, ids=lambda path: f"{path.parents[2].name} {path.stem}")
def test_whole_sequences_equal_d3_mono_and_d2(mono: Path, tmp_path: Path) -> None:
    subject, (name, camera) = mono.parents[2].name, mono.stem.split(".")
    world = mono.parents[1] / "D3_Positions" / f"{name}.cdf"
    (found,) = tables(tree(tmp_path, subject, name, read_cdf(world, 3))).values()
    sequence = f"{subject}/{h36m_metadata.canonical(name)}/{camera}"
    points, pixels = (column(found, column_name, sequence) for column_name in ("keypoints_3d", "keypoints"))
    assert points.shape == (len(read_cdf(mono, 3)), 32, 3)
    # the official file is float32 as well: two roundings of a number below 8 m may differ by one step
    assert np.abs(points - read_cdf(mono, 3)).max() < 1e-4 + np.spacing(np.float32(4096))
    view = packaged().camera(subject, camera)
    assert (
        np.abs(view.to_camera(read_cdf(world, 3)) - read_cdf(mono, 3)).max() < 1e-4 + np.spacing(np.float32(4096)) / 2
    )
    assert np.abs(pixels - read_cdf(mono.parents[1] / "D2_Positions" / mono.name, 2)).max() < 1e-4


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


# ---- damaged input


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no Human3.6M poses: expected S\*/MyPoseFeatures/D3_Positions"):
        Human36M().discover(tmp_path)


@pytest.mark.parametrize("content", ["", "<a/>", "<a><mapping><tr/></mapping></a>", "not xml", "<a><w0>[1 2]</w0></a>"])
def test_another_metadata_xml_is_named(own: Path, content: str) -> None:
    (own / "metadata.xml").write_text(content)
    with pytest.raises(HarBenchError, match=r"metadata.xml is not"):
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
    with pytest.raises(
        HarBenchError, match=r"Walking 1\.h5 (is empty|cannot be read as HDF5).*; (was it|is the download)"
    ):
        tables(tmp_path)


@pytest.mark.parametrize(
    "positions", [np.zeros(3), np.array([1], object), np.array({"S9": 1}, object), np.array({"S9": {"a": 1}}, object)]
)
def test_another_npz_is_named(tmp_path: Path, positions: np.ndarray) -> None:
    np.savez(tmp_path / NPZ, allow_pickle=True, positions_3d=positions)
    with pytest.raises(HarBenchError, match=r"it is not VideoPose3D's data_3d_h36m\.npz"):
        Human36M().discover(tmp_path)


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


def test_the_packaged_rotation_convention_is_right_handed() -> None:
    quarter = np.pi / 2
    assert np.allclose(rotation([quarter, 0, 0]) @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(rotation([0, quarter, 0]) @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(rotation([0, 0, quarter]) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(rotation([0.1, 0.2, 0.3]), rotation([0.1, 0, 0]) @ rotation([0, 0.2, 0]) @ rotation([0, 0, 0.3]))
