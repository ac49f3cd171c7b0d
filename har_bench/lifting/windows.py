"""Windows of frames for training: gathered on the device by index, from clips that lie there end to end.

An epoch visits every window once in a seeded order, and again mirrored where augmentation is wanted. The order is
VideoPose3D's: windows are numbered clip by clip, the plain ones of a clip before its mirrored ones, and shuffled by
``numpy.random.RandomState(seed).permutation``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from har_bench.devices import free_memory_mb, label
from har_bench.errors import HarBenchError
from har_bench.lifting.clips import Clip, Source
from har_bench.training import Share


@dataclass(frozen=True)
class Span:
    """Which frames a window holds.

    Attributes:
        chunk: frames that are predicted.
        pad: frames before and behind them that the model sees.
        shift: by how many frames the model's view is moved into the past; ``pad`` for a causal model.
    """

    chunk: int = 1
    pad: int = 0
    shift: int = 0


class Batch(NamedTuple):
    """Windows.

    Attributes:
        points: (B, chunk + 2 pad, J, F) normalised keypoints.
        poses: (B, chunk, K, 3) poses [m], the root's path in the place of joint 0.
        cameras: (B, 9) see :func:`har_bench.lifting.clips.intrinsics`.
    """

    points: torch.Tensor
    poses: torch.Tensor
    cameras: torch.Tensor


class Reel:
    """Clips end to end on a device, from which windows are cut. Outside a clip its first or last frame is repeated."""

    def __init__(self, clips: Sequence[Clip], span: Span, device: torch.device | str = "cpu") -> None:
        self.span = span
        lengths = np.array([len(clip) for clip in clips])
        self.points, self.poses = (
            torch.as_tensor(np.concatenate([getattr(clip, name) for clip in clips]), device=device)
            for name in ("points", "poses")
        )
        self.cameras = torch.as_tensor(np.stack([clip.camera for clip in clips]), device=device)
        chunks = -(-lengths // span.chunk)
        clip = np.repeat(np.arange(len(clips)), chunks)
        number = np.arange(len(clip)) - (np.cumsum(chunks) - chunks)[clip]
        first = number * span.chunk - ((chunks * span.chunk - lengths) // 2)[clip]
        table = clip, first, np.cumsum(lengths) - lengths, lengths - 1
        self._clip, self._first, self._start, self._last = (torch.as_tensor(row, device=device) for row in table)

    def __len__(self) -> int:
        return len(self._clip)

    def windows(self, numbers: npt.NDArray[np.int64] | torch.Tensor) -> Batch:
        """The windows with these numbers."""
        chosen = torch.as_tensor(numbers, device=self.points.device)
        clip, first, span = self._clip[chosen], self._first[chosen], self.span
        points = self._frames(self.points, clip, first - span.pad - span.shift, span.chunk + 2 * span.pad)
        return Batch(points, self._frames(self.poses, clip, first, span.chunk), self.cameras[clip])

    def epoch(self, seed: int, size: int, *, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Every window once, in batches; ``ranks`` processes share each batch, and all have as many batches.

        A last batch too small for batch normalisation, with a window or none for some process, is part of the one
        before.
        """
        permutation = np.random.RandomState(seed % 2**32).permutation(len(self))
        order = torch.as_tensor(
            permutation, device=self.points.device
        )  # once: a copy in each step would wait for a GPU
        edges = list(range(size, len(order), size))
        if edges and len(order) - edges[-1] < 2 * ranks:
            edges.pop()
        for batch in order.tensor_split(edges):
            mine = batch.tensor_split(ranks)[rank]
            yield self.windows(mine if len(mine) else batch[:1])

    def _frames(self, values: torch.Tensor, clip: torch.Tensor, first: torch.Tensor, length: int) -> torch.Tensor:
        """(B, length, J, D) the frames that start at ``first`` in each clip."""
        frames = first[:, None] + torch.arange(length, device=first.device)
        places = self._start[clip, None] + torch.minimum(frames.clamp(min=0), self._last[clip, None])
        return values.index_select(0, places.flatten()).reshape(*places.shape, *values.shape[1:])


def flipped(values: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """(..., J, D) points or poses seen in a mirror: x changes its sign, left and right change places."""
    mirrored = values.index_select(-2, order)
    mirrored[..., 0] *= -1
    return mirrored


class Pool:
    """The windows of many sequences: all on the device where they fit into ``memory_mb``, else some parts at a time.

    Args:
        source: reads the clips.
        sequences: which ones, rows of the store's table.
        span: of a window.
        thinned: the fraction of every clip that is used, and one frame in how many.
        augment: whether windows come mirrored too.
        memory_mb: how much the clips of one reel may take; windows are shuffled inside a reel.

    Attributes:
        windows: about how many there are.
    """

    def __init__(
        self,
        source: Source,
        sequences: pa.Table,
        span: Span,
        *,
        thinned: tuple[float, int] = (1.0, 1),
        augment: bool = False,
        memory_mb: int = 8192,
    ) -> None:
        self.source, self.span, self.thinned, self.augment = source, span, thinned, augment
        self.sequences = sequences.filter(pc.greater(sequences["rows"], 0))
        if not len(self.sequences):
            raise HarBenchError(f"{source.store.path} has no frames to train on; choose other subjects or actions")
        parts, rows = (self.sequences[name].to_numpy() for name in ("part", "rows"))
        frame = 4 * (source.features * len(source.layout) + 3 * len(source.target)) * (2 if augment else 1)
        self._bytes = {int(part): int(rows[parts == part].sum()) * frame for part in np.unique(parts)}
        every = [(max(round(count * thinned[0]) // thinned[1], 1)) for count in rows.tolist()]
        self.windows = sum(-(-count // span.chunk) for count in every) * (2 if augment else 1)
        self._limit = memory_mb * 1_000_000
        self._resident: Reel | None = None

    def epoch(self, seed: int, size: int, share: Share) -> Iterator[Batch]:
        """Batches of ``size`` windows, of which this process gets its share."""
        for parts in self._groups(seed):
            yield from self._reel(parts, share.device).epoch(seed, size, rank=share.rank, ranks=share.ranks)

    def _groups(self, seed: int) -> Iterator[list[int]]:
        """The parts of the store, as many together as fit; all, or in a seeded order."""
        if sum(self._bytes.values()) <= self._limit:
            yield list(self._bytes)
            return
        group: list[int] = []
        for part in np.random.RandomState(seed % 2**32).permutation(list(self._bytes)).tolist():
            if group and sum(self._bytes[other] for other in [*group, part]) > self._limit:
                yield group
                group = []
            group.append(part)
        yield group

    def _reel(self, parts: Sequence[int], device: torch.device) -> Reel:
        if self._resident is not None:
            return self._resident
        needed, free = sum(self._bytes[part] for part in parts) / 1e6, free_memory_mb(device)
        if free is not None and needed > free:
            raise HarBenchError(
                f"{label(device)} has {free:,.0f} MB free and the clips take {needed:,.0f}; give --set "
                f"memory_mb={max(int(free / 2), 1)}"
            )
        read = (clip for part in parts for clip, _ in self.source.clips(part, self.sequences))
        clips = [clip.thinned(*self.thinned) for clip in read]
        if self.augment:
            layouts = self.source.layout, self.source.target
            clips = [each for clip in clips for each in (clip, clip.mirrored(*layouts))]
        reel = Reel(clips, self.span, device)
        if len(parts) == len(self._bytes):
            self._resident = reel
        return reel
