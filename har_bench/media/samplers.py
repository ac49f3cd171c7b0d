"""Pixels of crops, by two tools' own arithmetic, to the last grey level: OpenCV's warp, and Pillow as deephar calls it.

A published network is sensitive to how its crops were sampled: a heat map's maximum near a threshold moves a joint by
pixels. Neither way averages over the pixels that it skips, so a large image gives a crop with moire; so it was when the
networks were trained.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from har_bench.arrays import Bytes, Floats, kernel
from har_bench.media.crops import Crop

if TYPE_CHECKING:
    import torch

Border = Literal["black", "edge"]

BITS = 5
"""Of the fraction of a coordinate: OpenCV knows 1/32 of a pixel (``INTER_BITS``)."""


def opencv_warp(image: Bytes, crop: Crop, border: Border = "black", out: Bytes | None = None) -> Bytes:
    """A crop as OpenCV's ``warpPerspective`` with ``INTER_LINEAR`` samples it, up to version 4.10; MediaPipe calls it.

    Coordinates are rounded to 1/32 px (halves to even), weights are products of these, and the weighted sum is rounded
    to 8 bits (halves up).

    Args:
        image: (H, W, 3) RGB.
        crop: which part.
        border: what lies outside the image: nothing (black), or its nearest pixel.
        out: (h, w, 3) to write to.

    Returns:
        (h, w, 3) RGB.
    """
    made = np.empty((crop.size[1], crop.size[0], 3), np.uint8) if out is None else out
    _warp(np.ascontiguousarray(image), crop.inverse, border == "edge", made)
    return made


@kernel
def _warp(image: Bytes, back: Floats, edge: bool, made: Bytes) -> None:
    """Fill ``made``; ``back`` is the (2, 3) map from its pixels to the image's."""
    height, width = image.shape[:2]
    for v in range(made.shape[0]):
        for u in range(made.shape[1]):
            x = int(np.rint((back[0, 0] * u + back[0, 1] * v + back[0, 2]) * 32.0))
            y = int(np.rint((back[1, 0] * u + back[1, 1] * v + back[1, 2]) * 32.0))
            column, row, right, down = x >> 5, y >> 5, x & 31, y & 31
            for channel in range(3):
                total = 512
                for step in range(4):
                    i, j = row + step // 2, column + step % 2
                    weight = (down if step // 2 else 32 - down) * (right if step % 2 else 32 - right)
                    if edge:
                        i, j = min(max(i, 0), height - 1), min(max(j, 0), width - 1)
                    if 0 <= i < height and 0 <= j < width:
                        total += weight * int(image[i, j, channel])
                made[v, u, channel] = total >> 10


def opencv_warp_torch(image: torch.Tensor, back: torch.Tensor, size: tuple[int, int], border: Border) -> torch.Tensor:
    """:func:`opencv_warp` on a torch device, the same to the last grey level.

    Args:
        image: (H, W, 3) uint8.
        back: (B, 2, 3) float64, the inverse maps of the crops.
        size: (width, height) of the crops [px].
        border: as there.

    Returns:
        (B, h, w, 3) uint8.
    """
    import torch

    height, width = image.shape[:2]
    rows, columns = torch.meshgrid(
        torch.arange(size[1], device=image.device, dtype=torch.float64),
        torch.arange(size[0], device=image.device, dtype=torch.float64),
        indexing="ij",
    )
    # term by term, in the order of the kernel above: a matrix product may round otherwise
    across, below, offset = back[..., 0, None, None], back[..., 1, None, None], back[..., 2, None, None]
    places = torch.round((across * columns + below * rows + offset) * 32.0).long()
    x, y = places[:, 0], places[:, 1]
    column, row, right, down = x >> BITS, y >> BITS, x & 31, y & 31
    total = torch.full((*x.shape, 3), 512, device=image.device, dtype=torch.int64)
    for lower in (0, 1):
        for farther in (0, 1):
            i, j = row + lower, column + farther
            weight = (down if lower else 32 - down) * (right if farther else 32 - right)
            near = image[i.clamp(0, height - 1), j.clamp(0, width - 1)].long()
            if border == "black":
                weight = weight * ((i >= 0) & (i < height) & (j >= 0) & (j < width))
            total += weight[..., None] * near
    return (total >> (2 * BITS)).to(torch.uint8)


def pillow_rotate_crop(
    image: Bytes,
    centre: tuple[float, float] | None,
    window: tuple[float, float],
    size: tuple[int, int],
    *,
    degrees: float = 0.0,
    flip: bool = False,
) -> tuple[Bytes, Crop]:
    """A crop as deephar makes it: Pillow turns the image, cuts a window of whole pixels and resizes it, all bilinear.

    Pillow rounds the turned image's size up and the window's corners are cut towards zero, so what is seen lies up to a
    pixel beside the map; deephar maps its predictions back with the same map, and so does this.

    Args:
        image: (H, W, 3) RGB.
        centre: (x, y) of the window, about which the image is turned [px]; the image's own by default.
        window: (width, height) in the image [px].
        size: (width, height) of the crop [px].
        degrees: by how much the image is turned, counter-clockwise as it is seen.
        flip: mirror the crop.

    Returns:
        (h, w, 3) RGB, and the map.
    """
    turned = Image.fromarray(image)
    extent = turned.size
    middle = (extent[0] / 2, extent[1] / 2) if centre is None else centre
    matrix = _turned_about(middle, degrees) if degrees else np.eye(3)
    corners = matrix[:2, :2] @ np.array([[0, extent[0], 0, extent[0]], [0, 0, extent[1], extent[1]]]) + matrix[:2, 2:]
    matrix = _moved(*-corners.min(axis=1)) @ matrix
    if degrees:
        turned = turned.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    x, y = matrix[:2, :2] @ np.array(middle, np.float64) + matrix[:2, 2]
    edges = [x - window[0] / 2, y - window[1] / 2, x + window[0] / 2, y + window[1] / 2]
    left, top, right, bottom = (math.trunc(edge) for edge in edges)
    cut = turned.crop((left, top, right, bottom)).resize(size, Image.Resampling.BILINEAR)
    matrix = np.diag([size[0] / (right - left), size[1] / (bottom - top), 1.0]) @ _moved(-left, -top) @ matrix
    if flip:
        cut = cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        matrix = _moved(size[0], 0) @ np.diag([-1.0, 1.0, 1.0]) @ matrix
    rows: Any = tuple(tuple(map(float, row)) for row in matrix[:2])
    return np.asarray(cut), Crop(rows, size, flip)


def _turned_about(centre: tuple[float, float], degrees: float) -> Floats:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    made: Floats = _moved(*centre) @ turn @ _moved(-centre[0], -centre[1])
    return made


def _moved(x: float, y: float) -> Floats:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])
