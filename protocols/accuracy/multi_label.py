"""Average precision of clips with several labels, as Charades, Multi-Moments in Time and AVA-like heads report it.

Plain arrays; rows are clips and columns classes. Clips of equal score are one step of the curve, so their order in the
file changes nothing (scikit-learn's average_precision_score and mmaction2's mean_average_precision do the same).
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError


def average_precision(scores: Floats, relevant: Bools) -> Floats:
    """(C,) percent: the step-wise area under each column's curve of precision over recall, without interpolation.

    Args:
        scores: (N, C), finite.
        relevant: (N, C) which labels are true.

    Returns:
        NaN for a column without a true label.

    Raises:
        HarBenchError: shapes that do not belong together.

    >>> average_precision(np.array([[0.9], [0.8], [0.7]]), np.array([[True], [False], [True]])).round(2).tolist()
    [83.33]
    """
    if scores.ndim != 2 or scores.shape != relevant.shape:
        raise HarBenchError(
            f"average precision needs two (N, C) arrays, and was given {scores.shape}, {relevant.shape}"
        )
    found = np.full(scores.shape[1], np.nan)
    for column in np.flatnonzero(relevant.any(axis=0)):
        order = np.argsort(-scores[:, column], kind="stable")
        ends = np.flatnonzero(np.append(np.diff(scores[order, column]) != 0, True))
        hits = np.cumsum(relevant[order, column])[ends]
        found[column] = 100 * (np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1]
    return found


def mean_average_precision(
    scores: Floats, relevant: Bools, *, average: Literal["classes", "clips", "weighted"] = "classes"
) -> float:
    """The mean of average precisions, in percent; NaN without any true label.

    Args:
        scores: (N, C), finite.
        relevant: (N, C) which labels are true.
        average: ``classes``, those with a true label (mmaction2, SlowFast and Charades' mAP); ``clips``, each clip's
            ranking of the classes (mmit_mean_average_precision); ``weighted``, classes by how often they are true
            (Charades' wAP).

    Raises:
        HarBenchError: shapes that do not belong together.
    """
    if average == "clips":
        scores, relevant = scores.T, relevant.T
    precisions = average_precision(scores, relevant)
    weights = relevant.sum(axis=0) if average == "weighted" else relevant.any(axis=0)
    total = weights.sum()
    return float(cast(float, np.nan_to_num(precisions) @ weights / total)) if total else float("nan")
