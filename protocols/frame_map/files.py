"""Detections of AVA as its official evaluator, PySlowFast, mmaction2 and LART write them: one csv, plain or gzipped.

A row is ``VIDEO,0902,x1,y1,x2,y2,action,score``: the second of the keyframe, the box as fractions of the image, the
action's number from 1. The tools write no header; a first row of names is passed over, and what a spreadsheet makes of
such a file is read as well.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from har_bench.errors import HarBenchError
from har_bench.foreign import compressed, opening, texts
from har_bench.protocol import Foreign
from har_bench.schema import column, vector

_TYPES = {
    "sequence": pa.dictionary(pa.int32(), pa.string()),
    **dict.fromkeys(("timestamp", "x1", "y1", "x2", "y2", "label", "score"), pa.float64()),
}
_CALLED = ("video", "second", "x1", "y1", "x2", "y2", "action", "score")
_BEGINS = re.compile(rb"\s*[^,\s]+(,\s*[-+.\deEnaif]+){5}(,[^,\r\n]*)*\s*(\n|\r|$)")
"""A row that begins with a video, its second and a box."""
_NAMES = re.compile(rb"\s*([A-Za-z_][\w ]*,\s*){6,}[A-Za-z_][\w ]*\s*\r?\n")
"""A header; one with ``sequence`` is that of a csv in our columns."""
_PLACE = re.compile(r"In CSV column #(\d+): .*invalid value '(.*)'")
_HEAD = 4096


def read_detections(path: Path) -> Foreign | None:
    """A csv of detections as a table with sequence, timestamp [s], bbox_normalised, label and score.

    None when the first row of the file is another's, such as the header of a csv in our columns.

    Raises:
        HarBenchError: a row is broken.
    """
    if not path.is_file():
        return None
    try:
        beginning = compressed.beginning(path, _HEAD)
        head = texts.comma_separated(beginning, str(path))
    except HarBenchError:  # empty, or noise: another's to name
        return None
    header = _NAMES.match(head)
    if header is not None and b"sequence" in header[0].lower():
        return None
    first = _BEGINS.match(head, header.end() if header else 0)
    if first is None:
        return None
    cells = first[0].count(b",") + 1
    if cells != len(_TYPES):
        raise HarBenchError(
            f"{path} has {cells} columns a row, where AVA's detections have 8 columns ({', '.join(_CALLED)}); write "
            "these, or our columns below a header"
        )
    with opening.opened(path) as stream:
        usual = head == beginning == stream.read(len(head))
    source = path if usual else pa.BufferReader(texts.comma_separated(compressed.read(path), str(path)))
    try:
        rows = pyarrow.csv.read_csv(
            source,
            pyarrow.csv.ReadOptions(column_names=list(_TYPES), skip_rows=int(header is not None)),
            pyarrow.csv.ParseOptions(quote_char=False),
            pyarrow.csv.ConvertOptions(column_types=_TYPES, null_values=[]),
        )
        labels = rows["label"].cast(pa.int32())
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise HarBenchError(f"{path} begins as AVA detections ({', '.join(_CALLED)}), but {_reason(error)}") from error
    rows = rows.set_column(rows.column_names.index("label"), "label", labels)
    return Foreign(_as_ours(rows), "AVA detections (video, second, box, action, score)")


def _reason(error: Exception) -> str:
    """What is wrong with a row, and the remedy."""
    text = str(error).splitlines()[0]
    found = _PLACE.search(text)
    if found:
        return f"has {found[2][:40]!r} as {_CALLED[int(found[1])]}; give a number"
    return f"{text}; write it again"


def _as_ours(rows: pa.Table) -> pa.Table:
    box = np.empty((rows.num_rows, 4))
    for side, name in enumerate(("x1", "y1", "x2", "y2")):
        box[:, side] = rows[name].to_numpy()
    kept = rows.select(["sequence", "timestamp", "label", "score"])
    return kept.append_column(column("bbox_normalised", pa.float64(), shape=(4,)), vector(box))
