"""The 20 points of HumanEva's body model from markers and Vicon's segments, as the official MATLAB code makes them.

The official release (HumanEva Release_Code_v1_1) resamples the motion capture at a frame's instant: points linearly,
segments by slerp of their rotations. Every step below, quirks included, is checked against its output under Octave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.skeletons import skeleton

from .c3d import Trajectories

SKIN = (
    "RASI", "LASI", "LPSI", "RPSI", "RELB", "LELB", "STRN", "CLAV", "C7", "T10", "RBAK", "LTHI", "RTHI", "LKNE", "RKNE",
    "LTIB", "RTIB", "LANK", "RANK", "LHEE", "RHEE", "LTOE", "RTOE", "LSHO", "RSHO", "LUPA", "RUPA", "LWRA", "LWRB",
    "RWRA", "RWRB", "LFIN", "RFIN", "LBHD", "RBHD", "LFHD", "RFHD", "RFRM|RFRA", "LFRM|LFRA",
)  # fmt: skip
"""The 39 markers on the skin; the forearm's has two spellings."""

SEGMENTS = ("PEL", "TRX", "HED", *(side + bone for side in "LR" for bone in ("FE", "TI", "CL", "HU", "RA")))
"""Vicon's segments; each is four consecutive points: origin O, then P on +z, A on +x and L on +y."""

_HEAD = 316.103  # mm from the thorax's origin to the top of the head
_PELVIS_BACK = 50.0  # mm from the pelvis's origin to the middle of the hips
_MARKER = 7.0  # radius of a marker [mm]
_NAMES = skeleton("humaneva20").official


def shoulder_radius(static: Trajectories) -> float:
    """Half the distance of the shoulder markers in the static take, less a marker's radius [mm].

    Raises:
        HarBenchError: the take has no shoulder markers.
    """
    with np.errstate(all="ignore"):
        across = static.points[:, static.index("LSHO")] - static.points[:, static.index("RSHO")]
        radius = float(np.linalg.norm(across, axis=-1).mean() / 2 - _MARKER)
    if not np.isfinite(radius):
        raise HarBenchError(f"{static.source} has shoulder markers without a place; download it again")
    return radius


def seen(take: Trajectories, rows: Floats) -> npt.NDArray[np.bool_]:
    """Which positions (counted from 1, with a fraction) lie between two rows that have all 39 skin markers.

    Raises:
        HarBenchError: the take lacks a marker altogether.
    """
    skin = take.points[:, [take.index(*names.split("|")) for names in SKIN]]
    with np.errstate(all="ignore"):
        whole = (skin.sum(axis=-1) != 0).all(axis=-1)  # the official test; a marker that was not seen is (0, 0, 0)
    before, after = (np.asarray(edge(rows), np.int64) for edge in (np.floor, np.ceil))
    inside = (before >= 1) & (after <= len(take))
    found = np.zeros(len(rows), bool)
    found[inside] = whole[before[inside] - 1] & whole[after[inside] - 1]
    return found


def body(take: Trajectories, rows: Floats, radius: float, measures: Mapping[str, float]) -> Floats:
    """The points of ``humaneva20`` in the world.

    Args:
        take: the motion capture.
        rows: (T,) positions in it, counted from 1, with a fraction; none after the last row.
        radius: of :func:`shoulder_radius` [mm].
        measures: ``LShoulderOffset`` and ``RShoulderOffset`` [mm].

    Returns:
        (T, 20, 3) positions [mm]; NaN where a segment is missing.

    Raises:
        HarBenchError: the take lacks a segment.
    """
    with np.errstate(all="ignore"):  # a missing segment has no direction; its frame ends as NaN
        points = _Instants(take, rows)
        joints = _torso(points, radius) | _head(points)
        for side in "LR":
            joints |= _leg(points, side) | _arm(points, side, measures[f"{side}ShoulderOffset"])
        return np.stack([joints[name] for name in _NAMES], axis=1)


def _torso(at: _Instants, radius: float) -> dict[str, Floats]:
    length = at.distance("PELO", "TRXO")
    axes = at.axes("PEL")
    distal = at.point("PELO") - _PELVIS_BACK * axes[..., 0]
    leaning = axes @ _about_y(np.arctan2(radius / 2, length))
    return {"torsoDistal": distal, "torsoProximal": distal + length[:, None] * leaning[..., 2]}


def _head(at: _Instants) -> dict[str, Floats]:
    neck = at.point("TRXO")
    return {"headProximal": neck, "headDistal": neck + _HEAD * at.axes("HED")[..., 2]}


def _leg(at: _Instants, side: str) -> dict[str, Floats]:
    hip, knee, ankle = f"{side}FEP", f"{side}FEO", f"{side}TIO"
    down = _about_y(np.full(len(at), np.pi))
    thigh, shank = (at.axes(side + bone) @ down for bone in ("FE", "TI"))
    return {
        f"upper{side}LegProximal": at.point(hip),
        f"upper{side}LegDistal": at.point(hip) + at.distance(hip, knee)[:, None] * thigh[..., 2],
        f"lower{side}LegProximal": at.point(knee),
        f"lower{side}LegDistal": at.point(knee) + at.distance(knee, ankle)[:, None] * shank[..., 2],
    }


def _arm(at: _Instants, side: str, offset: float) -> dict[str, Floats]:
    """Arms are turned inwards by the angle at which half the shoulder's offset appears along the upper arm."""
    shoulder, elbow, wrist = f"{side}CLO", f"{side}HUO", f"{side}RAO"
    upper, lower = at.distance(shoulder, elbow), at.distance(elbow, wrist)
    angle = np.arctan2(offset / 2, upper)
    top, axes = at.point(shoulder), at.axes(f"{side}HU")
    gap = at.point(elbow) - (top - upper[:, None] * axes[..., 2])
    turned = axes @ _about_y(-angle)
    end = top - upper[:, None] * turned[..., 2]
    forearm = at.axes(f"{side}RA") @ _about_y(angle)
    return {
        f"upper{side}ArmProximal": top,
        f"upper{side}ArmDistal": end,
        f"lower{side}ArmProximal": end + gap,
        f"lower{side}ArmDistal": end + gap - lower[:, None] * forearm[..., 2],
    }


@dataclass(frozen=True)
class _Instants:
    """A take at instants between its rows."""

    take: Trajectories
    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def _between(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Floats]:
        """Indices of the two rows about each instant, and how far it is from the first to the second.

        The second row is the next one even where the instant is a row; after the last row there is none.
        """
        before = np.floor(self.rows).astype(np.intp)
        return before - 1, np.minimum(before, len(self.take) - 1), self.rows - before

    def point(self, name: str) -> Floats:
        """(T, 3) a point, linearly between the rows [mm]."""
        before, after, part = self._between()
        values = self.take.points[:, self.take.index(name)]
        return np.asarray((1 - part)[:, None] * values[before] + part[:, None] * values[after])

    def distance(self, one: str, other: str) -> Floats:
        """(T,) the mean of two points' distances in the rows at and after the instant [mm]."""
        gaps = self.take.points[:, self.take.index(one)] - self.take.points[:, self.take.index(other)]
        lengths = np.linalg.norm(gaps, axis=-1)
        before, after = (edge(self.rows).astype(np.intp) - 1 for edge in (np.floor, np.ceil))
        return np.asarray((lengths[before] + lengths[after]) / 2)

    def axes(self, segment: str) -> Floats:
        """(T, 3, 3) a segment's x, y and z as columns, by slerp between the rows."""
        before, after, part = self._between()
        origin = self.take.index(f"{segment}O")
        frame = self.take.points[:, origin : origin + 4]
        if frame.shape[1] < 4:
            raise HarBenchError(
                f"{self.take.source} ends within the four points of the segment {segment}; unpack it again"
            )
        one, other = (_quaternion(_triad(frame[rows])) for rows in (before, after))
        return _matrix(_slerp(one, other, part))


def _triad(segment: Floats) -> Floats:
    """(T, 3, 3) unit vectors to A, L and P, as columns, of (T, 4, 3) points O, P, A, L."""
    arms = segment[:, [2, 3, 1]] - segment[:, :1]
    return np.asarray(np.swapaxes(arms / np.linalg.norm(arms, axis=-1, keepdims=True), -1, -2))


def _about_y(angle: Floats) -> Floats:
    """(T, 3, 3) turns about y, with the official code's sign: z goes to -x."""
    turn = np.zeros((len(angle), 3, 3))
    turn[:, 0, 0] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 2, 0] = np.sin(angle)
    turn[:, 0, 2] = -turn[:, 2, 0]
    turn[:, 1, 1] = 1
    return turn


def _quaternion(R: Floats) -> Floats:
    """(T, 4) unit quaternions w, x, y, z of (T, 3, 3) rotations, by the largest component (Shepperd 1978)."""
    xx, yy, zz = (R[:, axis, axis] for axis in range(3))
    # 4 q qᵀ, whose every row is a multiple of the quaternion
    square = np.empty((len(R), 4, 4))
    for axis, value in enumerate((1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz)):
        square[:, axis, axis] = value
    for (row, column), value in {
        (0, 1): R[:, 2, 1] - R[:, 1, 2],
        (0, 2): R[:, 0, 2] - R[:, 2, 0],
        (0, 3): R[:, 1, 0] - R[:, 0, 1],
        (1, 2): R[:, 1, 0] + R[:, 0, 1],
        (1, 3): R[:, 0, 2] + R[:, 2, 0],
        (2, 3): R[:, 2, 1] + R[:, 1, 2],
    }.items():
        square[:, row, column] = square[:, column, row] = value
    largest = np.argmax(np.diagonal(square, axis1=1, axis2=2), axis=1)
    q = square[np.arange(len(R)), largest]
    return np.asarray(q / np.linalg.norm(q, axis=-1, keepdims=True))


def _slerp(one: Floats, other: Floats, part: Floats) -> Floats:
    """(T, 4) quaternions on the way from one to the other.

    The official code takes the opposite quaternion where the product of the vector parts alone is negative.
    """
    opposite = (one[:, 1:] * other[:, 1:]).sum(axis=-1) < 0
    other = np.where(opposite[:, None], -other, other)
    angle = np.arccos(np.clip((one * other).sum(axis=-1), -1, 1))
    sine = np.sin(angle)
    same = sine == 0
    divisor = np.where(same, 1, sine)
    weights = (np.where(same, way, np.sin(way * angle) / divisor) for way in (1 - part, part))
    return np.asarray(sum(weight[:, None] * q for weight, q in zip(weights, (one, other), strict=True)))


def _matrix(q: Floats) -> Floats:
    """(T, 3, 3) rotations of (T, 4) unit quaternions w, x, y, z."""
    w, x, y, z = q.T
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.moveaxis(np.array(rows), -1, 0)
