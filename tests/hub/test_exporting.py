"""Exporting: formats by name, all files or none, what is left out, and the formats of any store."""

from __future__ import annotations

import json
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pycocotools import coco

import har_bench
from har_bench import HarBenchError, cli, registry
from har_bench.exporting import Done, Exporter, formats
from har_bench.exporting.pictures import picture
from har_bench.foreign import npz, pickles
from har_bench.foreign.writing import Rows, write_npz, write_pickle
from har_bench.keypoints import open_track
from har_bench.options import option
from har_bench.store import Store
from tests.sampled import Samples


@pytest.fixture(scope="module")
def penn(samples: Samples) -> Store:
    """Two classes' films of one person, 13 joints in the picture, sizes and boxes known."""
    return samples("penn_action", seed=1)


@dataclass
class Names(Exporter):
    """The names of the sequences, a line each."""

    summary = "names"

    shout: bool = option(False, "in capitals")

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        names = sequences["sequence"].to_pylist()
        (out / "names.txt").write_text("\n".join(name.upper() if self.shout else name for name in names))
        for count in sequences["rows"].to_pylist():
            done(count)
        self.notes = ("it was quick",)


def test_a_stranger_s_format_is_named_by_its_path(penn: Store, tmp_path: Path) -> None:
    written = penn.export(f"{__name__}:Names", tmp_path / "out", options={"shout": "true"}, quiet=True)
    assert written.files == [tmp_path / "out" / "names.txt"]
    assert written.files[0].read_text().splitlines() == penn.sequences["sequence"].to_pylist()
    assert (written.sequences, written.poses, written.notes) == (len(penn.sequences), 414, ["it was quick"])


@pytest.mark.parametrize("name", registry.available("exporters"))
def test_every_format_describes_itself(name: str) -> None:
    exporter = registry.load("exporters", name)
    assert issubclass(exporter, Exporter)
    assert exporter.summary
    assert exporter.__doc__
    dataset = name.rpartition("/")[0]
    assert not dataset or formats(dataset)[name.rpartition("/")[2]] == name


def test_a_dataset_s_own_format_goes_before_the_general_one() -> None:
    assert formats("coco")["coco"] == "coco/coco"
    assert formats("mpii")["coco"] == "coco"
    assert set(formats("h36m")) == {"coco", "lart", "mmpose", "phalp", "videopose3d", "yolo-pose"}


def test_what_cannot_be_exported_is_said_and_nothing_is_written(penn: Store, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    for name, place, options, words in (
        ("coco", "full", {}, "full is not empty; name a new folder"),
        (
            "videopose3d",
            "out",
            {},
            "no format of penn_action is called 'videopose3d'; there are coco, lart, phalp, yolo-pose",
        ),
        ("coco", "out", {"evry": 2}, "did you mean 'every'"),
        ("coco", "out", {"splits": "nowhere"}, "no split of .* is called 'nowhere'"),
        ("har_bench.store:Store", "out", {}, "is no exporter; name a class"),
    ):
        with pytest.raises(HarBenchError, match=words):
            penn.export(name, tmp_path / place, options=options, quiet=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "precious"]


def test_the_command_says_what_it_wrote_and_what_not(
    penn: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(penn.path), "coco", str(tmp_path / "out"), "--option", "every=3", "--quiet"]
    cli.main(command)
    said = capsys.readouterr().out
    kept = sum(frame % 3 == 0 for frame in penn.poses(columns=["frame"])["frame"].to_pylist())
    assert f"{kept} poses of 12 sequences; {414 - kept} poses of the store are not in it" in said
    assert "annotations/standard_test.json" in said
    cli.main(["info", "coco/coco"])
    assert "left out:" in capsys.readouterr().out


# ---- COCO's json


def test_pycocotools_reads_the_json_of_any_skeleton(penn: Store, tmp_path: Path) -> None:
    penn.export("coco", tmp_path / "out", options={"splits": "test"}, quiet=True)
    tool = coco.COCO(str(tmp_path / "out" / "annotations" / "standard_test.json"))
    (category,) = tool.loadCats(tool.getCatIds())
    assert category["keypoints"] == list(penn.skeleton().joints)
    assert [0, 1] not in category["skeleton"]  # counted from 1
    truth = penn.poses("test").to_pylist()
    persons = tool.loadAnns(tool.getAnnIds())
    assert len(persons) == len(truth)
    for person, row in zip(persons, truth, strict=True):
        (image,) = tool.loadImgs(person["image_id"])
        assert image["file_name"] == f"frames/{row['sequence']}/{row['frame'] + 1:06d}.jpg"
        joints = np.array(person["keypoints"]).reshape(-1, 3)
        there = np.array(row["visibility"]) > 0
        assert np.array_equal(joints[there, :2], np.float32(row["keypoints"]).reshape(-1, 2)[there])
        assert np.array_equal(joints[:, 2], row["visibility"])
        assert not joints[~there].any()
        around = [*joints[there, :2].min(axis=0), *np.ptp(joints[there, :2], axis=0)]
        assert person["bbox"] == (row["bbox"] or around)
        assert person["area"] == pytest.approx(person["bbox"][2] * person["bbox"][3])
        assert person["num_keypoints"] == there.sum()


def test_our_converter_reads_it_back(penn: Store, tmp_path: Path) -> None:
    penn.export("coco", tmp_path / "out", quiet=True)
    again = har_bench.convert("coco", tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert again.skeleton().joints == penn.skeleton().joints
    assert again.skeleton().parents == penn.skeleton().parents
    assert not again.manifest.rejects
    rows = again.poses().to_pylist()
    by_picture = {row["sequence"].partition("/")[2]: row for row in rows}
    assert len(by_picture) == len(rows) == 414
    for row in penn.poses().to_pylist():
        found = by_picture[f"frames/{row['sequence']}/{row['frame'] + 1:06d}.jpg"]
        assert found["visibility"] == row["visibility"]
        assert np.array_equal(found["keypoints"], row["keypoints"], equal_nan=True)


# ---- YOLO's labels


def test_the_labels_of_yolo(penn: Store, tmp_path: Path) -> None:
    written = penn.export("yolo-pose", tmp_path / "out", quiet=True)
    assert written.poses == 414
    said = dict(line.split(": ", 1) for line in (tmp_path / "out" / "data.yaml").read_text().splitlines())
    assert json.loads(said["kpt_shape"]) == [13, 3]
    assert json.loads(said["flip_idx"]) == penn.skeleton().flip.tolist()
    assert (said["train"], said["val"], said["names"]) == ("train.txt", "test.txt", "{0: person}")
    pictures = (tmp_path / "out" / "train.txt").read_text().splitlines()
    assert len(pictures) == len(penn.poses("train"))
    view = penn.sequence(pictures[0].split("/")[3])
    size = np.array([view.info["width"], view.info["height"]])
    label = (tmp_path / "out" / pictures[0].replace("images", "labels")).with_suffix(".txt")
    (line,) = label.read_text().splitlines()
    numbers = np.array(line.split(), float)
    assert numbers[0] == 0
    corner, extent = np.clip(view.bbox[0, :2], 0, size), view.bbox[0, 2:]
    assert numbers[1:3] * size == pytest.approx(corner + extent / 2, abs=1e-3)
    joints = numbers[5:].reshape(13, 3)
    seen = view.visibility[0] > 0
    assert (joints[seen, :2] * size).ravel() == pytest.approx(view.keypoints[0, seen].ravel(), abs=1e-3)
    assert np.array_equal(joints[:, 2], view.visibility[0])


def test_our_reader_of_ultralytics_labels_reads_them(penn: Store, tmp_path: Path) -> None:
    penn.export("yolo-pose", tmp_path / "out", quiet=True)
    view = penn.sequence("0001")
    size = view.info["width"], view.info["height"]
    found = open_track(tmp_path / "out" / "labels" / "frames" / "0001", layout="penn13", size=size, fps=25)
    there = (view.visibility > 0) & (view.keypoints >= 0).all(axis=-1) & (view.keypoints <= size).all(axis=-1)
    assert found.points[..., :2][there] == pytest.approx(view.keypoints[there], abs=1e-3)


def test_yolo_has_no_place_for_crowds_and_what_is_outside(tmp_path: Path) -> None:
    keypoints = [[30, 20, 2] * 16 + [130, 20, 2]]
    persons: list[dict[str, Any]] = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [90, 10, 30, 40], "keypoints": keypoints[0], "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "keypoints": [0] * 51, "iscrowd": 1},
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": persons,
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "people_val.json").write_text(json.dumps(content))
    store = har_bench.convert("coco", tmp_path / "people_val.json", tmp_path / "store", jobs=1, quiet=True)
    written = store.export("yolo-pose", tmp_path / "out", quiet=True)
    (label,) = (tmp_path / "out" / "labels").rglob("*.txt")
    (line,) = label.read_text().splitlines()
    assert line.split()[:5] == ["0", "0.950000", "0.375000", "0.100000", "0.500000"]  # cut off at the border
    assert line.split()[5:8] == ["0.300000", "0.250000", "2"]
    assert line.split()[-3:] == ["0.000000", "0.000000", "0"]
    assert written.poses == 1


def test_pictures_are_called_as_tools_call_them() -> None:
    assert picture({"sequence": "a/b", "media": "S1/Videos/Walk 1.5.mp4"}, 9) == "S1/Videos/Walk 1.5/000010.jpg"
    assert picture({"sequence": "S9/Walk/5", "media": None}, 0) == "S9/Walk/5/000001.jpg"


# ---- pickles and archives for any NumPy


def test_pickles_name_what_numpy_of_every_age_has(tmp_path: Path) -> None:
    value = {"a": [np.arange(6, dtype=np.float16).reshape(2, 3), None, "é", 2**60, True], "b": {"c": (1.5,)}}
    path = write_pickle(tmp_path / "a.pkl", value)
    names = {arg for op, arg, _ in pickletools.genops(path.read_bytes()) if op.name in ("GLOBAL", "STACK_GLOBAL")}
    assert names == {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
    for found in (pickle.loads(path.read_bytes()), pickles.load(path)):
        assert np.array_equal(found["a"][0], value["a"][0])  # type: ignore[index]
        assert found["a"][1:] == value["a"][1:]  # type: ignore[index]
        assert found["b"] == value["b"]


def test_archives_are_numpy_s_and_always_the_same_bytes(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    members = {"names": np.array(["a", "bé"]), "nested": {"x": [rows, None]}, "empty": np.zeros((0, 2))}
    for packed in (True, False):
        blocks = Rows((4, 3), rows.dtype, (rows[at : at + 2] for at in (0, 2)))
        path = write_npz(tmp_path / f"{packed}.npz", {**members, "rows": blocks}, packed=packed)
        with np.load(path, allow_pickle=True) as found:
            assert np.array_equal(found["rows"], rows)
            assert found["names"].tolist() == ["a", "bé"]
            assert np.array_equal(found["nested"].item()["x"][0], rows)
            assert found["empty"].shape == (0, 2)
        ours = npz.open_npz(path)
        assert np.array_equal(ours["rows"], rows)
        assert np.array_equal(ours["nested"].item()["x"][0], rows)
    again = write_npz(tmp_path / "again.npz", {**members, "rows": rows}, packed=False)
    assert again.read_bytes() == (tmp_path / "False.npz").read_bytes()
