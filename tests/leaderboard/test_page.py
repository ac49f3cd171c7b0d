from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from har_bench.leaderboard.charts import strip
from har_bench.leaderboard.entries import entry_of, reported
from har_bench.leaderboard.grouping import boards
from har_bench.leaderboard.pictures import pictures
from har_bench.leaderboard.rendering import heading_of
from har_bench.leaderboard.site import html_pages
from har_bench.leaderboard.svg import Axis
from har_bench.results import Interval, Reading
from tests.leaderboard.conftest import MakeResult

EVIL = "<script>alert(1)</script> \"'&"
VOID = {"meta", "input", "br", "hr", "img", "link"}
SVG_EMPTY = {"circle", "line", "rect", "polyline"}


class Document(HTMLParser):
    """The tags of a page with their attributes and text; unbalanced markup is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"{tag} repeats an attribute"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_EMPTY
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


Site = dict[str, Document]


@pytest.fixture
def render(make_result: MakeResult) -> Callable[..., Site]:
    """The pages of a site with one entry scored here beside the reported ones, by their places."""

    def build(problems: tuple[str, ...] = (), **fields: object) -> Site:
        found = boards([entry_of(make_result(**fields), "lifter.json"), *reported()])
        return {place: Document(text) for place, text in html_pages(found, problems)}

    return build


def test_a_page_loads_nothing(render):
    loading = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
    for document in render().values():
        for tag, attributes in document.tags:
            assert tag not in {"link", "img", "iframe", "object", "embed", "base", "audio", "video", "image", "use"}
            assert not loading & attributes.keys()
            assert not any(name.startswith("on") or name == "style" for name in attributes)
        style = "".join(text for tag, text in document.texts if tag == "style")
        assert "url(" not in style
        assert "@import" not in style
        assert "prefers-color-scheme: dark" in style
        assert "@media print" in style


def test_the_browser_runs_only_our_style_and_script(render):
    for place, document in render().items():
        (policy,) = [meta["content"] for meta in document.all("meta") if meta.get("http-equiv")]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert (len(document.all("script")), len(document.all("style"))) == (place == "index.html", 1)


def test_links_lead_somewhere_and_ids_are_unique(make_result):
    names = ("one", "two")
    found = boards([*(entry_of(make_result(model=name), f"{name}.json") for name in names), *reported()])
    site = {place: Document(text) for place, text in html_pages(found)}
    assert set(site) == {"index.html", "entries/one.html", "entries/two.html", "compare/one--two.html"}
    ids = {place: Counter(tag["id"] for _, tag in document.tags if "id" in tag) for place, document in site.items()}
    files = {"data.json", "leaderboard.csv", "leaderboard.md", "leaderboard.tex"}
    for place, document in site.items():
        assert max(ids[place].values()) == 1
        for link in document.all("a"):
            path, _, anchor = link["href"].partition("#")
            if path.startswith("https:") or path in files:
                continue
            target = (Path(place).parent / path).as_posix().replace("entries/../", "").replace("compare/../", "")
            target = target if path else place
            assert target in site
            assert not anchor or anchor in ids[target]


@pytest.mark.parametrize("field", ["model", "recipe", "dataset", "protocol", "version"])
def test_foreign_text_is_escaped(render, field):
    for place, document in render(**{field: EVIL}).items():
        assert len(document.all("script")) == (place == "index.html")
        assert any(EVIL in text for _, text in document.texts)


def test_foreign_text_in_breakdowns_counts_and_options_is_escaped(render):
    site = render(
        tables={EVIL: [{EVIL: EVIL, "MPJPE": 1.0}, {EVIL: "b", "MPJPE": 2.0}]},
        counts={EVIL: 543_344},
        options={EVIL: EVIL},
        environment={EVIL: EVIL},
        versions={EVIL: EVIL},
        units={"MPJPE": EVIL},
        problems=(EVIL,),
    )
    assert all(len(document.all("script")) == (place == "index.html") for place, document in site.items())


def test_headers_say_how_they_are_sorted_and_in_which_direction_numbers_are_better(make_result):
    found = boards(reported())
    document = Document(dict(html_pages(found))["index.html"])
    sorted_headers = [header for header in document.all("th") if "aria-sort" in header]
    assert len(sorted_headers) == len(found)
    assert {header["aria-sort"] for header in sorted_headers} == {"ascending", "descending"}
    assert all(header["scope"] == "col" for header in sorted_headers)
    numbers = [header for header in document.all("th") if header.get("data-better")]
    assert len(numbers) == sum(len(board.columns) for board in found)


def test_the_first_page_is_small_and_a_keyboard_soon_reaches_its_tables(render):
    found = boards(reported())
    text = dict(html_pages(found))["index.html"]
    assert len(text.encode()) < 400_000
    assert len(gzip.compress(text.encode())) < 100_000
    stops = re.findall(r"<(?:a |button|input|select|summary)", text[: text.index('class="board"')])
    assert len(stops) < 150


def test_every_reported_row_links_to_its_source(render):
    found = boards(reported())
    text = dict(html_pages(found))["index.html"]
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", text, re.DOTALL)
    assert len(rows) == sum(len(board.lines) for board in found)
    assert all('<a href="https://' in row.rpartition("<td>")[2] for row in rows)


def test_what_sources_say_of_a_number_stands_below_its_table(render):
    page = render()["index.html"]
    texts = [text for _, text in page.texts]
    for board in boards(reported()):
        for note, sign in board.footnotes.items():
            assert any(note in text for text in texts)
            assert sign in [text for where, text in page.texts if where == "sup"]
    assert sum(len(board.footnotes) for board in boards(reported())) > 20


def test_every_kind_is_counted(render):
    document = render()["index.html"]
    rows = Counter(row.get("data-status", "reported") for row in document.all("tr"))
    assert rows["scored"] == 1
    assert rows["verified"] == 0
    assert "1 scored by har_bench, predictions not kept" in " ".join(text for _, text in document.texts)
    assert "683 copied as printed" in " ".join(text for _, text in document.texts)


def test_an_entry_scored_here_can_be_checked(render):
    document = render(options={"every": 64}, speed={"fps": 12.5})["entries/lifter.html"]
    text = " ".join(text for _, text in document.texts)
    for fact in ("5a" * 32, "9b" * 32, "every=64", "har_bench 0.1.0", "poses 543,344", "fps 12.5", "lifter.json"):
        assert fact in text
    assert "95 % interval, 1,000 resamples" in text
    assert "45.90 to 47.80" in text
    assert any(svg["class"] == "bars" for svg in document.all("svg"))


def test_two_entries_are_laid_side_by_side(make_result):
    fields = {"metrics": {"MPJPE": 50.0}, "intervals": {"MPJPE": Interval(low=48.9, high=51.0)}}
    one, two = make_result(), make_result(model="other", environment={"epochs": "3"}, **fields)
    found = boards([entry_of(one, "one.json"), entry_of(two, "two.json")])
    text = dict(html_pages(found))["compare/one--two.html"]
    assert "lifter is better by 3.19 mm MPJPE; their confidence intervals do not overlap." in text
    assert '<td class="num">+3.19</td>' in text
    assert "<td>3</td>" in text


def test_unreadable_files_are_shown(render):
    document = render(problems=("broken.json is not a har_bench result",))["index.html"]
    assert any("broken.json is not" in text for tag, text in document.texts if tag == "li")


LENGTHS = {"a": 30.0, "b": 20.0, "c": None}
GROUPS = [{"action": name, "n": 3, "P-MPJPE": 10.0, "MPJPE": length} for name, length in LENGTHS.items()]
CURVE = [{"mm": at, "AP": 50.0 + at, "PCK": 10 * at} for at in (5, 0, 10)]


def test_what_is_drawn_of_a_table_is_what_it_says(make_result):
    """Not what its columns are called, how they are typed or in which order they stand."""
    tables = {"action": GROUPS, "threshold": CURVE, "numbered": CURVE, "average": GROUPS, "unread": GROUPS}
    readings = {
        "action": Reading(kind="groups", measure="MPJPE"),
        "threshold": Reading(kind="curve", measure="PCK"),
        "numbered": Reading(kind="groups", measure="PCK"),
        "average": Reading(kind="facts", measure="MPJPE"),
        "unread": Reading(kind="groups"),
        "gone": Reading(kind="groups", measure="MPJPE"),
    }
    drawn = pictures(make_result(tables=tables, readings=readings))
    assert {title: str(svg).split('"')[1] for title, svg in drawn.items()} == {
        "action": "bars",
        "threshold": "line",
        "numbered": "bars",
    }
    assert [text in drawn["action"] for text in (">30.0<", ">20.0<", ">10.0<", "MPJPE by action [mm]")] == [1, 1, 0, 1]
    assert str(drawn["numbered"]).count("<rect") == 3
    heights = re.findall(r"[\d.]+,([\d.]+)", re.search(r'points="(.*?)"', drawn["threshold"])[1])
    assert [float(y) for y in heights] == [178.0, 95.0, 12.0]


def test_a_table_s_heading_says_what_it_is(make_result):
    said = {"action": "groups", "threshold": "curve", "left_out": "facts"}
    result = make_result(tables=dict.fromkeys(said, GROUPS), readings={n: Reading(kind=k) for n, k in said.items()})
    assert [heading_of(result, name) for name in said] == ["By action", "Over threshold", "Left out"]


@pytest.mark.parametrize(("rows", "kinds"), [(0, 0), (1, 0), (2, 2), (60, 2), (61, 1)])
def test_too_few_rows_are_not_drawn_nor_too_many_bars(make_result, rows, kinds):
    table = [{"at": float(at), "MPJPE": 1.0} for at in range(rows)]
    said = {kind: Reading(kind=kind, measure="MPJPE") for kind in ("groups", "curve")}
    assert len(pictures(make_result(tables=dict.fromkeys(said, table), readings=said))) == kinds


def test_tables_of_older_results_are_what_their_protocol_declares(make_result):
    tables = {"action": GROUPS, "threshold": [{"threshold": at, "3DPCK": at} for at in (0, 5)], "left_out": GROUPS}
    assert set(pictures(make_result(tables=tables))) == {"action", "threshold"}
    assert pictures(make_result(tables=tables, protocol="stranger/own")) == {}


def test_the_strip_marks_every_entry_once(make_result):
    board = boards([entry_of(make_result(), "lifter.json"), *reported()])[0]
    picture = str(strip(board))
    assert picture.count('class="ring"') == 6
    assert picture.count('class="disc"') == 1
    assert picture.count('class="whisker"') == 1


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (37.2, 51.6, [40, 45, 50]),
        (0, 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (3, 3, [3]),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, ticks: list[float]):
    axis = Axis(low, high, 0, 100)
    assert axis.ticks() == pytest.approx(ticks)
    assert all(0 <= axis.at(tick) <= 100 for tick in axis.ticks())
