"""MERL Shopping's official files: ``tlabs`` in a label file, and the list of frames beside the released results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Ints
from har_bench.converter import Reject, nothing_kept
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.mat import load_mat
from har_bench.foreign.texts import lines

CLASSES = ("ReachToShelf", "RetractFromShelf", "HandInShelf", "InspectProduct", "InspectShelf")
"""The classes of ``tlabs{1}`` to ``tlabs{5}``, as the names of extracted clips spell them."""

BACKGROUND = 5
"""Stands in the list of frames for none of the classes, which are 0 to 4 there."""

_LAST = 1 << 24  # frames; the videos have about 3,600
_LINE = re.compile(r"""["']?([0-9]{1,3}_[0-9]{1,3})_crop[/\\]thumb-([0-9]{1,6})_2\.jpg["']?[\s,;]+["']?([0-5])["']?""")
_LINES = re.compile(f"^{_LINE.pattern}$", re.MULTILINE)
_Row = tuple[str, str, str]


class Instances(NamedTuple):
    """The labelled intervals of a video, in the order of the file; N of them.

    Attributes:
        class_id: (N,) 1 to 5.
        row: (N,) 1-based row in the class's cell.
        start: (N,) 0-based first frame.
        stop: (N,) 0-based frame after the last one.
    """

    class_id: Ints
    row: Ints
    start: Ints
    stop: Ints


class Scored(NamedTuple):
    """A video's rows in the list of frames at 15 fps.

    Attributes:
        row: 1-based number of the first one.
        thumb: number in its name; thumb t shows the 0-based frames 2t - 2 and 2t - 1 of the video.
        labels: (N,) classes 0 to 4, or :data:`BACKGROUND`.
    """

    row: int
    thumb: int
    labels: npt.NDArray[np.uint8]


def read_instances(path: Path, source: str, rejects: list[Reject]) -> Instances | None:
    """Read ``tlabs``: a cell per class, of [first, last] frames, 1-based and inclusive, in no order.

    Args:
        path: the label file.
        source: its path under the raw root.
        rejects: gets what is wrong with the file.

    Returns:
        The intervals; None where the file is unusable, and dropped.
    """
    try:
        cells = _cells(load_mat(path))
    except HarBenchError as error:
        rejects.append(Reject(source, path.stem, str(error).replace(str(path), path.name), "dropped"))
        return None
    class_ids = np.repeat(np.arange(1, len(CLASSES) + 1), [len(cell) for cell in cells])
    rows = np.concatenate([np.arange(1, len(cell) + 1) for cell in cells])
    frames = np.concatenate(cells)
    first, last = frames.T
    usable = (first >= 1) & (first <= last) & (last < _LAST) & (frames % 1 == 0).all(axis=1)
    for index in np.flatnonzero(~usable):
        reason = f"[{first[index]:g}, {last[index]:g}] is no interval of frames"
        rejects.append(Reject(source, f"tlabs{{{class_ids[index]}}}({rows[index]}, :)", reason, "dropped"))
    if len(frames) and not usable.any():
        reason = f"none of its {len(frames)} intervals can be used; the video is left out"
        rejects.append(Reject(source, path.stem, reason, "dropped"))
        return None
    start, stop = frames[usable].astype(np.int64).T - [[1], [0]]
    return Instances(class_ids[usable], rows[usable], start, stop)


def _cells(variables: dict[str, Any]) -> list[npt.NDArray[np.float64]]:
    """(K, 2) numbers per class; a class without instances is a 0 x 0 array of another type in the real files."""
    found = variables.get("tlabs")
    if not isinstance(found, np.ndarray) or found.dtype != object or found.size != len(CLASSES):
        raise HarBenchError(f"tlabs is not a cell array of {len(CLASSES)} classes")
    cells = []
    for number, cell in enumerate(found.ravel().tolist(), start=1):
        numbers = isinstance(cell, np.ndarray) and cell.dtype.kind in "iuf"
        if not numbers or (cell.size and cell.shape[1:] != (2,)):
            raise HarBenchError(f"tlabs{{{number}}} is not a table of first and last frames")
        cells.append(cell.reshape(-1, 2).astype(np.float64))
    return cells


def read_scored(path: Path, source: str, rejects: list[Reject]) -> dict[str, Scored]:
    """Read ``Results/frame_names.txt``: which rows of the released results belong to which video.

    Args:
        path: the list.
        source: its path under the raw root.
        rejects: gets what is wrong with it; a video whose rows are not one run of consecutive frames is left out.

    Raises:
        HarBenchError: no line of it is a frame and its class.
    """
    found = lines(compressed.read(path), str(path))
    given, numbers = _LINES.findall("\n".join(found)), np.arange(1, len(found) + 1)
    if len(given) < len(found):
        given, numbers, wrong = _one_by_one(found, source)
        if wrong and not given:
            raise nothing_kept(path, "lines 1_1_crop/thumb-004_2.jpg 5", wrong)
        rejects += wrong
    if not given:
        raise HarBenchError(f"{path} lists no frame; download it again")
    scored = {}
    for video, (rows, thumbs, labels) in _by_video(given, numbers):
        if (np.diff(rows) == 1).all() and (np.diff(thumbs) == 1).all():
            scored[video] = Scored(int(rows[0]), int(thumbs[0]), labels.astype(np.uint8))
        else:
            reason = f"the frames of {video} do not follow one another; the video is stored without them"
            rejects.append(Reject(source, f"line {rows[0]}", reason, "dropped"))
    return scored


def _one_by_one(found: list[str], source: str) -> tuple[list[_Row], Ints, list[Reject]]:
    """The rows of a list that has a header, blank lines or odd ones; their numbers among these; and the odd ones."""
    written = [(number, line) for number, line in enumerate(map(str.strip, found), 1) if line]
    if written and not any(letter.isdigit() for letter in written[0][1]):  # a header
        del written[0]
    matches = [_LINE.fullmatch(line) for _, line in written]
    odd = [number for (number, _), match in zip(written, matches, strict=True) if not match]
    return (
        [(match[1], match[2], match[3]) for match in matches if match],
        np.array([row for row, match in enumerate(matches, start=1) if match], np.int64),
        [Reject(source, f"line {number}", "it is not a frame and its class", "dropped") for number in odd],
    )


def _by_video(given: list[_Row], numbers: Ints) -> Iterator[tuple[str, tuple[Ints, Ints, Ints]]]:
    """Each video with the rows of its frames, their numbers and their classes.

    Args:
        given: video, frame and class of each row.
        numbers: of the rows.
    """
    if not given:
        return
    videos = pa.array([video for video, _, _ in given]).dictionary_encode()
    thumbs = pa.array([thumb for _, thumb, _ in given]).cast(pa.int64()).to_numpy()
    labels = pa.array([label for _, _, label in given]).cast(pa.int64()).to_numpy()
    owner = videos.indices.to_numpy()
    runs = np.split(np.argsort(owner, kind="stable"), np.bincount(owner).cumsum()[:-1])
    for video, rows in zip(videos.dictionary.to_pylist(), runs, strict=True):
        yield video, (numbers[rows], thumbs[rows], labels[rows])
