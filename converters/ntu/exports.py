"""NTU RGB+D as pyskl, mmaction2 and CTR-GCN read it; their rules choose the bodies (:mod:`.views`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Floats, Singles
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Exporter
from har_bench.foreign.writing import Rows, write_npz, write_pickle
from har_bench.options import option
from har_bench.store import SequenceView, Store

from . import views
from .skeleton_file import JOINTS

FRAMES = 300
"""Of every clip in CTR-GCN's files; the longest has as many."""
COLUMNS = ("frame", "slot", "person", "keypoints_3d")
"""What the rules look at."""

SPINE = 1
"""The joint whose first place is CTR-GCN's origin."""

FILES = {
    "ntu60": {"xsub": "NTU60_CS.npz", "xview": "NTU60_CV.npz"},
    "ntu120": {"xsub": "NTU120_CSub.npz", "xset": "NTU120_CSet.npz"},
}
"""What CTR-GCN calls the file of each split."""

CLASSES = {"ntu60": 60, "ntu120": 120}

ORDER = {"xsub": "subject", "xview": "camera", "xset": "setup"}
"""By what CTR-GCN orders the clips of a split, and then by name."""

_NOBODY = "sequences in which nobody is seen, and those that the authors list as missing"


def _of_splits(store: Store) -> pa.Table:
    """The sequences with a body that are in some split."""
    sequences = store.sequences
    inside = pc.and_(pc.greater(pc.list_value_length(sequences["splits"]), 0), pc.greater(sequences["rows"], 0))
    chosen = sequences.filter(inside)
    if not chosen.num_rows:
        raise HarBenchError(f"{store.path} has no skeleton in a split; convert the official files")
    return chosen


@dataclass
class _Pickled(Exporter):
    """``split`` and ``annotations``, of a rule that chooses bodies."""

    loses = (_NOBODY, "all but the positions of two bodies; their ids")

    float32: bool = option(False, "full numbers; the published files have float16")

    @abstractmethod
    def bodies(self, sequence: SequenceView) -> npt.NDArray[Any]:
        """(M, T, 25, 3) positions of the bodies that the rule chooses [m]."""

    def select(self, store: Store) -> pa.Table:
        """The sequences of the splits."""
        return _of_splits(store)

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """``ntu60_3danno.pkl`` or ``ntu120_3danno.pkl``."""
        annotations: list[dict[str, Any]] = []
        split: dict[str, list[str]] = {}
        for sequence in store.each(sequences, COLUMNS):
            row, bodies = sequence.info, self.bodies(sequence)
            done(_there(bodies))
            if not bodies.size:
                continue
            for name in row["splits"]:
                split.setdefault(name.replace("/", "_").replace("_test", "_val"), []).append(row["sequence"])
            annotations.append(
                {
                    "frame_dir": row["sequence"],
                    "label": row["label"] - 1,
                    "keypoint": bodies.astype(np.float32 if self.float32 else np.float16),
                    "total_frames": bodies.shape[1],
                }
            )
        write_pickle(out / f"{store.dataset}_3danno.pkl", {"split": split, "annotations": annotations})


@dataclass
class PySKL(_Pickled):
    """The denoised bodies that CTR-GCN, SGN and pyskl choose; frames without a body are dropped."""

    summary = "pyskl's and mmaction2's ntu60_3danno.pkl or ntu120_3danno.pkl, bodies chosen as by pyskl"

    def bodies(self, sequence: SequenceView) -> npt.NDArray[Any]:
        """See :func:`.views.ctrgcn`."""
        return views.ctrgcn(sequence)


@dataclass
class MMAction2(_Pickled):
    """The two most active of the first four bodies of a frame; every frame is kept."""

    summary = "the same pickle, bodies chosen as by mmaction2's own script"

    def bodies(self, sequence: SequenceView) -> npt.NDArray[Any]:
        """See :func:`.views.mmaction2`."""
        return views.mmaction2(sequence)


def _there(bodies: npt.NDArray[Any]) -> int:
    """How many poses (M, T, 25, 3) bodies are, without those that are zeros."""
    return int((bodies != 0).any(axis=(2, 3)).sum())


@dataclass
class CTRGCN(Exporter):
    """``x_train`` (N, 300, 150) m and ``y_train`` (N, classes), and the same of ``test``; one archive a split.

    Positions are about where the first body's middle of the spine is at first; a body that is not there is zeros, as
    are frames after the last.
    """

    summary = "CTR-GCN's NTU60_CS.npz, NTU60_CV.npz, NTU120_CSub.npz, NTU120_CSet.npz, for its feeder"
    loses = (_NOBODY, "all but the positions of two bodies; the clips' names")

    def select(self, store: Store) -> pa.Table:
        """The sequences of the splits."""
        return _of_splits(store)

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """An archive for each split that the store has, clip by clip."""
        clips: dict[str, Singles] = {}  # without what pads them: they are wanted twice, and in another order
        seen = []
        for sequence in store.each(sequences, COLUMNS):
            bodies = views.ctrgcn(sequence)
            done(_there(bodies))
            if bodies.size:
                clips[sequence.info["sequence"]] = bodies
                seen.append(sequence.info)
        for split, name in FILES[store.dataset].items():
            ordered = sorted(seen, key=lambda row: (row[ORDER[split]], row["sequence"]))
            halves = {
                half: [row for row in ordered if f"{split}/{half}" in row["splits"]] for half in ("train", "test")
            }
            members: dict[str, Any] = {}
            for half, chosen in halves.items():
                shape = len(chosen), FRAMES, 6 * JOINTS
                members[f"x_{half}"] = Rows(
                    shape, np.dtype(np.float32), (moved(clips[row["sequence"]])[None] for row in chosen)
                )
                members[f"y_{half}"] = _one_hot([row["label"] for row in chosen], CLASSES[store.dataset])
            write_npz(out / name, members, packed=False)


def _one_hot(labels: Sequence[int], classes: int) -> Floats:
    """(N, classes) of labels from 1."""
    hot: Floats = np.eye(classes)[np.array(labels, int) - 1]
    return hot


def moved(bodies: Singles) -> Singles:
    """(M, T, 25, 3) bodies as (300, 150): about the first place of the first one's spine, absent ones zeros."""
    there = (bodies != 0).any(axis=(2, 3))
    origin = bodies[0, there[0].argmax(), SPINE]
    shifted = np.where(there[:, :, None, None], bodies - origin, 0)[:, :FRAMES]
    clip = np.zeros((FRAMES, 2, 3 * JOINTS), np.float32)
    clip[: shifted.shape[1], : len(shifted)] = shifted.reshape(*shifted.shape[:2], -1).swapaxes(0, 1)
    return clip.reshape(FRAMES, -1)
