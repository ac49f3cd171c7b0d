"""How a clip becomes what a network sees: published preparations and ours, by name.

A preparation is also a view of the store: ``store.sequence(name).view("rms")``. The name stands in every result.

>>> sorted(PREPARATIONS)
['pyskl', 'pyskl-2d', 'pyskl-float16', 'rms', 'rms-filled']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Bools, Floats, Singles
from har_bench.classifying.seen import Seen, of_sequence
from har_bench.errors import HarBenchError, unknown
from har_bench.keypoints import fill_gaps
from har_bench.store import SequenceView

NTU_JOINTS = 25
BASE, MIDDLE, LEFT_SHOULDER, RIGHT_SHOULDER = 0, 1, 4, 8
"""Joints of ``ntu25`` that give the axes of the main person."""

SURE = 0.01
"""Joints of no higher confidence are taken for unseen (pyskl's 2D skeletons)."""

_NOTHING = 1e-6
_ZERO = 1e-8


@dataclass(frozen=True)
class Preparation:
    """A named way from persons to a network's input.

    Attributes:
        name: stands in results and weights.
        about: one line of help.
        arrange: from what is seen to (M, T, V, C).
        scored: whether the third of three channels says how well a joint is seen; else it is z.
        sampling: ``uniform`` makes streams of all frames and then takes pyskl's random clips; ``segments`` takes one
            frame of each of equal segments, and makes streams of those, with unseen joints left out.
        defaults: the training that was published with it.
    """

    name: str
    about: str
    arrange: Callable[[Seen], Floats]
    scored: bool = False
    sampling: Literal["uniform", "segments"] = "uniform"
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        """By its name, as other processes of a training get it."""
        return preparation, (self.name,)

    def prepared(self, seen: Seen) -> Singles:
        """(M, T', V, C) what a network may see; a clip without a person has no frame.

        Raises:
            HarBenchError: the preparation is of other joints, or needs to know how large the picture is.
        """
        if not seen.points.size:
            return np.zeros((0, 0, seen.points.shape[-2], 3), np.float32)
        return self.arrange(seen).astype(np.float32)


def pyskl_3d(seen: Seen, kind: type[np.floating[Any]] = np.float32) -> Floats:
    """NTU's bodies about the main person's middle of the spine, turned to their spine and shoulders in the first frame.

    Frames without the main person, who is the one in more frames, are dropped; an absent person stays at zero.

    Args:
        seen: (M, T, 25, 3) metres, M 1 or 2.
        kind: pyskl's files hold float16, and the centring runs in it.

    Returns:
        (M, T', 25, 3), every person and frame turned alike.

    Raises:
        HarBenchError: there are other joints than 25.
    """
    points: npt.NDArray[Any] = seen.points.astype(kind)
    if points.shape[2:] != (NTU_JOINTS, 3):
        raise HarBenchError(
            f"the view pyskl turns the 25 joints of ntu25 in space, and here are {points.shape[2]} joints with "
            f"{points.shape[3]} coordinates; give --set view=rms"
        )
    if points.sum() == 0:
        return points.astype(np.float64)
    present = ~np.isclose(points, 0, rtol=0, atol=_ZERO).all(axis=(2, 3))
    if len(points) == 2 and present[0].sum() < present[1].sum():
        points, present = points[::-1], present[::-1]
    points = points[:, present[0]]
    there = (points != 0).any(axis=-1, keepdims=True)
    points = np.where(there, points - points[0, 0, MIDDLE], points)
    spine = points[0, 0, MIDDLE] - points[0, 0, BASE]
    turned = points @ turning(spine, np.array([0, 0, 1])).T
    shoulders = turned[0, 0, RIGHT_SHOULDER] - turned[0, 0, LEFT_SHOULDER]
    return np.asarray(turned @ turning(shoulders, np.array([1, 0, 0])).T)


def turning(axis: npt.NDArray[Any], onto: npt.NDArray[Any]) -> Floats:
    """(3, 3) the shortest turn from one direction to another; none where either, or the angle, is nearly zero."""
    around = np.cross(axis, onto)
    if min(np.abs(axis).sum(), np.abs(onto).sum()) < _NOTHING:
        return np.eye(3)
    unit = axis / np.linalg.norm(axis), onto / np.linalg.norm(onto)
    angle = float(np.arccos(np.clip(np.dot(*unit), -1, 1)))
    if np.abs(around).sum() < _NOTHING or abs(angle) < _NOTHING:
        return np.eye(3)
    x, y, z = around.astype(np.float64) / np.sqrt(np.dot(around, around))
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew)


def pyskl_2d(seen: Seen) -> Floats:
    """Keypoints from -1 to 1 over the picture's width and height, and confidences; unsure ones are at its centre.

    Raises:
        HarBenchError: the picture's size is not known.
    """
    width, height = seen.size
    if not width or not height:
        raise HarBenchError("the view pyskl-2d needs to know how large the picture is; give --set view=rms")
    half = np.array([width, height]) / 2
    points = (_flat(seen, "pyskl-2d") - half) / half
    return np.concatenate([np.where((seen.scores <= SURE)[..., None], 0, points), seen.scores[..., None]], axis=-1)


def rms(seen: Seen, *, filled: bool = False) -> Floats:
    """All persons about the mean of what is seen of them, in units of its root mean square: one number for the clip.

    In 2D the third channel is 1 where a joint is seen. Joints that are not are at zero, or where they were before and
    after.

    Args:
        seen: any joints.
        filled: whether unseen joints are interpolated in time.

    Returns:
        (M, T, V, 3).
    """
    there = seen.scores > SURE
    shown = there[..., None].astype(np.float64)
    centre, scale = centre_and_scale(seen.points, there)
    points = (seen.points - centre) / (scale + _NOTHING)
    points = _filled(points, there) if filled else points * shown
    return np.concatenate([points, shown], axis=-1) if points.shape[-1] == 2 else points


def centre_and_scale(points: Floats, there: Bools) -> tuple[Floats, float]:
    """(D,) the mean of the points that are there, and the root mean square of their coordinates about it."""
    if not there.any():
        return np.zeros(points.shape[-1]), 0.0
    found = points[there]
    centre = found.mean(axis=0)
    return centre, float(np.sqrt(np.square(found - centre).mean()))


def _filled(points: Floats, there: Bools) -> Floats:
    """(M, T, V, D) points, those that are not there interpolated in time; zero where a joint is in no frame."""
    gaps = np.where(there[..., None], points, np.nan)
    for person, seen in enumerate(there):
        if seen.any():
            gaps[person], _ = fill_gaps(gaps[person])
    return np.nan_to_num(gaps)


def _flat(seen: Seen, view: str) -> Floats:
    if seen.points.shape[-1] != 2:
        raise HarBenchError(f"the view {view} is of keypoints in the picture; give --set view=rms")
    return seen.points


PUBLISHED = MappingProxyType(
    {"frames": 100, "clips": 10, "epochs": 80, "batch": 128, "lr": 0.1, "smoothing": 0.0}
    | {"mirror": False, "rotate": 0.0, "scale": 0.0}
)
"""The training of pyskl's ST-GCN and ST-GCN++: 16 epochs of five passes each."""

OURS = MappingProxyType(
    {"frames": 32, "clips": 1, "epochs": 40, "batch": 32, "lr": 0.2, "smoothing": 0.1}
    | {"mirror": True, "rotate": 0.3, "scale": 0.2}
)

PREPARATIONS: Mapping[str, Preparation] = {
    each.name: each
    for each in (
        Preparation("pyskl", "pyskl's of NTU's 25 joints: denoised, centred, turned", pyskl_3d, defaults=PUBLISHED),
        Preparation(
            *("pyskl-float16", "the same from float16, as pyskl's files hold it", partial(pyskl_3d, kind=np.float16)),
            defaults=PUBLISHED,
        ),
        Preparation("pyskl-2d", "pyskl's of 2D keypoints: by the picture's size", pyskl_2d, True, defaults=PUBLISHED),
        Preparation("rms", "about the mean of what is seen, over its RMS", rms, True, "segments", OURS),
        Preparation(
            *("rms-filled", "the same, unseen joints interpolated", partial(rms, filled=True), True, "segments", OURS)
        ),
    )
}


def preparation(name: str) -> Preparation:
    """A preparation by its name.

    Raises:
        HarBenchError: there is none of that name.
    """
    if name not in PREPARATIONS:
        raise unknown("view of clips", name, PREPARATIONS)
    return PREPARATIONS[name]


def view_pyskl(sequence: SequenceView) -> Singles:
    """NTU's denoised bodies as pyskl's networks see them: centred, turned, (M, T', 25, 3) float32 [m]."""
    return preparation("pyskl").prepared(of_sequence(sequence))


def view_pyskl_float16(sequence: SequenceView) -> Singles:
    """The same from float16, as pyskl's own files hold it."""
    return preparation("pyskl-float16").prepared(of_sequence(sequence))


def view_pyskl_2d(sequence: SequenceView) -> Singles:
    """Keypoints by the picture's size, as pyskl's networks see them: (M, T, V, 3) float32, x and y from -1 to 1."""
    return preparation("pyskl-2d").prepared(of_sequence(sequence, "keypoints"))


def view_rms(sequence: SequenceView) -> Singles:
    """Persons about the mean of what is seen of them, over its root mean square: (M, T, V, 3) float32."""
    return preparation("rms").prepared(of_sequence(sequence))


def view_rms_filled(sequence: SequenceView) -> Singles:
    """The same, joints that are not seen interpolated in time."""
    return preparation("rms-filled").prepared(of_sequence(sequence))
