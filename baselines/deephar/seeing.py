"""A network at work: pictures in, poses and probabilities out, on its device and in its precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from har_bench import devices
from har_bench.arrays import Bytes, Floats, Ints
from har_bench.devices import Precision
from har_bench.media.crops import Crop
from har_bench.media.reading import mapped, threads_of
from har_bench.media.samplers import pillow_rotate_crop

from .action import Watched
from .data.boxes import BODY, DEPTH_MM, Window
from .layers import Network

SCALES = (1.0, 0.9, 1.1, 0.8, 1.2)
"""Of the windows of one person, as many as are asked for."""
MM = 1000.0


class Seeing:
    """A network on a device.

    Args:
        model: gives poses of pictures, and perhaps actions of clips.
        device: where it computes.
        precision: in float32, tf32 or bf16.
        compiled: compile it first.
        batch: pictures at a time, those of clips counted.
    """

    def __init__(
        self, model: Network, device: torch.device, precision: Precision, *, compiled: bool = False, batch: int = 16
    ) -> None:
        self.device, self.precision, self.batch = device, precision, batch
        model.to(device)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch has no overload for it alone
        model.eval()
        self._poses: Callable[[torch.Tensor], list[torch.Tensor]] = model.poses
        self._watch: Callable[[torch.Tensor], Watched] = model
        if compiled:
            self._poses, self._watch = torch.compile(self._poses), torch.compile(self._watch)

    def poses(self, pixels: Sequence[Bytes]) -> Floats:
        """(B, N, J, D + 1) poses after every block of N pictures (h, w, 3): places in 0..1, then how sure."""
        made = [
            torch.stack([pose.float().cpu() for pose in self._poses(batch)])
            for batch in self._batches(pixels, self.batch)
        ]
        return np.asarray(torch.cat(made, dim=1).numpy(), np.float64)

    def actions(self, clips: Sequence[Bytes], heads: slice) -> Floats:
        """(H, N, C) probabilities after some heads, of N clips (T, h, w, 3)."""
        made = []
        for batch in self._batches(clips, max(1, self.batch // len(clips[0]))):
            logits = self._watch(batch).actions[heads]
            made.append(torch.stack([each.float().softmax(dim=-1).cpu() for each in logits]))
        return np.asarray(torch.cat(made, dim=1).numpy(), np.float64)

    def _batches(self, pixels: Sequence[Bytes], size: int) -> Iterator[torch.Tensor]:
        """Tensors from -1 to 1, (N, ..., 3, h, w)."""
        with torch.inference_mode(), devices.precision(self.device, self.precision):
            for start in range(0, len(pixels), size):
                raw = torch.from_numpy(np.stack(pixels[start : start + size]))
                sent = (raw.pin_memory() if self.device.type == "cuda" else raw).to(self.device, non_blocking=True)
                yield (sent.movedim(-1, -3) / 255 - 0.5) * 2


class Placed(NamedTuple):
    """Poses in pictures.

    Attributes:
        points: (B, N, J, 2) px, after every block.
        sure: (B, N, J) how sure.
        depths: (B, N, J) mm behind the root; None where poses are in the image only.
    """

    points: Floats
    sure: Floats
    depths: Floats | None

    def take(self, rows: slice) -> Placed:
        """Those of some pictures."""
        depths = None if self.depths is None else self.depths[:, rows]
        return Placed(self.points[:, rows], self.sure[:, rows], depths)

    def in_space(self, windows: Sequence[Window]) -> Floats | None:
        """(B, N, J, 3) mm about the root (joint 0), if every window is as wide as those of the training data are."""
        if self.depths is None:
            return None
        sides = np.array([max(window.sides) for window in windows])
        flat = (self.points - self.points[:, :, :1]) * (BODY * MM / sides)[:, None, None]
        deep = self.depths - self.depths[:, :, :1]
        return np.concatenate([flat, deep[..., None]], axis=-1)


class Places:
    """Where somebody's joints are, of several crops and their mirror images if that is asked for.

    Args:
        seeing: the network.
        size: the side of its pictures [px].
        flip: (J,) the joint on the other side of each.
        crops: of each person, of other sizes, averaged.
        mirrored: see each crop in a mirror too.
        workers: threads that cut; 0 is one per processor.
    """

    def __init__(
        self, seeing: Seeing, size: int, flip: Ints, *, crops: int = 1, mirrored: bool = False, workers: int = 0
    ) -> None:
        self.seeing, self.size, self.flip, self.workers = seeing, size, flip, threads_of(workers)
        self.variants = [
            (scale, turn) for scale in SCALES[:crops] for turn in ((False, True) if mirrored else (False,))
        ]

    def __call__(self, images: Sequence[Bytes], windows: Sequence[Window]) -> Placed:
        """The poses of somebody in each picture's window."""
        total: list[Placed] = []
        for scale, turn in self.variants:
            cut = partial(self._cut, scale=scale, turn=turn)
            pairs = list(zip(images, windows, strict=True))
            found = list(mapped(cut, pairs, workers=self.workers, ahead=2 * self.workers))
            poses = self.seeing.poses([pixels for pixels, _ in found])
            total.append(self._placed(poses, [crop for _, crop in found], scale))
        points, sure = (np.mean([getattr(each, name) for each in total], axis=0) for name in ("points", "sure"))
        deep = [each.depths for each in total if each.depths is not None]
        return Placed(points, sure, np.mean(deep, axis=0) if deep else None)

    def cut(self, pair: tuple[Bytes, Window]) -> Bytes:
        """(h, w, 3) what is seen of a picture in a window."""
        return self._cut(pair, scale=1.0, turn=False)[0]

    def _cut(self, pair: tuple[Bytes, Window], *, scale: float, turn: bool) -> tuple[Bytes, Crop]:
        image, window = pair
        sides = (window.sides[0] * scale, window.sides[1] * scale)
        return pillow_rotate_crop(image, window.centre, sides, (self.size, self.size), flip=turn)

    def _placed(self, poses: Floats, crops: Sequence[Crop], scale: float) -> Placed:
        order = [self.flip if crop.flipped else np.arange(len(self.flip)) for crop in crops]
        turned = np.stack([poses[:, row, each] for row, each in enumerate(order)], axis=1)
        places = turned[..., :2] * self.size
        points = np.stack([crop.to_image(places[:, row]) for row, crop in enumerate(crops)], axis=1)
        depths = (turned[..., 2] - 0.5) * 2 * DEPTH_MM * scale if poses.shape[-1] > 3 else None
        return Placed(points, turned[..., -1].clip(0, 1), depths)
