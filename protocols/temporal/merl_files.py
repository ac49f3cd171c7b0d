"""MERL's released results and the TCN repository's, whose rows count the test videos' images one after the other.

A row is one image at 15 fps; row r of a video shows thumb ``results_thumb + r - results_row``, and thumb t shows the
0-based frames 2t - 2 and 2t - 1 of the video at 30 fps. A chunk is six rows. Predictions come out in our columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Ints
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.protocol import Foreign
from har_bench.schema import vector
from har_bench.store import Store

CLASSES = ("ReachToShelf", "RetractFromShelf", "HandInShelf", "InspectProduct", "InspectShelf")
"""The classes 0 to 4 of the released results, as the store spells them."""

BACKGROUND = "background"
NAMES = (*CLASSES, BACKGROUND)
"""The labels 0 to 5 of the list of frames."""

CHUNK = 6
"""Rows that share one prediction, in the released results and in the TCN repository."""


@dataclass(frozen=True)
class Rows:
    """The scored rows of a store's test videos, in the released order.

    Attributes:
        names: (V,) the videos.
        first: (V,) 1-based number of each one's first row.
        thumbs: (V,) the thumb that it shows.
        labels: (V,) arrays of the rows' classes, 0 to 5.
    """

    names: npt.NDArray[Any]
    first: Ints
    thumbs: Ints
    labels: list[npt.NDArray[np.uint8]]

    @property
    def total(self) -> int:
        """Number of rows."""
        return sum(map(len, self.labels))

    def video_of(self, row: npt.ArrayLike) -> Ints:
        """Index of the video of each row number; rows before the first count to the first video."""
        return np.maximum(np.searchsorted(self.first, np.asarray(row), "right") - 1, 0)

    def frame_of(self, row: npt.ArrayLike, video: npt.ArrayLike) -> Ints:
        """First of the two frames that a row shows, 0-based in its video."""
        video = np.asarray(video, np.int64)
        thumb = self.thumbs[video] + np.asarray(row, np.int64) - self.first[video]
        return np.asarray(2 * thumb - 2)


def frames_of(thumb: int, rows: int) -> Ints:
    """First frames, 0-based, that ``rows`` rows from a thumb on show."""
    return 2 * (thumb + np.arange(rows)) - 2


def scored_videos(sequences: pa.Table) -> pa.Table:
    """The rows of the store's ``sequences`` that are whole videos of the test subjects."""
    wanted = ["standard/test" in (splits or ()) for splits in sequences["splits"].to_pylist()]
    return sequences.filter(pa.array(wanted, pa.bool_()))


def released(videos: pa.Table, protocol: str) -> pa.Table:
    """The same videos.

    Raises:
        HarBenchError: the classes of one's images are not in the store.
    """
    for name, there in zip(videos["sequence"].to_pylist(), videos["results_row"].is_valid().to_pylist(), strict=True):
        if not there:
            raise HarBenchError(
                f"{protocol} needs the classes of {name}'s images, which the store lacks; convert the whole download, "
                "with Results/frame_names.txt"
            )
    return videos


def scored_rows(sequences: pa.Table, source: str) -> Rows:
    """The rows of ``Results/frame_names.txt`` as a store has them.

    Args:
        sequences: the store's ``sequences``.
        source: what needs them, for the message.

    Raises:
        HarBenchError: the store has none, or some videos lack.
    """
    table = sequences.filter(sequences["results_row"].is_valid())
    order = np.argsort(table["results_row"].to_numpy())
    table = table.take(order)
    labels = [np.array(each, np.uint8) for each in table["results_labels"].to_pylist()]
    first = table["results_row"].to_numpy().astype(np.int64)
    expected = 1 + np.cumsum([0, *map(len, labels)])[:-1]
    if not len(labels) or (first != expected).any():
        raise HarBenchError(
            f"{source} counts the rows of Results/frame_names.txt, of which the store lacks videos; "
            "convert the whole download, with its folder Results"
        )
    thumbs = table["results_thumb"].to_numpy().astype(np.int64)
    return Rows(np.array(table["sequence"].to_pylist(), object), first, thumbs, labels)


def read_detections(path: Path, store: Store) -> Foreign | None:
    """A folder ``DetectedActions`` of 1.mat to 5.mat, as intervals; None when it is no such folder.

    A detection belongs to the video that its middle lies in.

    Raises:
        HarBenchError: a file is missing or damaged, or a single one is given.
    """
    if path.is_file() and path.suffix == ".mat" and "result" in load_mat(path):
        raise HarBenchError(f"{path} holds the detections of one class; give its folder, with 1.mat to 5.mat")
    folder = path / "DetectedActions" if (path / "DetectedActions").is_dir() else path
    if not folder.is_dir() or not (folder / "1.mat").is_file() or "result" not in load_mat(folder / "1.mat"):
        return None
    rows = scored_rows(store.sequences, str(folder))
    tables = []
    for number, label in enumerate(CLASSES, start=1):
        first, last, score = _detections(folder / f"{number}.mat")
        video = rows.video_of((first + last) / 2)
        columns = {
            "sequence": pa.array(rows.names[video], pa.string()),
            "start": rows.frame_of(first, video),
            "stop": rows.frame_of(last, video) + 2,
            "label": pa.array([label] * len(score), pa.string()),
            "score": score,
        }
        tables.append(pa.table(columns))
    return Foreign(pa.concat_tables(tables), "MERL's DetectedActions, rows at 15 fps as frames at 30 fps")


def _detections(path: Path) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    """First row, last row and score of each detection of a file."""
    if not path.is_file():
        raise HarBenchError(f"{path} does not exist; the folder must hold 1.mat to {len(CLASSES)}.mat")
    columns, variables = [], load_mat(path)
    for name in ("startFrames", "endFrames", "scores"):
        try:
            value = variables["result"][0, 0][name]
        except (KeyError, IndexError, ValueError):
            raise HarBenchError(f"{path} has no result.{name}; download it again") from None
        while isinstance(value, np.ndarray) and value.dtype == object and value.size == 1:
            value = value.ravel()[0]
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf":
            raise HarBenchError(f"{path}: result.{name} is no list of numbers; download it again")
        columns.append(value.reshape(-1).astype(np.float64))
    first, last, score = columns
    if not len(first) == len(last) == len(score):
        raise HarBenchError(f"{path}: startFrames, endFrames and scores have different lengths; download it again")
    return first.astype(np.int64), last.astype(np.int64), score


def read_frames(path: Path, store: Store) -> Foreign | None:
    """``framepreds.mat``: (chunks, 6) ``predictions``, as a row of scores per image; None when it is another file.

    Raises:
        HarBenchError: it does not have a row per chunk of the store's videos.
    """
    if path.is_dir() and (path / "framepreds.mat").is_file():
        path = path / "framepreds.mat"
    if not path.is_file() or path.suffix != ".mat":
        return None
    scores = load_mat(path).get("predictions")
    if not isinstance(scores, np.ndarray) or scores.ndim != 2 or scores.shape[1] != len(NAMES):
        return None
    rows = scored_rows(store.sequences, str(path))
    if len(scores) * CHUNK != rows.total:
        raise HarBenchError(
            f"{path} has {len(scores)} chunks of {CHUNK} rows, and the store's videos have {rows.total} rows; "
            "score it on the whole test set"
        )
    row = np.arange(1, rows.total + 1)
    video = rows.video_of(row)
    columns = {
        "sequence": pa.array(rows.names[video], pa.string()),
        "frame": rows.frame_of(row, video),
        "scores": vector(np.repeat(scores.astype(np.float64), CHUNK, axis=0)),
    }
    return Foreign(pa.table(columns), "MERL's framepreds, each chunk's scores for its six images")


def read_chunks(path: Path, store: Store) -> Foreign | None:
    """A prediction file of the TCN repository: ``P``, ``Y`` and ``S`` of chunks or images, with a cut tail perhaps.

    Which of ``P`` and ``Y`` is the truth differs between the files, and so does the image of a chunk whose class it
    is; the store's own classes tell both. The rows are given at that image's frame.

    Raises:
        HarBenchError: neither is the truth of these videos.
    """
    if path.is_dir() and (path / "1.mat").is_file():
        path = path / "1.mat"
    if not path.is_file() or path.suffix != ".mat" or not {"P", "Y"} <= set(variables := load_mat(path)):
        return None
    labels = {name: np.asarray(variables[name]).reshape(-1) for name in ("P", "Y")}
    chunks = len(labels["P"])
    rows = scored_rows(store.sequences, str(path))
    truth = np.concatenate(rows.labels)
    for name, other in (("Y", "P"), ("P", "Y")):
        for image in range(CHUNK):
            if np.array_equal(labels[name], truth[image::CHUNK][:chunks]):
                return _chunk_rows(rows, image, labels[other], variables.get("S"), path)
        for late in (0, 1, -1):
            own, true = _from_background(labels[name][max(-late, 0) :]), truth[max(late, 0) :]
            if len(own) > len(truth) // CHUNK + 1 and np.array_equal(own, true[: len(own)]):
                guess = _from_background(labels[other][max(-late, 0) :])
                return _image_rows(rows, max(late, 0), guess, path)
    raise HarBenchError(
        f"{path}: neither P nor Y ({chunks} labels) is the classes of the store's test videos, so the predictions "
        "cannot be told apart; write them in our columns"
    )


def _from_background(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Classes that count from the background 0 as those of the released list, in which it is the last."""
    return np.where(labels == 0, len(CLASSES), labels.astype(np.int64) - 1)


def _image_rows(rows: Rows, late: int, labels: npt.NDArray[Any], path: Path) -> Foreign:
    """A label for every image from number ``late`` on."""
    row = 1 + late + np.arange(len(labels))
    video = rows.video_of(row)
    columns = {
        "sequence": pa.array(rows.names[video], pa.string()),
        "frame": rows.frame_of(row, video),
        "label": pa.array(_names_of(labels, path)),
    }
    return Foreign(pa.table(columns), f"the TCN repository's labels of {len(labels)} images, background 0")


def _names_of(labels: npt.NDArray[Any], path: Path) -> list[str]:
    """The labels' names.

    Raises:
        HarBenchError: one is no class.
    """
    if labels.dtype.kind not in "iu" or not np.isin(labels, np.arange(len(NAMES))).all():
        raise HarBenchError(f"{path} predicts classes other than 0 to {len(NAMES) - 1}; write them in our columns")
    return np.array(NAMES)[labels].tolist()  # type: ignore[no-any-return]


def _chunk_rows(rows: Rows, image: int, labels: npt.NDArray[Any], scores: Any, path: Path) -> Foreign:
    row = 1 + image + CHUNK * np.arange(len(labels))
    video = rows.video_of(row)
    columns = {
        "sequence": pa.array(rows.names[video], pa.string()),
        "frame": rows.frame_of(row, video),
        "label": pa.array(_names_of(labels, path)),
    }
    if isinstance(scores, np.ndarray) and scores.size == len(labels) * len(NAMES):
        columns["scores"] = vector(scores.reshape(-1, len(NAMES)).astype(np.float64))
    nth = ("first", "second", "third", "fourth", "fifth", "last")[image]
    return Foreign(pa.table(columns), f"the TCN repository's labels of {len(labels)} chunks, at each one's {nth} image")
