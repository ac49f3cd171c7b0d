"""A stage from a sequence of a store, and predictions of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench import registry
from har_bench.arrays import Bytes, Floats, Ints
from har_bench.cameras import Camera
from har_bench.errors import HarBenchError, listed
from har_bench.media.of_store import Pictures, Shot
from har_bench.protocol import Protocol, make_protocol
from har_bench.scoring.pairing import prepared
from har_bench.showing.stage import Cast, Points, Stage, chosen, dense, with_error
from har_bench.skeletons import Skeleton
from har_bench.store import POINTS, SequenceView, Store

Span = tuple[int, int] | None


def stage_of(
    store: Store,
    sequence: str,
    predictions: Mapping[str, str | Path],
    *,
    protocol: str | None = None,
    span: Span = None,
    media: Path | None = None,
) -> Stage:
    """What a store, and some systems, say of a sequence.

    Args:
        store: a converted dataset with poses.
        sequence: its name.
        predictions: files by the names of their systems.
        protocol: how predictions are read and laid beside the truth; by default the first of the dataset's that
            scores poses.
        span: from this frame to before that one.
        media: the folder of the raw download, for its images or videos.

    Raises:
        HarBenchError: no such sequence, or predictions that cannot be read or are not of it.
    """
    view = store.sequence(sequence)
    if not len(view):
        raise HarBenchError(f"{sequence} of {store.path} has no pose to be drawn; choose another sequence")
    frames = chosen(view.frame.astype(np.int64), span, sequence)
    info = view.info
    size = (int(info["width"]), int(info["height"])) if info.get("width") and info.get("height") else None
    truth = _truth(store, view, frames)
    casts = [truth]
    if predictions:
        way = _protocol(store, protocol)
        for name, path in predictions.items():
            beside, predicted = _predicted(store, way, sequence, path, name, frames)
            casts[0] = _replaced(casts[0], beside)
            casts.append(with_error(predicted, beside))
    pictures = None if media is None else _pictures(store, media, sequence, frames)
    camera = _camera(store, info)
    return Stage(sequence, frames, tuple(casts), info.get("fps"), size, camera, pictures)


def _truth(store: Store, view: SequenceView, frames: Ints) -> Cast:
    rows = (view.frame.astype(np.int64), view.person.astype(np.int64))
    names = view.poses.column_names
    visibility = None
    if "visibility" in names:
        visibility = np.nan_to_num(dense(frames, *rows, view.visibility.astype(np.float64))).astype(np.int64)
    places = {
        name: Points(dense(frames, *rows, getattr(view, name).astype(np.float64)), store.skeleton(), visibility)
        for name in POINTS
        if name in names and np.isfinite(getattr(view, name)).any()
    }
    return Cast("truth", places.get("keypoints"), places.get("keypoints_3d"))


def _replaced(truth: Cast, beside: Cast) -> Cast:
    """The truth in the joints that are scored, where predictions are; elsewhere as it is."""
    image = truth.image if beside.image is None else _told(beside.image, truth.image)
    return Cast("truth", image, beside.space or truth.space)


def _told(points: Points, shown: Points | None) -> Points:
    """Scored joints are drawn with what is known of their visibility, if they are the same joints."""
    if shown is not None and shown.bones == points.bones:
        return Points(points.places, points.bones, shown.visibility)
    return points


def _protocol(store: Store, name: str | None) -> Protocol:
    """How predictions of this dataset are read.

    Raises:
        HarBenchError: nothing that scores poses is known of it.
    """
    if name is not None:
        return make_protocol(name)
    known = [registry.installed("protocols", each) for each in registry.available("protocols")]
    fitting = [
        each for each in known if each and each.dataset == store.dataset and each.prediction_columns[0] in POINTS
    ]
    if fitting:  # one that asks for points alone, without scores of detections, where there is one
        return make_protocol(min(fitting, key=lambda each: len(each.prediction_columns)).name)
    names = listed(registry.available("protocols"))
    raise HarBenchError(f"no protocol scores poses of {store.dataset}; say with --protocol how to read them: {names}")


def _predicted(
    store: Store, protocol: Protocol, sequence: str, path: str | Path, name: str, frames: Ints
) -> tuple[Cast, Cast]:
    """The truth and the predictions of a sequence in the same joints, where both are."""
    pairs = prepared(protocol, store, path, missing="count-as-error", columns=["frame", "person"])
    selected = pairs.selected.filter(pa.array([each == sequence for each in pairs.selected["sequence"].to_pylist()]))
    if not selected.num_rows:
        raise HarBenchError(f"{protocol.canonical} does not score {sequence}; choose another, or another --protocol")
    pairs.engine.problems.rows.clear()  # of other sequences, which nobody looks at
    batches = pairs.engine.batches(selected, selected["part"][0].as_py())
    if batches is None:
        pairs.check()
        raise HarBenchError(f"{path} has nothing of {sequence}; predict it, or choose another sequence")
    true, predicted = batches
    rows = (true["frame"].astype(np.int64), true["person"].astype(np.int64))
    bones = store.skeleton(pairs.way.protocol.skeletons[0])

    def cast(called: str, columns: Mapping[str, Any]) -> Cast:
        image, space = (_points(pairs.way.protocol, column, columns, rows, frames, bones) for column in POINTS)
        return Cast(called, image, space)

    return cast("truth", true.columns), cast(name, predicted.columns)


def _points(
    protocol: Protocol, column: str, columns: Mapping[str, Any], rows: tuple[Ints, Ints], frames: Ints, bones: Skeleton
) -> Points | None:
    """One column of points, if it is predicted; rows that were missing are nobody."""
    if column not in protocol.prediction_columns or column not in columns:
        return None
    values: Floats = columns[column].astype(np.float64)
    gaps = (values == protocol.missing).all(axis=(1, 2), keepdims=True)
    return Points(dense(frames, *rows, np.where(gaps, np.nan, values)), bones)


def _camera(store: Store, info: Mapping[str, Any]) -> Camera | None:
    """The calibrated camera of a sequence, where the store has it."""
    if not info.get("camera") or not store.parts("cameras"):
        return None
    try:
        return store.camera(info["camera"], info.get("subject"))
    except HarBenchError:  # a camera without a calibration
        return None


def _pictures(store: Store, media: Path, sequence: str, frames: Ints) -> Iterator[Bytes]:
    return Pictures(store, media).read(Shot(sequence, int(frame)) for frame in frames)
