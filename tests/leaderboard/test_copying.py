"""What the page copies of a board is text to a spreadsheet, to LaTeX and to Markdown, whoever named the models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.golden import ROOT

NODE = shutil.which("node")


pytestmark = pytest.mark.skipif(NODE is None, reason="no node: apt-get install nodejs")


def copied(way: str, text: str) -> list[str]:
    """The lines of a table with this text, as one of the page's ways writes them."""
    script = (ROOT / "leaderboard" / "templates" / "page.js").read_text("utf-8")
    ways = re.search(r"^const ESCAPED.*?^};$", script, re.DOTALL | re.MULTILINE)
    assert ways is not None
    rows = json.dumps([[{"text": "model"}], [{"text": text}]])
    program = f"{ways[0]}\nconsole.log(WAYS[{way!r}]({rows}))"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True)  # type: ignore[list-item]
    return done.stdout.splitlines()


@pytest.mark.parametrize("text", ["=1+1", "＝cmd()", "@a"])
def test_a_spreadsheet_is_given_no_formula(text: str) -> None:
    assert f'"\'{text}"' in copied("CSV", text)


@pytest.mark.parametrize("text", ["-1.5", "+3.2258"])
def test_a_number_stays_one(text: str) -> None:
    assert f'"{text}"' in copied("CSV", text)


@pytest.mark.parametrize(
    ("way", "text", "line"),
    [
        ("CSV", '-x "y"', '"\'-x ""y"""'),
        ("LaTeX", "a_b}", r"a\_b\} \\"),
        ("LaTeX", r"\input{x} & 5%", r"\textbackslash{}input\{x\} \& 5\% \\"),
        ("Markdown", "a|b*", r"| a\|b\* |"),
    ],
)
def test_a_name_is_copied_as_text(way: str, text: str, line: str) -> None:
    assert line in copied(way, text)
