"""The scoring engine: aligns predictions with ground truth, streams them through a protocol, and makes the result."""

from __future__ import annotations

import functools
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import har_bench
from har_bench import devices, remote, workers
from har_bench.errors import HarBenchError
from har_bench.progress import progress
from har_bench.protocol import Protocol, clues, identities, make_protocol
from har_bench.protocol.clues import Clues
from har_bench.results import Interval, Result, plain
from har_bench.scoring.by_row import ByRow, Problems
from har_bench.scoring.ensembles import Ensemble
from har_bench.scoring.pairing import Pairs, paired, prepared
from har_bench.scoring.ways import Missing, Remedies, Way
from har_bench.store import Store, open_store

SEED = 20180615

GAPS = clues.Note(
    "{hits} of {of} predictions that are asked for are missing or not finite, and count as errors", least=0
)


def score(
    protocol: str | Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    recipe: str | None = None,
    options: Mapping[str, Any] | None = None,
    missing: Missing = "error",
    skeleton: str | None = None,
    remedies: Remedies | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    device: str | None = None,
    resamples: int = 1000,
    model: str = "",
    quiet: bool = True,
) -> Result:
    """Score predictions with a paper's exact recipe.

    Args:
        protocol: such as ``mpii/pckh``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        store: a converted dataset, or its path or URL.
        predictions: a path, a table, a mapping or an array; see :func:`har_bench.scoring.predictions.open_predictions`.
        recipe: such as ``hrnet``; the protocol's first one by default.
        options: the recipe's options by name, such as ``{"every": 64}``.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        skeleton: the predictions' joint layout; by default the protocol's one with their number of joints.
        remedies: what is done to predicted coordinates first: their unit, origin and axes, or joints that are only
            near the protocol's.
        jobs: processes; more than one pays for stores of hundreds of parts.
        scheduler: address of a Dask scheduler to use instead of local processes.
        device: a torch device to compute on, such as ``cuda`` or ``cpu``, where the protocol has a torch path; by
            default NumPy and numba compute.
        resamples: bootstrap resamples of the sequences for the confidence intervals; 0 leaves them out.
        model: who made the predictions, for the leaderboard; the file's name by default.
        quiet: no progress.

    Raises:
        HarBenchError: wrong store for the protocol, a device that it cannot use, or rows that do not fit; all kinds
            are named before any score; or numbers that break an identity (:mod:`har_bench.protocol.identities`).
    """
    if resamples < 0:
        raise HarBenchError(f"{resamples} resamples cannot be; give how many, or 0 for no confidence intervals")
    chosen = make_protocol(protocol, recipe, options)
    if device:
        chosen.use(device)
    pairs = prepared(chosen, store, predictions, missing=missing, skeleton=skeleton, remedies=remedies)
    chosen = pairs.way.protocol
    _score_all(pairs, jobs, scheduler, quiet=quiet)
    pairs.check()
    result = _result(pairs, resamples, model)
    identities.require(result, type(chosen))
    return result


def _result(pairs: Pairs, resamples: int, model: str) -> Result:
    """What was scored, with all that identifies it."""
    chosen, given, store = pairs.way.protocol, pairs.predictions, pairs.store
    scores = chosen.compute()
    metrics = {name: float(value) for name, value in scores.metrics.items()}
    others = set(given.names()) - set(pairs.selected["sequence"].to_pylist())
    layout = pairs.engine.layout if isinstance(pairs.engine, ByRow) else ""
    return Result(
        protocol=chosen.name,
        version=chosen.version,
        recipe=chosen.recipe.name,
        options=chosen.given
        | ({"missing": pairs.way.missing} if pairs.way.missing != "error" else {})
        | pairs.way.remedies.given
        | (pairs.source.given if isinstance(pairs.source, Ensemble) else {}),
        dataset=chosen.dataset,
        primary=chosen.primary.name,
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        units={metric.name: metric.unit for metric in chosen.metrics if metric.name in metrics},
        intervals=_intervals(chosen, resamples),
        tables={title: [plain(row) for row in rows] for title, rows in scores.tables.items()},
        counts={name: int(count) for name, count in scores.counts.items()}
        | ({"ignored_sequences": len(others)} if others else {}),
        fingerprints={"store": store.fingerprint, "predictions": given.fingerprint, **given.members},
        versions=_versions(chosen.device)
        | {"converter": f"{store.manifest.converter} {store.manifest.converter_version}"},
        environment={
            "platform": platform.platform(),
            "processors": str(os.cpu_count()),
            "predictions": given.taken_for,
            **({"device": devices.label(devices.chosen(chosen.device))} if chosen.device else {}),
            **({"layout": layout} if layout else {}),
        },
        model=model or (Path(pairs.source).stem if isinstance(pairs.source, str | Path) else ""),
        readings=chosen.readings(scores.tables),
        notes=[
            *_all_elsewhere(pairs, others),
            *given.notes,
            *_scattered(pairs),
            *clues.notes({"gaps": GAPS, **chosen.notes}, pairs.clues),
            *chosen.remarks(),
        ],
    )


def _all_elsewhere(pairs: Pairs, others: set[str]) -> list[str]:
    """That no prediction is of a sequence that is scored, as those of another split would be."""
    if not others or len(others) < len(set(pairs.predictions.names())):
        return []
    return [
        f"no prediction is of any of the {pairs.selected.num_rows:,} sequences scored, all are of {len(others):,} "
        f"others, such as {min(others)!r}: is the split the right one?"
    ]


def _scattered(pairs: Pairs) -> list[str]:
    """That rows without frame numbers are taken in an order that nothing vouches for."""
    given = pairs.predictions
    rows = given.of(next(iter(given.names()), "")) or {}
    if not (isinstance(pairs.engine, ByRow) and given.scattered) or "frame" in rows:
        return []
    return [
        "the rows of a sequence do not stand together and have no column 'frame': they were taken for its frames in "
        "the order of the file"
    ]


def _score_all(pairs: Pairs, jobs: int, scheduler: str | None, *, quiet: bool) -> None:
    """Feed every part to the protocol, here or spread over workers."""
    parts, protocol = pairs.parts(), pairs.way.protocol
    with progress(protocol.name, len(parts), quiet=quiet) as shown:
        if jobs == 1 and scheduler is None:
            for part in parts:
                _score_part(pairs, part)
                shown.advance()
            return
        if scheduler is None:
            workers.prepare(__name__)
        with workers.executor(min(jobs or os.cpu_count() or 1, len(parts)), scheduler) as (pool, width):
            way = replace(pairs.way, protocol=protocol.fresh())
            source = remote.absolute(pairs.source) if isinstance(pairs.source, str | Path) else pairs.source
            source = source.absolute if isinstance(source, Ensemble) else source
            task = functools.partial(_worker, way, pairs.store.place, source, pairs.selected)
            groups = [parts[offset::width] for offset in range(width) if parts[offset::width]]
            for group, (scored, problems, layout, found) in workers.unordered(pool, width, task, groups):
                protocol.merge(scored)
                pairs.engine.problems.merge(problems)
                pairs.clues = clues.merged(pairs.clues, found)
                if isinstance(pairs.engine, ByRow):
                    pairs.engine.layout = layout or pairs.engine.layout
                for _ in group:
                    shown.advance()


def _worker(
    way: Way, store: str | Path, source: Any, selected: pa.Table, parts: Sequence[int]
) -> tuple[Protocol, Problems, str, Clues]:
    """Score some parts in another process, which opens the store and the predictions for itself."""
    pairs = paired(way, open_store(store), source, selected)
    for part in parts:
        _score_part(pairs, part)
    return way.protocol, pairs.engine.problems, getattr(pairs.engine, "layout", ""), pairs.clues


def _score_part(pairs: Pairs, part: int) -> None:
    batches = pairs.part(part)
    if batches is not None:
        try:
            pairs.way.protocol.update(*batches)
        except HarBenchError as error:  # a protocol does not know which file its rows come from
            file = str(pairs.source) if isinstance(pairs.source, str | Path) else ""
            if file in str(error):
                raise
            raise HarBenchError(f"{file}: {error}") from error
        asked = len(batches[1]) if isinstance(pairs.engine, ByRow) else len(batches[0].sequences)
        gaps = {"gaps": clues.Clue(pairs.engine.gaps, asked)}
        pairs.clues = clues.merged(pairs.clues, {**pairs.way.protocol.clues(*batches), **gaps})


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
