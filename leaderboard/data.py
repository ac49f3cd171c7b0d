"""Every number of the leaderboard as ``data.json``, and as a table of pandas."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from har_bench.foreign import json_file

from .entries import Entry
from .tables import CSV_COLUMNS, csv_rows

if TYPE_CHECKING:
    import pandas as pd

ABOUT = "one row for each number of each entry; load it with har_bench.leaderboard.frame"


def data_page(entries: Iterable[Entry]) -> str:
    """The columns of the CSV, in columns, since their names are said once then."""
    rows = list(csv_rows(entries))
    content = {"about": ABOUT, "columns": {name: [row.get(name, "") for row in rows] for name in CSV_COLUMNS}}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def frame(place: str | Path) -> pd.DataFrame:
    """The leaderboard as a dataframe.

    Without har_bench: ``pandas.DataFrame(json.load(open("site/data.json"))["columns"])``.

    Args:
        place: a site, or its ``data.json``.

    Raises:
        HarBenchError: there is none, or it is damaged.
    """
    import pandas as pd

    path = Path(place)
    path = path / "data.json" if path.is_dir() else path
    content: Any = json_file.read(path, what="a leaderboard's data", remedy="build the leaderboard again")
    found = pd.DataFrame(content["columns"])
    numbers = ["value", "ci_low", "ci_high", "ci_level", "year"]
    found[numbers] = found[numbers].apply(pd.to_numeric, errors="coerce")
    return found
