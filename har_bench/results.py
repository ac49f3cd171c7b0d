"""The result file: one scored set of predictions, with everything that identifies it.

A result is JSON, typed by :class:`Result` and written by :func:`write`; ``docs/result-file.md`` describes each field.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from blake3 import blake3

from har_bench import registry, remote
from har_bench.entries.outcomes import ResultError, first_of
from har_bench.errors import HarBenchError, unknown
from har_bench.files import write_whole
from har_bench.foreign import json_file
from har_bench.naming import canonical

if TYPE_CHECKING:
    import pandas as pd

RESULT_SCHEMA = 1
SEAL = "seal"
OF_RUNS = ("seed", "output")
"""Tables that a run adds to what scoring tells: of its trainings, and of its model's other outputs."""

Row = dict[str, str | int | float | None]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A bootstrap confidence interval of one metric, over sequences."""

    low: float
    high: float
    level: float = 0.95
    resamples: int = 0


def plain(row: Mapping[str, Any]) -> Row:
    """A table's row as Python's own numbers and texts; a number that is not finite is none."""
    found: Row = {}
    for name, value in row.items():
        number = value.item() if hasattr(value, "item") else value
        found[name] = None if isinstance(number, float) and not isfinite(number) else number
    return found


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a table of a result is.

    Attributes:
        kind: ``groups`` of the data, points of a ``curve``, or mere ``facts``.
        measure: of groups the column that is comparable with the primary number, of a curve its height; None when
            there is none.
        shares_out: whether every scored sequence belongs to exactly one row.
    """

    kind: Literal["groups", "curve", "facts"]
    measure: str | None = None
    shares_out: bool = False


class Result(msgspec.Struct, kw_only=True, omit_defaults=False):
    """One scored set of predictions.

    Attributes:
        protocol: such as ``mpii/pckh``.
        version: the protocol's version.
        recipe: such as ``hrnet``.
        options: the recipe's options that differ from their defaults.
        dataset: such as ``mpii``.
        primary: the name of the metric that ranks; its value is ``metrics[primary]``.
        metrics: every number, by name; ratios in percent, lengths in mm or px.
        units: the unit of every metric.
        intervals: bootstrap confidence intervals by metric.
        tables: breakdowns by name (``joint``, ``action`` …), each a list of rows.
        counts: how much was scored (sequences, frames, poses, joints …).
        fingerprints: blake3 of the ``store`` and of the ``predictions``.
        versions: of har_bench, Python and the libraries that computed the numbers.
        environment: platform, processor count and what else a reader may ask about.
        model: who made the predictions: the baseline's name, the file's name or what ``--model`` said.
        speed: measured while predicting (``har-bench run``), else empty.
        readings: what the tables are, by their names; none in files of before 0.2.
        notes: what looks wrong in the predictions, in a line each; the numbers are the recipe's all the same.
        schema: version of this file's own layout.
    """

    protocol: str
    version: str
    recipe: str
    options: dict[str, Any]
    dataset: str
    primary: str
    metrics: dict[str, float]
    units: dict[str, str]
    intervals: dict[str, Interval]
    tables: dict[str, list[Row]]
    counts: dict[str, int]
    fingerprints: dict[str, str]
    versions: dict[str, str]
    environment: dict[str, str]
    model: str = ""
    speed: dict[str, float] = {}
    readings: dict[str, Reading] = {}
    notes: list[str] = []
    schema: int = RESULT_SCHEMA

    def __getitem__(self, metric: str) -> float:
        """``result["MPJPE"]``."""
        if metric not in self.metrics:
            raise unknown(f"metric of {self.canonical}", metric, self.metrics)
        return self.metrics[metric]

    @property
    def canonical(self) -> str:
        """The printable name of the way this was scored: a leaderboard's column."""
        return canonical(self.protocol, self.recipe, self.options)

    def to_pandas(self, table: str | None = None) -> pd.DataFrame:
        """A table of the result, such as ``action``, as a pandas dataframe; the metrics by default.

        Raises:
            HarBenchError: there is no such table.
        """
        import pandas as pd

        if table is None:
            rows = {name: (value, self.units.get(name, "")) for name, value in self.metrics.items()}
            return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "unit"])
        if table not in self.tables:
            raise unknown(f"table of {self.canonical}", table, self.tables)
        return pd.DataFrame(self.tables[table])

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers, what was scored, and the notes."""
        from har_bench.drawing.notebook import of_result

        return of_result(self)

    def to_json(self) -> bytes:
        """The file's bytes: indented JSON, keys in the order of the class, then the seal of them all."""
        content = msgspec.json.decode(msgspec.json.encode(self))
        return msgspec.json.format(msgspec.json.encode({**content, SEAL: seal(content)}), indent=1) + b"\n"


def seal(content: Mapping[str, Any]) -> str:
    """The blake3 of what a result file says; the order of keys, spaces and how a number is spelled do not matter."""
    said = {name: value for name, value in content.items() if name != SEAL}
    return blake3(msgspec.json.encode(said, order="deterministic")).hexdigest()


class NoResultError(HarBenchError):
    """A JSON file is another program's, not a result that something happened to."""


def write(result: Result, place: str | Path) -> Path:
    """Write a result file to a path or a URL; folders are made, and the file appears whole or not at all."""
    path = write_whole(remote.destination(place), result.to_json())
    remote.publish(path, place)
    return path


def read(place: str | Path) -> Result:
    """Read a result file of this or an earlier version, from a path or a URL.

    Raises:
        HarBenchError: the file is not a result (:class:`NoResultError` where it is well-formed JSON of something
            else), or comes from a newer har_bench.
        ResultError: it was changed after it was written, or contradicts itself.
    """
    path = remote.fetch(place)
    content = _content(path)
    layout = content.get("schema")
    if isinstance(layout, int) and layout > RESULT_SCHEMA:
        raise HarBenchError(f"{path} was written by a newer har_bench (layout {layout}); update har_bench")
    try:
        result = msgspec.convert(content, Result)
    except msgspec.ValidationError as error:
        raise HarBenchError(f"{path} is not a har_bench result ({error}); score the predictions again") from error
    if content.get(SEAL, "") not in ("", seal(content)):
        raise ResultError(
            "edited after scoring", f"{path} was changed after it was written; score the predictions again"
        )
    protocol = registry.installed("protocols", result.protocol)
    try:
        broken = protocol.contradictions(result) if protocol else ()
    except OverflowError as error:
        raise ResultError(
            "value impossible", f"{path} holds a number that is none ({error}); score the predictions again"
        ) from error
    if broken:
        words = "; ".join(finding.words for finding in broken)
        raise ResultError(first_of(broken), f"{path} contradicts itself: {words}; score the predictions again")
    return result


def _content(path: Path) -> dict[str, Any]:
    """What a result file says by its keys, not looked at yet."""
    try:
        content: Any = json_file.read(path, what="a har_bench result", remedy="score the predictions again")
    except HarBenchError as error:
        if isinstance(error.__cause__, json_file.TooDeep):
            raise NoResultError(f"{path} {error.__cause__}; move it elsewhere") from error
        raise
    if not isinstance(content, dict) or "protocol" not in content:
        raise NoResultError(f"{path} is not a har_bench result: it names no protocol; move it elsewhere")
    return content
