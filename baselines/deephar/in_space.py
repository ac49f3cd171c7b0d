"""Poses in space as the authors evaluate them: about the true root, whose place and depth are given.

Human3.6M's camera and the true root say what part of a picture is looked at, and turn pixels and depths behind the root
into millimetres. A number made so is of a kind of its own: nobody else is told how far away somebody is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bytes, Floats
from har_bench.baseline import targets
from har_bench.cameras import Camera
from har_bench.media import predicted
from har_bench.media.batches import in_groups
from har_bench.media.of_store import Pictures, Shot
from har_bench.media.poses import Poses
from har_bench.protocol import Protocol
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton
from har_bench.store import Store

from .data.boxes import Window, of_root
from .data.cameras import unprojected
from .seeing import Places


class AboutRoots:
    """Looks at the people of a store of which cameras and roots are known.

    Args:
        places: finds joints.
        store: with poses before calibrated cameras.
        pictures: its own.
    """

    def __init__(self, places: Places, store: Store, pictures: Path) -> None:
        self._places, self._store = places, store
        self._pictures = Pictures(store, pictures, workers=places.workers)
        self._rows: Mapping[str, Mapping[str, Any]] = {row["sequence"]: row for row in store.sequences.to_pylist()}
        self._cameras: dict[str, Camera] = {}

    def predictions(self, protocol: Protocol, layout: str) -> Iterator[list[pa.Table]]:
        """The rows that a protocol scores, part by part: a table of each block's poses, the first block's first."""
        for rows in targets(self._store, protocol, ("keypoints_3d",)):
            roots = to_numpy(rows["keypoints_3d"], rows.schema.field("keypoints_3d"))[:, 0].astype(np.float64)
            shots = [Shot(*each) for each in zip(rows["sequence"].to_pylist(), rows["frame"].to_pylist(), strict=True)]
            order = sorted(range(len(shots)), key=lambda row: shots[row])
            seen: list[list[Poses]] = []
            images = self._pictures.read(shots[row] for row in order)
            for group in in_groups(zip(order, images, strict=True), self._places.seeing.batch):
                places = [row for row, _ in group]
                seen.append(self._seen([shots[row] for row in places], [image for _, image in group], roots[places]))
            back = np.argsort(order)
            yield [
                predicted.posed(rows, list(block), back, skeleton(layout), "keypoints_3d")
                for block in zip(*seen, strict=True)
            ]

    def _seen(self, shots: Sequence[Shot], images: Sequence[Bytes], roots: Floats) -> list[Poses]:
        """After every block, one person of each picture; roots (n, 3) are mm before the camera."""
        cameras = [self._camera(shot.sequence) for shot in shots]
        windows = [
            self._window(shot.sequence, camera, root) for shot, camera, root in zip(shots, cameras, roots, strict=True)
        ]
        placed = self._places(images, windows)
        assert placed.depths is not None  # noqa: S101 - the caller has asked
        boxes = np.stack([each.box for each in windows])
        made = []
        for points, sure, depths in zip(placed.points, placed.sure, placed.depths, strict=True):
            pixels = np.concatenate([points, depths[..., None] + roots[:, None, 2:]], axis=-1)
            deep = np.stack(
                [camera.to_camera(unprojected(camera, each)) for camera, each in zip(cameras, pixels, strict=True)]
            )
            made.append(Poses(points, sure, sure.mean(axis=1), boxes, deep))
        return made

    def _window(self, sequence: str, camera: Camera, root: Floats) -> Window:
        row = self._rows[sequence]
        point = np.concatenate([camera.project(root), root[2:]])
        return of_root((row["width"], row["height"]), (float(camera.f[0]), float(camera.f[1])), point[None, None], 1.0)

    def _camera(self, sequence: str) -> Camera:
        if sequence not in self._cameras:
            row = self._rows[sequence]
            self._cameras[sequence] = self._store.camera(row["camera"], row["subject"])
        return self._cameras[sequence]
