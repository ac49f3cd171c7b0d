"""Clips of a store, or of a detector's file for its sequences, as a preparation makes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Singles
from har_bench.classifying.preparing import Preparation
from har_bench.classifying.seen import Seen, of_detections, of_sequence
from har_bench.errors import HarBenchError
from har_bench.keypoints import Detections
from har_bench.skeletons import Skeleton
from har_bench.store import SequenceView, Store

COLUMNS = ("sequence", "frame", "person", "slot", "visibility")


@dataclass(frozen=True)
class Source:
    """Where clips come from.

    Attributes:
        store: the dataset.
        layout: the joints of the clips.
        preparation: what is made of them.
        detections: a file's keypoints, of one person; by default the store's own poses, in space where it has them.
    """

    store: Store
    layout: Skeleton
    preparation: Preparation
    detections: Detections | None = None

    def clips(self, sequences: pa.Table) -> Iterator[tuple[str, Singles]]:
        """Every sequence's name and (M, T, V, 3) clip, part by part of the store; without a person it has no frame.

        Raises:
            HarBenchError: the preparation does not suit the sequence, or the file lacks it.
        """
        for part in pc.unique(sequences["part"]).to_pylist():
            chosen = sequences.filter(pc.equal(sequences["part"], pa.scalar(part, sequences["part"].type)))
            for name, seen in self._detected(chosen) if self.detections else self._stored(part, chosen):
                try:
                    yield name, self.preparation.prepared(seen)
                except HarBenchError as error:
                    raise HarBenchError(f"{name}: {error}") from error

    def _stored(self, part: int, sequences: pa.Table) -> Iterator[tuple[str, Seen]]:
        names = self.store.schema("poses").names
        points = "keypoints_3d" if "keypoints_3d" in names and self.preparation.name != "pyskl-2d" else "keypoints"
        present = sequences.filter(pc.greater(sequences["rows"], 0))
        begin, end = 0, 0
        if len(present):
            begin = pc.min(present["first_row"]).as_py()
            end = pc.max(pc.add(present["first_row"], present["rows"])).as_py()
        columns = [name for name in (*COLUMNS, points) if name in names]
        rows = self.store.read("poses", part, columns, slice(begin, end)) if end else None
        for info in sequences.to_pylist():
            if rows is None or not info["rows"]:
                yield info["sequence"], self._nobody()
                continue
            poses = rows.slice(info["first_row"] - begin, info["rows"])
            yield info["sequence"], of_sequence(SequenceView(info, poses), points)

    def _detected(self, sequences: pa.Table) -> Iterator[tuple[str, Seen]]:
        assert self.detections is not None  # noqa: S101 - the caller's choice
        for info in sequences.to_pylist():
            found = self.detections.of(info["sequence"])
            if found is None:
                raise HarBenchError(
                    f"{self.detections.path} has no keypoints of {info['sequence']}; give a file that has"
                )
            yield info["sequence"], of_detections(found, (info["width"], info["height"]))

    def _nobody(self) -> Seen:
        joints = len(self.layout)
        return Seen(np.zeros((0, 0, joints, 3)), np.zeros((0, 0, joints)))
