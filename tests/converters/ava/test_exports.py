"""Anybody's tracks become PHALP's input and LART's tracklets, and those are read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

import har_bench
from har_bench.cli import main
from har_bench.converter import Shard, Tables
from har_bench.errors import HarBenchError
from har_bench.exporting import export_people
from har_bench.foreign import joblib, pickles
from har_bench.keypoints import open_people, write_joints
from har_bench.keypoints.motion import WORLD
from har_bench.store import Store
from tests.ava_data import convert
from tests.golden import REAL
from tests.sampled import Samples
from tests.toy import Toy
from tests.walkers import flat, walk


def test_boxes_and_tracks_are_what_phalp_takes(penn: Store, tmp_path: Path) -> None:
    penn.export("phalp", tmp_path / "out", quiet=True)
    name = penn.sequences["sequence"][0].as_py()
    view, found = penn.sequence(name), pickles.load(tmp_path / f"out/{name}.pkl")
    there = np.isfinite(view.bbox).all(axis=1)
    assert list(found) == [f"{frame + 1:06d}.jpg" for frame in view.frame[there]]
    first = found[next(iter(found))]
    np.testing.assert_allclose(first["gt_bbox"], view.bbox[there][:1])
    assert first["extra_data"]["gt_track_id"].tolist() == view.person[there][:1].tolist()


@pytest.mark.real
def test_the_form_is_that_of_phalps_own_file(penn: Store, tmp_path: Path) -> None:
    theirs = joblib.load(REAL / "ava/phalp_gt_tracks.pkl")
    penn.export("phalp", tmp_path / "out", quiet=True)
    ours = pickles.load(next((tmp_path / "out").rglob("*.pkl")))
    for one in (theirs, ours):
        assert {(len(name), name[-4:]) for name in one} == {(10, ".jpg")}
        for entry in one.values():
            box, extra = entry["gt_bbox"], entry["extra_data"]
            assert (box.dtype, box.shape[1:], extra["gt_class"]) == (np.float32, (4,), [])
            assert extra["gt_track_id"].dtype == np.int64
            assert extra["gt_track_id"].shape == (len(box),)


def test_joints_in_space_become_tracklets_and_are_read_back(samples: Samples, tmp_path: Path) -> None:
    """Metres about the root; the camera is where the root is, its z divided by 200."""
    ntu = samples("ntu60", seed=1)
    ntu.export("lart", tmp_path / "raw", quiet=True)
    store = convert(tmp_path / "raw", tmp_path / "store")
    assert not store.parts("rejects")
    name = ntu.sequences["sequence"][0].as_py()
    view, found = ntu.sequence(name), store.sequence(name)
    mine, rows = view.person == view.person[0], found.person == 0  # such long ids do not fit into a file's name
    truth = view.keypoints_3d[mine]
    assert found.frame[rows].tolist() == view.frame[mine].tolist()
    root = truth[:, ntu.skeleton().parents.index(-1)] / 1000
    np.testing.assert_allclose(found.joints_3d[rows][:, :25] + root[:, None], truth / 1000, atol=1e-4)
    assert not found.joints_3d[rows][:, 25:].any()
    np.testing.assert_allclose(found.camera[rows] * [1, 1, 200], root, atol=1e-4)
    np.testing.assert_allclose(found.pose_shape[rows][0, :216], np.tile(np.eye(3).ravel(), 24))
    assert found.has_detection[rows].all()


def test_joints_in_pictures_are_about_the_box(penn: Store, tmp_path: Path) -> None:
    penn.export("lart", tmp_path / "raw", quiet=True)
    store = convert(tmp_path / "raw", tmp_path / "store")
    name = penn.sequences["sequence"][0].as_py()
    view, found = penn.sequence(name), store.sequence(name)
    box = view.bbox[:, None]
    expected = np.nan_to_num((view.keypoints - box[..., :2] - box[..., 2:] / 2) / box[..., 3:])
    np.testing.assert_allclose(found.joints_3d[:, :13, :2], expected, atol=1e-5)
    assert not found.joints_3d[:, :, 2].any()
    np.testing.assert_allclose(found.bbox, view.bbox, atol=1e-4)
    assert found.frame_size[0].tolist() == [view.info["height"], view.info["width"]]


def test_films_of_ava_are_cut_about_every_second(penn: Store, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="is no film of AVA, whose names have 11 characters; leave origin out"):
        penn.export("lart", tmp_path / "out", options={"origin": "ava-val"}, quiet=True)


class Films(Toy):
    """One sequence of a toy, under a name as AVA's films have."""

    def read(self, shard: Shard) -> Tables:
        found = super().read(shard)
        return Tables(_named(found.sequences), _named(found.poses))


def _named(rows: Any) -> Any:
    one = rows.filter(pc.ends_with(rows["sequence"], "left"))
    return one.set_column(0, one.schema.field(0), pa.repeat("film_000001", len(one)))


def test_a_film_of_ava_is_cut_about_every_second(tmp_path: Path) -> None:
    """Of 100 frames, four begin a second; a tracklet reaches 62 frames to both sides."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/a.txt").write_text("100")
    films = har_bench.convert(f"{__name__}:Films", tmp_path / "toy", tmp_path / "films", jobs=1, quiet=True)
    films.export("lart", tmp_path / "raw", options={"origin": "ava-val"}, quiet=True)
    names = sorted(path.stem for path in (tmp_path / "raw").iterdir())
    lengths = {0: 63, 30: 93, 60: 100, 90: 72}
    assert names == [f"ava-val_film_000001_{key:06d}_0_{length}" for key, length in lengths.items()]
    store = convert(tmp_path / "raw", tmp_path / "store")
    assert store.sequences["keyframe"].to_pylist() == [0, 30, 60, 90]
    assert store.sequence("ava-val_film_000001_000090").frame_name[62] == "000090.jpg"


def tracked(path: Path) -> dict[int, Any]:
    """A tracker's file of two people in COCO's joints, of whom the second comes later; their joints by number."""
    people = {4: (0, np.tile(walk(1, at=300), (20, 1, 1))), 9: (5, np.tile(walk(1, at=900), (15, 1, 1)))}
    rows = [
        {"image_id": frame, "category_id": 1, "keypoints": flat(points), "score": 0.9, "track_id": number}
        for number, (start, joints) in people.items()
        for frame, points in enumerate(joints + np.arange(len(joints))[:, None, None], start)
    ]
    path.write_text(json.dumps(rows))
    return {number: joints + np.arange(len(joints))[:, None, None] for number, (_, joints) in people.items()}


def test_a_detectors_file_becomes_tracklets_without_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command: boxes are about the joints, which are about the boxes, in their heights."""
    people = tracked(tmp_path / "film_000001.json")
    size = ["--width", "1280", "--height", "720"]
    main(["export", str(tmp_path / "film_000001.json"), "lart", str(tmp_path / "raw"), *size])
    told = capsys.readouterr().out
    assert "35 poses of 2 people in film_000001" in told
    assert "note: labels are nobody's" in told
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == [
        "film_000001_4_20.pkl",
        "film_000001_9_15.pkl",
    ]
    view = convert(tmp_path / "raw", tmp_path / "store").sequence("film_000001")
    for number, joints in people.items():
        rows = view.person == number
        low, high = joints.min(axis=1), joints.max(axis=1)
        np.testing.assert_allclose(view.bbox[rows], np.concatenate([low, high - low], axis=1), atol=1e-3)
        about = (joints - (low + high)[:, None] / 2) / (high - low)[:, None, 1:]
        np.testing.assert_allclose(view.joints_3d[rows][:, :17, :2], about, atol=1e-4)
    assert view.frame[view.person == 9].tolist() == list(range(5, 20))
    assert view.frame_size[0].tolist() == [720, 1280]
    main(["export", str(tmp_path / "film_000001.json"), "phalp", str(tmp_path / "given"), *size])
    given = convert(tmp_path / "given", tmp_path / "boxes").sequence("film_000001")
    np.testing.assert_allclose(given.bbox, view.bbox, atol=1e-3)


def test_lifted_joints_become_tracklets_in_metres_about_the_root(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    joints = random.normal(0, 300, (12, 17, 3)) + np.array([100, 200, 4000])
    write_joints(tmp_path / "lifted.parquet", joints, "h36m17", fps=25.0, person=3, start=7)
    export_people(open_people(tmp_path / "lifted.parquet"), "lart", tmp_path / "raw")
    view = convert(tmp_path / "raw", tmp_path / "store").sequence("lifted")
    assert view.frame.tolist() == list(range(7, 19))
    np.testing.assert_allclose(view.camera * [1, 1, 200] * 1000, joints[:, 0], atol=0.1)
    np.testing.assert_allclose(view.joints_3d[:, :17] * 1000, joints - joints[:, :1], atol=0.1)
    assert (view.person == 3).all()


@pytest.mark.parametrize("kind", ["lists.parquet", "columns.csv"])
def test_anybodys_joints_in_space_in_our_columns_become_tracklets(kind: str, tmp_path: Path) -> None:
    """Whatever wrote them: plain lists, or a csv with a column a number; with a gap, and films beside."""
    joints = np.random.default_rng(0).normal(0, 300, (5, 17, 3)) + np.array([100, 200, 4000])
    frames, flat = [2, 3, 4, 7, 8], joints.reshape(5, 51)
    columns = {"sequence": ["mine"] * 5 + ["other"], "frame": [*frames, 0], "person": [4] * 5 + [0]}
    path, values = tmp_path / kind, np.concatenate([flat, flat[:1]])
    if kind.endswith(".csv"):
        spread = {f"keypoints_3d_{place}": values[:, place] for place in range(51)}
        csv.write_csv(pa.table(columns | spread), path)
    else:
        parquet.write_table(pa.table(columns | {"keypoints_3d": values.tolist()}), path)
    with pytest.raises(HarBenchError, match=r"is of 2 films \(mine, other\); name one with --video"):
        open_people(path, layout="h36m17")
    with pytest.raises(HarBenchError, match="give --layout"):
        open_people(path, video="mine")
    done = export_people(open_people(path, layout="h36m17", video="mine"), "lart", tmp_path / "raw")
    assert done.poses == 5
    assert any("give its size" in note for note in done.notes)
    view = convert(tmp_path / "raw", tmp_path / "store").sequence("mine")
    assert view.has_detection.tolist() == [True] * 3 + [False] * 2 + [True] * 2
    np.testing.assert_allclose(view.camera[view.has_detection] * [1, 1, 200] * 1000, joints[:, 0], atol=0.1)


def test_a_track_of_one_frame_is_none_of_larts(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(0, 300, (3, 17, 3))
    write_joints(tmp_path / "one.parquet", joints[:1], "h36m17")
    with pytest.raises(HarBenchError, match="one has nobody in two frames, which LART's shortest track has"):
        export_people(open_people(tmp_path / "one.parquet"), "lart", tmp_path / "raw")
    people = open_people(tmp_path / "one.parquet")
    write_joints(tmp_path / "three.parquet", joints, "h36m17", person=1)
    both = replace(people, persons=[*people.persons, *open_people(tmp_path / "three.parquet").persons])
    done = export_people(both, "lart", tmp_path / "raw")
    assert [path.name for path in done.files] == ["one_1_3.pkl"]
    assert any("tracks of a single frame are left out" in note for note in done.notes)


def test_what_is_no_track_of_people_is_said(tmp_path: Path) -> None:
    joints = np.zeros((3, 17, 3))
    write_joints(tmp_path / "room.parquet", joints, "h36m17", axes=WORLD)
    with pytest.raises(HarBenchError, match=r"not the camera's; lift it without --world"):
        open_people(tmp_path / "room.parquet")
    write_joints(tmp_path / "lifted.parquet", joints, "h36m17")
    with pytest.raises(HarBenchError, match="coco is made of whole stores"):
        export_people(open_people(tmp_path / "lifted.parquet"), "coco", tmp_path / "out")
    with pytest.raises(HarBenchError, match=r"has joints of shape \(17, 3\), and h36m32 has 32"):
        open_people(tmp_path / "lifted.parquet", layout="h36m32")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(HarBenchError, match=r"x\.parquet"):
        open_people(tmp_path / "x.parquet")
