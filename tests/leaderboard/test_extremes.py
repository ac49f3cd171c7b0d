"""Pages, tables and charts of numbers and names that nobody expects: whole, finite, and no longer than they must be."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from har_bench.foreign import words
from har_bench.leaderboard import build
from har_bench.leaderboard.charts import charts, strip
from har_bench.leaderboard.entries import entry_of, reported
from har_bench.leaderboard.grouping import boards
from har_bench.leaderboard.pictures import pictures
from har_bench.leaderboard.site import html_pages
from har_bench.leaderboard.svg import Axis
from har_bench.leaderboard.tables import csv_page, latex_page, markdown_page
from har_bench.results import Interval
from tests.leaderboard.conftest import MakeResult
from tests.leaderboard.test_page import Document

HIDING = "\x00\x07\x1b[2J\u202e\u2066\u200b\ufeff\u2028\x85\U000e0041"
"""NUL, bell, an escape, an override, an isolate, no space, a byte order mark, two ends of lines, an invisible tag."""

NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1e-12, 1.0, 100.0, 1e9, 1e300, 1.7976931348623157e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)
NAMES = st.sampled_from(["a", "b" * 5000, "", "=1+1", HIDING, "名前", "MPJPE"])
CELLS = st.one_of(NUMBERS, NAMES, st.none(), st.integers(-(10**6), 10**6))
ROWS = st.lists(st.dictionaries(NAMES, CELLS, max_size=4), max_size=5)


def finite(markup: str) -> bool:
    """Whether every coordinate of a picture is a number of a sane size."""
    numbers = re.findall(r' (?:x|y|x1|x2|y1|y2|cx|cy|width|height)="([^"]+)"', markup)
    return all(math.isfinite(float(number)) and abs(float(number)) < 1e5 for number in numbers)


@given(low=NUMBERS, high=NUMBERS, share=st.floats(0, 1))
def test_an_axis_holds_what_is_between_its_ends(low: float, high: float, share: float) -> None:
    low, high = min(low, high), max(low, high)
    axis = Axis(low, high, 0, 100)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 7
    assert len(set(ticks)) == len(ticks)
    for number in (*ticks, low + share * (high - low) if math.isfinite(high - low) else low):
        assert -1 <= axis.at(number) <= 101


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables=st.dictionaries(NAMES, ROWS, max_size=3), numbers=st.lists(NUMBERS, min_size=1, max_size=5))
def test_any_tables_and_numbers_make_whole_pages(
    make_result: MakeResult, tables: dict[str, list[dict[str, object]]], numbers: list[float]
) -> None:
    results = [
        make_result(
            metrics={"MPJPE": number}, intervals={"MPJPE": Interval(low=min(numbers), high=number)}, tables=tables
        )
        for number in numbers
    ]
    found = boards([entry_of(result, f"{place}.json") for place, result in enumerate(results)])
    pages = dict(html_pages(found))
    for text in pages.values():
        Document(text)
    assert finite(str(strip(found[0])))
    assert all(finite(str(picture)) for picture, _ in charts(found[0]))
    assert all(finite(str(each)) for each in pictures(results[0]).values())
    assert max(map(len, pages.values())) < 100_000
    assert len(markdown_page(found)) < 20_000
    assert len(latex_page(found)) < 20_000


@pytest.mark.parametrize("rows", [0, 1, 2, 100, 501])
def test_a_breakdown_of_any_length_is_shown_and_a_very_long_one_in_part(make_result: MakeResult, rows: int) -> None:
    table = [{"sequence": f"s{row}", "MPJPE": float(row)} for row in range(rows)]
    text = dict(html_pages(boards([entry_of(make_result(tables={"sequence": table}), "a.json")])))["entries/a.html"]
    assert text.count("<td>s") == min(rows, 500)
    assert ("500 of its rows" in text) == (rows > 500)


def test_columns_that_not_every_row_has_are_shown(make_result: MakeResult) -> None:
    tables = {"odd": [{}, {"a": 1.0}, {"b": 2.0}], "empty": [{}, {}]}
    text = dict(html_pages(boards([entry_of(make_result(tables=tables), "a.json")])))["entries/a.html"]
    assert ">Odd</h2>" in text
    assert "By empty" not in text


def test_a_name_of_megabytes_costs_a_page_nothing(save: Callable[..., Path], tmp_path: Path) -> None:
    long = "x" * 3_000_000
    folder = save(
        "long.json", model=long, environment={long: long}, options={"every": long}, tables={long: [{long: long}]}
    )
    written = build(folder, tmp_path / "site")
    empty = build(save("../none/a.json").parent / "none", tmp_path / "other")
    sizes = {path.name: path.stat().st_size for path in empty}
    for path in written:
        assert path.stat().st_size < sizes.get(path.name, sizes["a.html"]) + 30_000
        assert "x" * 150 in path.read_text("utf-8")


def test_nothing_that_hides_or_turns_text_around_is_written(save: Callable[..., Path], tmp_path: Path) -> None:
    folder = save(
        "a.json",
        model=f"mo{HIDING}del",
        options={HIDING: HIDING},
        environment={HIDING: HIDING, "keypoints": HIDING},
        versions={HIDING: HIDING},
        tables={f"t{HIDING}": [{f"c{HIDING}": HIDING, "MPJPE": 1.0}]},
    )
    (folder / f"br{HIDING[3:]}.json").write_text("{")
    for path in build(folder, tmp_path / "site", on_problem=lambda _: None):
        text = path.read_text("utf-8")
        assert not {letter for letter in text if not letter.isprintable() and letter != "\n"}
        assert "mo[2J" in text.replace("{[}", "[").replace("\\[", "[")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n@", "\x00=", "\u202e-", "＝", " +"])
def test_no_cell_is_worked_out_by_a_spreadsheet(make_result: MakeResult, start: str) -> None:
    text = csv_page([entry_of(make_result(model=f"{start}1+1", options={"a": 1}), f"{start}1+1.json")])
    first, *_ = csv.DictReader(io.StringIO(text))
    assert first["method"].startswith("'")
    assert first["file"].startswith("'")
    for row in csv.reader(io.StringIO(text)):
        assert not [cell for cell in row if cell.startswith(words.FORMULA)]


def test_numbers_of_a_csv_stay_numbers() -> None:
    for row in csv.DictReader(io.StringIO(csv_page(reported()))):
        assert math.isfinite(float(row["value"]))
    assert [words.cell(each) for each in (-1.5, "-1.5", "+3", "-1e-300", None, 7)] == [
        *(-1.5, "-1.5", "+3", "-1e-300", None, 7)
    ]


@given(st.text(), st.integers(2, 50))
def test_one_line_is_printable_short_and_settled(text: str, longest: int) -> None:
    shown = words.one_line(text, longest)
    assert shown.isprintable()
    assert len(shown) <= longest
    assert words.one_line(shown, longest) == shown
    assert words.lines(text).replace("\n", "").isprintable()
