"""Windows of frames for training loops: a map-style dataset of NumPy arrays, which torch's DataLoader takes too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from har_bench.arrays import Anything, Ints
from har_bench.errors import HarBenchError, unknown
from har_bench.schema import to_numpy
from har_bench.storing.joints import POINTS

if TYPE_CHECKING:
    from har_bench.store import Store

KEYS = ("sequence", "person", "frame")


class Where(NamedTuple):
    """Which window it is.

    Attributes:
        sequence: the sequence's name.
        person: whose frames.
        frame: the one in the middle; of an even number the one behind it.
    """

    sequence: str
    person: int
    frame: int


@dataclass(frozen=True)
class Windows:
    """Windows of ``length`` frames, each of one person without a gap; ``windows[i]`` is a dict of arrays.

    A number gives one window: columns of ``poses`` as (length, ...), of ``sequences`` as one value. A list or an array
    of B numbers gives them all at once, as (B, length, ...) and (B,), which is many times faster than one by one. All
    arrays are the caller's own. It can be pickled: a worker process that is spawned gets a copy of the columns.

    Attributes:
        length: frames of a window.
        frames: columns by row, (R, ...).
        clips: columns by sequence, (S, ...).
        names: (S,) sequences.
        keys: (R, 2) person and frame of the rows.
        clip: (W,) each window's place among the sequences.
        first: (W,) its first row, which lies before ``low`` where frames are repeated.
        low: (W,) the first row of its run of frames.
        high: (W,) the last one.
    """

    length: int
    frames: Mapping[str, Anything]
    clips: Mapping[str, Anything]
    names: Sequence[str]
    keys: Ints
    clip: Ints
    first: Ints
    low: Ints
    high: Ints

    def __len__(self) -> int:
        return len(self.first)

    def __repr__(self) -> str:
        columns = ", ".join((*self.frames, *self.clips))
        return f"<{len(self):,} windows of {self.length} frames of {len(self.names):,} sequences: {columns}>"

    def __getitem__(self, number: Any) -> dict[str, Any]:
        if isinstance(number, int | np.integer):
            return self._one(int(number))
        chosen = np.arange(len(self))[number if isinstance(number, slice) else np.asarray(number)]
        rows = self.first[chosen, None] + np.arange(self.length)
        np.clip(rows, self.low[chosen, None], self.high[chosen, None], out=rows)
        windows = {name: values[rows] for name, values in self.frames.items()}
        return windows | {name: values[self.clip[chosen]] for name, values in self.clips.items()}

    def _one(self, number: int) -> dict[str, Any]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"window {number} of {len(self):,}")  # ends a loop over them all
        first, low, high = int(self.first[number]), int(self.low[number]), int(self.high[number])
        found: dict[str, Any]
        if first >= low and first + self.length <= high + 1:
            found = {name: values[first : first + self.length].copy() for name, values in self.frames.items()}
        else:
            rows = np.clip(np.arange(first, first + self.length), low, high)
            found = {name: values[rows] for name, values in self.frames.items()}
        for name, values in self.clips.items():
            found[name] = values[self.clip[number]]
        return found

    def where(self, number: int) -> Where:
        """Whose window it is, and about which frame."""
        row = int(np.clip(self.first[number] + self.length // 2, self.low[number], self.high[number]))
        person, frame = self.keys[row].tolist()
        return Where(self.names[self.clip[number]], person, frame)


def windows(
    store: Store,
    length: int,
    *,
    stride: int = 1,
    padded: bool = True,
    columns: Sequence[str] | None = None,
    **chosen: Any,
) -> Windows:
    """The windows of a store; see :meth:`har_bench.store.Store.windows`."""
    if length < 1 or stride < 1:
        raise HarBenchError(f"windows of {length} frames, one in {stride}, are none; give 1 or more of each")
    of_poses, of_sequences = _columns(store, columns)
    poses = store.poses(columns=[*KEYS, *of_poses], **chosen)
    codes = poses["sequence"].combine_chunks().dictionary_encode()
    clip = codes.indices.to_numpy().astype(np.int64)
    keys = np.stack([poses[name].to_numpy().astype(np.int64) for name in KEYS[1:]], axis=1)
    low, high = _runs(clip, keys)
    if padded:  # one about every frame
        middle = np.concatenate(
            [np.arange(start, stop + 1, stride) for start, stop in zip(low, high, strict=True)] or [clip]
        )
        run, first = np.searchsorted(low, middle, "right") - 1, middle - length // 2
    else:
        starts = [np.arange(start, stop - length + 2, stride) for start, stop in zip(low, high, strict=True)]
        first = np.concatenate(starts or [clip])
        run = np.searchsorted(low, first, "right") - 1
    names = codes.dictionary.to_pylist()
    rows = store.select(sequences=names).select(of_sequences) if of_sequences else pa.table({})
    return Windows(
        length,
        {name: to_numpy(poses[name], poses.schema.field(name)) for name in of_poses},
        {name: to_numpy(rows[name], rows.schema.field(name)) for name in of_sequences},
        names,
        keys,
        clip[low[run]],
        first,
        low[run],
        high[run],
    )


def _columns(store: Store, asked: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Those of ``poses`` and those of ``sequences``; by default the joints' coordinates.

    Raises:
        HarBenchError: one is neither's.
    """
    poses, sequences = store.schema("poses").names, store.sequences.column_names
    if asked is None:
        return [name for name in POINTS if name in poses], []
    for name in asked:
        if name not in (*poses, *sequences):
            raise unknown(f"column of poses or sequences in {store.path}", name, (*poses, *sequences))
    mine = [name for name in asked if name in poses and name != "sequence"]
    return mine, [name for name in asked if name not in mine]


def _runs(clip: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """The first and the last row of every run of frames that follow one another, of one person in one sequence."""
    if not len(clip):
        return clip, clip
    follows = (np.diff(clip) == 0) & (np.diff(keys[:, 0]) == 0) & (np.diff(keys[:, 1]) == 1)
    breaks = np.flatnonzero(~follows)
    return np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(clip) - 1]])
