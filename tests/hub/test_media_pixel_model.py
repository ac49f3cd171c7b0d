"""Models of pictures on stores: boxes, batches, layouts, and the way back into the image; strangers' models plug in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.media.boxes import Boxes, BoxFile, annotated, of_truth
from har_bench.media.crops import Crop, around
from har_bench.media.poses import Poses
from har_bench.protocol import make_protocol
from har_bench.registry import load
from har_bench.schema import column, table, to_numpy

pytest.importorskip("av")
pytest.importorskip("torch")

from tests.pictures import Finder, Middle, film, joints_of, save


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of the samples of two datasets, and pictures in which every annotated box is white."""
    home = tmp_path_factory.mktemp("pictures")
    for dataset in ("coco", "mpii", "h36m"):
        load("converters", dataset).sample(home / "raw" / dataset)
        har_bench.convert(dataset, home / "raw" / dataset, home / dataset, jobs=1, quiet=True)
    for dataset in ("coco", "mpii"):
        store = har_bench.open_store(home / dataset)
        names = [
            name
            for name in ("sequence", "bbox", "objpos", "scale", "keypoints", "num_keypoints", "iscrowd", "splits")
            if name in store.schema("poses").names
        ]
        rows = store.poses(columns=names)
        boxes = of_truth(rows).box
        for each in store.sequences.to_pylist():
            inside = np.array([name == each["sequence"] for name in rows["sequence"].to_pylist()]) & annotated(rows)
            people = [tuple(map(int, box)) for box in boxes[inside] if np.isfinite(box).all()]
            size = (each["width"] or 640, each["height"] or 480)
            save(
                home / dataset / "media" / each["media"], [(max(x, 0), max(y, 0), w, h) for x, y, w, h in people], size
            )
    return {name: home / name for name in ("coco", "mpii", "h36m")}


def predicted(model: Any, store: Store, protocol: str) -> pa.Table:
    return pa.concat_tables(model.predict(store, make_protocol(protocol)))


def points_of(rows: pa.Table, name: str = "keypoints") -> Any:
    return to_numpy(rows[name], rows.schema.field(name))


def test_a_crop_s_points_come_back_to_the_box_they_were_cut_about(places: dict[str, Path]) -> None:
    store = har_bench.open_store(places["coco"])
    model = Middle(images=str(places["coco"] / "media"))
    found = predicted(model, store, "coco/oks")
    boxes = points_of(found, "bbox")
    assert found.num_rows == len(boxes) > 0
    assert found.schema.metadata == {b"layout": b"coco17"}
    for box, points in zip(boxes, points_of(found), strict=True):
        pixel = 1.25 * max(box[2:]) / 64
        middle = box[:2] + box[2:] / 2
        if not overlaps_another(box, boxes):
            assert np.abs(points[0] - middle).max() < 2 * pixel
            np.testing.assert_allclose(points[3] - points[0], [-6.4 * pixel, 0], atol=1e-3)


def overlaps_another(box: Any, boxes: Any) -> bool:
    grown = np.array([*(box[:2] - 0.2 * max(box[2:])), *(box[2:] + 0.4 * max(box[2:]))])
    near = (np.abs((grown[:2] + grown[2:] / 2) - (boxes[:, :2] + boxes[:, 2:] / 2)) * 2 < grown[2:] + boxes[:, 2:]).all(
        axis=1
    )
    return bool(near.sum() > 1)


@dataclass
class Mirrored(Middle):
    """Sees every crop in a mirror."""

    def crop(self, box: Any) -> Crop:
        side = 1.25 * float(max(box[2:]))
        return around(box[:2] + box[2:] / 2, (side, side), self.size, flip=True)


def test_a_mirrored_crop_gives_the_person_s_own_left_and_right() -> None:
    """The left ear, a tenth to the left of the mirrored middle, is the right ear, as far to the right."""
    from har_bench.media.boxes import exact
    from tests.pictures import picture

    images, boxes = [picture([(50, 40, 20, 20)])], [exact(np.array([[50.0, 40.0, 20.0, 20.0]]))]
    plain, mirrored = (model().look(images, boxes)[0].points[0] for model in (Middle, Mirrored))
    np.testing.assert_allclose(plain[0], mirrored[0], atol=0.5)
    assert plain[3, 0] - plain[0, 0] == pytest.approx(-2.5)
    assert mirrored[4, 0] - mirrored[0, 0] == pytest.approx(2.5)
    assert mirrored[3, 0] == pytest.approx(mirrored[0, 0])


def test_the_same_numbers_for_any_batch_any_workers_and_either_way_of_cropping(places: dict[str, Path]) -> None:
    store = har_bench.open_store(places["coco"])
    made = [
        predicted(
            Middle(images=str(places["coco"] / "media"), batch=batch, workers=workers, crop_on_device=there),
            store,
            "coco/oks",
        )
        for batch, workers, there in ((1, 1, False), (3, 4, False), (64, 2, True))
    ]
    assert made[0].equals(made[1])
    assert made[0].equals(made[2])


def test_a_detector_of_its_own_sees_every_image(places: dict[str, Path]) -> None:
    store = har_bench.open_store(places["coco"])
    result = har_bench.run(Finder(images=str(places["coco"] / "media"), boxes="own"), store, protocol="coco/oks")
    assert result.environment["boxes"] == "own"
    assert result.environment["layout"] == "coco17"
    truth = har_bench.run(Finder(images=str(places["coco"] / "media")), store, protocol="coco/oks")
    assert truth.environment["boxes"] == "truth"
    assert truth.counts["detections"] == truth.counts["persons"]


def test_mpii_s_persons_get_one_pose_each_in_the_order_of_the_rows(places: dict[str, Path]) -> None:
    store = har_bench.open_store(places["mpii"])
    protocol = make_protocol("mpii/pckh")
    model = Middle(images=str(places["mpii"] / "media"))
    found = predicted(model, store, "mpii/pckh")
    from har_bench.baseline import targets

    rows = pa.concat_tables(targets(store, protocol, ["objpos", "scale"]))
    for key in ("sequence", "frame", "person"):
        assert found[key].to_pylist() == rows[key].to_pylist()
    assert points_of(found).shape == (rows.num_rows, 16, 2)
    assert of_truth(rows).rough.all()
    result = har_bench.run(model, store, protocol="mpii/pckh")
    assert result.counts["persons"] == rows.num_rows
    best = har_bench.run(Finder(images=str(places["mpii"] / "media"), boxes="own"), store, protocol="mpii/pckh")
    assert best.counts["persons"] == rows.num_rows


def test_the_whole_image_is_a_box_too(places: dict[str, Path]) -> None:
    store = har_bench.open_store(places["coco"])
    found = predicted(Finder(images=str(places["coco"] / "media"), boxes="full"), store, "coco/oks")
    assert found["sequence"].to_pylist() == store.select("2017/val")["sequence"].to_pylist()


def file_of_boxes(store: Store, path: Path, kind: str) -> Path:
    rows = store.sequences.to_pylist()
    found = [
        (row["image_id"], row["sequence"], [10.0, 20.0, 30.0, 40.0], 0.25 * (1 + place % 3))
        for place, row in enumerate(rows)
    ]
    if kind == "json":
        other = {"image_id": found[0][0], "bbox": [0, 0, 5, 5], "score": 1.0, "category_id": 7}
        texts = [{"image_id": image, "bbox": box, "score": score, "category_id": 1} for image, _, box, score in found]
        path.write_text(json.dumps([other, *texts]))
        return path
    schema = pa.schema(
        [column("sequence", pa.string()), column("bbox", pa.float32(), shape=(4,)), column("score", pa.float64())]
    )
    from har_bench.scoring.predictions import write

    columns = {
        "sequence": [each[1] for each in found],
        "bbox": np.array([each[2] for each in found], np.float32),
        "score": [each[3] for each in found],
    }
    write([table(columns, schema)], path)
    return path


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_boxes_of_somebody_s_detector_and_their_scores(kind: str, places: dict[str, Path], tmp_path: Path) -> None:
    store = har_bench.open_store(places["coco"])
    path = file_of_boxes(store, tmp_path / f"boxes.{kind}", kind)
    model = Middle(images=str(places["coco"] / "media"), boxes=f"file={path}")
    found = predicted(model, store, "coco/oks")
    np.testing.assert_allclose(points_of(found, "bbox"), [[10, 20, 30, 40]] * found.num_rows)
    place = {name: number for number, name in enumerate(store.sequences["sequence"].to_pylist())}
    expected = [0.5 * 0.25 * (1 + place[name] % 3) for name in found["sequence"].to_pylist()]
    np.testing.assert_allclose(found["score"].to_numpy(), expected)
    assert model.describe()["boxes"] == f"file={path}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "is no list of detections"),
        ('[{"image_id": 1, "bbox": [1, 2, 3]}]', "is no list of detections"),
        ('[{"image_id": -5, "bbox": [1, 2, 3, 4]}]', "holds no box of a person in coco's images"),
        ("", "is no list of detections"),
    ],
)
def test_files_that_are_no_boxes_are_said(content: str, words: str, places: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text(content)
    with pytest.raises(HarBenchError, match=words):
        BoxFile(tmp_path / "boxes.json", har_bench.open_store(places["coco"]))


def test_boxes_without_extent_are_named(places: dict[str, Path], tmp_path: Path) -> None:
    store = har_bench.open_store(places["coco"])
    image = store.sequences["image_id"][0].as_py()
    (tmp_path / "boxes.json").write_text(json.dumps([{"image_id": image, "bbox": [3, 4, 0, 5]}]))
    with pytest.raises(HarBenchError, match=r"has a box \[3.0, 4.0, 0.0, 5.0\] in .*; boxes are x, y, width, height"):
        BoxFile(tmp_path / "boxes.json", store)
    with pytest.raises(HarBenchError, match="does not exist; give a file of boxes"):
        BoxFile(tmp_path / "none.json", store)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Middle(), "needs the raw download's folder, under which they lie; give --set images=FOLDER"),
        (Middle(images="x", boxes="mine"), "boxes is truth, own, full or file=PATH, and not 'mine'"),
        (Middle(images="x", boxes="own"), "Middle does not find people by itself; give boxes=truth, full or file=PATH"),
        (Middle(images="no/such/folder"), "no/such/folder is no folder"),
    ],
)
def test_what_a_model_of_images_needs_is_said(model: Middle, words: str, places: dict[str, Path]) -> None:
    with pytest.raises(HarBenchError, match=words):
        predicted(model, har_bench.open_store(places["coco"]), "coco/oks")


@dataclass
class InSpace(Finder):
    """Joints of depth zero, ten millimetres for a pixel, about a point that is nobody's root."""

    layout = "h36m17"
    in_space = True

    def look(self, images: Sequence[Any], boxes: Sequence[Boxes] | None) -> list[Poses]:
        def deep(poses: Poses) -> Poses:
            flat = np.concatenate([poses.points, np.zeros((*poses.points.shape[:2], 1))], axis=-1)
            return replace(poses, points_3d=10 * flat + 777)

        return [deep(poses) for poses in super().look(images, boxes)]


def test_videos_of_a_store_give_joints_in_space_about_the_root(places: dict[str, Path], tmp_path: Path) -> None:
    store = har_bench.open_store(places["h36m"])
    scored = make_protocol("h36m/mpjpe").select(store.sequences).to_pylist()
    for each in scored:
        (tmp_path / each["media"]).parent.mkdir(parents=True, exist_ok=True)
        film(tmp_path / each["media"], [[(20 + frame % 50, 30, 40, 60)] for frame in range(each["n_frames"])])
    model = InSpace(images=str(tmp_path), boxes="own")
    found = predicted(model, store, "h36m/mpjpe")
    deep, flat = points_of(found, "keypoints_3d"), points_of(found)
    assert found.num_rows == sum(each["n_frames"] for each in scored)
    assert (deep[:, 0] == 0).all()
    step = np.array([0.05 * 40, 0.05 * 60])
    np.testing.assert_allclose(flat[:, 1] - flat[:, 0], np.broadcast_to(step, (len(flat), 2)), atol=0.3)
    np.testing.assert_allclose(deep[:, 1, :2], 10 * (flat[:, 1] - flat[:, 0]), atol=1e-2)
    first = [row for row, name in enumerate(found["sequence"].to_pylist()) if name == scored[0]["sequence"]]
    moved = flat[first, 0, 0] - flat[first[0], 0, 0]
    np.testing.assert_allclose(moved, [frame % 50 for frame in range(len(first))], atol=1.5)
    result = har_bench.run(model, store, protocol="h36m/mpjpe", out=tmp_path / "p.parquet")
    assert np.isfinite(result["MPJPE"])


def test_what_a_model_serves_follows_from_its_joints(places: dict[str, Path]) -> None:
    h36m, coco = har_bench.open_store(places["h36m"]), har_bench.open_store(places["coco"])
    assert InSpace().serves(h36m, make_protocol("h36m/mpjpe"))
    assert not Finder().serves(h36m, make_protocol("h36m/mpjpe")), "it has no third dimension"
    assert not InSpace().serves(coco, make_protocol("coco/oks")), "nothing maps Human3.6M's joints to COCO's"
    assert not Finder().serves(h36m, make_protocol("ntu60/xsub"))


def test_a_table_s_boxes_by_hand() -> None:
    schema = pa.schema(
        [
            column("bbox", pa.float32(), shape=(4,)),
            column("objpos", pa.float32(), shape=(2,)),
            column("scale", pa.float64()),
            column("keypoints", pa.float32(), shape=(2, 2)),
            column("num_keypoints", pa.int32()),
            column("iscrowd", pa.int32()),
        ]
    )
    nan = np.nan
    rows = table(
        {
            "bbox": np.array([[1, 2, 3, 4], [nan] * 4, [nan] * 4, [5, 5, 0, 5], [nan] * 4], np.float32),
            "objpos": np.array([[9, 9], [300, 200], [nan, nan], [nan, nan], [nan, nan]], np.float32),
            "scale": np.array([9, 1.5, nan, nan, nan]),
            "keypoints": np.array(
                [[[0, 0]] * 2, [[0, 0]] * 2, [[7, 9], [3, 19]], [[1, 1], [2, 4]], [[1, 1], [nan, nan]]], np.float32
            ),
            "num_keypoints": [2, 0, 1, 3, 4],
            "iscrowd": [0, 0, 1, 0, 0],
        },
        schema,
    )
    found = of_truth(rows)
    np.testing.assert_allclose(found.box, [[1, 2, 3, 4], [150, 50, 300, 300], [3, 9, 4, 10], [1, 1, 1, 3], [nan] * 4])
    assert found.rough.tolist() == [False, True, False, False, False]
    assert annotated(rows).tolist() == [True, False, False, True, True]


def test_joints_of_a_rectangle_are_where_the_helper_says() -> None:
    np.testing.assert_allclose(joints_of((10, 20, 100, 200))[[0, 16]], [[20, 40], [100, 200]])
