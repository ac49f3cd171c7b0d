"""Detections of whole datasets: every format gives the same points in the store's own frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from har_bench import HarBenchError, Store
from har_bench.converter import known_of
from har_bench.keypoints import fill_gaps, open_detections
from har_bench.schema import vector
from har_bench.skeletons import mapping, skeleton
from tests.golden import REAL
from tests.h36m_data import cameras, read
from tests.sampled import sampled

Arrays = Mapping[str, np.ndarray[Any, Any]]
PHOTO, WALK = "S1/Photo 1", "S9/Walking 1"
SURPLUS = 3  # frames by which detections are longer than the store's


def _store(home: Path, dataset: str) -> Store:
    return sampled(dataset, home)


@pytest.fixture(scope="module")
def h36m(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _store(tmp_path_factory.mktemp("h36m"), "h36m")


@pytest.fixture(scope="module")
def detected(h36m: Store) -> Arrays:
    """Four cameras of two clips, some frames longer than the store's."""
    rng = np.random.default_rng(0)
    names = [
        f"{clip}/{camera}" for clip in (PHOTO, WALK) for camera in ("54138969", "55011271", "58860488", "60457274")
    ]
    lengths = {name: len(h36m.sequence(name)) + SURPLUS for name in names}
    return {name: rng.uniform(0, 1000, (length, 16, 2)).astype(np.float32) for name, length in lengths.items()}


def _theirs(name: str) -> tuple[str, str, str]:
    """Subject, action and camera as the files of 2017 call them."""
    subject, action, camera = name.replace("Photo", "TakingPhoto").split("/")
    return subject, action, camera


def _hourglass(folder: Path, arrays: Arrays, detector: str = "StackedHourglass") -> Path:
    for name, points in arrays.items():
        subject, action, camera = _theirs(name)
        file = folder / subject / detector / f"{action.replace(' ', '_')}.{camera}.h5"
        file.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(file, "w") as content:
            content["poses"] = points
    return folder


def _nested(folder: Path, arrays: Arrays, **metadata: Any) -> Path:
    positions: dict[str, dict[str, list[Any]]] = {}
    for name in sorted(arrays):
        subject, action, _ = _theirs(name)
        positions.setdefault(subject, {}).setdefault(action, []).append(arrays[name])
    np.savez(folder / "nested.npz", positions_2d=np.array(positions), metadata=np.array(metadata))
    return folder / "nested.npz"


def _videopose3d(folder: Path, arrays: Arrays) -> Path:
    sides = [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]]
    return _nested(folder, arrays, layout_name="mpii", num_joints=16, keypoints_symmetry=sides)


def _symmetry_alone(folder: Path, arrays: Arrays) -> Path:
    return _nested(folder, arrays, keypoints_symmetry=[[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]])


def _flat(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "flat.npz", layout="mpii16", **{"|".join(_theirs(name)): arrays[name] for name in arrays})
    return folder / "flat.npz"


def _table(arrays: Arrays) -> pa.Table:
    points = np.concatenate(list(arrays.values()))
    names = [name for name, clip in arrays.items() for _ in clip]
    frames = np.concatenate([np.arange(len(clip)) for clip in arrays.values()])
    return pa.table({"sequence": names, "frame": frames, "keypoints": vector(points.reshape(len(points), -1))})


def _parquet(folder: Path, arrays: Arrays) -> Path:
    pq.write_table(_table(arrays).replace_schema_metadata({"layout": "mpii16"}), folder / "ours.parquet")
    return folder / "ours.parquet"


@pytest.mark.parametrize("write", [_hourglass, _videopose3d, _flat, _parquet])
def test_every_format_gives_the_same_points(
    write: Callable[[Path, Arrays], Path], tmp_path: Path, h36m: Store, detected: Arrays
) -> None:
    path = write(tmp_path, detected)
    found = open_detections(path, h36m)
    assert found.layout == "mpii16"
    assert found.taken_for
    assert found.fingerprint == open_detections(path, h36m).fingerprint
    for name, points in detected.items():
        given = found.of(name)
        assert given is not None
        assert given.dtype == np.float32
        np.testing.assert_array_equal(given, points[:-SURPLUS])
    assert found.of("S11/Walking 1/54138969") is None
    with pytest.raises(HarBenchError, match="called 'S11/Flying"):
        found.of("S11/Flying 1/54138969")


def test_columns_may_be_csv_or_hdf5_with_confidence_gaps_and_several_persons(tmp_path: Path, h36m: Store) -> None:
    name = f"{WALK}/54138969"
    frames = len(h36m.sequence(name))
    good, bad = np.arange(32.0).reshape(1, 16, 2), np.zeros((1, 16, 2))
    rows = {"sequence": [name] * 3, "frame": [4, 4, frames + 8], "score": [0.2, 0.9, 1.0]}
    points, scores = np.concatenate([bad, good, bad]), np.full((3, 16), 0.5)
    with h5py.File(tmp_path / "ours.h5", "w") as file:
        file["sequence"] = np.array(rows["sequence"], object)
        for key in ("frame", "score"):
            file[key] = rows[key]
        file["keypoints"], file["keypoint_scores"] = points, scores
    spread = {f"keypoints_{axis}": points.reshape(3, -1)[:, axis] for axis in range(32)}
    spread |= {f"keypoint_scores_{joint}": scores[:, joint] for joint in range(16)}
    pa.csv.write_csv(pa.table(rows | spread), tmp_path / "ours.csv")
    for file_name in ("ours.h5", "ours.csv"):
        given = open_detections(tmp_path / file_name, h36m, "mpii16").of(name)
        assert given is not None
        assert given.shape == (frames, 16, 3)
        np.testing.assert_array_equal(given[4], np.concatenate([good[0], scores[0][:, None]], axis=1))
        assert np.isnan(np.delete(given, 4, axis=0)).all()
        assert fill_gaps(given)[1] == frames - 1


def _coco(names: list[str], results: bool) -> dict[str, Any] | list[dict[str, Any]]:
    """Two persons in the third frame of a clip, one in the fifth."""
    persons = [
        {"image_id": image, "category_id": 1, "score": score, "keypoints": [value, value + 1.0, 1.0] * 17}
        for image, score, value in ((1, 0.3, 10.0), (1, 0.8, 20.0), (2, 0.9, 30.0))
    ]
    persons[2]["keypoints"][:3] = [0, 0, 0]
    if results:
        return persons
    images = [{"id": number, "file_name": name} for number, name in enumerate(names, 1)]
    return {"images": images, "annotations": persons, "categories": [{"id": 1, "keypoints": ["nose", "left_eye"]}]}


@pytest.mark.parametrize(
    "names",
    [
        ["S1_TakingPhoto_1.54138969_000003.jpg", "S1_TakingPhoto_1.54138969_000005.jpg"],
        ["S1/S1_Photo_1.54138969/S1_Photo_1.54138969_000003.jpg", "x/S1_Photo_1.54138969_000005.jpg"],
        ["S1/Photo 1/54138969/000003.jpg", "S1/Photo 1/54138969/000005.jpg"],
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_coco_json_by_the_names_of_images(names: list[str], apart: bool, tmp_path: Path, h36m: Store) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(_coco(names, results=False)))
    if apart:
        (tmp_path / "results.json").write_text(json.dumps(_coco(names, results=True)))
    found = open_detections(tmp_path if apart else path, h36m)
    assert found.layout == "coco17"
    given = found.of(f"{PHOTO}/54138969")
    assert given is not None
    assert np.flatnonzero(np.isfinite(given).all(axis=(1, 2))).tolist() == [2]
    assert given[2].tolist() == [[20, 21, 1]] * 17
    assert np.isnan(given[4, 0, :2]).all()  # 0, 0, 0 is a joint that was not seen
    assert given[4, 1:].tolist() == [[30, 31, 1]] * 16


def test_sides_alone_tell_the_layouts_of_sixteen_joints_apart_from_others(
    tmp_path: Path, h36m: Store, detected: Arrays
) -> None:
    assert open_detections(_symmetry_alone(tmp_path, detected), h36m).layout == "mpii16"


def test_humaneva_lists_have_the_three_colour_cameras(tmp_path: Path) -> None:
    store = _store(tmp_path, "humaneva")
    clips = sorted({name.rpartition("/")[0] for name in store.select(split="validate")["sequence"].to_pylist()})
    frames = len(store.sequence(f"{clips[0]}/C1"))
    views = [np.full((frames, 17, 2), value, np.float32) for value in (1, 2, 3)]
    partition, subject, action = clips[0].split("/")
    positions = {f"{partition}/{subject}": {action: views}}
    metadata = {"layout_name": "coco", "num_joints": 17}
    np.savez(tmp_path / "2d.npz", positions_2d=np.array(positions), metadata=np.array(metadata))
    found = open_detections(tmp_path / "2d.npz", store)
    assert found.layout == "coco17"
    for value, camera in enumerate(("C1", "C2", "C3"), 1):
        given = found.of(f"{clips[0]}/{camera}")
        assert given is not None
        assert (given == value).all()
    assert found.of(f"{clips[0]}/BW1") is None


def test_errors_say_what_to_do(tmp_path: Path, h36m: Store, detected: Arrays) -> None:
    name = f"{WALK}/54138969"

    def complaint(path: Path, layout: str | None = None) -> str:
        with pytest.raises(HarBenchError) as caught:
            open_detections(path, h36m, layout).of(name)
        return str(caught.value)

    def saved(array: np.ndarray[Any, Any], stem: str = "x", key: str = name) -> Path:
        np.savez(tmp_path / f"{stem}.npz", **{key.replace("/", "|"): array})
        return tmp_path / f"{stem}.npz"

    short = complaint(_hourglass(tmp_path / "short", {name: detected[name][:9]}))
    assert name in short
    assert "has 9 frames" in short
    both = _hourglass(tmp_path / "both", {name: detected[name]})
    _hourglass(both, {name: detected[name]}, "StackedHourglassFineTuned240")
    assert "StackedHourglass and StackedHourglassFineTuned240; keep one" in complaint(both)
    (tmp_path / "nothing").mkdir()
    assert "has no detections" in complaint(tmp_path / "nothing")
    assert "does not exist" in complaint(tmp_path / "absent")
    unclear = complaint(saved(np.zeros((9, 17, 2))))
    assert "give their layout, one of coco17, h36m17" in unclear
    assert "17 joints a frame and not the 16 of mpii16" in complaint(saved(np.zeros((9, 17, 2))), "mpii16")
    assert "7 joints a frame; give a layout" in complaint(saved(np.zeros((9, 7, 2))))
    assert "has shape (9, 17)" in complaint(saved(np.zeros((9, 17))))
    assert "its first is 'a|b|c'" in complaint(saved(np.zeros((9, 17, 2)), key="a/b/c"))
    np.savez(tmp_path / "two.npz", positions_2d=np.array({"S9": {"Walking 1": [detected[name]] * 2}}))
    assert "S9 Walking 1 has 2 cameras" in complaint(tmp_path / "two.npz")
    np.savez(tmp_path / "odd.npz", positions_2d=np.array({"S9": 3}))
    assert "no dictionary of actions" in complaint(tmp_path / "odd.npz")
    (tmp_path / "ids.json").write_text(json.dumps(_coco([], results=True)))
    assert "file_name beside it" in complaint(tmp_path / "ids.json")
    (tmp_path / "odd.json").write_text('{"images": 3}')
    assert "no json of keypoints" in complaint(tmp_path / "odd.json")
    np.save(tmp_path / "one.npy", detected[name])
    assert "names no sequences" in complaint(tmp_path / "one.npy")
    (tmp_path / "notes.txt").write_text("hello")
    assert "docs/keypoints.md" in complaint(tmp_path / "notes.txt")


HOURGLASS = REAL / "h36m" / "h36m_sh_detections_5seq.npz"
SHIFTED_PX = 20  # between the medians of sound clips and those of the clip whose truth is shifted, S9's Waiting 1


@pytest.mark.real
@pytest.mark.skipif(not HOURGLASS.is_file(), reason="no real detections")
def test_real_hourglass_detections_lie_on_the_projected_truth(tmp_path: Path) -> None:
    """MPII's joints as h36m17, beside the true pixels: the table of docs/keypoints.md."""
    with np.load(HOURGLASS) as file:
        arrays = {name.replace("|", "/"): file[name] for name in file.files}
    real = read()
    rows = pa.table({"sequence": sorted(arrays), "camera": [name.rpartition("/")[2] for name in sorted(arrays)]})
    store = _Listed(rows, {name: len(real.world[name.rpartition("/")[0]]) for name in arrays})
    found = open_detections(_hourglass(tmp_path, arrays), store)  # type: ignore[arg-type]
    joints = mapping(skeleton(found.layout), skeleton("h36m17"))
    apart = {}
    for name in arrays:
        given = found.of(name)
        assert given is not None
        subject, camera = name.split("/")[0], name.rpartition("/")[2]
        truth = cameras()[f"{subject}|{camera}"].project(real.truth(name))
        apart[name] = np.linalg.norm(joints.points(given) - truth, axis=-1)
    for name, distance in apart.items():
        assert (np.median(distance) > SHIFTED_PX) == name.startswith("S9/Waiting 1"), name
    sound = np.concatenate([distance for name, distance in apart.items() if not name.startswith("S9/Waiting 1")])
    mean = dict(zip(skeleton("h36m17").joints, sound.mean(axis=0), strict=True))
    assert max(mean, key=mean.__getitem__) == "head"
    assert mean["thorax"] < 6
    assert sound.mean() < 13


class _Listed:
    """What detections ask of a store, for clips of which only the lengths are known here."""

    dataset = "h36m"
    path = Path("listed")

    def __init__(self, sequences: pa.Table, lengths: Mapping[str, int]) -> None:
        self.sequences, self.lengths = sequences, lengths

    def select(self, sequences: list[str]) -> pa.Table:
        return pa.table({"rows": [0], "n_frames": [self.lengths[sequences[0]]]})


MMPOSE = sorted((REAL / "h36m").glob("*/h36m_coco.json"))


@pytest.mark.real
@pytest.mark.parametrize("path", MMPOSE, ids=lambda path: path.parent.name)
def test_real_mmpose_json(path: Path) -> None:
    """mmpose's names say left for right, but the order is Human3.6M's; 10 of its 50 frames a second, counted from 1."""
    document = json.loads(path.read_text(encoding="utf-8"))
    clips = [image["file_name"].rpartition("_")[0] for image in document["images"]]
    numbers = [int(image["file_name"][-10:-4]) for image in document["images"]]
    lengths = dict(zip(clips, numbers, strict=True))
    store = _Listed(pa.table({"sequence": clips, "camera": [clip[-8:] for clip in clips]}), lengths)
    found = open_detections(path, store)  # type: ignore[arg-type]
    assert found.layout == "h36m17"
    for clip, annotation in zip(clips, document["annotations"], strict=True):
        given = found.of(clip)
        assert given is not None
        assert len(given) == lengths[clip]
        assert np.isnan(given[:-1]).all()
        np.testing.assert_allclose(given[-1].ravel(), annotation["keypoints"], rtol=1e-6)


def test_the_cameras_and_spellings_of_a_dataset_are_its_converter_s_to_say() -> None:
    assert known_of("h36m").cameras == ("54138969", "55011271", "58860488", "60457274")
    assert known_of("humaneva").cameras == ("C1", "C2", "C3")
    assert known_of("h36m").spellings["TakingPhoto"] == "Photo"
    assert (known_of("a stranger's").cameras, dict(known_of("a stranger's").spellings)) == ((), {})
