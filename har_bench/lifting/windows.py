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

from har_bench.errors import HarBenchError
from har_bench.lifting.clips import Clip, Source
from har_bench.skeletons import Skeleton
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

    def __init__(
        self,
        clips: Sequence[Clip],
        span: Span,
        layout: Skeleton,
        target: Skeleton,
        *,
        augment: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.span = span
        lengths = np.array([len(clip) for clip in clips])
        self.points, self.poses = (
            torch.as_tensor(np.concatenate([getattr(clip, name) for clip in clips]), device=device)
            for name in ("points", "poses")
        )
        self.cameras = torch.as_tensor(np.stack([clip.camera for clip in clips]), device=device)
        self._flips = [torch.as_tensor(skeleton.flip, device=device) for skeleton in (layout, target)]
        chunks = -(-lengths // span.chunk)
        copies = 2 if augment else 1
        clip = np.repeat(np.arange(len(clips)), chunks * copies)
        number = np.arange(len(clip)) - np.repeat(np.cumsum(chunks * copies) - chunks * copies, chunks * copies)
        first = number % chunks[clip] * span.chunk - ((chunks * span.chunk - lengths) // 2)[clip]
        table = np.stack([clip, first, number >= chunks[clip]])
        self._clip, self._first, self._mirrored = (torch.as_tensor(row, device=device) for row in table)
        self._start = torch.as_tensor(np.cumsum(lengths) - lengths, device=device)
        self._last = torch.as_tensor(lengths - 1, device=device)

    def __len__(self) -> int:
        return len(self._clip)

    def windows(self, numbers: npt.NDArray[np.int64]) -> Batch:
        """The windows with these numbers."""
        chosen = torch.as_tensor(numbers, device=self.points.device)
        clip, first, mirrored = self._clip[chosen], self._first[chosen], self._mirrored[chosen].bool()
        seen = self.span.chunk + 2 * self.span.pad
        points = self.points[self._frames(clip, first - self.span.pad - self.span.shift, seen)]
        poses = self.poses[self._frames(clip, first, self.span.chunk)]
        cameras = self.cameras[clip]
        if mirrored.any():
            points[mirrored] = flipped(points[mirrored], self._flips[0])
            poses[mirrored] = flipped(poses[mirrored], self._flips[1])
            signs = torch.ones_like(cameras[0])
            signs[[2, 7]] = -1  # the centre's x and the tangential term of x
            cameras[mirrored] = cameras[mirrored] * signs
        return Batch(points, poses, cameras)

    def epoch(self, seed: int, size: int, *, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Every window once, in batches; ``ranks`` processes share each batch, and all have as many batches.

        A last batch too small for batch normalisation, with a window or none for some process, is part of the one
        before.
        """
        order = np.random.RandomState(seed % 2**32).permutation(len(self))
        edges = list(range(size, len(order), size))
        if edges and len(order) - edges[-1] < 2 * ranks:
            edges.pop()
        for batch in np.split(order, edges):
            mine = np.array_split(batch, ranks)[rank]
            yield self.windows(mine if len(mine) else batch[:1])

    def _frames(self, clip: torch.Tensor, first: torch.Tensor, length: int) -> torch.Tensor:
        """(B, length) places of frames that start at ``first`` in each clip."""
        frames = first[:, None] + torch.arange(length, device=first.device)
        return self._start[clip, None] + torch.minimum(frames.clamp(min=0), self._last[clip, None])


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
        frame = 4 * (3 * len(source.layout) + 3 * len(source.target))
        self._bytes = {int(part): int(rows[parts == part].sum()) * frame for part in np.unique(parts)}
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
        clips = [clip.thinned(*self.thinned) for part in parts for clip, _ in self.source.clips(part, self.sequences)]
        layouts = self.source.layout, self.source.target
        kept = [clip for clip in clips if len(clip)]
        reel = Reel(kept, self.span, *layouts, augment=self.augment, device=device)
        if len(parts) == len(self._bytes):
            self._resident = reel
        return reel
