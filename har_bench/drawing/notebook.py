"""What notebooks show of a result, a store and a sequence: small tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from har_bench.results import Result
    from har_bench.store import SequenceView, Store


def of_store(store: Store) -> str:
    """The dataset, where it is, its tables and splits."""
    found = store.manifest
    counts = {name: f"{rows:,} rows" for name, rows in found.rows.items()}
    splits = {f"split {name}": f"{rows:,} sequences" for name, rows in found.splits.items()}
    said = {"path": store.place, "fingerprint": store.fingerprint, "licence": found.licence}
    return facts(f"{store.dataset} store", {**said, **counts, **splits})


def of_sequence(view: SequenceView) -> str:
    """The sequence's facts, and the columns of its poses."""
    said = {name: value for name, value in view.info.items() if value not in (None, [])}
    return facts(str(view.info["sequence"]), said) + columns(view.poses.schema, len(view))


def of_result(result: Result) -> str:
    """The numbers with their units and intervals, what was scored, and the notes."""
    rows = []
    for name, value in result.metrics.items():
        interval = result.intervals.get(name)
        spread = f"{interval.low:.2f} to {interval.high:.2f}" if interval else ""
        rows.append((name, value, result.units.get(name, ""), spread))
    title = f"{result.model or 'predictions'}, {result.canonical}"
    said = {name.replace("_", " "): f"{count:,}" for name, count in result.counts.items()}
    notes = {f"note {number}": note for number, note in enumerate(result.notes, 1)}
    return table(title, ("metric", "value", "unit", "95 % interval"), rows) + facts("", {**said, **notes})


def facts(title: str, found: Mapping[str, Any]) -> str:
    """A title, and a line for each name and value."""
    return table(title, (), found.items())


def columns(schema: pa.Schema, rows: int) -> str:
    """The columns of a table, with shape, unit and what they are about."""
    lines = []
    for field in schema:
        said = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        shape = ", ".join(filter(None, (f"{rows:,}", said.get("shape", "").replace(",", ", "))))
        lines.append((field.name, f"({shape})", said.get("unit", ""), said.get("about", "")))
    return table("", ("column", "shape", "unit", ""), lines)


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a title, in HTML; every value is text and no markup."""
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ["".join(f"<td>{escape(_cell(value))}</td>" for value in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in ([heads] if heads else []) + lines)
    named = f"<caption>{escape(title)}</caption>" if title else ""
    return f"<table>{named}{body}</table>"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
