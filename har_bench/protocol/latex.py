"""A result as the one row that a paper's table needs, under its heading, for LaTeX with booktabs."""

from __future__ import annotations

from har_bench.foreign.words import latex
from har_bench.protocol.readings import cells, readings
from har_bench.results import Result

GROUPINGS = ("group", "action", "class", "joint")
"""By what a field's tables break a number down: the first of these that a result has."""

MOST = 16
"""Columns of a page's width."""

WHOLE = ("mean", "avg", "average", "total")
"""What tools call the overall number, where it is a row of a breakdown too; it is the last column, once."""


def row(result: Result) -> str:
    r"""A ``tabular`` of one line: the groups of joints, or the actions, in the field's order, then the metrics.

    >>> print(row(result))                                                   # doctest: +SKIP
    \begin{tabular}{lrrrrrrrr}
    \toprule
    Method & Head & Sho & Elb & Wri & Hip & Knee & Ank & PCK@0.2 \\
    \midrule
    mine & 98.9 & 98.6 & 96.6 & 96.6 & 98.2 & 98.2 & 97.5 & 97.7 \\
    \bottomrule
    \end{tabular}
    """
    parts = _parts(result)
    metrics = [result.primary, *(name for name in result.metrics if name != result.primary)]
    shown = {name: result.metrics[name] for name in (metrics[:1] if parts else metrics) if name in result.metrics}
    heads = ["Method", *parts, *(f"{name} [mm]" if result.units.get(name) == "mm" else name for name in shown)]
    line = [latex(result.model or "ours"), *(f"{value:.1f}" for value in (*parts.values(), *shown.values()))]
    return "\n".join(
        [
            f"% {result.canonical}, version {result.version}",
            rf"\begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
            r"\toprule",
            " & ".join(map(latex, heads)) + r" \\",
            r"\midrule",
            " & ".join(line) + r" \\",
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _parts(result: Result) -> dict[str, float]:
    """The numbers of the breakdown that the field prints, by name; none where there is none of a page's width."""
    said = readings(result)
    for title in GROUPINGS:
        if title in said and (column := said[title].measure):
            found = cells(result.tables[title], column)
            found = {name: value for name, value in found.items() if name.casefold() not in WHOLE}
            if 1 < len(found) <= MOST:
                return found
    return {}
