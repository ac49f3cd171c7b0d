"""A result as a page that prints: a sentence first, the worst sequences, a command that gives the same numbers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import har_bench
from har_bench import cli, results
from har_bench.leaderboard import report
from har_bench.leaderboard.report import sentence
from har_bench.showing.stills import worst_frames
from tests import chromium
from tests.golden import ROOT
from tests.leaderboard.conftest import MakeResult
from tests.leaderboard.test_page import Document
from tests.sampled import sampled

FILES = sorted((ROOT / "results").glob("*/*.json"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of noise about the truth, with its worst frames drawn."""
    home = tmp_path_factory.mktemp("report")
    store = sampled("h36m", home)
    har_bench.run("oracle-noise", store, protocol="h36m/mpjpe", out=home / "noise.parquet")
    found = har_bench.score("h36m/mpjpe:deephar", store, home / "noise.parquet", options={"every": 2}, resamples=20)
    results.write(found, home / "noise.json")
    files = ["--store", str(home / "store"), "--predictions", str(home / "noise.parquet")]
    cli.main(["report", str(home / "noise.json"), "--out", str(home / "r.html"), "--worst", "2", *files])
    return home / "r.html"


def test_a_sentence_stands_first(make_result: MakeResult) -> None:
    assert sentence(make_result()) == (
        "MPJPE of 46.81 mm (95 % interval 45.90 to 47.80) on Human3.6M by h36m/mpjpe:videopose3d, "
        "over 232 sequences, 543,344 poses."
    )


def test_the_worst_are_named_and_drawn(page: Path) -> None:
    text = page.read_text()
    found = results.read(page.with_name("noise.json"))
    worst = max(found.tables["sequence"], key=lambda row: row["MPJPE"])["sequence"]
    body = text[text.index("Where it is worst") :]
    named = re.findall(r'<th scope="row">(.*?)</th>', body)
    assert named[0] == worst
    pictures = Document(text).all("img")
    assert len(pictures) == 2
    assert all((tag["src"] or "").startswith("data:image/png;base64,") for tag in pictures)
    assert "img-src data:;" in text


def test_the_command_scores_the_same(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page.read_text()
    line = re.search(r"<pre>(har-bench score .*?)</pre>", text)[1]
    again = page.with_name("again.json")
    places = {"stores/h36m": page.with_name("store"), "PREDICTIONS": page.with_name("noise.parquet")}
    words = [str(places.get(word, word)) for word in line.split()[1:]]
    cli.main([*words, "--out", str(again), "--resamples", "0", "--quiet"])
    assert results.read(again).metrics == results.read(page.with_name("noise.json")).metrics


def test_build_offers_the_reports_and_stores_of_its_entries(page: Path, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    for name in ("noise.json", "noise.parquet"):
        shutil.copy(page.with_name(name), tmp_path / "results" / name)
    site = tmp_path / "site"
    line = ["leaderboard", "build", str(tmp_path / "results"), str(site), "--only", "scored"]
    cli.main([*line, "--reports", "--stores", str(page.with_name("store"))])
    entry = Document((site / "entries" / "noise.html").read_text())
    offered = [(site / "entries" / tag["href"]).resolve() for tag in entry.all("a") if "index.html#" not in tag["href"]]
    assert [path.relative_to(site).parts[0] for path in offered if path.is_file()] == ["reports", "stores"]
    drawn = Document((site / "reports" / "noise.html").read_text()).all("img")
    assert all(tag["src"].startswith("data:image/png;base64,") for tag in drawn)
    assert len(drawn) == 4
    cli.main(line)  # without what was asked for then
    assert not list((site / "reports").iterdir())
    assert "See also" not in (site / "entries" / "noise.html").read_text()


def test_of_models_that_tell_actions_the_truth_is_drawn(tmp_path: Path) -> None:
    store = sampled("penn_action", tmp_path)
    given = tmp_path / "p.parquet"
    har_bench.run("nearest-centroid", store, protocol="penn_action/accuracy", out=given)
    drawn = worst_frames(store, {"nearest": given}, "penn_action/accuracy", 2)
    assert all(png.startswith(b"\x89PNG") for _, png in drawn)
    assert len(drawn) == 2


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_result_of_ours_has_a_report(path: Path, tmp_path: Path) -> None:
    text = report(path, tmp_path / "r.html").read_text()
    Document(text)
    assert sentence(results.read(path)).split(" on ")[0] in text
    assert "img-src" not in text


@chromium.needed
def test_it_prints_on_four_sheets_at_most(browser: Any, page: Path, tmp_path: Path) -> None:
    longest = max(FILES, key=lambda path: path.stat().st_size)
    for each in (page, report(longest, tmp_path / "long.html")):
        with chromium.opened(browser, each) as (open_page, complaints):
            sheets = open_page.pdf(prefer_css_page_size=True)
            assert complaints == []
        assert 1 <= len(re.findall(rb"/Type /Page\n", sheets)) <= 4


@chromium.needed
@pytest.mark.parametrize(("width", "scheme"), chromium.VIEWS)
def test_everybody_can_read_it(browser: Any, page: Path, width: int, scheme: str) -> None:
    with chromium.opened(browser, page, width=width, scheme=scheme) as (open_page, _):
        assert open_page.evaluate("document.documentElement.scrollWidth") <= width
        assert chromium.violations(open_page) == []
