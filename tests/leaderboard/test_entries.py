from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from har_bench.errors import HarBenchError
from har_bench.leaderboard.entries import Part, Readme, published, reported, reported_file, scored
from tests.golden import ROOT

REFERENCE = ROOT.parent / "shared" / "reference" / "reported_results.json"


def test_every_reported_row_is_shipped_with_its_source():
    shipped = reported_file()
    assert len(shipped.rows) == 1372
    assert {row.source for row in shipped.rows} == set(range(len(shipped.sources)))
    assert all(source.text and source.short and source.table for source in shipped.sources)
    assert len(set(shipped.sources)) == len(shipped.sources)
    assert all(row.dataset and row.protocol and row.metric and row.method for row in shipped.rows)
    assert all(0 <= row.value <= 1 for row in shipped.rows if row.unit == "fraction")


def test_sources_mean_something_to_an_outsider():
    for source in reported_file().sources:
        assert "seed" not in source.text.casefold()
        assert isinstance(source, Readme) or source.url.startswith("https://") or source.title
    assert not any("seed" in row.note.casefold() or "stored" in row.note.casefold() for row in reported_file().rows)


@pytest.mark.real
def test_shipped_rows_equal_the_reference():
    if not REFERENCE.is_file():
        pytest.skip(f"no reference at {REFERENCE}")
    fields = (
        "dataset",
        "protocol",
        "metric",
        "value",
        "unit",
        "method",
        "year",
        "input",
        "training",
        "action",
        "joint",
    )
    shipped = [tuple(getattr(row, field) or None for field in fields) for row in reported_file().rows]
    reference = json.loads(REFERENCE.read_text())["rows"]
    assert shipped == [tuple(row.get(field) for field in fields) for row in reference]
    assert [bool(row.note) for row in reported_file().rows] == [bool(row.get("note")) for row in reference]
    pairs = [
        (row.source, json.dumps(other["source"], sort_keys=True))
        for row, other in zip(reported_file().rows, reference, strict=True)
    ]
    assert len({ours for ours, _ in pairs}) == len({theirs for _, theirs in pairs}) == len(set(pairs))


def test_entries_hold_every_row_once():
    entries = reported()
    parts = sum(len(entry.parts) for entry in entries)
    overall = sum(
        not any(part.metric == metric and part.item in ("Avg", "Mean") for part in entry.parts)
        for entry in entries
        for metric in entry.values
    )
    assert parts + overall == 1372


def test_the_summary_of_a_breakdown_is_the_overall_number():
    entry = next(entry for entry in reported() if entry.method == "pose_hrnet_w32" and entry.dataset == "MPII")
    assert entry.values["PCKh@0.5"].text == "90.3"
    assert entry.parts[Part("PCKh@0.5", "joint", "Mean")].number == 90.3
    assert entry.parts[Part("PCKh@0.5", "joint", "Ankle")].number == 83.3


@pytest.mark.parametrize(
    ("value", "unit", "text", "shown"),
    [
        (0.903, "fraction", "90.3", "%"),
        (0.89, "fraction", "89.0", "%"),
        (0.7, "fraction", "70.0", "%"),
        (0.29012, "fraction", "29.012", "%"),
        (1.0, "fraction", "100.0", "%"),
        (88.532, "%", "88.532", "%"),
        (46.8, "mm", "46.8", "mm"),
    ],
)
def test_values_keep_the_digits_that_were_printed(value: float, unit: str, text: str, shown: str):
    found = published(value, unit)
    assert (found.text, found.unit) == (text, shown)
    assert found.number == float(text)


def test_results_are_read_recursively_in_the_order_of_their_names(save: Callable[..., Path]):
    save("b/deep.json", model="")
    folder = save("a.json")
    entries, problems = scored(folder)
    assert [(entry.file, entry.method) for entry in entries] == [("a.json", "lifter"), ("b/deep.json", "deep")]
    assert problems == []
    assert entries[0].values["MPJPE"].text == "46.81"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"protocol": 3}', b'"\xff"', b'{"protocol": "\xff"}', b""])
def test_a_file_that_is_no_result_is_named_and_the_others_are_read(save: Callable[..., Path], content: bytes):
    folder = save("good.json")
    (folder / "broken.json").write_bytes(content)
    entries, problems = scored(folder)
    assert [entry.file for entry in entries] == ["good.json"]
    assert len(problems) == 1
    assert problems[0].sentence.startswith("broken.json is " + ("not a har_bench result" if content else "empty"))
    assert str(folder) not in problems[0].sentence
    assert problems[0].refused == (content != b"[]")


def test_a_result_without_its_primary_number_is_named(save: Callable[..., Path]):
    _, problems = scored(save(primary="PCK"))
    assert "there is no number for its primary metric 'PCK'" in problems[0].sentence


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(HarBenchError, match="nowhere is not a folder"):
        scored(tmp_path / "nowhere")


def test_no_number_is_shipped_twice():
    names = ("dataset", "protocol", "metric", "method", "year", "input", "training", "action", "joint", "source")
    keys = [tuple(getattr(row, name) for name in names) for row in reported_file().rows]
    assert len(set(keys)) == len(keys)
