"""What a training came to, epoch by epoch: as CSV, as a picture, and which epoch was the best."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Literal

from har_bench.drawing.charts import chart
from har_bench.errors import Malformed, completing
from har_bench.files import write_whole
from har_bench.foreign import opening

History = list[dict[str, float]]
Better = Literal["lower", "higher"]
"""Which of two numbers is the better one."""

CURVES, PICTURE = "curves.csv", "curves.png"
NOT_DRAWN = ("epoch", "lr")


def write_curves(path: Path, history: History) -> None:
    """The numbers of every epoch as CSV, a row each, and beside it as a chart; each written whole or not at all."""
    names = list({name: None for row in history for name in row})
    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(history)
    write_whole(path, text.getvalue().encode())
    drawn = {name: [row.get(name, float("nan")) for row in history] for name in names if name not in NOT_DRAWN}
    write_whole(path.with_name(PICTURE), chart(drawn))


def read_curves(path: Path) -> History:
    """What :func:`write_curves` wrote.

    Raises:
        HarBenchError: it is gone, no file, or no table of numbers any more.
    """
    with completing(path, "train again"):
        text = opening.content(path).decode("utf-8", "replace")
        try:
            rows = csv.DictReader(io.StringIO(text, newline=""))
            return [{name: float(value) for name, value in row.items() if value} for row in rows]
        except (ValueError, TypeError, csv.Error) as error:  # a cell too many comes in a list
            raise Malformed(f"is no table of numbers ({error})") from error


def best(history: History, name: str, better: Better = "lower") -> int:
    """The first of the epochs with the best number of that name, from 0; what is not finite is none.

    >>> best([{"error": 3.0}, {"error": 1.0}, {"error": 1.0}], "error")
    1
    >>> best([{"hits": 3.0}, {"hits": float("nan")}, {"hits": 4.0}], "hits", "higher")
    2
    """
    sign = 1.0 if better == "lower" else -1.0
    numbers = [sign * row.get(name, math.nan) for row in history]
    return min(range(len(history)), key=lambda epoch: numbers[epoch] if math.isfinite(numbers[epoch]) else math.inf)
