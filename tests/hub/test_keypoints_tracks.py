"""Tracks of videos in the wild: formats that were always read, gaps, persons, conversions, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from har_bench import HarBenchError
from har_bench.keypoints import Track, fill_gaps, open_track
from har_bench.schema import vector
from har_bench.skeletons import mapping, skeleton

FRAMES, MISSED = 6, 3
RNG = np.random.default_rng(0)
BODY = RNG.uniform(50, 150, (17, 2))
POINTS = (BODY + np.cumsum(RNG.uniform(1, 9, (FRAMES, 17, 2)), axis=0)).astype(np.float32)
SCORES = RNG.uniform(0.5, 1, (FRAMES, 17)).astype(np.float32)
SEEN = [frame for frame in range(FRAMES) if frame != MISSED]
OTHER = POINTS + 500


def _numbers(points: np.ndarray[Any, Any], frame: int, factor: float = 1) -> list[float]:
    scores = SCORES[frame, : len(points)] if len(points) <= 17 else np.ones(len(points))
    return np.concatenate([points, factor * scores[:, None]], axis=1).ravel().tolist()


def _numpy(folder: Path) -> Path:
    rows = np.concatenate([POINTS, SCORES[..., None]], axis=-1)
    rows[MISSED] = np.nan
    np.save(folder / "track.npy", rows)
    return folder / "track.npy"


def _ours(folder: Path) -> Path:
    columns = {
        "sequence": ["clip"] * 2 * len(SEEN),
        "frame": SEEN + SEEN,
        "person": [4] * len(SEEN) + [9] * len(SEEN),
        "score": [0.9] * len(SEEN) + [0.8] * len(SEEN),
        "keypoints": vector(np.concatenate([POINTS[SEEN], OTHER[SEEN]]).reshape(2 * len(SEEN), -1)),
        "keypoint_scores": vector(np.concatenate([SCORES[SEEN], SCORES[SEEN]])),
    }
    table = pa.table(columns).replace_schema_metadata({"layout": "coco17"})
    pq.write_table(table, folder / "track.parquet")
    return folder / "track.parquet"


def _custom(folder: Path) -> Path:
    points = POINTS.copy()
    points[MISSED] = np.nan
    metadata = {"layout_name": "coco", "num_joints": 17, "video_metadata": {"clip.mp4": {"w": 640, "h": 480}}}
    positions = np.array({"clip.mp4": {"custom": [points]}})
    np.savez(folder / "data_2d_custom_x.npz", positions_2d=positions, metadata=np.array(metadata))
    return folder / "data_2d_custom_x.npz"


def _per_frame(frames: list[list[Any]]) -> np.ndarray[Any, Any]:
    found = np.empty((len(frames), 2), object)
    for row, frame in enumerate(frames):
        found[row, 0], found[row, 1] = frame
    return found


def _inferred(folder: Path) -> Path:
    """Detectron's two classes; the second of two persons has the better box."""
    boxes, keypoints = [], []
    for frame in range(FRAMES):
        persons = [OTHER, POINTS] if frame in SEEN else []
        logits, scores = np.zeros((17, 1)), SCORES[frame][:, None]
        poses = [np.concatenate([points[frame], logits, scores], axis=1).T for points in persons]
        boxes.append([[], np.array([[0, 0, 9, 9, 0.5 + row / 10] for row in range(len(persons))])])
        keypoints.append([[], np.array(poses)])
    np.savez(
        folder / "clip.mp4.npz",
        boxes=_per_frame(boxes),
        keypoints=_per_frame(keypoints),
        segments=np.array(None),
        metadata=np.array({"w": 640, "h": 480}),
    )
    return folder / "clip.mp4.npz"


def _results(image: Callable[[int], object], **ids: object) -> list[dict[str, Any]]:
    return [
        {"image_id": image(frame), "category_id": 1, "score": score, "keypoints": _numbers(points[frame], frame), **own}
        for frame in reversed(SEEN)
        for points, score, own in ((OTHER, 0.7, dict.fromkeys(ids, 9)), (POINTS, 2.9, ids))
    ]


def _detectron(folder: Path) -> Path:
    (folder / "results.json").write_text(json.dumps(_results(lambda frame: frame)))
    return folder / "results.json"


def _alphapose(folder: Path) -> Path:
    (folder / "alphapose-results.json").write_text(json.dumps(_results(lambda frame: f"{frame}.jpg", idx=4)))
    return folder / "alphapose-results.json"


@pytest.mark.parametrize("write", [_numpy, _ours, _custom, _inferred, _detectron, _alphapose])
def test_every_format_gives_the_same_track(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    track = open_track(path, layout="coco17" if write is _numpy else None, fps=25)
    assert (track.layout, track.fps, track.filled) == ("coco17", 25, 1)
    assert track.points.dtype == np.float32
    np.testing.assert_allclose(track.points[SEEN], POINTS[SEEN], rtol=1e-6)
    np.testing.assert_allclose(track.points[MISSED], (POINTS[MISSED - 1] + POINTS[MISSED + 1]) / 2, rtol=1e-6)
    if write is _custom:
        assert track.scores is None
    else:
        assert track.scores is not None
        np.testing.assert_allclose(track.scores[SEEN], SCORES[SEEN], rtol=1e-6)
        assert (track.scores[MISSED] == 0).all()
    assert track.size == ((640, 480) if write in (_custom, _inferred) else None)
    assert open_track(path, layout="coco17", size=(32, 24)).size == (32, 24)


@pytest.mark.parametrize("write", [_ours, _alphapose])
def test_a_person_may_be_chosen(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    np.testing.assert_allclose(open_track(path, person=9).points[SEEN], OTHER[SEEN], rtol=1e-6)
    with pytest.raises(HarBenchError, match=r"no person of .* is called 5; there are 4, 9"):
        open_track(path, person=5)


def _openpose(folder: Path) -> Path:
    """Frames 7 to 12; nobody in one of them, a left ankle unseen in another, a big toe unseen everywhere."""
    names = skeleton("body25").joints
    for frame in range(FRAMES):
        body = np.linspace(1, 50, 50).reshape(25, 2) + 10 * frame
        numbers = np.concatenate([body, np.full((25, 1), 0.8)], axis=1)
        numbers[names.index("left_big_toe")] = 0
        if frame == 1:
            numbers[names.index("left_ankle")] = 0
        other = np.concatenate([body + 300, np.full((25, 1), 0.6)], axis=1)
        people = [{"person_id": [-1], "pose_keypoints_2d": one.ravel().tolist()} for one in (other, numbers)]
        content = {"version": 1.3, "people": people if frame in SEEN else []}
        (folder / f"clip_{7 + frame:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def test_openpose_and_a_conversion_that_needs_no_toes(tmp_path: Path) -> None:
    track = open_track(_openpose(tmp_path))
    assert (track.layout, track.filled, len(track.points)) == ("body25", 2, FRAMES)
    toe, ankle = (skeleton("body25").index(name) for name in ("left_big_toe", "left_ankle"))
    assert np.isnan(track.points[:, toe]).all()
    np.testing.assert_allclose(np.diff(np.delete(track.points, toe, axis=1), axis=0), 10, rtol=1e-5)
    assert track.scores is not None
    assert track.scores[1, ankle] == track.scores[0, toe] == 0
    lifted = track.in_layout("h36m17")
    assert lifted.layout == "h36m17"
    assert lifted.points.shape == (FRAMES, 17, 2)
    neck, hip = (skeleton("body25").index(name) for name in ("neck", "mid_hip"))
    np.testing.assert_allclose(lifted.points[:, 7], track.points[:, [neck, hip]].mean(axis=1))
    assert lifted.scores is not None
    assert lifted.scores.shape == (FRAMES, 17)
    blind = track.points.copy()
    blind[:, ankle] = np.nan
    unseen = Track(blind, None, "body25", None, None, 0, "")
    with pytest.raises(HarBenchError, match=r"h36m17's left_ankle cannot be made"):
        unseen.in_layout("h36m17")


@pytest.mark.parametrize("source", ["coco17", "body25"])
def test_the_conversion_to_h36m_keeps_sides_and_is_nowhere_called_exact(source: str) -> None:
    found = mapping(skeleton(source), skeleton("h36m17"))
    assert "exact" not in found.grades
    for joint, sources in zip(found.target.joints, found.sources, strict=True):
        names = [found.source.joints[index] for index in sources]
        side, _, _ = joint.partition("_")
        if side in ("left", "right"):
            assert names == [joint]
        else:
            assert sum(name.startswith("left_") for name in names) == sum(name.startswith("right_") for name in names)


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    def complaint(path: Path, **options: Any) -> str:
        with pytest.raises(HarBenchError) as caught:
            open_track(path, **options)
        return str(caught.value)

    def saved(array: np.ndarray[Any, Any], stem: str = "x") -> Path:
        np.save(tmp_path / f"{stem}.npy", array)
        return tmp_path / f"{stem}.npy"

    def text(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content)
        return tmp_path / name

    assert "one of coco17, h36m17" in complaint(saved(POINTS))
    assert "has keypoints of shape (6, 17)" in complaint(saved(POINTS[..., 0]))
    assert "none of the 6 frames" in complaint(saved(np.full_like(POINTS, np.nan)), layout="coco17")
    assert "does not tell persons apart" in complaint(saved(POINTS), layout="coco17", person=1)
    assert "is of one video" in complaint(saved(POINTS), layout="coco17", video="a")
    cut = saved(POINTS, "cut")
    cut.write_bytes(cut.read_bytes()[:-100])
    assert "cut.npy holds an array of shape (6, 17, 2)" in complaint(cut)
    assert "object.npy has an array of object" in complaint(saved(np.array([{}], object), "object"))
    np.savez(tmp_path / "flat.npz", a=POINTS)
    assert "no .npz of a video (it has a)" in complaint(tmp_path / "flat.npz")
    two = {name: {"custom": [POINTS]} for name in ("a", "b")}
    np.savez(tmp_path / "two.npz", positions_2d=np.array(two), metadata=np.array({"layout_name": "coco"}))
    assert "2 videos ('a', 'b'); say which one" in complaint(tmp_path / "two.npz")
    assert "is called 'c'; there are a, b" in complaint(tmp_path / "two.npz", video="c")
    assert open_track(tmp_path / "two.npz", video="b").filled == 0
    np.savez(tmp_path / "set.npz", positions_2d=np.array({"S1": {"Walking": [POINTS] * 4}}))
    assert "is it a dataset" in complaint(tmp_path / "set.npz")
    assert "no json of keypoints" in complaint(text("odd.json", '[{"image_id": 1}]'))
    assert "is no json" in complaint(text("cut.json", '[{"image_id": 1, "keyp'))
    assert "keypoints of anybody" in complaint(text("none.json", "[]"))
    assert "no number in its name" in complaint(text("name.json", '[{"image_id": "a.jpg", "keypoints": [1, 2, 3]}]'))
    assert "count from 0" in complaint(text("minus.json", '[{"image_id": -3, "keypoints": [1, 2, 3]}]'))
    assert "has 5 numbers" in complaint(text("five.json", '[{"image_id": 1, "keypoints": [1, 2, 3, 4, 5]}]'))
    assert "is empty" in complaint(text("empty.json", ""))
    (tmp_path / "nothing").mkdir()
    assert "no *_keypoints.json" in complaint(tmp_path / "nothing")
    (tmp_path / "alone").mkdir()
    text("alone/a_0_keypoints.json", '{"people": []}')
    assert "holds no keypoints of anybody" in complaint(tmp_path / "alone")
    text("alone/b_0_keypoints.json", "{}")
    assert "2 videos ('a', 'b')" in complaint(tmp_path / "alone")
    assert "b_0_keypoints.json is no json of keypoints" in complaint(tmp_path / "alone", video="b")


TRACKS = st.tuples(
    arrays(np.float64, (8, 2, 2), elements=st.floats(-1e6, 1e6)), arrays(np.bool_, (8, 2), elements=st.booleans())
).filter(lambda pair: pair[1].any())


@given(TRACKS)
def test_known_frames_never_change_and_ends_are_repeated(pair: tuple[Any, Any]) -> None:
    points, there = pair
    filled, frames = fill_gaps(np.where(there[..., None], points, np.nan))
    np.testing.assert_array_equal(filled[there], points[there])
    assert frames == (~there[:, there.any(axis=0)]).any(axis=1).sum()
    for joint in range(points.shape[1]):
        seen = np.flatnonzero(there[:, joint])
        if not len(seen):
            assert np.isnan(filled[:, joint]).all()
            continue
        assert (filled[: seen[0], joint] == points[seen[0], joint]).all()
        assert (filled[seen[-1] :, joint] == points[seen[-1], joint]).all()
        assert filled[:, joint].min() >= points[seen, joint].min()
        assert filled[:, joint].max() <= points[seen, joint].max()


@given(
    st.integers(3, 30),
    arrays(np.float64, (2, 3, 2), elements=st.floats(-1e3, 1e3)),
    st.randoms(use_true_random=False),
)
def test_a_straight_line_stays_straight(frames: int, line: Any, random: Any) -> None:
    points = line[0] + line[1] * np.arange(frames)[:, None, None]
    gaps = points.copy()
    gaps[random.sample(range(1, frames - 1), random.randint(0, frames - 2))] = np.nan
    np.testing.assert_allclose(fill_gaps(gaps)[0], points, rtol=1e-9, atol=1e-6)
