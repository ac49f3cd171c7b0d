"""What lifting models learn from and predict on: 2D keypoints of whole sequences beside their poses in space.

The conventions are those of VideoPose3D, which the models of this field share: images are scaled so that x runs from
-1 to 1, poses are in metres in the camera's frame and relative to their root, whose own path takes the root's place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Singles
from har_bench.cameras import Camera
from har_bench.errors import HarBenchError
from har_bench.keypoints import Detections
from har_bench.keypoints.gaps import bridged
from har_bench.keypoints.layouts import converted
from har_bench.schema import shape_of, to_numpy
from har_bench.skeletons import Skeleton, mapping
from har_bench.store import Store, in_layout

MM_PER_M = 1000.0


@dataclass(frozen=True)
class Clip:
    """One sequence.

    Attributes:
        points: (T, J, F) keypoints, x and y normalised by :func:`normalise`, then a confidence if there is one.
        poses: (T, K, 3) poses in the camera's frame [m]: the path of the root, then the other joints relative to it.
        camera: (9,) see :func:`intrinsics`.
    """

    points: Singles
    poses: Singles
    camera: Singles

    def __len__(self) -> int:
        return len(self.points)

    def mirrored(self, layout: Skeleton, target: Skeleton) -> Clip:
        """The clip seen in a mirror: x changes its sign, left and right change places, the camera's centre too."""
        signs = np.ones(9, np.float32)
        signs[[2, 7]] = -1  # the centre's x and the tangential term of x
        points, poses = self.points[:, layout.flip], self.poses[:, target.flip]
        points[..., 0] *= -1
        poses[..., 0] *= -1
        return Clip(points, poses, self.camera * signs)

    def thinned(self, subset: float, every: int) -> Clip:
        """One frame in ``every`` of a run that holds the fraction ``subset`` of the frames.

        Where the run starts depends on nothing but the length, so that everybody trains on the same frames
        (VideoPose3D's ``--subset`` and ``--downsample``).
        """
        length = len(self)
        if subset < 1:
            length = min(max(round(length // every * subset), 1) * every, length)
        first = hashed(len(self) - length + 1, str(len(self))) if subset < 1 else 0
        kept = slice(first, first + length, every)
        return replace(self, points=self.points[kept], poses=self.poses[kept])


@dataclass(frozen=True)
class Source:
    """Where clips come from.

    Attributes:
        store: the dataset.
        target: layout of the poses.
        layout: layout of the keypoints.
        detections: 2D keypoints; the store's own ones by default.
        features: numbers per keypoint: 2, or 3 with a confidence.
    """

    store: Store
    target: Skeleton
    layout: Skeleton
    detections: Detections | None = None
    features: int = 2

    def clips(self, part: int, sequences: pa.Table) -> Iterator[tuple[Clip, pa.Table]]:
        """The clips of those ``sequences`` that are in a part of the store, each with its rows of ``poses``.

        A sequence in which frames are missing is several clips, so that no window joins what lies before with behind.

        Raises:
            HarBenchError: a sequence has no detections or several persons, one of its joints is in no frame, or its
                images' size is not known.
        """
        columns = ["sequence", "frame", "person", "keypoints_3d", *([] if self.detections else ["keypoints"])]
        wanted = sequences.filter(pc.and_(pc.equal(sequences["part"], part), pc.greater(sequences["rows"], 0)))
        if not len(wanted):
            return
        begin, end = pc.min(wanted["first_row"]).as_py(), pc.max(pc.add(wanted["first_row"], wanted["rows"])).as_py()
        rows = self.store.read("poses", part, columns, slice(begin, end))
        for info in wanted.to_pylist():
            table = rows.slice(info["first_row"] - begin, info["rows"])
            if pc.count_distinct(table["person"]).as_py() > 1:
                raise HarBenchError(f"{info['sequence']} shows several persons; lifting models take one at a time")
            size = info["width"], info["height"]
            if None in size:
                raise HarBenchError(f"{self.store.path} does not say how large the images of {info['sequence']} are")
            poses = _array(in_layout(table, mapping(self.store.skeleton(), self.target)), "keypoints_3d")
            poses = poses / np.float32(MM_PER_M)
            poses[:, 1:] -= poses[:, :1]
            camera = self.store.camera(info["camera"], info["subject"])
            try:
                points = normalise(self._points(info["sequence"], table), *size)
            except HarBenchError as error:
                raise HarBenchError(f"{info['sequence']}: {error}") from error
            for run in runs(table["frame"].to_numpy()):
                yield (
                    Clip(points[run], poses[run], intrinsics(camera, *size)),
                    table.slice(run.start, run.stop - run.start),
                )

    def _points(self, sequence: str, table: pa.Table) -> Singles:
        """(T, J, F) keypoints [px] of a sequence; gaps between detections are bridged."""
        if self.detections is None:
            found = _array(table, "keypoints")
            return in_joints(found, self.store.skeleton(), self.layout, self.features)
        detected = self.detections.of(sequence)
        if detected is None:
            raise HarBenchError(f"{self.detections.path} has no keypoints of {sequence}; give a file that has")
        return in_joints(detected, self.store.skeleton(self.detections.layout), self.layout, self.features)


def runs(frames: npt.NDArray[Any]) -> list[slice]:
    """Where frames follow each other as they mostly do; of every second frame, those that are two apart.

    >>> runs(np.array([0, 1, 2, 7, 8]))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    steps = np.diff(frames)
    usual = np.median(steps) if len(steps) else 1
    edges = [0, *(np.flatnonzero(steps > usual) + 1).tolist(), len(frames)]
    return [slice(start, stop) for start, stop in pairwise(edges)]


def in_joints(found: Singles, layout: Skeleton, target: Skeleton, features: int = 2) -> Singles:
    """(T, J, 2 or 3) keypoints [px] and confidences -> (T, K, ``features``) in another layout, without gaps.

    A joint that was interpolated has no confidence, and a midpoint that of its worst source.

    Raises:
        HarBenchError: there are no confidences and ``features`` is 3, or a joint is in no frame.
    """
    if features > found.shape[-1]:
        raise HarBenchError(f"the model takes {features} numbers per keypoint, and these keypoints have no confidences")
    points, scores, _ = bridged(found[..., :features])
    points, scores = converted(points, scores, layout, target)
    stacked = points if scores is None else np.concatenate([points, scores[..., None]], axis=-1)
    return stacked.astype(np.float32)


def normalise(points: npt.NDArray[Any], width: float, height: float) -> npt.NDArray[Any]:
    """(..., 2 or more) pixels -> x from -1 to 1, y from -height / width to height / width; the rest stays."""
    scaled = points.copy()
    scaled[..., :2] = points[..., :2] / width * 2 - np.array([1, height / width], points.dtype)
    return scaled


def denormalise(points: npt.NDArray[Any], width: float, height: float) -> npt.NDArray[Any]:
    """The inverse of :func:`normalise`."""
    pixels = points.copy()
    pixels[..., :2] = (points[..., :2] + np.array([1, height / width], points.dtype)) * width / 2
    return pixels


def intrinsics(camera: Camera, width: float, height: float) -> Singles:
    """(9,) focal lengths, centre, k1, k2, k3 and the tangential terms of x and y, for normalised images.

    They are meant for Human3.6M's formula of distortion (see :func:`har_bench.cameras.distort`).
    """
    k1, k2, p1, p2, k3 = camera.distortion
    centre = normalise(camera.c, width, height)
    return np.array([*(camera.f / width * 2), *centre, k1, k2, k3, p2, p1], np.float32)


def hashed(stop: int, key: str) -> int:
    """A number from 0 to ``stop`` - 1 that depends on the key alone (VideoPose3D's, to the digit)."""
    word = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little")
    return min(int(word / (2**32 - 1) * stop), stop - 1)


def _array(table: pa.Table, name: str) -> Singles:
    """(T, J, D) a vector column."""
    field = table.schema.field(name)
    return np.asarray(to_numpy(table[name], field), np.float32).reshape(table.num_rows, *shape_of(field))
