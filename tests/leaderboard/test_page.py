from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from har_bench.leaderboard.board import boards
from har_bench.leaderboard.entries import entry_of, reported
from har_bench.leaderboard.page import heading_of, page
from har_bench.leaderboard.pictures import Axis, pictures, strip
from har_bench.results import Reading
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


@pytest.fixture
def render(make_result: MakeResult) -> Callable[..., Document]:
    def build(problems: tuple[str, ...] = (), **fields: object) -> Document:
        return Document(page(boards([entry_of(make_result(**fields), "lifter.json"), *reported()]), problems))

    return build


def test_the_page_loads_nothing(render):
    document = render()
    loading = {"src", "srcset", "data", "poster", "background", "action", "formaction"}
    for tag, attributes in document.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "audio", "video", "image", "use"}
        assert not loading & attributes.keys()
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        if "href" in attributes:
            assert tag == "a"
            assert (attributes["href"] or "").startswith(("#", "https://"))
    style = "".join(text for tag, text in document.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_the_browser_runs_only_our_style_and_script(render):
    document = render()
    (policy,) = [meta["content"] for meta in document.all("meta") if meta.get("http-equiv")]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert len(document.all("script")) == len(document.all("style")) == 1


def test_links_inside_the_page_have_a_target_and_ids_are_unique(render):
    document = render()
    ids = Counter(attributes["id"] for _, attributes in document.tags if "id" in attributes)
    assert max(ids.values()) == 1
    for link in document.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids


@pytest.mark.parametrize("field", ["model", "recipe", "dataset", "protocol", "version"])
def test_foreign_text_is_escaped(render, field):
    document = render(**{field: EVIL})
    assert len(document.all("script")) == 1
    assert any(EVIL in text for _, text in document.texts)


def test_foreign_text_in_breakdowns_counts_and_options_is_escaped(render):
    document = render(
        tables={EVIL: [{EVIL: EVIL, "MPJPE": 1.0}, {EVIL: "b", "MPJPE": 2.0}]},
        counts={EVIL: 543_344},
        options={EVIL: EVIL},
        environment={EVIL: EVIL},
        versions={EVIL: EVIL},
        units={"MPJPE": EVIL},
        problems=(EVIL,),
    )
    assert len(document.all("script")) == 1


def test_headers_sort_by_keyboard_and_say_how_they_are_sorted(save, make_result):
    found = boards(reported())
    document = Document(page(found))
    sorted_headers = [header for header in document.all("th") if "aria-sort" in header]
    assert len(sorted_headers) == len(found)
    assert {header["aria-sort"] for header in sorted_headers} == {"ascending", "descending"}
    assert all(header["scope"] == "col" for header in sorted_headers)
    buttons = [button for button in document.all("button") if button.get("data-better")]
    assert len(buttons) == sum(len(board.columns) for board in found)
    assert all(button["type"] == "button" for button in document.all("button"))


def test_every_number_shows_its_source_and_status(render):
    document = render()
    cells = [cell for cell in document.all("td") if "data-value" in cell]
    assert len(cells) > 1372
    assert all(len(cell["title"] or "") > 3 for cell in cells)
    rows = Counter(row["data-status"] for row in document.all("tr") if "data-status" in row)
    assert rows["scored"] == 1
    badges = Counter(text for tag, text in document.texts if tag == "span" and text in ("scored here", "reported"))
    assert badges["reported"] == rows["reported"] + 1


def test_an_entry_scored_here_can_be_checked(render):
    document = render(options={"every": 64}, speed={"fps": 12.5})
    text = " ".join(text for _, text in document.texts)
    for fact in ("5a" * 32, "9b" * 32, "every=64", "har_bench 0.1.0", "poses 543,344", "fps 12.5", "lifter.json"):
        assert fact in text
    assert "95 % interval 45.90 to 47.80, 1,000 resamples" in text
    assert any(svg["class"] == "bars" for svg in document.all("svg"))


def test_unreadable_files_are_shown(render):
    document = render(problems=("broken.json is not a har_bench result",))
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
