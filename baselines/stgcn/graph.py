"""Which joints tell which: the matrices of a skeleton, as pyskl partitions them, for any skeleton of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from har_bench.arrays import Floats, Ints
from har_bench.skeletons import Skeleton

Partition = Literal["spatial", "one-hop"]
"""By direction (ST-GCN++), or by the distance from the root as far as one step (ST-GCN)."""

GRAPH_PARENTS: Mapping[str, Mapping[int, int]] = {"ntu25": {21: 7, 23: 11}}
"""Where a published graph is not that of the parents: NTU's hand tips hang from the hands, not from the thumbs."""


def graph_parents(layout: Skeleton) -> Ints:
    """(V,) each joint's neighbour nearer to the root; -1 at the root."""
    parents = np.array(layout.parents)
    for joint, parent in GRAPH_PARENTS.get(layout.name, {}).items():
        parents[joint] = parent
    return parents


def adjacency(layout: Skeleton, partition: Partition) -> Floats:
    """(3, V, V) how much of joint v goes to joint w in each subset: ``A[k, v, w]``.

    ``spatial``: a joint itself; from parent to child; from the children to a parent, their mean. ``one-hop``: all
    neighbours and a joint itself have the same weight, and are parted into itself, those that are no farther from the
    root, and those that are nearer, where all that is more than one step away counts as equally far.
    """
    parents = graph_parents(layout)
    children = np.flatnonzero(parents >= 0)
    inward = np.zeros((len(layout), len(layout)))
    inward[parents[children], children] = 1
    itself = np.eye(len(layout))
    if partition == "spatial":
        return np.stack([itself, normalised(inward), normalised(inward.T)])
    weights = normalised(itself + inward + inward.T)
    far = np.where(parents < 0, 0, np.where(np.isin(parents, np.flatnonzero(parents < 0)), 1, 2))
    others, farther = weights * (1 - itself), far[:, None] >= far[None, :]
    return np.stack([weights * itself, others * farther, others * ~farther])


def normalised(weights: Floats) -> Floats:
    """Every column over its sum; a column of zeros stays."""
    sums = weights.sum(axis=0)
    return np.asarray(weights / np.where(sums > 0, sums, 1))
