"""Crops of several images as one tensor, cut by threads or on the device: the same pixels either way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from har_bench.arrays import Bytes
from har_bench.errors import HarBenchError
from har_bench.media.crops import Crop
from har_bench.media.reading import threads_of
from har_bench.media.samplers import Border, opencv_warp, opencv_warp_torch

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class Sampler:
    """Cuts crops as :func:`har_bench.media.samplers.opencv_warp` does.

    Args:
        device: the torch device that the crops are for; a GPU gets them in pinned memory, from which they are copied
            while it computes.
        workers: threads; 0 is one per processor.
        on_device: send whole images to the device and cut there, for a GPU beside few processors.
    """

    def __init__(self, device: torch.device, *, workers: int = 1, on_device: bool = False) -> None:
        self.device, self.on_device = device, on_device
        count = threads_of(workers)
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="crops") if count > 1 and not on_device else None

    def __call__(self, images: Sequence[Bytes], crops: Sequence[Crop], border: Border = "black") -> torch.Tensor:
        """(B, h, w, 3) RGB uint8: one crop of each image; where they are equal objects, an image is sent once.

        Raises:
            HarBenchError: crops of different sizes, or as many images as there are no crops for.
        """
        import torch

        if len(images) != len(crops) or len({crop.size for crop in crops}) != 1:
            raise HarBenchError(
                f"{len(images)} images and {len(crops)} crops make no batch; give one crop each, of one size"
            )
        width, height = crops[0].size
        if self.on_device:
            return self._cut_there(images, crops, border)
        pixels = torch.empty((len(images), height, width, 3), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        places = pixels.numpy()

        def cut(row: int) -> None:
            opencv_warp(images[row], crops[row], border, out=places[row])

        if self._pool is None:
            for row in range(len(images)):
                cut(row)
        else:
            list(self._pool.map(cut, range(len(images))))
        return pixels

    def _cut_there(self, images: Sequence[Bytes], crops: Sequence[Crop], border: Border) -> torch.Tensor:
        import torch

        sent: dict[int, torch.Tensor] = {}
        made = []
        for image, crop in zip(images, crops, strict=True):
            if id(image) not in sent:
                sent[id(image)] = torch.tensor(np.ascontiguousarray(image), device=self.device)
            back = torch.as_tensor(crop.inverse, device=self.device)[None]
            made.append(opencv_warp_torch(sent[id(image)], back, crop.size, border))
        return torch.cat(made)


def in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items, ``size`` at a time; the last group may be smaller."""
    waiting = iter(items)
    while group := list(islice(waiting, size)):
        yield group
