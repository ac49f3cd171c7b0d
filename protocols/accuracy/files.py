"""Score files of action recognition: pickles and arrays of class scores by clip, and lists of names and labels.

Score pickles of CTR-GCN and its many relatives {name: scores}, where the name may be the place in CTR-GCN's own order
(``test_0``); pickled lists of (name, scores), or of what mmaction2 1.x says of each clip, name and scores among it;
pickled lists of pyskl and older mmaction2, and ``.npy`` arrays, with a list of names beside, or pyskl's pickle of
annotations, whose order theirs is; the same as json; ``.npz`` of an array a name, or of ``names`` and ``scores``;
csv of name and label. Pickles are read without running their code.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.errors import HarBenchError, completing, listed
from har_bench.foreign import compressed, json_file, npy, pickles, texts
from har_bench.foreign.npz import open_npz
from har_bench.foreign.numbers import numbers
from har_bench.protocol import Foreign
from har_bench.schema import vector

Scores = npt.NDArray[np.floating[Any]]

NAMES = ("name", "sample", "sample_name", "video", "video_name", "file", "filename", "frame_dir")
LISTS = ("names", "sequences", "sequence", *NAMES)
JSON = (".json", ".json.gz", ".json.xz")
IN_RECORDS = ("sequence", *NAMES, "img_key", "video_id")
SCORES = ("scores", "score", "pred_scores", "pred_score")
"""What a record of a pickled list calls the name of its clip, and its scores."""

LABELS = ("pred", "prediction", "predicted", "pred_label", "predicted_label", "pred_0based", "label", "labels")
"""What predicted classes are called; the first is taken: beside a ``pred``, a ``label`` is the truth, and not read."""

_ENDINGS = re.compile(r"(_(rgb|ir|depth))?(\.(skeleton|avi|mp4|npy|npz|mat|txt|pkl|jpg|png))+$", re.IGNORECASE)
_BETWEEN = re.compile(r"[\W_]+")
_NUMBERED = re.compile(r"test_(\d+)")
_SIDE = ("{}.txt", "{}.csv", "{}_names.txt", "{}_names.csv", "{}_names.pkl", "{}_ann.pkl")
_SCALARS = (str, int, float, np.integer, np.floating)
_DIGITS = 4  # Penn Action's names are numbers of four digits


def read_scores(path: Path, known: Collection[str], order: Callable[[], list[str]]) -> Foreign | None:
    """Predictions in one of the formats above; None when ``path`` is none of them.

    Args:
        path: the file.
        known: the store's sequences.
        order: gives the test sequences in the order of CTR-GCN's data files.

    Raises:
        HarBenchError: the file is damaged, or the list of names beside it is missing or of another length.
    """
    if path.suffix in (".pkl", ".pickle"):
        return _from_content(path, pickles.load(path), known, order, "score pickle")
    if path.name.endswith(JSON):
        return _from_content(path, json_file.read(path, what="json of scores"), known, order, "json")
    if path.suffix == ".npz":
        return _from_content(path, _archive(path), known, order, "npz")
    if path.suffix == ".npy":
        scores = _array(path)
        return Foreign(_named(path, _names_beside(path, len(scores), known), scores), "npy of scores, names beside it")
    if path.name.endswith((".csv", ".csv.gz")):
        return _from_csv(path, known)
    return None


def _archive(path: Path) -> Any:
    """The arrays of an ``.npz`` by name, or what its arrays ``names`` and ``scores`` say."""
    file = open_npz(path)
    held = {name: file[name] for name in file}
    names, answers = (next((held[key] for key in keys if key in held), None) for keys in (LISTS, (*SCORES, *LABELS)))
    if names is None or answers is None:
        return held
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "replace")
    texts_alone = names.dtype.kind == "U" or all(isinstance(each, str) for each in names.flat)
    if names.ndim != 1 or not texts_alone or not answers.ndim or len(names) != len(answers):
        raise HarBenchError(
            f"{path} has names of the shape {names.shape} and scores of the shape {answers.shape}; give a name, as "
            "text, for every row"
        )
    return [list(pair) for pair in zip(names.tolist(), answers, strict=True)]


def _from_content(
    path: Path, content: Any, known: Collection[str], order: Callable[[], list[str]], what: str
) -> Foreign:
    if isinstance(content, Mapping) and content:
        names, scores = [str(key) for key in content], list(content.values())
        if all(_NUMBERED.fullmatch(name) for name in names):
            names = _by_number(path, names, order())
            return Foreign(_named(path, names, scores), f"{what} numbered in CTR-GCN's order of the test set")
        return Foreign(_named(path, _in_store(names, known), scores), f"{what}, scores by name")
    named = _records(content) if isinstance(content, list | tuple) and content else None
    if named is not None:
        names, scores = named
        return Foreign(_named(path, _in_store(names, known), scores), f"{what}, a list of names and scores")
    if (isinstance(content, list) or (isinstance(content, np.ndarray) and content.ndim)) and len(content):
        names = _names_beside(path, len(content), known)
        return Foreign(_named(path, names, content), f"{what} in the order of the names beside it")
    raise HarBenchError(
        f"{path} holds a {type(content).__name__} and no scores; write a dictionary of scores by name, or a list"
    )


def _records(content: Sequence[Any]) -> tuple[list[str], list[Any]] | None:
    """The names and scores of a list of pairs, or of mappings that hold both; None where it names nothing."""
    pairs = [_pair(each) for each in content]
    if any(each is None for each in pairs):
        return None
    names, scores = zip(*[each for each in pairs if each is not None], strict=True)
    return list(names), list(scores)


def _pair(record: Any) -> tuple[str, Any] | None:
    if isinstance(record, Mapping):
        name = next((record[key] for key in IN_RECORDS if isinstance(record.get(key), str)), None)
        scores = next((record[key] for key in (*SCORES, *LABELS) if key in record), None)
        if isinstance(scores, Mapping):  # as mmaction2 1.x wraps them
            scores = scores.get("item")
        return None if name is None or scores is None else (name, scores)
    if isinstance(record, list | tuple) and len(record) == 2 and isinstance(record[0], str):
        return record[0], record[1]
    return None


def _by_number(path: Path, names: Sequence[str], order: Sequence[str]) -> list[str]:
    """``test_7`` is the eighth test sequence in CTR-GCN's order; all of them must be there, or the order is another."""
    numbers = [int(name.removeprefix("test_")) for name in names]
    if sorted(numbers) != list(range(len(order))):
        raise HarBenchError(
            f"{path} numbers {len(numbers)} sequences up to test_{max(numbers)}, and the store's test set has "
            f"{len(order)}; name the sequences, or convert the whole dataset"
        )
    return [order[number] for number in numbers]


def _named(path: Path, names: Sequence[str], scores: Sequence[Any] | Scores) -> pa.Table:
    """A row per clip: each name's scores are (C,), or (n, C) of n clips; or it has the number or name of a class."""
    if isinstance(scores, np.ndarray) and scores.ndim == 2 and scores.shape[1]:
        with completing(path, "give its scores as numbers (N, C)"):
            return pa.table({"sequence": list(names), "scores": vector(numbers(scores))})
    if all(isinstance(value, _SCALARS) and not isinstance(value, bool | np.bool_) for value in scores):
        return pa.table({"sequence": list(names), "label": numbered(scores)})
    clips = []
    for name, value in zip(names, scores, strict=True):
        with completing(f"{path}: {name}", "give its scores as (C,) or (clips, C)"):
            rows = numbers(value)
        if rows.ndim not in (1, 2) or rows.dtype.kind not in "fiu" or not rows.shape[-1]:
            raise HarBenchError(f"{path}: {name} has no scores but a {type(value).__name__}; give (C,) or (clips, C)")
        clips.append(np.atleast_2d(rows))
    widths = sorted({rows.shape[1] for rows in clips})
    if len(widths) > 1:
        raise HarBenchError(f"{path} has scores of {widths[0]} and of {widths[-1]} classes; give the same classes")
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice is not None:
        raise HarBenchError(f"{path} names {twice} twice; keep one, or give its clips as one array (clips, C)")
    repeated = np.repeat(np.array(names, object), [len(rows) for rows in clips])
    return pa.table({"sequence": pa.array(repeated, pa.string()), "scores": vector(np.concatenate(clips))})


def _array(path: Path) -> Scores:
    """(N, C), or (N, clips, C), numbers of an ``.npy`` file."""
    with completing(path, "save it with numpy.save"):
        scores = numbers(npy.load(path))
    if scores.ndim not in (2, 3) or scores.dtype.kind not in "fiu":
        raise HarBenchError(f"{path} has shape {scores.shape} of {scores.dtype}; scores are (N, C) or (N, clips, C)")
    return np.array(scores)


def _names_beside(path: Path, count: int, known: Collection[str]) -> list[str]:
    """The sequence of every row: ``scores.npy`` has its names in ``scores.txt``, ``scores_names.txt``, .csv or .pkl.

    ``scores_ann.pkl`` may be pyskl's annotations, in whose order its test writes the clips of a split.
    """
    candidates = [path.with_name(pattern.format(path.stem)) for pattern in _SIDE]
    side = next((candidate for candidate in candidates if candidate.is_file()), None)
    if side is None:
        raise HarBenchError(f"{path} does not name its {count} sequences; list them, one a line, in {candidates[0]}")
    if side.suffix == ".pkl":
        return _in_store(_annotated(side, pickles.load(side), count), known)
    rows = _rows(side)
    place = next((rows[0].index(name) for name in ("sequence", *NAMES) if rows and name in rows[0]), None)
    names = [row[place or 0] for row in (rows if place is None else rows[1:])]
    if len(names) != count:
        raise HarBenchError(f"{side} has {len(names)} names, and {path} {count} rows; give a name for every row")
    return _in_store(names, known)


def _annotated(path: Path, content: Any, count: int) -> list[str]:
    """The names of a pickled list, or of the split of pyskl's annotations that has so many clips, in their order."""
    every, splits = content, {}
    if isinstance(content, Mapping):
        every, splits = content.get("annotations"), content.get("split", {})
    try:
        names = [each["frame_dir"] if isinstance(each, Mapping) else each for each in every]
        held = [frozenset(there) for there in splits.values()]
        lists = [names, *([name for name in names if name in there] for there in held)]
    except (TypeError, KeyError, AttributeError) as error:
        raise HarBenchError(f"{path} is no list of names and has no annotations of pyskl's; give either") from error
    fits = [each for each in lists if len(each) == count and all(isinstance(name, str) for name in each)]
    if not fits or any(each != fits[0] for each in fits):
        told = listed([f"{len(each)}" for each in lists])
        raise HarBenchError(f"{path} has lists of {told} names, and the scores have {count} rows; give one that fits")
    return fits[0]


def _from_csv(path: Path, known: Collection[str]) -> Foreign | None:
    rows = _rows(path)
    if not rows or "sequence" in rows[0]:
        return None
    headers = [cell.lower() for cell in rows[0]]
    name = next((headers.index(header) for header in IN_RECORDS if header in headers), None)
    label = next((headers.index(header) for header in LABELS if header in headers), None)
    if name is not None and label is not None:
        what = f"csv, columns {rows[0][name]} and {rows[0][label]}"
        rows = rows[1:]
    elif len(rows[0]) == 2 and _in_store(rows[0][:1], known)[0] in known:
        name, label, what = 0, 1, "csv of name and label, without a header"
    else:
        return None
    short = next((number for number, row in enumerate(rows) if len(row) <= max(name, label)), None)
    if short is not None:
        raise HarBenchError(f"{path}: row {short + 1} of the data has {len(rows[short])} cells; is it cut off?")
    labels = numbered([row[label] for row in rows])
    names = _in_store([row[name] for row in rows], known)
    return Foreign(pa.table({"sequence": pa.array(names, pa.string()), "label": labels}), what)


def numbered(labels: Iterable[Any]) -> list[Any]:
    """Labels that are all whole numbers, as text or with a decimal point, as whole numbers; others as they are.

    >>> numbered(["3", "4.0"]), numbered(["3", "run"])
    ([3, 4], ['3', 'run'])
    """
    given = list(labels)
    try:
        values = [float(each) for each in given]
    except (TypeError, ValueError):
        return given
    return [int(value) for value in values] if all(map(float.is_integer, values)) else given


def _rows(path: Path) -> list[list[str]]:
    """The cells of a csv or text file, compressed or not, blank lines left out.

    Raises:
        HarBenchError: the file is damaged, too large, or no text.
    """
    content = texts.comma_separated(compressed.read(path), str(path))
    try:
        file = io.StringIO(content.decode(), newline="")
        return [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise HarBenchError(f"{path} is not readable as csv ({error}); was it written completely?") from error


def _in_store(names: Sequence[str], known: Collection[str]) -> list[str]:
    """The names as the store spells them: without folder and endings, in any case and with any signs between letters.

    Penn Action's numbers have four digits. A name that the store does not have in any spelling, or more than once,
    stays, and the engine names it.
    """
    present = set(known)
    spelled: dict[str, str | None] = {}
    for name in known:
        key = _key(name)
        spelled[key] = None if key in spelled else name
    found = []
    for name in names:
        bare = _ENDINGS.sub("", name.replace("\\", "/").rpartition("/")[2])
        exact = next((spelling for spelling in (name, bare, bare.zfill(_DIGITS)) if spelling in present), None)
        found.append(exact or spelled.get(_key(bare)) or name)
    return found


def _key(name: str) -> str:
    return _BETWEEN.sub("", name).casefold()
