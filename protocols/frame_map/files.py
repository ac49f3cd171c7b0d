"""Detections of AVA as its official evaluator, PySlowFast, mmaction2 and LART write them: one csv, plain or gzipped.

A row is ``VIDEO,0902,x1,y1,x2,y2,action,score``: the second of the keyframe, the box as fractions of the image, the
action's number from 1. The tools write no header; a first row of eight names is passed over.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.protocol import Foreign
from har_bench.schema import column, vector

_TYPES = {
    "sequence": pa.dictionary(pa.int32(), pa.string()),
    **dict.fromkeys(("timestamp", "x1", "y1", "x2", "y2"), pa.float64()),
    "label": pa.int32(),
    "score": pa.float64(),
}
_FIRST = re.compile(rb"\s*[^,\s]+(,\s*[-+.\deEnaif]+){5},[^,\s]*,[^,\s]+\s*(\n|\r|$)")
_NAMES = re.compile(rb"\s*([A-Za-z_]\w*\s*,\s*){7}[A-Za-z_]\w*\s*\r?\n")
"""A header of eight names; one with ``sequence`` is that of a csv in our columns."""
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
        head = compressed.beginning(path, _HEAD)
    except HarBenchError:  # empty, or noise: another's to name
        return None
    header = _NAMES.match(head)
    if header is not None and b"sequence" in header[0]:
        return None
    if _FIRST.match(head, header.end() if header else 0) is None:
        return None
    source = pa.BufferReader(compressed.read(path)) if path.suffix == ".gz" else path
    try:
        rows = pyarrow.csv.read_csv(
            source,
            pyarrow.csv.ReadOptions(column_names=list(_TYPES), skip_rows=int(header is not None)),
            pyarrow.csv.ParseOptions(quote_char=False),
            pyarrow.csv.ConvertOptions(column_types=_TYPES, null_values=[]),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        reason = str(error).splitlines()[0]
        raise HarBenchError(
            f"{path} begins as AVA detections (VIDEO,0902,x1,y1,x2,y2,action,score), but {reason}; write it again"
        ) from error
    return Foreign(_as_ours(rows), "AVA detections (video, second, box, action, score)")


def _as_ours(rows: pa.Table) -> pa.Table:
    box = np.empty((rows.num_rows, 4))
    for side, name in enumerate(("x1", "y1", "x2", "y2")):
        box[:, side] = rows[name].to_numpy()
    kept = rows.select(["sequence", "timestamp", "label", "score"])
    return kept.append_column(column("bbox_normalised", pa.float64(), shape=(4,)), vector(box))
