"""The site in a real browser: nothing is refused, everybody can read it, links show their rows, boards print whole."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from har_bench.leaderboard import Reported, boards, build, reported, scored
from har_bench.leaderboard.board import Board
from tests import chromium
from tests.golden import ROOT

pytestmark = chromium.needed

OURS = ROOT / "results"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that was scored here or reported."""
    site = tmp_path_factory.mktemp("browser") / "site"
    build(OURS, site)
    return site


@pytest.fixture(scope="module")
def every() -> list[Board]:
    return boards([*scored(OURS)[0], *reported()])


def rows(page: Any) -> tuple[int, int]:
    """How many rows the page says that it shows, and how many of its rows are not hidden."""
    said = int(page.inner_text("#shown").split()[0])
    return said, page.locator(".board:not([hidden]) tbody tr:not([hidden])").count()


@pytest.mark.parametrize(("width", "scheme"), chromium.VIEWS)
def test_the_first_page_is_accessible_and_nothing_is_refused(
    browser: Any, site: Path, every: list[Board], width: int, scheme: str
) -> None:
    with chromium.opened(browser, site / "index.html", width=width, scheme=scheme) as (page, complaints):
        count = sum(len(board.lines) for board in every)
        assert rows(page) == (count, count)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert chromium.tab_stops(page, "#boards table") < 150
        assert chromium.violations(page) == []
        assert complaints == []


@pytest.mark.parametrize(("width", "scheme"), chromium.VIEWS)
@pytest.mark.parametrize("folder", ["entries", "compare"])
def test_so_are_the_pages_of_one_and_of_two(browser: Any, site: Path, folder: str, width: int, scheme: str) -> None:
    path = max((site / folder).glob("*.html"), key=lambda path: path.stat().st_size)
    with chromium.opened(browser, path, width=width, scheme=scheme) as (page, complaints):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert chromium.violations(page) == []
        assert complaints == []


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("#?q=pose_resnet_152", lambda line: "pose_resnet_152" in line.entry.method),
        ("#?input=CPN&frames=81", lambda line: line.fields.given == "CPN" and (line.fields.frames or 99) <= 81),
        ("#?year=2022", lambda line: (line.fields.year or 0) >= 2022),
        ("#?without=verified,scored", lambda line: isinstance(line.entry, Reported)),
    ],
)
def test_a_link_with_filters_shows_their_rows(
    browser: Any, site: Path, every: list[Board], address: str, passes: Callable[..., bool]
) -> None:
    wanted = sum(passes(line) for board in every for line in board.lines)
    with chromium.opened(browser, site / "index.html", address) as (page, _):
        assert rows(page) == (wanted, wanted)


def test_a_view_made_by_hand_is_a_link_that_shows_it_again(browser: Any, site: Path) -> None:
    with chromium.opened(browser, site / "index.html") as (page, _):
        page.fill("[name=q]", "hrnet mpii")
        page.get_by_label("reported").uncheck()
        page.get_by_label("reported").check()
        heading = page.locator(".board:not([hidden]) thead th[data-better=higher] button").first
        heading.click()
        address, shown = page.evaluate("location.hash"), page.locator("tbody th:visible").all_inner_texts()
    assert len(shown) > 3
    assert "sort=" in address
    with chromium.opened(browser, site / "index.html", address) as (page, _):
        assert page.locator("tbody th:visible").all_inner_texts() == shown


def test_a_link_to_a_board_leads_to_it(browser: Any, site: Path, every: list[Board]) -> None:
    for board in (every[-1], every[len(every) // 2]):
        with chromium.opened(browser, site / "index.html", f"#{board.slug}") as (page, _):
            page.wait_for_timeout(100)
            heading = page.locator(f"[id='{board.slug}'] h3")
            assert 0 <= heading.bounding_box()["y"] < chromium.HEIGHT


def test_rows_are_cards_on_a_phone_and_still_a_table_for_those_who_hear_it(
    browser: Any, site: Path, every: list[Board]
) -> None:
    with chromium.opened(browser, site / "index.html", width=390) as (page, _):
        assert page.locator("table.cards").count() == len(every)
        assert page.locator("[role=rowheader]").count() == sum(len(board.lines) for board in every)
    with chromium.opened(browser, site / "index.html") as (page, _):
        assert page.locator("table.cards").count() == 0


def test_what_is_shown_is_copied_with_the_keyboard_alone(browser: Any, site: Path, every: list[Board]) -> None:
    """From the field for words by Tab to the buttons of a table: no mouse."""
    board = next(board for board in every if len(board.lines) > 2 and not board.scored_here)
    here = {"permissions": ["clipboard-read", "clipboard-write"]}
    with chromium.opened(browser, site / "index.html", **here) as (page, _):
        page.locator(f"[id='{board.slug}'] .scroll").focus()
        copied = {}
        for name in ("Markdown", "LaTeX", "CSV"):
            for _ in range(100):
                page.keyboard.press("Tab")
                if page.evaluate("document.activeElement.textContent") == f"Copy as {name}":
                    break
            page.keyboard.press("Enter")
            page.locator("button:focus", has_text="copied").wait_for()
            copied[name] = page.evaluate("navigator.clipboard.readText()")
    table = list(csv.reader(io.StringIO(copied["CSV"])))
    assert [row[table[0].index("Method")] for row in table[1:]] == [line.entry.method for line in board.lines]
    place = next(at for at, name in enumerate(table[0]) if name.startswith(board.primary.name))
    assert [row[place] for row in table[1:]] == [line.values[board.primary.name].text for line in board.lines]
    assert copied["Markdown"].count("\n") == len(board.lines) + 1
    assert f"**{board.lines[0].values[board.primary.name].text}**" in copied["Markdown"]
    assert copied["LaTeX"].count(r" \\") == len(board.lines) + 1


def words_of(pdf: bytes) -> tuple[int, str, bool]:
    """How many sheets, their letters without spaces, and whether all of it begins within its sheet."""
    pypdf = pytest.importorskip("pypdf")
    inside = []
    letters = []
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    for page in pages:

        def look(text: str, matrix: Any, at: Any, *_: Any, box: Any = page.mediabox) -> None:
            x = at[4] * matrix[0] + matrix[4]
            if text.strip():
                inside.append(0 <= x < float(box.width))

        letters.append(page.extract_text(visitor_text=look))
    return len(pages), re.sub(r"\s", "", "".join(letters)), all(inside)


def test_a_board_prints_on_few_sheets_and_nothing_is_cut(browser: Any, site: Path, every: list[Board]) -> None:
    whole = [board for board in every if len(board.lines) > 1]
    widest, longest = max(whole, key=lambda board: len(board.columns)), max(whole, key=lambda board: len(board.lines))
    for board in (widest, longest):
        with chromium.opened(browser, site / "index.html") as (page, _):
            # a sheet is printed of the page as it is while its button prints
            page.evaluate("window.print = () => { window.printed = document.documentElement.outerHTML; }")
            page.locator(f"[id='{board.slug}']").get_by_role("button", name="Print this table").click()
            page.set_content(page.evaluate("window.printed"))
            page.emulate_media(media="print")
            page.set_viewport_size({"width": 1047, "height": 700})  # A4 landscape without its margins
            assert page.evaluate("document.documentElement.scrollWidth") <= 1047
            count, printed, inside = words_of(page.pdf(prefer_css_page_size=True))
            cells = page.locator(f"[id='{board.slug}'] :is(th, td)").all_text_contents()
        assert count <= 5
        assert inside
        assert {re.sub(r"\s", "", cell) for cell in cells if re.sub(r"\s", "", cell) not in printed} == set()
