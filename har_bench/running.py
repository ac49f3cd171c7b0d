"""The run engine: a baseline learns (or loads weights), predicts what a protocol scores, and is scored and timed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench import registry, remote
from har_bench.baseline import Baseline
from har_bench.devices import forget_peak_memory, peak_memory_mb
from har_bench.errors import HarBenchError
from har_bench.files import is_utf8
from har_bench.options import declared, read
from har_bench.protocol import Protocol, make_protocol
from har_bench.results import Reading, Result, Row
from har_bench.scoring import predictions
from har_bench.scoring.engine import score
from har_bench.scoring.pairing import selection
from har_bench.scoring.ways import Missing
from har_bench.store import Store, open_store

OWN, BEST = "the score", "best on the test set"
"""Which output's numbers these are: the one that the result is of, and the one that nobody could have chosen."""


@dataclass
class Stopwatch:
    """Counts what passes through, and the time the baseline took for it."""

    rows: int = 0
    sequences: int = 0
    seconds: float = 0.0

    def watch(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        """The same tables, timed while each is made."""
        while True:
            began = time.perf_counter()
            table = next(tables, None)
            self.seconds += time.perf_counter() - began
            if table is None:
                return
            self.rows += table.num_rows
            self.sequences += pc.count_distinct(table["sequence"]).as_py()
            yield table

    def speed(self) -> dict[str, float]:
        """What a result says of it."""
        if not self.rows:
            return {}
        return {
            "poses": float(self.rows),
            "seconds": self.seconds,
            "poses_per_second": self.rows / self.seconds,
            "ms_per_sequence": 1000 * self.seconds / self.sequences,
        }


def run(
    baseline: str | Baseline,
    store: str | Path | Store,
    *,
    protocol: str | Protocol,
    recipe: str | None = None,
    weights: str | Path | None = None,
    save: str | Path | None = None,
    out: str | Path | None = None,
    missing: Missing = "error",
    model: str = "",
    quiet: bool = True,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Result:
    """Train or load a baseline, predict, and score.

    Args:
        baseline: a registered name, ``package.module:Name``, or an instance.
        store: a converted dataset, or its path or URL; so may be the other files.
        protocol: what to predict and how to score it, such as ``h36m/mpjpe:videopose3d``.
        recipe: the protocol's recipe, unless its name says it.
        weights: published or saved weights; without them the baseline is trained on the store first.
        save: where the weights are written.
        out: where the predictions are written (Parquet); beside nothing, they are kept in memory.
        missing: see :func:`har_bench.score`.
        model: name on the leaderboard; the baseline's own by default.
        quiet: no progress.
        options: the recipe's options, by name.
        settings: the baseline's own options, by name.

    Raises:
        HarBenchError: unknown names, options that do not exist, files that cannot be written, or predictions that do
            not fit the protocol.
    """
    chosen = make_protocol(protocol, recipe, options)
    opened = store if isinstance(store, Store) else open_store(store)
    selection(chosen, opened)  # nothing to predict is said before the training, not after it
    name = baseline if isinstance(baseline, str) else type(baseline).__name__
    machine = make_baseline(baseline, settings)
    if not machine.serves(opened, chosen):
        raise HarBenchError(f"{name} cannot predict what {chosen.name} scores; `har-bench list baselines` has others")
    machine.quiet = quiet
    saved = None if save is None else remote.destination(save)
    written = None if out is None else remote.destination(out, ".parquet")
    if written is not None and not is_utf8(written):
        raise HarBenchError(f"{written} could not be read again, for its name is not UTF-8; name another file")
    speed: dict[str, float] = {}
    if weights is not None:
        idle = [name for name in settings or {} if name in getattr(machine, "training", ())]
        if idle:
            raise HarBenchError(f"{weights} is loaded and nothing is trained, so leave {', '.join(idle)} out")
        machine.load(remote.fetch(weights))
    elif machine.trains:
        began = time.perf_counter()
        machine.fit(opened, chosen)
        speed["training_seconds"] = time.perf_counter() - began
    if save is not None and saved is not None:
        machine.save(saved)
        remote.publish(saved, save)
    clock = Stopwatch()
    forget_peak_memory()
    predicted: Any
    if out is not None and written is not None:
        predictions.write(clock.watch(machine.predict(opened, chosen)), written)
        remote.publish(written, out)
        predicted = written
    else:
        predicted = pa.concat_tables(clock.watch(machine.predict(opened, chosen)))
    peak = peak_memory_mb()
    held = {} if peak is None else {"peak_memory_mb": peak}
    result = score(chosen, opened, predicted, missing=missing, model=model or name, quiet=quiet)
    described = machine.describe()
    if "parameters" in described:
        speed["parameters"] = float(described["parameters"])
    result.speed = speed | clock.speed() | held
    _add_outputs(result, machine, chosen.canonical, opened, missing)
    result.environment |= {"baseline": name} | {key: str(value) for key, value in described.items()}
    return result


def train(
    baseline: str | Baseline,
    stores: Sequence[str | Path | Store],
    *,
    save: str | Path,
    protocol: str | Protocol | None = None,
    recipe: str | None = None,
    quiet: bool = True,
    options: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Baseline:
    """Train a baseline without predicting anything, on several stores where it can.

    Args:
        baseline: a registered name, ``package.module:Name``, or an instance.
        stores: converted datasets, or their paths or URLs; the protocol's is the first.
        save: where the weights are written.
        protocol: whose training split of the first store is learnt from, and for what; some models do without.
        recipe: the protocol's recipe, unless its name says it.
        quiet: no progress.
        options: the recipe's options, by name.
        settings: the baseline's own options, by name.

    Returns:
        The trained baseline.

    Raises:
        HarBenchError: unknown names, options that do not exist, a file that cannot be written, or a model that learns
            nothing, or not from these stores.
    """
    chosen = None if protocol is None else make_protocol(protocol, recipe, options)
    opened = [store if isinstance(store, Store) else open_store(store) for store in stores]
    machine = make_baseline(baseline, settings)
    name = baseline if isinstance(baseline, str) else type(baseline).__name__
    if not machine.trains:
        raise HarBenchError(f"{name} learns nothing; `har-bench list baselines` has others")
    if chosen is not None and not machine.serves(opened[0], chosen):
        raise HarBenchError(f"{name} cannot learn what {chosen.name} scores; `har-bench list baselines` has others")
    machine.quiet = quiet
    destination = remote.destination(save)
    machine.train(opened, chosen)
    machine.save(destination)
    remote.publish(destination, save)
    return machine


def _add_outputs(result: Result, machine: Baseline, protocol: str, store: Store, missing: Missing) -> None:
    """Score a model's other outputs; the best of all on what is scored is named, and is never the result."""
    found = {OWN: result.metrics}
    for name, tables in machine.outputs.items():
        found[name] = score(protocol, store, pa.concat_tables(tables), missing=missing, resamples=0).metrics
    if len(found) == 1:
        return
    primary = make_protocol(protocol).primary
    best = (max if primary.better == "higher" else min)(found, key=lambda name: found[name].get(primary.name, np.nan))
    rows: list[Row] = [{"output": name, **metrics} for name, metrics in found.items()]
    result.tables |= {"output": [*rows, {"output": f"{BEST} ({best})", **found[best]}]}
    result.readings |= {"output": Reading(kind="facts")}


def run_seeds(
    seeds: int,
    baseline: str | Baseline,
    store: str | Path | Store,
    *,
    save: str | Path | None = None,
    out: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    **given: Any,
) -> Result:
    """Train a baseline several times, with its seed and the numbers after it.

    Args:
        seeds: how many times.
        baseline: see :func:`run`.
        store: a converted dataset, or its path.
        save: where the first one's weights are written; the others' are ``NAME-seed1.safetensors`` and so on.
        out: the same for predictions.
        settings: the baseline's options; of ``checkpoints`` every seed has a folder of its own inside.
        given: what else :func:`run` takes, but weights.

    Returns:
        The first one's result, chosen before anything was known of it, with a table ``seed`` of all of them, their
        mean and their standard deviation (n - 1).

    Raises:
        HarBenchError: what :func:`run` raises, a model without a seed, weights that are trained already, or fewer
            than two seeds.
    """
    machine = make_baseline(baseline, settings)
    name = baseline if isinstance(baseline, str) else type(baseline).__name__
    if "seed" not in declared(type(machine)) or not machine.trains:
        raise HarBenchError(f"{name} learns the same from every seed; leave --seeds out")
    if given.get("weights") is not None:
        raise HarBenchError("weights are trained already, with one seed; leave either --weights or --seeds out")
    if seeds < 2:
        raise HarBenchError(f"--seeds is {seeds}; give 2 or more, as one training has no spread")
    first, folder = getattr(machine, "seed"), getattr(machine, "checkpoints", "")  # noqa: B009 - any baseline's
    found = {}
    for seed in range(first, first + seeds):
        changed: dict[str, Any] = {"seed": seed} | ({"checkpoints": f"{folder}/seed{seed}"} if folder else {})
        files = {name: path if seed == first else _beside(path, seed) for name, path in (("save", save), ("out", out))}
        one: Any = replace(machine, **changed)  # type: ignore[type-var]
        found[seed] = run(one, store, **given | files | {"model": given.get("model") or name})
        found[seed].environment["baseline"] = name
    return _with_spread(found)


def _beside(path: str | Path | None, seed: int) -> str | None:
    """Another name in the same place."""
    if path is None:
        return None
    stem, dot, ending = str(path).rpartition(".")
    return f"{stem}-seed{seed}{dot}{ending}" if stem and "/" not in ending else f"{path}-seed{seed}"


def _with_spread(found: Mapping[int, Result]) -> Result:
    """The first result with the numbers of all."""
    result = next(iter(found.values()))
    numbers = {name: np.array([each.metrics[name] for each in found.values()]) for name in result.metrics}
    rows: list[Row] = [{"seed": str(seed), **each.metrics} for seed, each in found.items()]
    rows.append({"seed": "mean", **{name: float(values.mean()) for name, values in numbers.items()}})
    rows.append({"seed": "standard deviation", **{name: float(values.std(ddof=1)) for name, values in numbers.items()}})
    result.tables = {"seed": rows} | result.tables
    result.readings = {"seed": Reading(kind="facts")} | result.readings
    return result


def make_baseline(baseline: str | Baseline, settings: Mapping[str, Any] | None = None) -> Baseline:
    """A baseline from its registered name or ``package.module:Name``, with these options.

    Raises:
        HarBenchError: an unknown name or option, or a value that its option cannot take.
    """
    if isinstance(baseline, Baseline):
        if settings:
            raise HarBenchError(f"{type(baseline).__name__} is made already; give the settings to its class")
        return baseline
    made = registry.load("baselines", baseline)
    if not (isinstance(made, type) and issubclass(made, Baseline)):
        raise HarBenchError(f"{baseline} is no baseline; name a class that is a har_bench.baseline.Baseline")
    return made(**read(made, settings or {}, baseline))
