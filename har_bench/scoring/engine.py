"""The scoring engine: aligns predictions with ground truth, streams them through a protocol, and makes the result."""

from __future__ import annotations

import functools
import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import har_bench
from har_bench import devices, workers
from har_bench.progress import progress
from har_bench.protocol import Protocol, make_protocol
from har_bench.results import Interval, Result
from har_bench.scoring import identities
from har_bench.scoring.by_row import Aligner, Missing, Problems, strangers
from har_bench.scoring.by_sequence import Gatherer
from har_bench.scoring.pairing import engine, selection
from har_bench.scoring.predictions import open_predictions
from har_bench.store import Store, open_store

SEED = 20180615


def score(
    protocol: str | Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    recipe: str | None = None,
    missing: Missing = "error",
    skeleton: str | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    resamples: int = 1000,
    model: str = "",
    quiet: bool = True,
    **options: Any,
) -> Result:
    """Score predictions with a paper's exact recipe.

    Args:
        protocol: such as ``mpii/pckh``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        store: a converted dataset, or its path.
        predictions: a path, a table, a mapping or an array; see :func:`har_bench.scoring.predictions.open_predictions`.
        recipe: such as ``hrnet``; the protocol's first one by default.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; by default the protocol's one with their number of joints.
        jobs: processes; more than one pays for stores of hundreds of parts.
        scheduler: address of a Dask scheduler to use instead of local processes.
        device: a torch device to compute on, such as ``cuda`` or ``cpu``, where the protocol has a torch path; by
            default NumPy and numba compute.
        resamples: bootstrap resamples of the sequences for the confidence intervals; 0 leaves them out.
        model: who made the predictions, for the leaderboard; the file's name by default.
        quiet: no progress.
        options: the recipe's options, such as ``every=64``.

    Raises:
        HarBenchError: wrong store for the protocol, a device that it cannot use, or rows that do not fit; all kinds
            are named before any score; or numbers that break an identity (:mod:`har_bench.scoring.identities`).
    """
    chosen = make_protocol(protocol, recipe, options)
    if device:
        chosen.use(device)
    opened = store if isinstance(store, Store) else open_store(store)
    selected = selection(chosen, opened)
    given = open_predictions(predictions, chosen, opened)
    aligner = engine(chosen, opened, given, missing, skeleton)
    aligner.problems.merge(strangers(given, opened))
    _score_all(aligner, predictions, selected, jobs, scheduler, quiet=quiet)
    aligner.problems.check(str(predictions) if isinstance(predictions, str | Path) else given.taken_for)
    scores = chosen.compute()
    ignored = len(set(given.names()) - set(selected["sequence"].to_pylist()))
    result = Result(
        protocol=chosen.name,
        version=chosen.version,
        recipe=chosen.recipe.name,
        options=chosen.given | ({"missing": missing} if missing != "error" else {}),
        dataset=chosen.dataset,
        primary=chosen.primary.name,
        metrics={name: value for name, value in scores.metrics.items() if math.isfinite(value)},
        units={metric.name: metric.unit for metric in chosen.metrics if metric.name in scores.metrics},
        intervals=_intervals(chosen, resamples),
        tables=scores.tables,
        counts=scores.counts | ({"ignored_sequences": ignored} if ignored else {}),
        fingerprints={"store": opened.fingerprint, "predictions": given.fingerprint},
        versions=_versions(chosen.device)
        | {"converter": f"{opened.manifest.converter} {opened.manifest.converter_version}"},
        environment={
            "platform": platform.platform(),
            "processors": str(os.cpu_count()),
            "predictions": given.taken_for,
            **({"device": devices.label(devices.chosen(chosen.device))} if chosen.device else {}),
            **({"layout": aligner.layout} if isinstance(aligner, Aligner) and aligner.layout else {}),
        },
        model=model or (Path(predictions).stem if isinstance(predictions, str | Path) else ""),
    )
    identities.require(result)
    return result


def _score_all(
    aligner: Aligner | Gatherer, source: Any, selected: pa.Table, jobs: int, scheduler: str | None, *, quiet: bool
) -> None:
    """Feed every part to the aligner's protocol, here or spread over workers."""
    parts = np.unique(selected["part"].to_numpy()).tolist()
    with progress(aligner.protocol.name, len(parts), quiet=quiet) as shown:
        if jobs == 1 and scheduler is None:
            for part in parts:
                _score_part(aligner, selected, part)
                shown.advance()
            return
        with workers.executor(min(jobs or os.cpu_count() or 1, len(parts)), scheduler) as (pool, width):
            protocol, store = aligner.protocol.fresh(), aligner.store.path.absolute()
            layout = aligner.skeleton if isinstance(aligner, Aligner) else None
            task = functools.partial(_worker, protocol, store, source, aligner.missing, layout, selected)
            groups = [parts[offset::width] for offset in range(width) if parts[offset::width]]
            for group, (scored, problems, seen) in workers.unordered(pool, width, task, groups):
                aligner.protocol.merge(scored)
                aligner.problems.merge(problems)
                if isinstance(aligner, Aligner):
                    aligner.layout = seen or aligner.layout
                for _ in group:
                    shown.advance()


def _worker(
    protocol: Protocol,
    store: Path,
    source: Any,
    missing: Missing,
    skeleton: str | None,
    selected: pa.Table,
    parts: Sequence[int],
) -> tuple[Protocol, Problems, str]:
    """Score some parts in another process, which opens the store and the predictions for itself."""
    opened = open_store(store)
    aligner = engine(protocol, opened, open_predictions(source, protocol, opened), missing, skeleton)
    for part in parts:
        _score_part(aligner, selected, part)
    return protocol, aligner.problems, getattr(aligner, "layout", "")


def _score_part(aligner: Aligner | Gatherer, selected: pa.Table, part: int) -> None:
    batches = aligner.batches(selected.filter(pa.array(selected["part"].to_numpy() == part)), part)
    if batches is not None:
        aligner.protocol.update(*batches)


def _intervals(protocol: Protocol, resamples: int) -> dict[str, Interval]:
    """Percentile bootstrap over sequences, seeded, so the same predictions always give the same interval."""
    names = protocol.units()
    if not resamples or len(names) < 2:
        return {}
    random = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples):
        weights = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names)).astype(np.float64)
        for metric, value in protocol.metrics_of(weights).items():
            if math.isfinite(value):  # a resample may hold nothing that the metric is about
                drawn.setdefault(metric, []).append(value)
    return {
        metric: Interval(low=float(low), high=float(high), resamples=resamples)
        for metric, values in drawn.items()
        for low, high in [np.percentile(values, [2.5, 97.5])]
    }


def _versions(device: str) -> dict[str, str]:
    libraries = ("numpy", "scipy", "pyarrow", "numba", *(["torch"] if device else []))
    return {
        "har_bench": har_bench.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }
