"""Clips of a store and the probabilities of their actions.

A clip is looked at through one window: around the joints of its first, a middle and its last frame, the boxes of a
file, united, or the whole picture. Several clips of a sequence, and their mirror images, are rows of their own; the
protocol multiplies their probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Bytes, Floats, Ints, Singles
from har_bench.errors import HarBenchError
from har_bench.media.boxes import BoxFile
from har_bench.media.of_store import Pictures, Shot
from har_bench.media.samplers import pillow_rotate_crop
from har_bench.schema import to_numpy, vector
from har_bench.store import Store

from .data.boxes import Window, of_box, of_joints, of_picture, union
from .data.clips import centre, several
from .seeing import Seeing

VISIBLE = 2
"""Joints of Penn Action that are hidden say nothing of where to look, as in the original."""
TRUE, FULL = "truth", "full"


@dataclass(frozen=True)
class Plan:
    """Which clips of a sequence are looked at, and how.

    Attributes:
        frames: of a clip.
        step: see one frame in so many.
        several: clips one after the other, half a clip apart, instead of the one in the middle.
        mirrored: their mirror images too.
        size: the side of the network's pictures [px].
    """

    frames: int
    step: int
    several: bool = False
    mirrored: bool = False
    size: int = 256

    def of(self, length: int) -> list[Ints]:
        """The frames of each clip; one that is stretched where a sequence is too short for several."""
        found = several(length, self.frames, self.step) if self.several else []
        return found or [centre(length, self.frames, self.step)]


class Judged(NamedTuple):
    """What was said of one sequence's clips.

    Attributes:
        sequence: its name.
        probabilities: (H, n, C) after every head.
    """

    sequence: str
    probabilities: Floats


class Where:
    """Where in a sequence's pictures somebody is.

    Args:
        store: with keypoints, where the truth is asked for.
        boxes: ``truth``, ``full``, or a file of boxes.
    """

    def __init__(self, store: Store, boxes: BoxFile | str) -> None:
        self._store, self._boxes = store, boxes
        self._joints: dict[str, Floats] = {}

    def prepare(self, sequences: pa.Table) -> Iterator[Mapping[str, Any]]:
        """The rows of ``sequences``, each when its joints are known."""
        if self._boxes != TRUE:
            yield from sequences.to_pylist()
            return
        names = [name for name in ("keypoints", "visibility") if name in self._store.schema("poses").names]
        if "keypoints" not in names:
            raise HarBenchError(f"{self._store.path} has no joints in pictures; set boxes=full or boxes=file=PATH")
        for part, rows in self._store.rows_by_part(sequences):
            table = self._store.take(part, rows, ["sequence", "frame", "person", *names])
            for info in sequences.filter(pa.array(np.isin(sequences["sequence"], table["sequence"]))).to_pylist():
                mine = table.filter(pa.array(np.asarray(table["sequence"]) == info["sequence"]))
                self._joints = {info["sequence"]: self._longest(mine, info["n_frames"])}
                yield info
        yield from (info for info in sequences.to_pylist() if not info["rows"])

    def _longest(self, table: pa.Table, frames: int) -> Floats:
        """(T, J, 2) px of whoever is seen in most frames; NaN where nobody is."""
        people, counts = np.unique(table["person"].to_numpy(), return_counts=True)
        table = table.filter(pa.array(table["person"].to_numpy() == people[counts.argmax()]))
        points = to_numpy(table["keypoints"], table.schema.field("keypoints")).astype(np.float64)
        if self._store.dataset == "penn_action":
            seen = to_numpy(table["visibility"], table.schema.field("visibility")) == VISIBLE
            points = np.where(seen[..., None], points, np.nan)
        made: Floats = np.full((max(frames, int(table["frame"].to_numpy().max()) + 1), *points.shape[1:]), np.nan)
        made[table["frame"].to_numpy()] = points
        return made

    def window(self, sequence: str, frames: Ints, size: tuple[int, int]) -> Window:
        """What is looked at in a clip of pictures of (width, height) px; the whole where nobody is known to be."""
        if isinstance(self._boxes, BoxFile):
            boxes = self._boxes.of_frames(sequence, frames)
            return of_box(union(boxes), 1.0) if len(boxes) else of_picture(size, boxes, 1.0)
        points = self._joints.get(sequence)
        if points is None or not np.isfinite(points[frames]).all(axis=-1).any():
            return of_picture(size, np.zeros((0, 2)), 1.0)
        return of_joints(points[frames], 1.0)


def judged(
    seeing: Seeing, plan: Plan, heads: slice, sequences: pa.Table, where: Where, pictures: Pictures
) -> Iterator[Judged]:
    """What a network says of every sequence's clips, those of a clip's mirror image after it.

    Args:
        seeing: the network.
        plan: which clips.
        heads: which of its outputs.
        sequences: rows of the store's.
        where: somebody is.
        pictures: of the store.
    """
    for info in where.prepare(sequences):
        clips = plan.of(info["n_frames"])
        cut = _cut(info["sequence"], clips, plan, where, pictures)
        shown = [turned for clip in cut for turned in ((clip, clip[:, :, ::-1]) if plan.mirrored else (clip,))]
        yield Judged(info["sequence"], seeing.actions(shown, heads))


def _cut(sequence: str, clips: Sequence[Ints], plan: Plan, where: Where, pictures: Pictures) -> list[Bytes]:
    """(T, size, size, 3) of each clip; every picture is decoded once, in order, and let go."""
    needed = np.unique(np.concatenate(clips))
    made = [np.empty((len(clip), plan.size, plan.size, 3), np.uint8) for clip in clips]
    windows: dict[int, Window] = {}
    images = pictures.read(Shot(sequence, frame) for frame in needed.tolist())
    for frame, image in zip(needed.tolist(), images, strict=True):
        for number, clip in enumerate(clips):
            places = np.flatnonzero(clip == frame)
            if not len(places):
                continue
            if number not in windows:
                windows[number] = where.window(sequence, clip, (image.shape[1], image.shape[0]))
            seen = windows[number]
            made[number][places], _ = pillow_rotate_crop(image, seen.centre, seen.sides, (plan.size, plan.size))
    return made


def rows_of(found: Sequence[Judged], head: int) -> pa.Table:
    """Predictions of sequences after one head: a row for every clip."""
    names = [each.sequence for each in found for _ in each.probabilities[head]]
    clips = [clip for each in found for clip in range(len(each.probabilities[head]))]
    scores: Singles = np.concatenate([each.probabilities[head] for each in found]).astype(np.float32)
    return pa.table({"sequence": names, "clip": pa.array(clips, pa.int32()), "scores": vector(scores)})
