from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from har_bench.leaderboard.board import Board
from har_bench.leaderboard.entries import Entry, RepoFile, Reported, published, reported, scored
from har_bench.leaderboard.equals import EQUALS
from har_bench.leaderboard.grouping import boards
from har_bench.leaderboard.tables import (
    csv_page,
    latex,
    latex_escape,
    latex_page,
    markdown,
    markdown_escape,
    markdown_page,
    scored_markdown,
)

SOURCE = RepoFile(repo="a/b", commit="0123456789abcdef", path="README.md", table="Zoo")


def printed(method: str, note: str = "", **values: float) -> Reported:
    shown = {name.replace("_", "-"): published(value, "mm", note) for name, value in values.items()}
    return Reported(
        dataset="Toy", scoring="test", method=method, values=shown, source=SOURCE, year=2020, input="GT 2D", training=""
    )


@pytest.fixture
def toy() -> list[Entry]:
    return [printed("B & Co", MPJPE=40.0), printed("a_net*", MPJPE=39.5, P_MPJPE=30.25, note="around")]


@pytest.fixture
def board(toy: list[Entry]) -> Board:
    return boards(toy)[0]


def test_markdown_is_aligned_and_best_values_are_bold(board: Board):
    source = "a/b, README.md at commit 0123456789, “Zoo”"
    assert markdown(board) == (
        f"| Method   | Status   | Input | Year | MPJPE \\[mm\\] | P-MPJPE \\[mm\\] | Source {' ' * 35} |\n"
        f"| -------- | -------- | ----- | ---- | -----------: | -------------: | {'-' * 42} |\n"
        f"| a\\_net\\* | reported | GT 2D | 2020 |     **39.5** |          30.25 | {source} |\n"
        f"| B \\& Co  | reported | GT 2D | 2020 |         40.0 |                | {source} |\n"
    )


def test_latex_is_escaped_and_names_the_source(board: Board):
    assert latex(board) == (
        "\\begin{table}\n\\centering\n\\caption{Toy: test}\n\\label{tab:toy-test}\n\\begin{tabular}{lllrr}\n\\toprule\n"
        "Method & Status & Input & MPJPE {[}mm] & P-MPJPE {[}mm] \\\\\n\\midrule\n"
        "a\\_net* & reported & GT 2D & \\textbf{39.5} & 30.25 \\\\ % a/b, README.md at commit 0123456789, “Zoo”\n"
        "B \\& Co & reported & GT 2D & 40.0 &  \\\\ % a/b, README.md at commit 0123456789, “Zoo”\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


def test_csv_has_one_row_per_number(toy: list[Entry]):
    rows = list(csv.DictReader(io.StringIO(csv_page(toy))))
    assert [(row["method"], row["metric"], row["value"], row["unit"], row["note"]) for row in rows] == [
        ("B & Co", "MPJPE", "40.0", "mm", ""),
        ("a_net*", "MPJPE", "39.5", "mm", "around"),
        ("a_net*", "P-MPJPE", "30.25", "mm", "around"),
    ]
    assert {row["source_url"] for row in rows} == {"https://github.com/a/b/blob/0123456789abcdef/README.md"}


def test_csv_of_the_shipped_rows_loses_none():
    rows = list(csv.DictReader(io.StringIO(csv_page(reported()))))
    assert len(rows) == 1372
    assert all(row["source"] and row["value"] for row in rows)
    assert {row["unit"] for row in rows} == {"%", "mm"}
    equal = [row for row in rows if row["same_as"]]
    assert {row["same_as"] for row in equal} == {equal.scoring for equal in EQUALS}


def test_csv_says_what_identifies_a_result(save: Callable[..., Path]):
    entries, _ = scored(save(options={"every": 64}))
    first, second = csv.DictReader(io.StringIO(csv_page(entries)))
    assert first["scoring"] == "h36m/mpjpe:videopose3d,every=64"
    assert (first["value"], first["ci_low"], first["ci_high"], first["ci_level"]) == ("46.8125", "45.9", "47.8", "0.95")
    assert (first["primary"], second["primary"]) == ("yes", "")
    assert (first["store"], first["predictions"], first["har_bench"]) == ("5a" * 32, "9b" * 32, "0.1.0")
    assert (first["file"], first["version"], first["recipe"]) == ("lifter.json", "1", "videopose3d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("<script>", r"\<script\>"),
        ("*bold* _it_ `c`", r"\*bold\* \_it\_ \`c\`"),
        ("[x](y)", r"\[x\](y)"),
        ("two\nlines\r\n| row", r"two lines \| row"),
        ("back\\slash", r"back\\slash"),
        ("&lt;", r"\&lt;"),
    ],
)
def test_markdown_prints_foreign_names_as_they_are(text: str, expected: str):
    assert markdown_escape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("100% $x_1^2$ #1 & ~", r"100\% \$x\_1\textasciicircum{}2\$ \#1 \& \textasciitilde{}"),
        ("a<b>", r"a\textless{}b\textgreater{}"),
        ("[2pt] name", "{[}2pt] name"),
        ("a\n\\end{table}", r"a \textbackslash{}end\{table\}"),
    ],
)
def test_latex_prints_foreign_names_as_they_are(text: str, expected: str):
    assert latex_escape(text) == expected


def test_a_foreign_file_name_cannot_leave_its_latex_comment(make_result):
    entry = printed("x", MPJPE=1.0)
    source = RepoFile(repo="a/b", commit="0" * 40, path="README.md", table="one\n\\input{evil}")
    (board,) = boards([Reported(**{**vars(entry), "source": source})])
    assert all("evil" not in line or line.startswith("x & ") for line in latex(board).splitlines())


def test_every_row_of_every_shipped_markdown_table_has_as_many_cells_as_its_header():
    for board in boards(reported()):
        cells = {line.replace("\\|", "").count("|") for line in markdown(board).splitlines()}
        assert len(cells) == 1
        widths = {len(line) for line in markdown(board).splitlines()}
        assert len(widths) == 1


def test_pages_hold_every_board():
    found = boards(reported())
    assert markdown_page(found).count("\n### ") == len(found)
    assert markdown_page(found).count("\n## ") == len({board.dataset for board in found})
    assert latex_page(found).count(r"\begin{table}") == latex_page(found).count(r"\end{table}") == len(found)


def test_a_readme_table_shows_what_was_scored_of_a_protocol(save: Callable[..., Path]):
    save("a.json", model="first|model")
    folder = save("b.json", recipe="deephar", intervals={}, metrics={"MPJPE": 50.0}, model="second")
    found = boards([*scored(folder)[0], *reported()])
    text = scored_markdown(found, "h36m/mpjpe")
    assert text == (
        "`h36m/mpjpe:videopose3d`\n\n"
        "| Model        |         MPJPE \\[mm\\] | P-MPJPE \\[mm\\] |\n"
        "| ------------ | -------------------: | -------------: |\n"
        "| first\\|model | 46.81 [45.90, 47.80] |          36.50 |\n"
        "\n"
        "`h36m/mpjpe:deephar`\n\n"
        "| Model  | MPJPE \\[mm\\] |\n"
        "| ------ | -----------: |\n"
        "| second |        50.00 |\n"
    )
    assert scored_markdown(found, "h36m/mpjpe:deephar").count("\n|") == 3
    assert scored_markdown(found, "h36m/mp") == ""
