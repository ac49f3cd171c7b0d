"""Detected 2D keypoints of a whole dataset, in the frames of a store.

Files name sequences in their own ways (``S9/StackedHourglass/Walking_1.60457274.h5``, ``S9|Walking 1|60457274``,
``S1_Directions_1.54138969_000001.jpg``); what separates the words is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.converter import known_of
from har_bench.errors import HarBenchError
from har_bench.keypoints import dataset_files
from har_bench.keypoints.dataset_files import Clip, Found
from har_bench.keypoints.layouts import layout_of
from har_bench.keypoints.people import unseen_as_nan
from har_bench.keypoints.recognising import are_points, kind_of
from har_bench.skeletons import skeleton
from har_bench.store import Store


@dataclass(frozen=True)
class Detections:
    """Keypoints of a file, read sequence by sequence.

    Attributes:
        taken_for: what the file was taken for, as told to the user.
        fingerprint: blake3 of the file, or of the files of a folder.
        layout: the skeleton's name.
    """

    taken_for: str
    fingerprint: str
    layout: str
    path: Path
    store: Store
    clips: Mapping[str, Callable[[], Clip]]

    def of(self, sequence: str) -> npt.NDArray[np.float32] | None:
        """(T, J, 2 or 3) px of a sequence of the store, the third a confidence; None when the file has none.

        One row per frame of the store's poses, in the order of the frames; frames that the file does not have are NaN
        (:func:`har_bench.keypoints.fill_gaps` fills them). Frames after the store's last one are left out: videos are
        longer than the motion capture.

        Raises:
            HarBenchError: the store has no such sequence, or the file has fewer frames than it.
        """
        wanted = _frames(self.store, sequence)
        read = self.clips.get(_key(sequence, self.store))
        if read is None:
            return None
        frames, points = read()
        joints = len(skeleton(self.layout))
        if not are_points(points) or points.shape[1] != joints:
            raise HarBenchError(
                f"{self.path}: {sequence} has shape {points.shape}; {self.layout} is (frames, {joints}, 2 or 3)"
            )
        points = unseen_as_nan(points)
        if frames is not None:
            fitted = np.full((len(wanted), *points.shape[1:]), np.nan, np.float32)
            inside = np.isin(frames, wanted)
            fitted[np.searchsorted(wanted, frames[inside])] = points[inside]
            return fitted
        if len(points) == len(wanted):
            return points
        if len(points) <= wanted[-1]:
            raise HarBenchError(
                f"{self.path}: {sequence} has {len(points)} frames and {self.store.path} {wanted[-1] + 1}; detect the "
                "rest, or give our columns with a column 'frame'"
            )
        return points[wanted]


def open_detections(path: str | Path, store: Store, layout: str | None = None) -> Detections:
    """Detections of a dataset from any file that ``docs/keypoints.md`` names.

    Args:
        path: a file or folder; recognised by its content.
        store: whose sequences and frames are asked for.
        layout: the skeleton of the joints; only needed where the file does not say.

    Raises:
        HarBenchError: an unknown or damaged file, one without any of the store's sequences, or an unclear layout.
    """
    path = Path(path)
    found = _read(path, store)
    clips = {_key(name, store): read for name, read in found.clips.items()}
    known = [name for name in store.sequences["sequence"].to_pylist() if _key(name, store) in clips]
    if not known:
        theirs = next(iter(found.clips), "nothing")
        ours = store.sequences["sequence"][0].as_py()
        raise HarBenchError(f"{path} has no sequence of {store.path}: its first is {theirs!r}, the store's {ours!r}")
    first = clips[_key(known[0], store)]()[1]
    if not are_points(first):
        raise HarBenchError(f"{path}: {known[0]} has shape {first.shape}; keypoints are (frames, joints, 2 or 3)")
    told = layout_of(path, first.shape[1], given=layout, word=found.word, sides=found.sides)
    return Detections(found.taken_for, found.fingerprint, told, path, store, clips)


def _read(path: Path, store: Store) -> Found:
    kind = kind_of(path)
    if kind == "npz":
        return dataset_files.from_npz(path, known_of(store.dataset).cameras or _cameras(store))
    if kind == "json" or (kind == "folder" and any(path.glob("*.json"))):
        return dataset_files.from_json(path)
    if kind == "folder":
        tree = any(path.rglob("*.npz"))
        return dataset_files.from_detectron(path) if tree else dataset_files.from_hourglass(path)
    if kind == "npy":
        raise HarBenchError(f"{path} is one array, which names no sequences; save an .npz with one array for each")
    return dataset_files.from_columns(path)


def _cameras(store: Store) -> tuple[str, ...]:
    return tuple(sorted(name for name in store.sequences["camera"].unique().to_pylist() if name is not None))


def _key(name: str, store: Store) -> str:
    """A sequence's name without what separates its words, in one spelling."""
    return " ".join(re.split(r"[\s_./|]+", known_of(store.dataset).respelled(name)))


def _frames(store: Store, sequence: str) -> npt.NDArray[np.int64]:
    """The numbers of a sequence's frames: those with poses, or all of a sequence without any."""
    info = store.select(sequences=[sequence]).to_pylist()[0]
    if not info["rows"]:
        return np.arange(info["n_frames"])
    rows = slice(info["first_row"], info["first_row"] + info["rows"])
    frames: pa.ChunkedArray = store.read("poses", info["part"], ["frame"], rows)["frame"]
    return np.unique(frames.to_numpy()).astype(np.int64)
