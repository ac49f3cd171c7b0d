"""Names and words of strangers on a screen, a page or in a table: nothing in them hides, turns text around or runs."""

from __future__ import annotations

from typing import Any

LONGEST = 200
"""Letters of a name that are shown; a longer one ends in an ellipsis."""

MOST = 1000
"""Members of a list or mapping that are shown."""

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What a cell begins with that spreadsheets work out; the wide letters count as the others in some countries."""


def one_line(text: str, longest: int | None = None) -> str:
    r"""Text on one line, without control, bidirectional, invisible and unassigned characters.

    >>> one_line("gpj\u202e.exe\x1b[2J\nnext")
    'gpj.exe[2J next'
    >>> one_line("a very long name", 8)
    'a very …'

    Args:
        text: of anybody.
        longest: how many letters are kept, the ellipsis among them; all of them when None.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(letter if letter.isprintable() else " " if letter.isspace() else "" for letter in text)
    text = " ".join(text.split())
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def lines(text: str) -> str:
    """The same line by line: what a screen shows of several."""
    if text.isascii() and text.isprintable():
        return text
    shown = ("".join(letter for letter in line if letter.isprintable()) for line in text.expandtabs().split("\n"))
    return "\n".join(shown)


def cleaned(content: Any) -> Any:
    """What plain lists and mappings hold, each text in :func:`one_line` and each container no longer than is shown."""
    if isinstance(content, str):
        return one_line(content, LONGEST)
    if isinstance(content, dict):
        return {cleaned(name): cleaned(value) for name, value in list(content.items())[:MOST]}
    if isinstance(content, list):
        return [cleaned(value) for value in content[:MOST]]
    return content


def cell(value: object) -> object:
    """A value for a CSV file: a text that a spreadsheet would work out gets an apostrophe in front; numbers stay.

    >>> cell("=1+1"), cell("-1.5e-3"), cell(-2.5)
    ("'=1+1", '-1.5e-3', -2.5)
    """
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # at the start of a row, LaTeX would take it for an option of the row before
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_"},
}


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def number(value: float, decimals: int = 2) -> str:
    """A number with so many decimals; one that would be very long is written with its power of ten.

    >>> number(46.8125), number(1e300), number(-0.001)
    ('46.81', '1e+300', '-0.00')
    """
    return f"{value:.{decimals}f}" if abs(value) < 1e9 else f"{value:g}"
