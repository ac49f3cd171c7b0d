"""One detection in json: its joints, whatever they are nested in, and what the detector says of it.

A detection is an object. Its joints are a flat list of x, y or x, y, score; a list of such pairs, triples or of objects
with ``x`` and ``y``; or an object of lists ``x``, ``y``, ``visible``. Numbers that are null are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from har_bench.arrays import Singles
from har_bench.skeletons import names, skeleton

JOINTS = ("keypoints", "pose_keypoints_2d", "keypoints_2d", "joints", "pose_landmarks", "landmarks", "kpts")
"""Where a detection has its joints, the likeliest first."""

SCORES = ("keypoint_scores", "keypoints_scores", "keypoint_score", "keypoints_score", "kpt_scores", "scores")
CONFIDENCES = ("score", "confidence", "visibility", "visible", "conf", "v")
PERSON = ("track_id", "tracking_id", "person_id", "instance_id", "idx")
SURENESS = ("score", "confidence", "conf", "bbox_score")


class UnclearError(ValueError):
    """Why joints cannot be read, in words that follow "has"."""


def has_joints(value: Any) -> bool:
    """Whether a value is a detection."""
    return isinstance(value, Mapping) and any(name in value for name in JOINTS)


def joints_of(person: Mapping[str, Any]) -> Singles:
    """(J, 2 or 3) x, y and a confidence where there is one.

    Raises:
        UnclearError: the joints are of no known form.
    """
    name = next((name for name in JOINTS if name in person), None)
    if name is None:
        raise UnclearError("no keypoints")
    points = points_of(person[name])
    scores = next((person[name] for name in SCORES if isinstance(person.get(name), list)), None)
    if scores is None:
        return points
    told = _numbers(scores).ravel()
    if len(told) != len(points):
        raise UnclearError(f"{len(points)} joints and {len(told)} scores of joints")
    if points.shape[1] > 2:
        raise UnclearError("three coordinates of a joint, which are lifted already")
    return np.concatenate([points, told[:, None]], axis=1)


def points_of(value: Any) -> Singles:
    """(J, 2 or 3) joints of any of the forms.

    Raises:
        UnclearError: it is of none.
    """
    if isinstance(value, Mapping):
        return _columns(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise UnclearError(f"joints that are {value!r:.40}")
    if value and isinstance(value[0], Mapping):
        return _objects(value)
    points = _numbers(value)
    if points.ndim == 3 and len(points) == 1:  # one person, in a list of its own
        points = points[0]
    if points.ndim == 1:
        return _flat(points)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise UnclearError(f"joints of shape {points.shape}")
    return points


def _flat(numbers: Singles) -> Singles:
    """x, y, score of each joint; pairs where only those make a number of joints that a skeleton has."""
    known = _known()
    triples, pairs = divmod(len(numbers), 3), divmod(len(numbers), 2)
    if not len(numbers) or (triples[1] and pairs[1]):
        raise UnclearError(f"{len(numbers)} numbers; x, y, score of each joint are needed")
    paired = triples[1] > 0 or (not pairs[1] and triples[0] not in known and pairs[0] in known)
    return numbers.reshape(-1, 2 if paired else 3)


@cache
def _known() -> frozenset[int]:
    """The numbers of joints that skeletons have."""
    return frozenset(len(skeleton(name)) for name in names())


def _columns(value: Mapping[str, Any]) -> Singles:
    """``{"x": [...], "y": [...], "visible": [...]}``."""
    if not isinstance(value.get("x"), list) or not isinstance(value.get("y"), list):
        raise UnclearError(f"joints that are an object of {', '.join(map(str, value)) or 'nothing'}")
    extra = next((value[name] for name in CONFIDENCES if isinstance(value.get(name), list)), None)
    columns = [_numbers(value["x"]), _numbers(value["y"]), *([] if extra is None else [_numbers(extra)])]
    if len({column.shape for column in columns}) > 1 or columns[0].ndim != 1:
        raise UnclearError("lists of x, y and confidences of different lengths")
    return np.stack(columns, axis=1)


def _objects(value: Sequence[Any]) -> Singles:
    """``[{"x": ..., "y": ..., "visibility": ...}, ...]``."""
    try:
        extra = next((name for name in CONFIDENCES if name in value[0]), None)
        fields = ("x", "y") if extra is None else ("x", "y", extra)
        return _numbers([[joint.get(name) for name in fields] for joint in value])
    except AttributeError as error:
        raise UnclearError("joints of which some are objects and some are not") from error


def _numbers(value: Any) -> Singles:
    """Nested lists as an array; null is NaN."""
    try:
        found = np.array(value, np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UnclearError("joints that are no numbers, or not as many each") from error
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


def person_of(person: Mapping[str, Any]) -> int:
    """The tracker's id, -1 without one."""
    for name in PERSON:
        value = person.get(name)
        if isinstance(value, list):  # some versions of AlphaPose and OpenPose
            value = value[0] if value else None
        number = _whole(value)
        if number is not None:
            return number
    return -1


def _whole(value: Any) -> int | None:
    try:
        number = int(value)
        return number if number == float(value) and abs(number) < 1 << 62 else None
    except (TypeError, ValueError, OverflowError):
        return None


def sureness_of(person: Mapping[str, Any], points: Singles) -> float:
    """How sure the detector is; the mean confidence of the joints where it does not say."""
    for name in SURENESS:
        value = person.get(name)
        if isinstance(value, int | float) and np.isfinite(value):
            return float(value)
    if points.shape[1] < 3:
        return 1.0
    scores = points[np.isfinite(points[:, 2]), 2]
    return float(scores.mean()) if len(scores) else 0.0


def category_of(person: Mapping[str, Any]) -> int | str | None:
    """What the detection is of: a name, or a number of a list of names."""
    for name in ("name", "category_name", "category", "class_name", "label"):
        if isinstance(person.get(name), str):
            return str(person[name]).lower()
    for name in ("category_id", "class", "class_id", "cls"):
        number = _whole(person.get(name))
        if number is not None:
            return number
    return None
