"""What the page copies of a board is text to a spreadsheet, to LaTeX and to Markdown, whoever named the models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.golden import ROOT

NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="no node: apt-get install nodejs")
@pytest.mark.parametrize(
    ("way", "text", "copied"),
    [
        ("CSV", "=1+1", '"\'=1+1"'),
        ("CSV", "＝cmd()", '"\'＝cmd()"'),
        ("CSV", "@a", '"\'@a"'),
        ("CSV", "-1.5", '"-1.5"'),
        ("CSV", "+3.2258", '"+3.2258"'),
        ("CSV", '-x "y"', '"\'-x ""y"""'),
        ("LaTeX", "a_b}", r"a\_b\} \\"),
        ("LaTeX", r"\input{x} & 5%", r"\textbackslash{}input\{x\} \& 5\% \\"),
        ("Markdown", "a|b*", r"| a\|b\* |"),
    ],
)
def test_a_name_is_copied_as_text(way: str, text: str, copied: str) -> None:
    script = (ROOT / "leaderboard" / "templates" / "page.js").read_text("utf-8")
    ways = re.search(r"^const ESCAPED.*?^};$", script, re.DOTALL | re.MULTILINE)
    assert ways is not None
    rows = json.dumps([[{"text": "model"}], [{"text": text}]])
    program = f"{ways[0]}\nconsole.log(WAYS[{way!r}]({rows}))"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True)  # type: ignore[list-item]
    assert copied in done.stdout.splitlines()
