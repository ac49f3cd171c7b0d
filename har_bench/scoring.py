"""The scoring engine: aligns predictions with ground truth, streams them through a protocol, and makes the result."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import har_bench
from har_bench import executing, registry, skeletons
from har_bench.aligning import Problems, align
from har_bench.errors import HarBenchError
from har_bench.predictions import DIMENSIONS, Columns, Predictions, RowPredictions, open_predictions
from har_bench.progress import progress
from har_bench.protocol import Batch, Protocol
from har_bench.results import Interval, Result
from har_bench.schema import shape_of, to_numpy
from har_bench.store import POINTS, Store, open_store

Missing = Literal["error", "count-as-error"]
SEED = 20180615


def score(
    protocol: str | Protocol,
    store: str | Path | Store,
    predictions: Any,
    *,
    recipe: str | None = None,
    missing: Missing = "error",
    jobs: int = 1,
    scheduler: str | None = None,
    resamples: int = 1000,
    model: str = "",
    quiet: bool = True,
    **options: Any,
) -> Result:
    """Score predictions with a paper's exact recipe.

    Args:
        protocol: such as ``mpii/pckh``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        store: a converted dataset, or its path.
        predictions: a path, a table, a mapping or an array; see :func:`har_bench.predictions.open_predictions`.
        recipe: such as ``hrnet``; the protocol's first one by default.
        missing: missing and non-finite predictions are an ``error``, or ``count-as-error`` as the protocol says.
        jobs: processes; more than one pays for stores of hundreds of parts.
        scheduler: address of a Dask scheduler to use instead of local processes.
        resamples: bootstrap resamples of the sequences for the confidence intervals; 0 leaves them out.
        model: who made the predictions, for the leaderboard; the file's name by default.
        quiet: no progress.
        options: the recipe's options, such as ``every=64``.

    Raises:
        HarBenchError: wrong store for the protocol, or rows that do not fit; all kinds are named before any score.
    """
    chosen = make_protocol(protocol, recipe, options)
    opened = store if isinstance(store, Store) else open_store(store)
    if opened.dataset != chosen.dataset:
        raise HarBenchError(f"{chosen.name} needs a {chosen.dataset} store; {opened.path} is one of {opened.dataset}")
    given = open_predictions(predictions, chosen)
    selected = chosen.select(opened.sequences)
    selected = selected.filter(pa.array(selected["rows"].to_numpy() > 0))
    if not selected.num_rows:
        raise HarBenchError(f"{opened.path} has no sequence that {chosen.canonical} scores; is it part of the data?")
    problems = _strangers(given, opened)
    problems.merge(_score_all(chosen, opened, given, predictions, selected, missing, jobs, scheduler, quiet=quiet))
    problems.check(str(predictions) if isinstance(predictions, str | Path) else given.taken_for)
    scores = chosen.compute()
    ignored = len(set(given.names()) - set(selected["sequence"].to_pylist()))
    return Result(
        protocol=chosen.name,
        version=chosen.version,
        recipe=chosen.recipe.name,
        options=chosen.given | ({"missing": missing} if missing != "error" else {}),
        dataset=chosen.dataset,
        primary=chosen.primary.name,
        metrics=scores.metrics,
        units={metric.name: metric.unit for metric in chosen.metrics if metric.name in scores.metrics},
        intervals=_intervals(chosen, resamples),
        tables=scores.tables,
        counts=scores.counts | ({"ignored_sequences": ignored} if ignored else {}),
        fingerprints={"store": opened.fingerprint, "predictions": given.fingerprint},
        versions=_versions() | {"converter": f"{opened.manifest.converter} {opened.manifest.converter_version}"},
        environment={
            "platform": platform.platform(),
            "processors": str(os.cpu_count()),
            "predictions": given.taken_for,
        },
        model=model or (Path(predictions).stem if isinstance(predictions, str | Path) else ""),
    )


def make_protocol(
    name: str | Protocol, recipe: str | None = None, options: Mapping[str, Any] | None = None
) -> Protocol:
    """A protocol from its name, or from its canonical name ``dataset/measure:recipe,option=value``.

    Raises:
        HarBenchError: an unknown protocol, recipe or option, or a recipe given twice.
    """
    if isinstance(name, Protocol):
        return name.fresh()
    chosen = dict(options or {})
    head, _, tail = name.partition(":")
    if not tail or "/" not in head:  # package.module:Name has no slash
        return registry.load("protocols", name)(recipe, **chosen)  # type: ignore[no-any-return]
    first, *rest = tail.split(",")
    if recipe not in (None, first):
        raise HarBenchError(f"{name} names the recipe {first!r}, and --recipe says {recipe!r}; give one of them")
    for item in rest:
        key, equals, value = item.partition("=")
        if not equals:
            raise HarBenchError(f"{item!r} in {name} is not option=value")
        chosen.setdefault(key, value)
    return registry.load("protocols", head)(first, **chosen)  # type: ignore[no-any-return]


def _strangers(given: Predictions, store: Store) -> Problems:
    """Predicted sequences that the store does not have."""
    problems = Problems()
    unknown = sorted(set(given.names()) - set(store.sequences["sequence"].to_pylist()))
    if unknown:
        problems.add("unknown", len(unknown), f"sequence {unknown[0]!r}")
    return problems


def _score_all(
    protocol: Protocol,
    store: Store,
    given: Predictions,
    source: Any,
    selected: pa.Table,
    missing: Missing,
    jobs: int,
    scheduler: str | None,
    *,
    quiet: bool,
) -> Problems:
    """Feed every part to the protocol, here or spread over workers; returns what did not fit."""
    parts = np.unique(selected["part"].to_numpy()).tolist()
    problems = Problems()
    with progress(protocol.name, len(parts), quiet=quiet) as shown:
        if jobs == 1 and scheduler is None:
            for part in parts:
                found = score_part(protocol, store, given, selected, part, missing)
                problems.merge(found)
                shown.advance(rows=int(selected["rows"].to_numpy()[selected["part"].to_numpy() == part].sum()))
            return problems
        with executing.executor(min(jobs or os.cpu_count() or 1, len(parts)), scheduler) as (pool, width):
            task = functools.partial(_worker, protocol.fresh(), store.path.absolute(), source, selected, missing)
            groups = [parts[offset::width] for offset in range(width) if parts[offset::width]]
            for group, (scored, found) in executing.unordered(pool, width, task, groups):
                protocol.merge(scored)
                problems.merge(found)
                for _ in group:
                    shown.advance()
    return problems


def _worker(
    protocol: Protocol, store: Path, source: Any, selected: pa.Table, missing: Missing, parts: Sequence[int]
) -> tuple[Protocol, Problems]:
    """Score some parts in another process, which opens the store and the predictions for itself."""
    opened, problems = open_store(store), Problems()
    given = open_predictions(source, protocol)
    for part in parts:
        problems.merge(score_part(protocol, opened, given, selected, part, missing))
    return protocol, problems


def score_part(
    protocol: Protocol, store: Store, given: Predictions, selected: pa.Table, part: int, missing: Missing
) -> Problems:
    """Align one part's sequences with their predictions and update the protocol, unless something does not fit."""
    chosen = selected.filter(pa.array(selected["part"].to_numpy() == part))
    ordering = [protocol.row_order] if protocol.row_order else []
    table = store.read("poses", part, list(dict.fromkeys(["frame", "person", *protocol.truth_columns, *ordering])))
    mask = protocol.keep(chosen, table)
    scored = np.ones(table.num_rows, bool) if mask is None else np.asarray(mask, bool)
    keys = {name: table[name].to_numpy() for name in ("frame", "person")}
    problems, pieces, rows, starts, used = Problems(), [], [], [0], []
    for position, (name, first, count) in enumerate(_spans(chosen)):
        kept = np.flatnonzero(scored[first : first + count])
        if not len(kept):
            continue
        truth = {key: values[first : first + count] for key, values in keys.items()}
        piece = _piece(protocol, given, name, truth, kept, table.slice(first, count), problems)
        pieces.append(piece)
        rows.append(first + kept)
        starts.append(starts[-1] + len(kept))
        used.append(position)
    if not pieces or (problems.rows and not set(problems.rows) <= {"missing"}):
        return problems
    if missing == "count-as-error":
        problems = Problems()
    sequences, edges = chosen.take(used), np.asarray(starts)
    predicted = _predicted(protocol, store, pieces, problems, missing, sequences["sequence"].to_pylist(), starts)
    if problems.rows:
        return problems
    taken = table if len(rows) == 1 and len(rows[0]) == table.num_rows else table.take(np.concatenate(rows))
    protocol.update(Batch(sequences, edges, _truth(protocol, store, taken)), Batch(sequences, edges, predicted))
    return problems


def _spans(chosen: pa.Table) -> Iterator[tuple[str, int, int]]:
    return zip(*(chosen[name].to_pylist() for name in ("sequence", "first_row", "rows")), strict=True)


def _piece(
    protocol: Protocol,
    given: Predictions,
    name: str,
    truth: Mapping[str, npt.NDArray[Any]],
    kept: npt.NDArray[np.int64],
    table: pa.Table,
    problems: Problems,
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """The predicted columns of one sequence, and for each scored row its number in them (-1: missing)."""
    if isinstance(given, RowPredictions):
        if protocol.row_order is None:
            raise HarBenchError(f"{protocol.name} has no published row order; give a mapping from sequence to array")
        numbers = table[protocol.row_order].take(kept).to_numpy().astype(np.int64)
        beyond = numbers >= len(given.array)
        if beyond.any():
            first = f"{name} is row {numbers.max()} of the published order, and there are {len(given.array)}"
            problems.add("missing", int(beyond.sum()), first)
            return given.take(np.zeros(len(kept), np.int64)), np.full(len(kept), -1)
        return given.take(numbers), np.arange(len(kept))
    rows = given.of(name)
    if rows is None:
        problems.add("missing", len(kept), f"all of {name}")
        return {}, np.full(len(kept), -1)
    absent = [column for column in protocol.prediction_columns if column not in rows]
    if absent:
        raise HarBenchError(f"the predictions have no column {', '.join(absent)}; they have {', '.join(rows)}")
    return rows, align(name, truth, kept, rows, problems)


def _predicted(
    protocol: Protocol,
    store: Store,
    pieces: Sequence[tuple[Columns, npt.NDArray[np.int64]]],
    problems: Problems,
    missing: Missing,
    names: Sequence[str],
    starts: Sequence[int],
) -> dict[str, npt.NDArray[Any]]:
    """The aligned predictions of a part, in the protocol's joint layout, with gaps filled as the protocol says."""
    columns = {}
    for column in protocol.prediction_columns:
        shapes = {rows[column].shape[1:] for rows, _ in pieces if column in rows}
        if len(shapes) > 1:
            raise HarBenchError(f"the predicted {column} differ in shape between sequences: {sorted(shapes)}")
        shape = shapes.pop() if shapes else _expected_shape(protocol, column)
        gathered = [
            rows[column][index] if column in rows else np.full((len(index), *shape), np.nan) for rows, index in pieces
        ]
        values = gathered[0] if len(gathered) == 1 else np.concatenate(gathered)
        if column in POINTS:
            values = _in_layout(protocol, store, column, values)
        gaps = np.concatenate([index < 0 for _, index in pieces])
        broken = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim))) & ~gaps
        if missing == "error" and broken.any():
            row = int(np.argmax(broken))
            name = names[int(np.searchsorted(starts, row, "right")) - 1]
            problems.add("non-finite", int(broken.sum()), f"a {column} of {name}")
        elif gaps.any() or broken.any():
            values = values.astype(np.promote_types(values.dtype, np.float32), copy=True)
            values[gaps] = protocol.missing
            values[~np.isfinite(values).all(axis=-1)] = protocol.missing
        columns[column] = values
    return columns


def _expected_shape(protocol: Protocol, column: str) -> tuple[int, ...]:
    """The shape of a predicted value where a whole part has no prediction to tell."""
    if column in POINTS and protocol.skeletons:
        return len(skeletons.skeleton(protocol.skeletons[0])), DIMENSIONS[column]
    return ()


def _in_layout(protocol: Protocol, store: Store, column: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Predicted joints in the protocol's first layout; the layout given is told by the number of joints."""
    if not protocol.skeletons or values.ndim != 3:
        return values
    target = skeletons.skeleton(protocol.skeletons[0])
    accepted = [target, *(skeletons.skeleton(name) for name in protocol.skeletons[1:]), store.skeleton()]
    for source in accepted:
        if len(source) == values.shape[1]:
            return values if source.name == target.name else skeletons.mapping(source, target).points(values)
    layouts = ", ".join(f"{len(source)} ({source.name})" for source in accepted)
    raise HarBenchError(f"the predicted {column} have {values.shape[1]} joints; {protocol.name} takes {layouts}")


def _truth(protocol: Protocol, store: Store, table: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """The ground-truth columns as NumPy, joints in the protocol's layout."""
    joints = None
    if protocol.skeletons and protocol.skeletons[0] != store.skeleton().name:
        joints = skeletons.mapping(store.skeleton(), skeletons.skeleton(protocol.skeletons[0]))
    columns = {}
    for name in table.column_names:
        field = table.schema.field(name)
        values = to_numpy(table[name], field)
        if joints is not None and shape_of(field)[:1] == (len(joints.source),):
            values = joints.visibility(values) if values.ndim == 2 else joints.points(values)
        columns[name] = values
    return columns


def _intervals(protocol: Protocol, resamples: int) -> dict[str, Interval]:
    """Percentile bootstrap over sequences, seeded, so the same predictions always give the same interval."""
    names = protocol.state.names()
    if not resamples or len(names) < 2:
        return {}
    random = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamples):
        weights = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names)).astype(np.float64)
        for metric, value in protocol.metrics_of(weights).items():
            drawn.setdefault(metric, []).append(value)
    return {
        metric: Interval(low=float(low), high=float(high), resamples=resamples)
        for metric, values in drawn.items()
        for low, high in [np.nanpercentile(values, [2.5, 97.5])]
        if np.isfinite(low)
    }


def _versions() -> dict[str, str]:
    libraries = ("numpy", "scipy", "pyarrow", "numba")
    return {
        "har_bench": har_bench.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }
