"""The weights with which LART's code was run for the goldens: a formula of their names and shapes, and no file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from har_bench.arrays import Singles
from har_bench.baselines.lart.network import Architecture, Network


def formula_weights(made: Architecture) -> Mapping[str, Singles]:
    """Exact rationals by the rank of the name: w[j] = ((7919 j + 104729 i) % 10007) / 10007 - 0.5, scaled."""
    found = {}
    for rank, (name, tensor) in enumerate(sorted(Network(made).state_dict().items())):
        if name in ("pos_embedding", "pe"):
            continue
        values = (7919 * np.arange(tensor.numel(), dtype=np.float64) + 104729 * rank) % 10007 / 10007 - 0.5
        values = values / np.sqrt(tensor.shape[-1]) if tensor.ndim > 1 else values * 0.2
        found[name] = (values + name.endswith("norm.weight")).reshape(tensor.shape).astype(np.float32)
    mean = {
        "body_pose": np.tile([1.0, 0, 0, 0, 1, 0], 24) + np.arange(144) * 1e-3,
        "betas": np.arange(10) * 0.01,
        "cam": np.array([0.9, 0, 0.1]),
    }
    return found | {f"smpl_head.0.init_{name}": values[None].astype(np.float32) for name, values in mean.items()}
