"""The site in a real browser: nothing is refused, links with filters show their rows, a phone shows cards."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from har_bench.leaderboard import build
from har_bench.leaderboard.entries import reported
from har_bench.leaderboard.grouping import boards
from tests import chromium

pytestmark = chromium.needed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reported rows, and nothing scored here."""
    home = tmp_path_factory.mktemp("browser")
    (home / "results").mkdir()
    build(home / "results", home / "site")
    return home / "site"


def rows(dom: str) -> tuple[int, int]:
    """How many rows the page says that it shows, and how many of its rows are not hidden."""
    said = int(re.search(r'id="shown"[^>]*>(\d+) rows', dom)[1])  # type: ignore[index]
    bodies = "".join(re.findall(r"<tbody.*?</tbody>", dom, re.DOTALL))
    return said, len(re.findall(r"<tr(?![^>]*hidden)", bodies))


def test_the_first_page_runs_without_a_complaint_and_shows_everything(site: Path) -> None:
    page = chromium.shown(site / "index.html")
    assert page.complaints == []
    every = sum(len(board.lines) for board in boards(reported()))
    assert rows(page.dom) == (every, every)


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        ("#?q=pose_resnet_152", lambda line: "pose_resnet_152" in line.entry.method),
        ("#?input=CPN&frames=81", lambda line: line.fields.given == "CPN" and (line.fields.frames or 99) <= 81),
        ("#?year=2022", lambda line: (line.fields.year or 0) >= 2022),
        ("#?without=reported", lambda line: False),
    ],
)
def test_a_link_with_filters_shows_their_rows(site: Path, address: str, passes: Callable[..., bool]) -> None:
    found = boards(reported())
    wanted = sum(passes(line) for board in found for line in board.lines)
    assert rows(chromium.shown(site / "index.html", address).dom) == (wanted, wanted)


def test_rows_are_cards_on_a_phone_and_still_a_table_for_those_who_hear_it(site: Path) -> None:
    narrow, wide = (chromium.shown(site / "index.html", width=width).dom for width in (500, 1440))
    assert 'class="cards"' in narrow or 'class="dense cards"' in narrow
    assert narrow.count('role="rowheader"') == sum(len(board.lines) for board in boards(reported()))
    assert "cards" not in re.sub(r"<(style|script)>.*?</\1>", "", wide, flags=re.DOTALL)


def test_pages_of_entries_run_without_a_complaint(save: Callable[..., Path], tmp_path: Path) -> None:
    save("b.json", model="b")
    for path in build(save("a.json", model="a"), tmp_path / "site", only="scored"):
        if path.suffix == ".html":
            assert chromium.shown(path).complaints == []
