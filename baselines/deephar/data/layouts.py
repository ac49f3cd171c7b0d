"""The joints that the networks give, and how other datasets' become them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.skeletons import Skeleton, mapping, skeleton

Slots = Callable[[Floats], Floats]
"""(..., S, D) joints of a dataset -> (..., J, D) those of a network; NaN where there is none."""

NETWORKS: Mapping[int, Sequence[str]] = MappingProxyType(
    {16: ("mpii-pa16", "h36m-pa17", "ntu-pa17"), 17: ("h36m-pa17", "ntu-pa17", "mpii-pa16"), 20: ("ntu-pa20",)}
)
"""The layouts that a network of so many joints stands for, the first of which it is called by; pa16 begins pa17."""

THROUGH = "mpii16"
"""By which layouts of other families come to pa16."""

NAMED: Mapping[str, str] = MappingProxyType({"head": "head_top"})
"""Penn Action's joints that are called otherwise in pa16."""


def layout_of(joints: int) -> Skeleton:
    """The layout of a network of so many joints.

    Raises:
        HarBenchError: there is none.
    """
    if joints not in NETWORKS:
        raise HarBenchError(f"deephar's poses have 16, 17 or 20 joints, and not {joints}; give another network")
    return skeleton(NETWORKS[joints][0])


def alike(layout: str, joints: int) -> list[str]:
    """The layouts that the first joints of a network may be taken for: its own, then others of fewer or as many.

    >>> alike("h36m-pa17", 17), alike("coco16", 16)
    (['h36m-pa17', 'ntu-pa17', 'mpii-pa16'], ['coco16'])
    """
    others = NETWORKS.get(joints, ())
    fitting = [name for name in others if name != layout and len(skeleton(name)) <= joints]
    return [layout, *(fitting if layout in others and len(skeleton(layout)) <= joints else [])]


def slots(source: Skeleton, target: Skeleton) -> Slots:
    """How joints of a dataset become a network's.

    Raises:
        HarBenchError: they cannot.
    """
    ours = NETWORKS.get(len(target), ())
    if source.name == "penn13" and target.name in ours:
        names = target.joints if len(target) > 17 else skeleton("mpii-pa16").joints
        return _placed([names.index(joint if joint in names else NAMED[joint]) for joint in source.joints], len(target))
    for name in ours if target.name in ours else (target.name,):
        try:
            joints = mapping(source, skeleton(name))
        except HarBenchError:
            continue
        return _padded(joints.points, len(target))
    if "mpii-pa16" not in ours or target.name not in ours:
        raise HarBenchError(f"{source.name} does not become {target.name}; train a network of other joints on it")
    first, second = mapping(source, skeleton(THROUGH)), mapping(skeleton(THROUGH), skeleton("mpii-pa16"))
    return _padded(lambda points: second.points(first.points(points)), len(target))


def _placed(places: Sequence[int], joints: int) -> Slots:
    """Each joint into its place; the other places are empty."""

    def put(points: Floats) -> Floats:
        made = np.full((*points.shape[:-2], joints, points.shape[-1]), np.nan)
        made[..., places, :] = points
        return made

    return put


def _padded(made: Slots, joints: int) -> Slots:
    """Joints that the network has besides are empty, those that it has not are left out."""

    def put(points: Floats) -> Floats:
        found = made(points)[..., :joints, :]
        missing = [(0, 0)] * (found.ndim - 2) + [(0, joints - found.shape[-2]), (0, 0)]
        return np.pad(found.astype(np.float64), missing, constant_values=np.nan)

    return put
