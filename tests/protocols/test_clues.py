"""What looks wrong in predictions is said in the result and changes no number; what is right, however bad, is never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench import Store, registry
from har_bench.baseline import targets
from har_bench.protocol import make_protocol
from har_bench.schema import to_numpy, vector
from har_bench.scoring.ways import Remedies
from har_bench.skeletons import skeleton
from tests import enlarged
from tests.enlarged import predicted

PROTOCOLS = {name: registry.load("protocols", name) for name in registry.available("protocols")}
AXES_OF = {"keypoints": 2, "keypoints_3d": 3}
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def store_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Store]:
    made = enlarged.stores(tmp_path_factory.mktemp("clues"))
    return lambda name: made(PROTOCOLS[name].dataset, parts=2)


def told(name: str, store: Store, rows: pa.Table) -> list[str]:
    """The notes of a score."""
    return har_bench.score(name, store, rows, resamples=0, missing="count-as-error").notes


def joints_near(name: str, store: Store, spread: float = 0.3) -> pa.Table:
    """Poses or persons close to the true ones."""
    protocol = make_protocol(name)
    column = protocol.prediction_columns[0]
    rows = pa.concat_tables(targets(store, protocol))
    points = np.nan_to_num(to_numpy(rows[column], rows.schema.field(column))).astype(np.float64)
    rng = np.random.default_rng(5)
    if column == "keypoints_3d":
        points -= points[:, :1]
    points += rng.normal(0, spread, points.shape)
    found = with_points(rows.select(["sequence", "frame", "person"]), column, points)
    return found.append_column("score", pa.array(rng.random(len(rows)))) if protocol.complete is False else found


def with_points(rows: pa.Table, column: str, points: Any) -> pa.Table:
    values = vector(points.astype(np.float32))
    if column in rows.column_names:
        return rows.set_column(rows.column_names.index(column), column, values)
    return rows.append_column(column, values)


def changed(rows: pa.Table, column: str, change: Change) -> pa.Table:
    """Rows with one column of vectors or numbers changed."""
    field = rows.schema.field(column)
    is_vector = pa.types.is_fixed_size_list(field.type) or pa.types.is_list(field.type)
    values = to_numpy(rows[column], field) if is_vector else rows[column].to_numpy()
    if column in AXES_OF and values.ndim == 2:
        values = values.reshape(len(values), -1, AXES_OF[column])
    new = change(values)
    return rows.set_column(rows.column_names.index(column), column, vector(new) if is_vector else pa.array(new))


@pytest.mark.parametrize("name", PROTOCOLS)
def test_right_predictions_are_never_suspected(name: str, store_of: Callable[[str], Store]) -> None:
    store = store_of(name)
    rows = predicted(make_protocol(name), store)
    column = "keypoints_3d"
    if column in rows.column_names:
        rows = changed(rows, column, lambda points: points - points[:, :1])
    assert told(name, store, rows) == []


@pytest.mark.parametrize(
    ("name", "baseline", "settings"),
    [
        *((name, "mean-pose", {}) for name in ("h36m/mpjpe", "humaneva/mpjpe", "mpii/pckh")),
        *((name, "oracle-noise", {"sigma": 40.0}) for name, found in PROTOCOLS.items() if found.task == "pose"),
    ],
)
def test_poor_models_are_never_suspected(
    name: str, baseline: str, settings: dict[str, Any], store_of: Callable[[str], Store]
) -> None:
    result = har_bench.run(baseline, store_of(name), protocol=name, settings=settings)
    assert result.notes == []


IN_SPACE: dict[str, tuple[Change, str]] = {
    "metres": (lambda points: points / 1000, "--unit m"),
    "centimetres": (lambda points: points / 10, "--unit cm"),
    "thrice the size": (lambda points: points * 3, "too large"),
    "absolute": (lambda points: points + np.array([100, -50, 4000]), "recentred"),
    "y up": (lambda points: points * np.array([1, -1, 1]), "--axes x,-y,z"),
    "y up, seen from behind": (lambda points: points * np.array([1, -1, -1]), "--axes x,-y,-z"),
    "z up": (lambda points: np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1), "--axes x,z,-y"),
    "z before y": (lambda points: points[..., [0, 2, 1]], "--axes x,z,y"),
    "towards the camera": (lambda points: points * np.array([1, 1, -1]), "--axes x,y,-z"),
    "about their middle": (lambda points: points - points.mean(axis=1, keepdims=True), "recentred"),
    "sides": (lambda points: points[:, skeleton("h36m17").flip], "left and right"),
    "backwards": (lambda points: points[:, ::-1], "in another order"),
    "one place": (lambda points: points * 0, "in one place"),
}


@pytest.mark.parametrize("how", IN_SPACE)
def test_a_pose_in_space_that_is_written_otherwise_is_told(how: str, store_of: Callable[[str], Store]) -> None:
    change, word = IN_SPACE[how]
    right = joints_near("h36m/mpjpe", store_of("h36m/mpjpe"))
    assert told("h36m/mpjpe", store_of("h36m/mpjpe"), right) == []
    (note,) = told("h36m/mpjpe", store_of("h36m/mpjpe"), changed(right, "keypoints_3d", change))
    assert word in note


IN_IMAGES: dict[str, tuple[Change, str]] = {
    "shares": (lambda points: points / 2000, "shares of the image"),
    "a heat map": (lambda points: points / 16, "heat map"),
    "an image of half the size": (lambda points: points / 2, "resized image"),
    "a larger image": (lambda points: points * 2, "resized image"),
    "a crop": (lambda points: points - np.nanmin(points, axis=1, keepdims=True) - 400, "pixels of a crop"),
    "backwards": (lambda points: points[:, ::-1], "in another order"),
    "one place": (lambda points: points * 0, "in one place"),
    "from 1": (lambda points: points + 1, "--one-based"),
    "a file from 1": (lambda points: points - 1, "0-based"),
    "x and y": (lambda points: points[..., ::-1], "--axes y,x"),
}
OF_DETECTIONS = tuple(how for how in IN_IMAGES if "from 1" not in how)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((name, how) for name in ("mpii/pckh", "penn_action/pck") for how in IN_IMAGES),
        *(("coco/oks", how) for how in OF_DETECTIONS if how != "backwards"),  # its sample has too few joints a person
        *(("mpii/map", how) for how in OF_DETECTIONS),
    ],
)
def test_joints_in_an_image_that_are_written_otherwise_are_told(
    name: str, how: str, store_of: Callable[[str], Store]
) -> None:
    change, word = IN_IMAGES[how]
    right = joints_near(name, store_of(name), spread=0.05)
    assert told(name, store_of(name), right) == []
    notes = told(name, store_of(name), changed(right, "keypoints", change))
    assert [note for note in notes if word in note], notes


WRITTEN_OTHERWISE: dict[tuple[str, str], tuple[str, Change, str]] = {
    ("ava/frame-map", "pixels"): ("bbox_normalised", lambda boxes: boxes * 300, "pixels"),
    ("ava/frame-map", "inverted"): ("bbox_normalised", lambda boxes: boxes[:, [2, 3, 0, 1]], "inverted"),
    ("ava/frame-map", "rows first"): ("bbox_normalised", lambda boxes: boxes[:, [1, 0, 3, 2]], "y1, x1, y2, x2"),
    ("ava/frame-map", "from -1"): ("bbox_normalised", lambda boxes: 2 * boxes - 1, "from -1 to 1"),
    ("ava/frame-map", "between keyframes"): ("timestamp", lambda seconds: seconds + 0.5, "no annotated keyframe"),
    ("ava/frame-map", "no labels"): ("label", lambda labels: labels + 80, "not scored"),
    ("ava/frame-map", "one score"): ("score", lambda scores: scores * 0 + 1, "the same score"),
    ("temporal/map", "one score"): ("score", lambda scores: scores * 0 + 1, "the same score"),
    ("ava/frame-map", "frames"): ("timestamp", lambda seconds: seconds * 30, "frame numbers"),
    ("ava/frame-map", "from the clip's beginning"): ("timestamp", lambda seconds: seconds - 900, "900"),
    ("ntu60/xsub", "from 1"): ("scores", lambda scores: np.roll(scores, 1, axis=1), "1-based"),
    ("ntu60/xsub", "losses"): ("scores", lambda scores: -scores, "losses"),
    ("penn_action/accuracy", "all the same"): ("scores", lambda scores: scores * 0, "the same score for every class"),
    ("coco/oks", "one score"): ("score", lambda scores: scores * 0 + 0.5, "the same score"),
    ("ntu60/xsub", "shifted"): ("scores", lambda scores: np.roll(scores, -1, axis=1), "shifted"),
    ("penn_action/accuracy", "from 1"): ("scores", lambda scores: np.roll(scores, 1, axis=1), "1-based"),
    ("merl/midpoint-ap", "seconds"): ("start stop", lambda frames: frames // 30, "seconds"),
    ("merl/midpoint-ap", "another rate"): ("start stop", lambda frames: frames * 40 + 9999, "frame rate"),
    ("temporal/map", "seconds"): ("start stop", lambda frames: frames // 30, "seconds"),
}


@pytest.mark.parametrize(("name", "how"), WRITTEN_OTHERWISE)
def test_times_boxes_and_labels_that_are_written_otherwise_are_told(
    name: str, how: str, store_of: Callable[[str], Store]
) -> None:
    columns, change, word = WRITTEN_OTHERWISE[name, how]
    store = store_of(name)
    rows = predicted(make_protocol(name), store, ties=False)
    if columns == "scores":
        true = np.array(make_protocol(name).class_of(make_protocol(name).select(store.sequences)))  # type: ignore[attr-defined]
        width = to_numpy(rows["scores"], rows.schema.field("scores")).shape[1]
        rows = changed(rows, "scores", lambda _: np.eye(width)[true])
    for column in columns.split():
        rows = changed(rows, column, change)
    notes = told(name, store, rows)
    assert [note for note in notes if word in note], notes


def test_intervals_that_end_before_they_begin_are_told(store_of: Callable[[str], Store]) -> None:
    rows = predicted(make_protocol("merl/midpoint-ap"), store_of("merl/midpoint-ap"))
    start, stop = (rows.column_names.index(name) for name in ("start", "stop"))
    turned = rows.set_column(start, "start", rows["stop"]).set_column(stop, "stop", rows["start"])
    notes = told("merl/midpoint-ap", store_of("merl/midpoint-ap"), turned)
    assert [note for note in notes if "end before they begin" in note], notes


@pytest.mark.parametrize("first", [0, 1])
def test_scores_of_images_with_the_background_first_are_told(first: int, store_of: Callable[[str], Store]) -> None:
    store = store_of("merl/frame-map")
    videos = make_protocol("merl/frame-map").select(store.sequences).to_pylist()
    labels = {video["sequence"]: np.array(video["results_labels"]) for video in videos}
    scores = {name: np.eye(6)[(classes + first) % 6] for name, classes in labels.items()}
    notes = har_bench.score("merl/frame-map", store, scores, resamples=0).notes
    assert [("background the first column" in note) for note in notes] == [True] * first


def test_a_note_changes_no_number(store_of: Callable[[str], Store]) -> None:
    """Metres score as the wrong millimetres that they are."""
    store = store_of("h36m/mpjpe")
    small = changed(joints_near("h36m/mpjpe", store), "keypoints_3d", lambda points: points / 1000)
    found = har_bench.score("h36m/mpjpe", store, small, resamples=0)
    remedied = har_bench.score("h36m/mpjpe", store, small, resamples=0, remedies=Remedies(unit="m"))
    assert found.notes
    assert not remedied.notes
    assert found["MPJPE"] > 50 * remedied["MPJPE"]
