"""The form of what a tracklet file holds: which keys, of which shapes and kinds, beside those of the released ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.arrays import Anything
from har_bench.errors import HarBenchError, Malformed, listed
from har_bench.foreign import joblib
from har_bench.foreign.numbers import numbers

from .clips import LABELS
from .network import JOINTS, POSE

ARRAYS: Mapping[str, tuple[int, ...]] = {
    "fid": (1, 1),
    "pose_shape": (1, POSE),
    "3d_joints": (1, JOINTS // 3, 3),
    "camera": (1, 3),
    "camera_bbox": (1, 3),
    "action_label_gt": (1, LABELS),
    "has_gt": (1, 1),
    "has_detection": (1, 1),
    "apperance_index": (1, 1),
}
"""What is an array of all frames, and its shape after them."""

LISTS: Mapping[str, tuple[int, ...]] = {"frame_size": (2,), "frame_bbox": (4,), "frame_conf": ()}
"""What is a list of something for every frame, and its shape."""

KEYED: Mapping[str, int | None] = {"apperance_dict": None, "action_label_psudo": LABELS}
"""What is a mapping from a key to an array (1, D), and D."""

KEYS = ("frame_name", *ARRAYS, *LISTS, *KEYED)


@dataclass
class Form:
    """What was read of a file.

    Attributes:
        values: arrays without the axis of the one person, (T, ...); mappings have arrays (D,).
        missing: what cannot be looked at.
        other: what can, though it has another form.
    """

    values: dict[str, Any]
    missing: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def read(path: Path) -> Form:
    """A tracklet's values, and how their form differs.

    Raises:
        HarBenchError: the file is no tracklet at all.
    """
    held = joblib.load(path)
    names = held.get("frame_name") if isinstance(held, dict) else None
    if not isinstance(names, list | tuple | np.ndarray) or not len(names):
        raise HarBenchError(f"{path} is no tracklet (it has no list frame_name); give one of LART's .pkl files")
    found = Form(dict(held) | {"frame_name": [str(name) for name in names]})
    if not isinstance(names, list):
        found.other.append(f"frame_name is a {type(names).__name__}, not a list")
    for name in KEYS:
        if name not in held:
            found.missing.append(f"no {name}")
        elif name != "frame_name":
            look: Callable[[Form, str, Any], None] = _keyed if name in KEYED else partial(_framed, frames=len(names))
            try:
                look(found, name, held[name])
            except Malformed as wrong:
                found.missing.append(f"{name} {wrong}")
    return found


def _framed(found: Form, name: str, value: Any, *, frames: int) -> None:
    """Take what every frame has.

    Raises:
        Malformed: no reshaping makes it what it should be.
    """
    array = numbers(value)
    shape = (frames, *(ARRAYS[name] if name in ARRAYS else LISTS[name]))
    inner = (frames, *shape[2:]) if name in ARRAYS else shape
    if name in ("fid", "has_gt", "has_detection", "apperance_index"):
        inner = (frames,)
    if array.size != np.prod(shape) or frames not in array.shape:
        raise Malformed(f"is {array.shape}, not {shape}")
    if name in ARRAYS and not isinstance(value, np.ndarray):
        found.other.append(f"{name} is a {type(value).__name__}, not an array")
    if array.shape != shape:
        found.other.append(f"{name} is {array.shape}, not {shape}")
    found.other += _numbers(name, array)
    found.values[name] = array.reshape(inner)


def _keyed(found: Form, name: str, value: Any) -> None:
    """Take what is said once for all frames that have a key."""
    if not isinstance(value, dict):
        raise Malformed(f"is a {type(value).__name__}, not a dict of arrays by the keys of apperance_index")
    arrays = {}
    for key, each in value.items():
        try:
            arrays[key] = numbers(each)
        except Malformed as wrong:
            raise Malformed(f"has a key {key!r} that {wrong}") from wrong
    if any(not isinstance(each, np.ndarray) for each in value.values()):
        found.other.append(f"{name} has lists, not arrays")
    width = KEYED[name]
    odd = {each.shape for each in arrays.values() if each.shape != (1, width or each.size)}
    if odd:
        found.other.append(f"{name} has values of {listed(sorted(map(str, odd)))}, not of (1, {width or 'D'})")
    if arrays:
        found.other += sorted({word for each in arrays.values() for word in _numbers(name, each)})
    found.values[name] = {key: each.reshape(-1) for key, each in arrays.items()}


def _numbers(name: str, array: Anything) -> Iterator[str]:
    if array.dtype == np.float16:
        yield f"{name} is float16, which has three digits"
    if not np.isfinite(array).all():
        yield f"{name} has numbers that are not finite"
