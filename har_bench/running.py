"""The run engine: a baseline learns (or loads weights), predicts what a protocol scores, and is scored and timed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from har_bench import registry
from har_bench.baseline import Baseline
from har_bench.devices import peak_memory_mb
from har_bench.errors import HarBenchError
from har_bench.files import destination
from har_bench.protocol import Protocol, make_protocol
from har_bench.results import Result
from har_bench.scoring import predictions
from har_bench.scoring.by_row import Missing
from har_bench.scoring.engine import score
from har_bench.scoring.pairing import selection
from har_bench.store import Store, open_store


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
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Result:
    """Train or load a baseline, predict, and score.

    Args:
        baseline: a registered name, ``package.module:Name``, or an instance.
        store: a converted dataset, or its path.
        protocol: what to predict and how to score it, such as ``h36m/mpjpe:videopose3d``.
        recipe: the protocol's recipe, unless its name says it.
        weights: published or saved weights; without them the baseline is trained on the store first.
        save: where the weights are written.
        out: where the predictions are written (Parquet); beside nothing, they are kept in memory.
        missing: see :func:`har_bench.score`.
        model: name on the leaderboard; the baseline's own by default.
        quiet: no progress.
        options: the recipe's options.
        settings: the baseline's own options.

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
    save, out = (None if path is None else destination(path) for path in (save, out))
    speed: dict[str, float] = {}
    if weights is not None:
        idle = [name for name in settings if name in getattr(machine, "training", ())]
        if idle:
            raise HarBenchError(f"{weights} is loaded and nothing is trained, so leave {', '.join(idle)} out")
        machine.load(Path(weights))
    elif machine.trains:
        began = time.perf_counter()
        machine.fit(opened, chosen)
        speed["training_seconds"] = time.perf_counter() - began
    if save is not None:
        machine.save(save)
    clock = Stopwatch()
    predicted: Any
    if out is not None:
        predictions.write(clock.watch(machine.predict(opened, chosen)), out)
        predicted = out
    else:
        predicted = pa.concat_tables(clock.watch(machine.predict(opened, chosen)))
    peak = peak_memory_mb()
    result = score(chosen, opened, predicted, missing=missing, model=model or name, quiet=quiet)
    described = machine.describe()
    if "parameters" in described:
        speed["parameters"] = float(described["parameters"])
    result.speed = speed | clock.speed() | {"peak_memory_mb": peak}
    result.environment |= {"baseline": name} | {key: str(value) for key, value in described.items()}
    return result


def make_baseline(baseline: str | Baseline, settings: dict[str, Any]) -> Baseline:
    """A baseline from its registered name or ``package.module:Name``, with these options.

    Raises:
        HarBenchError: an unknown name or option.
    """
    if isinstance(baseline, Baseline):
        return baseline
    made = registry.load("baselines", baseline)
    known = [each.name for each in dataclasses.fields(made) if each.init] if dataclasses.is_dataclass(made) else []
    unknown = [name for name in settings if known and name not in known]
    if unknown:
        raise HarBenchError(f"{baseline} has no option {', '.join(unknown)}; its options are {', '.join(known)}")
    try:
        return made(**{name: _typed(made, name, value) for name, value in settings.items()})  # type: ignore[no-any-return]
    except TypeError as error:
        raise HarBenchError(f"the baseline {baseline!r} does not take these options: {error}") from error


def _typed(made: type, name: str, value: Any) -> Any:
    """A setting as the type of its default; a text that looks like a number, such as a camera's name, becomes text."""
    default = getattr(made, name, None)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    kind = type(default)
    if kind not in kinds or type(value) is kind or (kind is float and type(value) is int):
        return value
    if kind is str and type(value) in kinds:
        return str(value)
    raise HarBenchError(f"{name} is {kinds[kind]} such as {default!r}, and not {value!r}")
