"""Every check of a GPU. A new one is a function of a :class:`.setting.Setting` and a line here."""

from __future__ import annotations

from functools import partial

from tests.gpu import baselines, human36m, lart, lifting, metrics
from tests.gpu.setting import Family

FAMILIES: dict[str, Family] = {
    "pose errors": metrics.pose_errors,
    "keypoint similarity": metrics.keypoint_similarity,
    "lifting, equality": lifting.equality,
    "lifting, graphs": lifting.graphs,
    "lifting, speed": lifting.speed,
    "stgcn": partial(baselines.on_both, "stgcn", "ntu60/xsub"),
    "temporal-cnn": partial(baselines.on_both, "temporal-cnn", "penn_action/accuracy"),
    "lart": lart.on_both,
    "human36m": human36m.trained,  # the last one: it takes the time that is left
}
