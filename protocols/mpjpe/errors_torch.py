"""The sums of :mod:`.errors` on a torch device, for all frames of many sequences at a time, in double precision.

The rotation that aligns a pose has a closed form. With C the covariance of source and target, of norm 1, its best
``trace(R C)`` is the largest root x of ``(x² - 1)² - 8 x det C - 4 |cof C|²`` (see :mod:`har_bench.geometry`); as the
best R is stationary, ``Rᵀ`` is the derivative of that root with respect to C. Where the root is nearly repeated, which
it is for points on a line and for mirrored solids, many rotations are equally good or the formula loses digits: those
poses, few in practice, are aligned by :func:`har_bench.geometry.similarity`, so that both paths choose the same one.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har_bench.arrays import Floats
from har_bench.geometry import matched, similarity

from .errors import STEP, THRESHOLDS, packed

FRAMES = 1 << 15
"""Frames on the device at a time, unless a single sequence has more; about 0.25 GiB for 17 joints."""

_SIMPLE_ROOT = 0.02
"""Below this slope the largest root counts as repeated; above it, the rotation is exact to about 1e-12."""

_LAST_STEP = 1e-8
"""Newton's error is about the square of its last step."""

_STEPS = 10
"""Of Newton, enough for all but a few poses; a fixed number, since asking whether all are done stalls a GPU."""


def sequence_sums(predicted: npt.ArrayLike, truth: npt.ArrayLike, *, recentre: bool, device: str) -> Floats:
    """:func:`.errors.sequence_sums` of one sequence of (T, J, 3) poses [mm], on a torch device."""
    return batch_sums(predicted, truth, [0, len(np.asarray(truth))], recentre=recentre, device=device)[0]  # type: ignore[no-any-return]


def batch_sums(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, starts: npt.ArrayLike, *, recentre: bool, device: str
) -> Floats:
    """(S, K) the rows of :func:`.errors.sequence_sums` of many sequences; of an empty one, zeros.

    Args:
        predicted: (N, J, 3) poses [mm], relative to the truth's root or absolute.
        truth: (N, J, 3) poses [mm]; joint 0 is the root and is subtracted.
        starts: (S + 1,) row offsets of the sequences.
        recentre: whether to subtract the prediction's own root too.
        device: as torch names it, such as ``cuda``.

    Raises:
        HarBenchError: the shapes differ or are not (N, J, 3).
    """
    first, second = matched(predicted, truth)
    bounds = np.asarray(starts, np.int64)
    found: list[Floats] = []
    begin = 0
    while begin < len(bounds) - 1:
        end = max(begin + 1, int(np.searchsorted(bounds, bounds[begin] + FRAMES, "right")) - 1)
        rows = slice(bounds[begin], bounds[end])
        given, true = (torch.tensor(each[rows], device=device).double() for each in (first, second))
        lengths = np.diff(bounds[begin : end + 1]).tolist()
        sums = (each.cpu().numpy() for each in _sums(given, true, lengths, recentre=recentre))
        found += [packed(*each) for each in zip(lengths, *sums, strict=True)]
        begin = end
    return np.array(found)


def _sums(predicted: Tensor, truth: Tensor, lengths: list[int], *, recentre: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Per sequence: errors (S, 3, J), bins (S, 3, 32) and summed velocity errors (S,), as ``packed`` takes them."""
    frames, count = len(truth), len(lengths)
    goal = truth - truth[:, :1]
    source = predicted - predicted[:, :1] if recentre else predicted
    offset = source - goal
    sizes = torch.tensor(lengths, device=truth.device)
    sequence = torch.repeat_interleave(torch.arange(count, device=truth.device), sizes, output_size=frames)

    within = sequence[1:] == sequence[:-1]
    speed = truth.new_zeros(frames)
    speed[1:] = torch.where(within, _lengths(offset[1:] - offset[:-1]).sum(1), 0.0)

    dot, square = (source * goal).sum((1, 2)), source.square().sum((1, 2))
    scale = torch.where(square > 0, dot / square, 0.0)
    scaled = scale[:, None, None] * source - goal
    errors = torch.stack((_lengths(offset), _aligned_errors(predicted, truth), _lengths(scaled)))

    last = len(THRESHOLDS)
    steps = errors / STEP
    bins = torch.where(steps < last - 1, steps, last - 1).long() + 1
    ways = torch.arange(3, device=truth.device)
    place = (3 * sequence + ways[:, None])[..., None] * (last + 1) + bins
    counts = torch.bincount(place.flatten(), minlength=count * 3 * (last + 1)).view(count, 3, last + 1)
    return (
        torch.stack([each.sum(1) for each in torch.split(errors, lengths, dim=1)]),
        counts,
        torch.stack([each.sum() for each in torch.split(speed, lengths)]),
    )


def _lengths(vectors: Tensor) -> Tensor:
    """(…,) from (…, 3), summed in the order of the compiled path, so that an error on a threshold stays there."""
    x, y, z = vectors.unbind(-1)
    return (x * x + y * y + z * z).sqrt()


def _aligned_errors(predicted: Tensor, truth: Tensor) -> Tensor:
    """(N, J) distances after the best similarity per pose."""
    source, target = (each - each[:, :1] for each in (predicted, truth))  # exact for points that coincide
    source, target = (each - each.mean(1, keepdim=True) for each in (source, target))
    turned, certain = scaled_rotations(source, target)
    rest = torch.nonzero(~certain).flatten()
    if len(rest):
        R, s, _ = similarity(*(each[rest].cpu().numpy() for each in (predicted, truth)))
        turned[rest] = torch.tensor(s[:, None, None] * R, device=truth.device)
    return _lengths(source @ turned.mT - target)


def scaled_rotations(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3, 3) rotations times scales between centred poses, and (N,) whether they are certain."""
    covariance = source.mT @ target
    size, square = covariance.square().sum((1, 2)).sqrt(), source.square().sum((1, 2))
    C = covariance / size[:, None, None]
    cofactors = torch.linalg.cross(C.roll(-1, 1), C.roll(-2, 1))
    determinant = (C[:, 0] * cofactors[:, 0]).sum(1)
    constant = 4 * cofactors.square().sum((1, 2))
    # the product of the poses' norms is never below the root, nor is that of a rotation, which is √3
    root = torch.clamp((square * target.square().sum((1, 2))).sqrt() / size, max=sqrt(3))
    for _ in range(_STEPS):
        excess = root * root - 1
        slope = 4 * (excess * root - 2 * determinant)
        step = (excess * excess - 8 * determinant * root - constant) / slope
        root = root - step
    excess = root * root - 1
    slope = 4 * (excess * root - 2 * determinant)
    a, b = (excess + 2)[:, None, None], 2 * root[:, None, None]
    R = (4 / slope)[:, None, None] * (a * C + b * cofactors - 2 * C @ C.mT @ C).mT
    return (root * size / square)[:, None, None] * R, (slope > _SIMPLE_ROOT) & (step.abs() < _LAST_STEP)
