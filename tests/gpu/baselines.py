"""Baselines on a GPU beside a CPU: the same predictions of the same weights, and how long a training takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from har_bench import registry
from har_bench.protocol import make_protocol
from har_bench.schema import to_numpy
from tests.gpu.setting import Finding, Setting, compared


def on_both(baseline: str, protocol: str, at: Setting) -> Iterator[Finding]:
    """Train a baseline on the device, in the sizes it has for demonstrations, and predict there and on the CPU.

    Args:
        baseline: of ``har-bench list``.
        protocol: of the dataset on whose sample it learns.
        at: where.
    """
    chosen = make_protocol(protocol)
    store, made = at.sample(chosen.dataset), registry.load("baselines", baseline)
    settings: dict[str, Any] = dict(made.quick)
    if at.tiny and "epochs" in settings:
        settings["epochs"] = 1
    model = made(**settings, device=at.device)
    began = time.perf_counter()
    model.fit(store, chosen)
    at.wait()
    yield (
        f"training on {store.dataset}'s sample",
        {"seconds": time.perf_counter() - began, "epochs": len(model.history)},
    )
    weights = Path(at.folder / f"{baseline}.safetensors")
    model.save(weights)
    predicted = []
    for device in (at.device, "cpu"):
        other = made(**settings, device=device)
        other.load(weights)
        predicted.append(_numbers(pa.concat_tables(other.predict(store, chosen))))
    yield "predictions", compared(*predicted, relative=1e-3, absolute=1e-2)


def _numbers(rows: pa.Table) -> np.ndarray[Any, Any]:
    """What was predicted, as one array."""
    name = next(each for each in ("keypoints_3d", "keypoints", "scores", "score") if each in rows.column_names)
    return to_numpy(rows[name], rows.schema.field(name)).astype(np.float64)
