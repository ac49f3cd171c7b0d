"""Average precision of clips with several labels, as Charades, Multi-Moments in Time and AVA-like heads report it.

Plain arrays; rows are clips and columns classes. Clips of equal score are one step of the curve, so their order in the
file changes nothing (scikit-learn's average_precision_score and mmaction2's mean_average_precision do the same).
"""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, taken


def average_precision(scores: npt.ArrayLike, relevant: npt.ArrayLike) -> Floats:
    """(C,) percent: the step-wise area under each column's curve of precision over recall, without interpolation.

    Args:
        scores: (N, C), finite.
        relevant: (N, C) which labels are true.

    Returns:
        NaN for a column without a true label.

    Raises:
        HarBenchError: no arrays of such values, or shapes that do not belong together.

    >>> average_precision([[0.9], [0.8], [0.7]], [[True], [False], [True]]).round(2).tolist()
    [83.33]
    """
    values, true = taken("average_precision", scores=(scores, "N C"), relevant=(relevant, "N C flags"))
    found = np.full(values.shape[1], np.nan)
    for column in np.flatnonzero(true.any(axis=0)):
        order = np.argsort(-values[:, column], kind="stable")
        ends = np.flatnonzero(np.append(np.diff(values[order, column]) != 0, True))
        hits = np.cumsum(true[order, column])[ends]
        found[column] = 100 * (np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / hits[-1]
    return found


def mean_average_precision(
    scores: npt.ArrayLike, relevant: npt.ArrayLike, *, average: Literal["classes", "clips", "weighted"] = "classes"
) -> float:
    """The mean of average precisions, in percent; NaN without any true label.

    Args:
        scores: (N, C), finite.
        relevant: (N, C) which labels are true.
        average: ``classes``, those with a true label (mmaction2, SlowFast and Charades' mAP); ``clips``, each clip's
            ranking of the classes (mmit_mean_average_precision); ``weighted``, classes by how often they are true
            (Charades' wAP).

    Raises:
        HarBenchError: no arrays of such values, or shapes that do not belong together.
    """
    values, true = taken("mean_average_precision", scores=(scores, "N C"), relevant=(relevant, "N C flags"))
    if average == "clips":
        values, true = values.T, true.T
    precisions = average_precision(values, true)
    weights = true.sum(axis=0) if average == "weighted" else true.any(axis=0)
    total = weights.sum()
    return float(cast(float, np.nan_to_num(precisions) @ weights / total)) if total else float("nan")
