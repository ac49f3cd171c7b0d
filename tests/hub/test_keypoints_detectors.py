"""What today's detectors write, each file beside the same points as a plain array."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError
from har_bench.keypoints import open_detections, open_track
from har_bench.skeletons import mapping, skeleton
from tests.sampled import sampled
from tests.walkers import SIZE, flat, walk

FRAMES = 12
ONE = walk(FRAMES)
TWO = walk(FRAMES, at=700, seed=1)[: FRAMES - 2]
MISSED = 5  # nobody was found in this frame
SEEN = [frame for frame in range(FRAMES) if frame != MISSED]

Write = Callable[[Path], Path]


def people(frame: int) -> list[np.ndarray[Any, Any]]:
    """Everybody in a frame, the second one first."""
    if frame == MISSED:
        return []
    return [points[frame] for points in (TWO, ONE) if frame < len(points)]


def by_number(frame: int) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Everybody in a frame with their ids."""
    found = people(frame)
    return list(zip(("0", "1")[-len(found) :] if found else (), found, strict=True))


def dump(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def rows(pose: np.ndarray[Any, Any], score: float = 0.8) -> list[list[float]]:
    return [[float(x), float(y), score] for x, y in pose]


def yolo(pose: np.ndarray[Any, Any], number: int | None = None) -> dict[str, Any]:
    """A detection as ultralytics' ``to_json`` has it."""
    columns = {"x": pose[:, 0].tolist(), "y": pose[:, 1].tolist(), "visible": [0.9] * 17}
    own = {} if number is None else {"track_id": number}
    return {"name": "person", "class": 0, "confidence": 0.9, "box": {"x1": 1.0}, "keypoints": columns, **own}


def ultralytics_lists(folder: Path) -> Path:
    return dump(folder / "x.json", [[yolo(pose) for pose in people(frame)] for frame in range(FRAMES)])


def ultralytics_texts(folder: Path) -> Path:
    """What ``json.dumps([result.to_json() for result in results])`` gives: texts in a list."""
    texts = [json.dumps([yolo(pose) for pose in people(frame)]) for frame in range(FRAMES)]
    return dump(folder / "x.json", texts)


def ultralytics_folder(folder: Path) -> Path:
    for frame in range(FRAMES):
        dump(folder / f"image_{frame + 1:04d}.json", [yolo(pose) for pose in people(frame)])
    return folder


def label(pose: np.ndarray[Any, Any], *, visible: bool = True, conf: bool = False, number: int | None = None) -> str:
    """A line of ultralytics' ``labels/*.txt``."""
    shares = pose / SIZE
    joints = np.concatenate([shares, np.full((17, 1), 0.9)], axis=1) if visible else shares
    numbers = [0, 0.5, 0.5, 0.1, 0.5, *joints.ravel().tolist(), *([0.87] if conf else [])]
    return " ".join(f"{number:.8g}" for number in numbers) + ("" if number is None else f" {number}")


def labels(folder: Path, **kind: Any) -> Path:
    (folder / "labels").mkdir()
    for frame in SEEN:
        lines = [label(pose, **kind) for pose in people(frame)]
        (folder / "labels" / f"walk2_{frame + 1}.txt").write_text("\n".join(lines) + "\n")
    return folder


def labels_plain(folder: Path) -> Path:
    return labels(folder) / "labels"


def labels_with_confidence(folder: Path) -> Path:
    return labels(folder, conf=True)


def labels_without_visibility(folder: Path) -> Path:
    return labels(folder, visible=False)


def instance(pose: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"keypoints": pose.tolist(), "keypoint_scores": [0.8] * len(pose), "bbox": [[1, 2, 3, 4]], "bbox_score": 0.9}


def mmpose(folder: Path) -> Path:
    found = [{"frame_id": frame, "instances": [instance(pose) for pose in people(frame)]} for frame in range(FRAMES)]
    return dump(folder / "x.json", found)


def mmpose_meta(folder: Path) -> Path:
    found = json.loads(mmpose(folder).read_text())
    for frame in found:
        frame["frame_id"] += 1
    ids = {str(index): name for index, name in enumerate(skeleton("coco17").joints)}
    meta = {"dataset_name": "coco", "num_keypoints": 17, "keypoint_id2name": ids}
    return dump(folder / "y.json", {"meta_info": meta, "instance_info": found})


def mmpose_images(folder: Path) -> Path:
    """A file an image, each a list of instances."""
    for frame in range(FRAMES):
        dump(folder / f"{frame:06d}.json", [instance(pose) for pose in people(frame)])
    return folder


def vitpose(folder: Path) -> Path:
    """easy_ViTPose: y, x, score, by the tracker's ids."""
    frames = [{number: [[y, x, s] for x, y, s in rows(pose)] for number, pose in by_number(f)} for f in range(FRAMES)]
    names_ = {str(index): name for index, name in enumerate(skeleton("coco17").joints)}
    return dump(folder / "x.json", {"keypoints": frames, "skeleton": names_})


def vitpose_with_feet(folder: Path) -> Path:
    """Its 25 joints: COCO's among others, in another order, named."""
    order = [*skeleton("coco17").joints]
    order[5:5] = ["neck"]
    order += ["hip", *(f"{side} {toe}" for side in ("left", "right") for toe in ("big toe", "small toe", "heel"))]
    frames: list[Any] = []
    for frame in range(FRAMES):
        found = {}
        for number, pose in by_number(frame):
            by_name = dict(zip(skeleton("coco17").joints, pose.tolist(), strict=True))
            found[number] = [[*reversed(by_name.get(name, [7.0, 7.0])), 0.9] for name in order]
        frames.append(found)
    spoken = {str(index): name.replace("_", " ") for index, name in enumerate(order)}
    return dump(folder / "x.json", {"keypoints": frames, "skeleton": spoken})


def rtmlib(folder: Path) -> Path:
    """``keypoints`` and ``scores`` of every frame, padded with zeros."""
    points, scores = np.zeros((FRAMES, 2, 17, 2)), np.zeros((FRAMES, 2, 17))
    for frame in range(FRAMES):
        for place, pose in enumerate(people(frame)):
            points[frame, place], scores[frame, place] = pose, 0.8
    np.savez(folder / "x.npz", keypoints=points, scores=scores)
    return folder / "x.npz"


def rtmlib_ragged(folder: Path) -> Path:
    points, scores = np.empty(FRAMES, object), np.empty(FRAMES, object)
    for frame in range(FRAMES):
        found = people(frame)
        points[frame], scores[frame] = np.array(found).reshape(-1, 17, 2), np.full((len(found), 17), 0.8)
    np.savez(folder / "x.npz", keypoints=points, scores=scores)
    return folder / "x.npz"


def rtmlib_rows(folder: Path) -> Path:
    found = [(frame, pose) for frame in range(FRAMES) for pose in people(frame)]
    poses = np.array([pose for _, pose in found])
    frames = np.array([frame for frame, _ in found])
    np.savez(folder / "x.npz", keypoints=poses, scores=np.full(poses.shape[:2], 0.8), frame=frames)
    return folder / "x.npz"


def results(folder: Path, form: Callable[[np.ndarray[Any, Any]], Any], **own: Any) -> Path:
    found = [{"image_id": f, "category_id": 1, "keypoints": form(pose), **own} for f in SEEN for pose in people(f)]
    return dump(folder / "x.json", found)


def coco_flat(folder: Path) -> Path:
    return results(folder, flat, score=0.9)


def coco_nested(folder: Path) -> Path:
    return results(folder, rows)


def coco_frame_ids(folder: Path) -> Path:
    found = [{"frame_id": f, "keypoints": flat(pose, score=0)} for f in SEEN for pose in people(f)]
    return dump(folder / "x.json", {"annotations": found})


def coco_lines(folder: Path) -> Path:
    found = json.loads(coco_flat(folder).read_text())
    (folder / "x.jsonl").write_text("\ufeff" + "\n".join(json.dumps(each) for each in found))
    return folder / "x.jsonl"


def alphapose_open(folder: Path) -> Path:
    """AlphaPose's ``--format open``: by the image's name, and OpenPose's people in it."""
    frames = {f"{f}.jpg": {"people": [{"keypoints": flat(pose)} for pose in people(f)]} for f in SEEN}
    return dump(folder / "x.json", frames)


def alphapose_cmu(folder: Path) -> Path:
    """AlphaPose's ``--format cmu``: bodies of 18 joints; and its ``open`` has OpenPose's own names for the same."""
    coco, order = skeleton("coco17").joints, skeleton("openpose18").joints
    frames: dict[str, Any] = {}
    for frame in SEEN:
        poses = [
            np.stack([pose[coco.index(name)] if name in coco else pose[[5, 6]].mean(axis=0) for name in order])
            for pose in people(frame)
        ]
        frames[f"{frame:03d}.png"] = {"version": "AlphaPose v0.3", "bodies": [{"joints": flat(pose)} for pose in poses]}
    return dump(folder / "x.json", frames)


def test_alphapose_s_bodies_of_18_joints(tmp_path: Path) -> None:
    path = alphapose_cmu(tmp_path)
    for text in (
        path.read_text(),
        path.read_text().replace('"bodies"', '"people"').replace('"joints"', '"pose_keypoints_2d"'),
    ):
        path.write_text(text)
        track = open_track(path, size=SIZE)
        assert (track.layout, len(track.points)) == ("openpose18", FRAMES)
        np.testing.assert_allclose(track.in_layout("coco17").points[SEEN], ONE[SEEN], atol=0.01)


def openpose_list(folder: Path) -> Path:
    """DWPose and others write OpenPose's people of all frames into one list."""
    frames = [{"people": [{"keypoints": flat(pose)} for pose in people(frame)]} for frame in range(FRAMES)]
    return dump(folder / "x.json", frames)


def detectron_boxes(folder: Path, name: str = "a/walk.mp4.npz", frames: int = FRAMES) -> Path:
    """Of more frames than there are people, the people walk again."""
    boxes, keypoints = np.empty((frames, 2), object), np.empty((frames, 2), object)
    for frame in range(frames):
        found = people(frame % FRAMES)
        poses = [np.concatenate([pose, np.zeros((17, 1)), np.full((17, 1), 0.8)], axis=1).T for pose in found]
        boxes[frame, 0], keypoints[frame, 0] = [], []
        boxes[frame, 1] = np.array([[0, 0, 9, 9, 0.9 - row / 10] for row in range(len(found))])
        keypoints[frame, 1] = np.array(poses)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    metadata = np.array({"w": SIZE[0], "h": SIZE[1]})
    np.savez(folder / name, boxes=boxes, keypoints=keypoints, segments=np.array(None), metadata=metadata)
    return folder


EVERY = [
    *(ultralytics_lists, ultralytics_texts, ultralytics_folder),
    *(labels_plain, labels_with_confidence, labels_without_visibility),
    *(mmpose, mmpose_meta, mmpose_images, vitpose, vitpose_with_feet, rtmlib, rtmlib_ragged, rtmlib_rows),
    *(coco_flat, coco_nested, coco_frame_ids, coco_lines, alphapose_open, openpose_list, detectron_boxes),
]


@pytest.mark.parametrize("write", EVERY, ids=lambda write: write.__name__)
def test_every_detector_s_file_gives_the_track_of_the_person_seen_most(write: Write, tmp_path: Path) -> None:
    track = open_track(write(tmp_path), size=SIZE)
    assert (track.layout, track.start, len(track.points), track.filled) == ("coco17", 0, FRAMES, 1)
    np.testing.assert_allclose(track.points[SEEN], ONE[SEEN], atol=0.01)
    assert len(track.notes) == 1
    assert track.notes[0].startswith("2 persons (")
    assert ": 9)" in track.notes[0]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_is_read_in_any_unicode_packed_or_not(encoding: str, packed: bool, tmp_path: Path) -> None:
    path = coco_flat(tmp_path)
    content = path.read_text().encode(encoding)
    path.write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_allclose(open_track(path, size=SIZE).points[SEEN], ONE[SEEN], atol=0.01)


@pytest.mark.parametrize("ids", [False, True])
def test_ultralytics_ids_are_people(ids: bool, tmp_path: Path) -> None:
    frames = [[yolo(pose, 3 + place if ids else None) for place, pose in enumerate(people(f))] for f in range(FRAMES)]
    for frame in range(len(TWO), FRAMES):
        frames[frame][0] = yolo(ONE[frame], 4 if ids else None)
    track = open_track(dump(tmp_path / "x.json", frames), size=SIZE)
    assert track.person == (4 if ids else 2)
    np.testing.assert_allclose(track.points[SEEN], ONE[SEEN], atol=0.01)
    for frame in SEEN:
        lines = [label(pose, conf=True, number=8 - place if ids else None) for place, pose in enumerate(people(frame))]
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"x_{frame}.txt").write_text("\n".join(lines))
    by_labels = open_track(tmp_path / "labels", size=SIZE, person=7 if ids else 2)
    np.testing.assert_allclose(by_labels.points[: len(TWO)][np.array(SEEN[:9])], ONE[SEEN[:9]], atol=0.01)


def test_a_number_that_no_tracker_gives_is_no_id(tmp_path: Path) -> None:
    lines = [f"{label(pose, conf=True)} {'9' * 30}" for pose in people(0)]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "x_0.txt").write_text("\n".join(lines))
    assert open_track(tmp_path / "labels", size=SIZE).person in (1, 2)  # by their places


def test_labels_need_the_size_of_the_image_and_keypoints(tmp_path: Path) -> None:
    folder = labels_plain(tmp_path)
    with pytest.raises(HarBenchError, match=r"fractions of the image .* give its width and height"):
        open_track(folder)
    (folder / "walk2_1.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(HarBenchError, match="labels without keypoints of a known skeleton; give those of a pose model"):
        open_track(folder, size=SIZE)
    (folder / "walk2_1.txt").write_text("person 0.5\n")
    with pytest.raises(HarBenchError, match=r"walk2_1\.txt is no label of ultralytics"):
        open_track(folder, size=SIZE)


@pytest.mark.parametrize("shape", ["T J 2", "1 T J 2", "T 1 J 2"])
def test_a_demo_s_reconstruction_is_in_human36m_s_joints(shape: str, tmp_path: Path) -> None:
    points = mapping(skeleton("coco17"), skeleton("h36m17")).points(ONE)
    axes = {"T J 2": points, "1 T J 2": points[None], "T 1 J 2": points[:, None]}
    np.savez_compressed(tmp_path / "keypoints.npz", reconstruction=axes[shape])
    track = open_track(tmp_path / "keypoints.npz", size=SIZE)
    assert track.layout == "h36m17"
    np.testing.assert_allclose(track.points, points)


def test_several_persons_in_one_array(tmp_path: Path) -> None:
    both = np.stack([ONE, walk(FRAMES, at=700, seed=1)])
    np.savez(tmp_path / "p.npz", reconstruction=both)
    track = open_track(tmp_path / "p.npz", size=SIZE, person=2)
    np.testing.assert_allclose(track.points, both[1], rtol=1e-6)
    np.save(tmp_path / "p.npy", both.swapaxes(0, 1)[:, ::-1])
    one = open_track(tmp_path / "p.npy", size=SIZE, layout="coco17", person=1)
    assert "2 persons (" in one.notes[0]
    found = one.points if np.allclose(one.points, both[0], atol=1) else None
    np.testing.assert_allclose(both[1] if found is None else found, one.points, rtol=1e-6)


@pytest.mark.parametrize("hole", ["NaN", "null", "0.0"])
@pytest.mark.parametrize("write", [coco_flat, coco_nested, mmpose], ids=lambda write: write.__name__)
def test_nan_null_and_the_corner_are_not_seen(hole: str, write: Write, tmp_path: Path) -> None:
    path = write(tmp_path)
    text = path.read_text()
    x, y = (json.dumps(float(value)) for value in ONE[3, 9])
    assert f"{x}, {y}" in text
    path.write_text(text.replace(f"{x}, {y}", f"{hole}, {hole}"))
    track = open_track(path, size=SIZE)
    assert track.filled == 2
    np.testing.assert_allclose(track.points[3, 9], (ONE[2, 9] + ONE[4, 9]) / 2, rtol=1e-5)
    assert track.scores is None or track.scores[3, 9] == 0


def test_the_corner_is_not_seen_in_arrays_and_columns_either(tmp_path: Path) -> None:
    points = ONE.copy()
    points[3, 9] = 0
    np.save(tmp_path / "x.npy", points)
    np.savez(tmp_path / "x.npz", positions_2d=np.array({"v": {"custom": [points]}}), metadata=np.array({}))
    for name in ("x.npy", "x.npz"):
        track = open_track(tmp_path / name, size=SIZE, layout="coco17")
        np.testing.assert_allclose(track.points[3, 9], (ONE[2, 9] + ONE[4, 9]) / 2, rtol=1e-5)
        assert track.filled == 1


def test_detectron_s_tree_is_of_several_videos_and_of_a_dataset(tmp_path: Path) -> None:
    store = sampled("h36m", tmp_path)
    length = len(store.sequence("S9/Walking 1/54138969"))
    tree = detectron_boxes(tmp_path / "tree", "S1/Photo 1.54138969.mp4.npz")
    detectron_boxes(tree, "S9/Walking 1.54138969.mp4.npz", length)
    with pytest.raises(HarBenchError, match=r"2 videos \('S1/Photo 1.54138969', .*--video"):
        open_track(tree)
    track = open_track(tree, video="S1/Photo 1.54138969")
    assert (track.layout, track.size, len(track.points)) == ("coco17", SIZE, FRAMES)
    found = open_detections(tree, store)
    assert (found.layout, found.taken_for) == ("coco17", "Detectron's .npz of each video")
    given = found.of("S9/Walking 1/54138969")
    assert given is not None
    assert given.shape == (length, 17, 3)
    np.testing.assert_allclose(given[0, :, :2], TWO[0], rtol=1e-6)  # the better box
    assert np.isnan(given[MISSED, :, :2]).all()
    assert found.of("S11/Walking 1/54138969") is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(40)),
        ("x.avi", b"RIFF\x00\x00\x00\x00AVI LIST"),
        ("x.mkv", b"\x1a\x45\xdf\xa3" + bytes(20)),
        ("x.mov", b"something else"),
        ("x.jpg", b"\xff\xd8\xff\xe0" + bytes(20)),
        ("x", b"\x89PNG\r\n\x1a\n" + bytes(20)),
        ("folder/0001.png", b"\x89PNG\r\n\x1a\n" + bytes(20)),
    ],
)
def test_a_video_needs_a_detector_first(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match="run a 2D pose detector on"):
        open_track(path.parent if "/" in name else path, size=SIZE)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": 1}, "is no json of keypoints that har_bench knows"),
        ([1, 2, 3], "is no json of keypoints that har_bench knows"),
        ([], "holds no keypoints of anybody"),
        ([{"image_id": 1}], "is no json of keypoints that har_bench knows"),
        ([{"image_id": 1, "keypoints": [1, 2, 3, 4, 5]}], "detection 0, of image 1, has 5 numbers"),
        ([{"image_id": 1, "keypoints": "none"}], "has joints that are 'none'"),
        ([{"image_id": 1, "keypoints": [[1, 2], [3]]}], "no numbers, or not as many each"),
        ([{"image_id": 1, "keypoints": {"x": [1, 2], "y": [1]}}], "of different lengths"),
        ([{"image_id": 1, "keypoints": [1, 2, 3] * 17}, {"image_id": 2, "keypoints": [1, 2, 3]}], "of 1 to 17 joints"),
        ([{"frame_id": 1, "instances": [{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}]}], "are lifted already"),
        ([{"frame_id": 1, "instances": [{"keypoints": [[1, 2]], "keypoint_scores": [1, 1]}]}], "2 scores of joints"),
    ],
)
def test_json_that_cannot_be_read_says_where_and_why(value: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=words):
        open_track(dump(tmp_path / "x.json", value))
