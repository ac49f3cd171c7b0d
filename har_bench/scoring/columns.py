"""Our columns as NumPy, checked: what a row of predictions may hold, whatever it came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Anything, Ints, numbers, plain
from har_bench.errors import HarBenchError, unknown
from har_bench.foreign.budget import Budget
from har_bench.schema import column, one_array, shape_of, to_numpy, vector

Columns = Mapping[str, Anything]
DIMENSIONS = {"keypoints": 2, "keypoints_3d": 3, "bbox": 0, "bbox_normalised": 0, "scores": 0, "keypoint_scores": 0}
"""Vector columns, and the size of their last axis (0: a plain vector)."""

MOST_COLUMNS = 20_000

_NAME, _COUNTED = 160, 40
"""Bytes that a name becomes: a text, its places in two dictionaries; and a row whose names are told apart."""

WHOLE = ("frame", "person", "clip")
NUMBERS = ("start", "stop", "score", "timestamp", "confidence", *DIMENSIONS)
MEASURED = ("start", "stop", "timestamp", "keypoints", "keypoints_3d", "bbox", "bbox_normalised")
"""Places and times, which are never true or false."""


def table_of(columns: Mapping[str, Any]) -> pa.Table:
    """Arrays, lists or tensors of any rank as an Arrow table.

    Raises:
        HarBenchError: one is ragged or holds what a table cannot, or they do not have the same number of rows.
    """
    arrays = {str(name): _as_column(str(name), values) for name, values in columns.items()}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise HarBenchError(f"the columns of the predictions do not have the same number of rows ({counts}); cut them")
    return pa.table(arrays)


def _as_column(name: str, values: Any) -> pa.Array:
    array = plain(values, f"column {name!r} of the predictions")
    if array.ndim == 0:
        raise HarBenchError(f"column {name!r} of the predictions is the single value {values!r}; give one a row")
    if array.ndim > 1:
        if array.dtype.kind not in "fiub":
            raise HarBenchError(f"column {name!r} of the predictions holds {array.dtype} and not numbers; mend it")
        if not all(array.shape[1:]):
            raise HarBenchError(f"column {name!r} of the predictions has empty vectors; leave it out or fill it")
        return vector(array)
    try:
        return pa.array(array.tolist() if array.dtype.kind in "OUS" else array)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise HarBenchError(f"column {name!r} of the predictions mixes kinds of values ({error}); give one") from error


class Pieces(Mapping[str, Columns]):
    """Rows that are sorted by sequence; a sequence's are cut out when they are asked for, as there may be millions."""

    def __init__(self, names: Sequence[str], edges: Ints, arrays: Columns) -> None:
        """Sequence ``names[at]`` has the rows from ``edges[at]`` to ``edges[at + 1]``."""
        self.scattered = False  # whether rows of other sequences stood between those of one
        self._places = {name: at for at, name in enumerate(names)}
        self._edges, self._arrays = edges, arrays

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, name: str) -> Columns:
        at = self._places[name]
        rows = slice(*self._edges[at : at + 2].tolist())
        return {key: values[rows] for key, values in self._arrays.items()}


def by_sequence(rows: pa.Table) -> Pieces:
    """A table in one piece per sequence; rows keep their order inside a sequence.

    Raises:
        HarBenchError: it has no column ``sequence``, a column twice, or values that no column may have.
    """
    check_names(rows.column_names)
    names, codes = sequences(rows["sequence"])
    scattered = bool((np.diff(codes) < 0).any())
    if scattered:
        order = np.argsort(codes, kind="stable")
        rows, codes = rows.take(order), codes[order]
    pieces = Pieces(names, np.searchsorted(codes, np.arange(len(names) + 1)), as_arrays(rows))
    pieces.scattered = scattered
    return pieces


def check_names(names: Sequence[str]) -> None:
    """Refuse columns that stand twice, lack ``sequence``, or are too many.

    Raises:
        HarBenchError: which.
    """
    if len(names) > MOST_COLUMNS:
        raise HarBenchError(f"the predictions have {len(names):,} columns; give {MOST_COLUMNS:,} at most")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise HarBenchError(f"the predictions have the column {twice[:80]!r} twice; keep one")
    require(["sequence"], names)


def sequences(column: pa.ChunkedArray, budget: Budget | None = None) -> tuple[list[str], Ints]:
    """The names of the sequences, each once, and which of them every row has; numbers become their digits.

    A hundred million rows of one name are one name and as many small numbers.

    Args:
        column: the names.
        budget: of the file that they come from.

    Raises:
        HarBenchError: a row has none, or it is no text.
        Malformed: they are more than a file of its size may have.
    """
    array = one_array(column)
    if budget and not pa.types.is_dictionary(array.type):
        budget.charge(_COUNTED * len(array))
    wrong = f"the column 'sequence' of the predictions holds {array.type}; give names"
    try:
        keys = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    except pa.ArrowNotImplementedError as error:
        raise HarBenchError(wrong) from error
    if budget:
        budget.charge(_NAME * len(keys.dictionary))
    if keys.null_count or keys.dictionary.null_count:
        raise HarBenchError(f"row {_first_without_text(keys)} of the predictions has no sequence; name it")
    try:
        texts = pc.cast(keys.dictionary, pa.string()).to_pylist()
    except (pa.ArrowException, NotImplementedError) as error:
        raise HarBenchError(wrong) from error
    codes = keys.indices.to_numpy(zero_copy_only=False)
    used = np.bincount(codes, minlength=len(texts)) > 0
    names = list(dict.fromkeys(text for text, there in zip(texts, used.tolist(), strict=True) if there))
    if len(names) < len(texts):  # a dictionary may have a name twice, or for no row
        places = {name: at for at, name in enumerate(names)}
        codes = np.array([places.get(text, 0) for text in texts], np.int64)[codes]
    return names, codes


def _first_without_text(keys: pa.DictionaryArray) -> int:
    """The first row that is null or points to a null of the dictionary."""
    nothing = np.flatnonzero(keys.dictionary.is_null().to_numpy(zero_copy_only=False)).tolist()
    places = [pc.index(keys.indices, code).as_py() for code in nothing]
    places.append(pc.index(keys.indices.is_null(), value=True).as_py())
    return int(min(place for place in places if place >= 0))


def as_arrays(rows: pa.Table) -> dict[str, Anything]:
    """The columns as NumPy, vectors in their own shape, without ``sequence``.

    Raises:
        HarBenchError: a column holds what it may not.
    """
    arrays = {}
    for field in rows.schema:
        if field.name == "sequence" or not is_readable(field):
            continue
        values = one_array(rows[field.name])
        if _is_list(field.type):
            values, field = _fixed(values, field)
        found = _shaped(field.name, to_numpy(values, field), shape_of(field))
        if field.name in WHOLE:
            found = whole(field.name, found)
        elif field.name in NUMBERS:
            refuse_truths(field.name, found, f"column {field.name!r} of the predictions")
            found = _wide(numbers(found, f"column {field.name!r} of the predictions"))
        arrays[field.name] = found
    return arrays


def refuse_truths(name: str, values: Anything, what: str) -> None:
    """Refuse true and false where places or times are asked for, which NumPy would take for 1 and 0.

    Raises:
        HarBenchError: they are; ``what`` is what it calls them.
    """
    if name in MEASURED and values.dtype.kind == "b":
        raise HarBenchError(f"{what} holds true and false; give numbers")


def _wide(values: Anything) -> Anything:
    """Numbers that can be added, multiplied and negated: whole and half-precision ones become float64 and float32."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def is_readable(field: pa.Field) -> bool:
    """Whether a column is numbers, text, or lists of numbers; another one of ours is refused, and others are left out.

    Raises:
        HarBenchError: it is one of ours, and something else.
    """
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if _is_text(kind):
        return True
    while _is_list(kind) or pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return True
    if field.name in (*WHOLE, *NUMBERS, "sequence", "label"):
        raise HarBenchError(
            f"column {field.name!r} of the predictions holds {str(field.type)[:60]}; give numbers, or text as a label"
        )
    return False


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def whole(name: str, values: Anything) -> Anything:
    """A column of whole numbers from 0, as int64; ``person`` may be negative.

    Raises:
        HarBenchError: a value is none; the first one is shown.
    """
    what, remedy = f"column {name!r} of the predictions", f"give whole numbers{', from 0' * (name == 'frame')}"
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        first = next(iter(values.flat), None)
        raise HarBenchError(f"{what} holds {str(first)[:30]!r}; {remedy}")
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values) | (np.floor(values) != values) | (np.abs(values, dtype=np.float64) >= 2**53)
        if wrong.any():
            raise HarBenchError(f"{what} holds {values[wrong][0]}; {remedy}")
    if name == "frame" and len(values):
        least, most = int(values.min()), int(values.max())
        if least < 0 or most >= 2**31:
            raise HarBenchError(f"{what} holds {least if least < 0 else most}; frames count from 0 and are below 2^31")
    return values.astype(np.int64)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _fixed(values: pa.Array, field: pa.Field) -> tuple[pa.Array, pa.Field]:
    """A list column whose lists all have one length (pandas and nested lists give these) as a fixed-size one."""
    array, inner = one_array(values), list[int]()
    while _is_list(array.type):
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1 or lengths == [None]:
            raise HarBenchError(
                f"column {field.name!r} of the predictions has vectors of different lengths, or empty ones; give all "
                "rows one length"
            )
        inner.append(lengths[0] if lengths else 0)
        array = array.flatten()
    if not all(inner):
        raise HarBenchError(f"column {field.name!r} of the predictions has empty vectors; leave it out or fill it")
    flat = pa.FixedSizeListArray.from_arrays(array, int(np.prod(inner)))
    return flat, column(field.name, array.type, shape=tuple(inner))


def _shaped(name: str, values: Anything, shape: Sequence[int]) -> Anything:
    last = DIMENSIONS.get(name, 0)
    if name in DIMENSIONS and values.dtype.kind not in "fiub":
        first = next(iter(values.flat), "nothing")
        raise HarBenchError(
            f"column {name!r} of the predictions holds {str(first)[:20]!r} and not numbers; in CSV, spread it over "
            f"columns {name}_0, {name}_1 …"
        )
    if name in DIMENSIONS and values.ndim < 2:
        raise HarBenchError(
            f"column {name!r} of the predictions holds one number a row and not a vector; in CSV, spread it over "
            f"columns {name}_0, {name}_1 …"
        )
    if not last or len(shape) != 1:
        return values
    if values.shape[1] % last:
        raise HarBenchError(
            f"column {name!r} of the predictions has {values.shape[1]} numbers a row, not a multiple of {last}; give "
            f"{last} a joint"
        )
    return values.reshape(len(values), values.shape[1] // last, last)


def require(columns: Iterable[str], there: Iterable[str], called: str = "the predictions") -> None:
    """Refuse predictions, which messages call so, without one of the columns.

    Raises:
        HarBenchError: which, with what comes closest.
    """
    for name in columns:
        if name not in there:
            raise unknown(f"column of {called}", name, there)
