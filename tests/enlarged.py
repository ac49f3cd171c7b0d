"""Samples of every dataset, many times over, and made-up predictions of whatever a protocol scores.

A dataset's own sample is too small for partitions and for memory: :class:`Enlarged` converts a store of it into one of
many renamed copies, and :func:`predicted` answers any protocol, with scores that tie on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import har_bench
from har_bench import registry
from har_bench.baseline import targets
from har_bench.converter import Converter, Shard, Tables
from har_bench.protocol import Protocol
from har_bench.protocols.temporal.merl_files import CHUNK, NAMES, frames_of
from har_bench.schema import TABLES, to_numpy, vector
from har_bench.skeletons import Mapping, Skeleton, skeleton
from har_bench.store import Store, in_layout, open_store

PLACE = ("part", "first_row", "rows")
NUMBERED = ("image_id", "annotation_id", "results_row")
"""Numbers by which datasets tell their records apart, besides names."""

DETECTIONS = 3
"""Made-up detections for each true one."""


@dataclass
class Enlarged(Converter):
    """Copies of the store in the raw folder's ``sample``: so many parts of so many copies."""

    version = "1"
    summary = raw = citation = licence = "a sample, many times over"

    parts: int = 8
    copies: int = 1
    layout: str = ""
    """Joints to repeat the sample's in, for recipes of another skeleton."""

    def discover(self, raw: Path) -> Sequence[Shard]:
        store = open_store(raw / "sample")
        self.dataset, self._joints = store.dataset, store.manifest.skeletons
        source = (raw / "sample" / "manifest.json",)
        return [Shard(f"{part:04}", source, (raw / "sample", part)) for part in range(self.parts)]

    def layouts(self) -> Sequence[Skeleton]:
        return [skeleton(self.layout)] if self.layout else self._joints

    def read(self, shard: Shard) -> Tables:
        path, part = shard.payload
        store = open_store(path)
        copies = range(part * self.copies, (part + 1) * self.copies)
        tables = {name: store.table(name) for name in TABLES if store.parts(name) and name != "rejects"}
        if self.layout and "poses" in tables:
            own, other = store.skeleton(), skeleton(self.layout)
            again = tuple((joint % len(own),) for joint in range(len(other)))
            tables["poses"] = in_layout(tables["poses"], Mapping(own, other, again, ("exact",) * len(other)))
        found = {name: pa.concat_tables(copy(table, number) for number in copies) for name, table in tables.items()}
        found["sequences"] = found["sequences"].drop_columns(PLACE)
        return Tables(**found)


def copy(table: pa.Table, number: int) -> pa.Table:
    """The rows of a copy: other sequences, images and annotations, in the same cameras."""
    for name in ("sequence", *NUMBERED, "crowd_index"):
        if name not in table.column_names:
            continue
        values, place = table[name], table.column_names.index(name)
        if name == "sequence":
            values = pc.binary_join_element_wise(f"{number:06}", values, "/")
        elif name == "crowd_index":  # the sample has none, and a recipe tells images apart by it
            values = pa.array(np.arange(len(values)) % 5 / 4, values.type)
        else:
            values = pc.add(values, pa.scalar(number * (1 + (pc.max(values).as_py() or 0)), values.type))
        table = table.set_column(place, table.schema.field(name), values)
    return table


def sample(dataset: str, home: Path) -> Path:
    """A folder that :class:`Enlarged` converts: the dataset's sample, converted."""
    registry.load("converters", dataset).sample(home / "official")
    har_bench.convert(dataset, home / "official", home / "raw" / "sample", jobs=1, quiet=True)
    return home / "raw"


def stores(home: Path) -> Callable[..., Store]:
    """Enlarged samples by dataset and options of :class:`Enlarged`; each is made when it is first wanted."""

    @cache
    def raw(dataset: str) -> Path:
        return sample(dataset, home / "samples" / dataset)

    @cache
    def store(dataset: str, **options: int | str) -> Store:
        out = home / " ".join([dataset, *(str(value) for value in options.values() if value)])
        return har_bench.convert("tests.enlarged:Enlarged", raw(dataset), out, jobs=1, quiet=True, options=options)

    return store


def predicted(protocol: Protocol, store: Store, seed: int = 0, *, ties: bool = True) -> pa.Table:
    """Predictions in our columns for everything that a protocol scores, sorted as the store is.

    Args:
        protocol: says what is predicted.
        store: holds the truth, which the predictions are near.
        seed: of the noise.
        ties: whether scores are sevenths, many of them equal, whose products round; else those of detections differ.
    """
    rng = np.random.default_rng(seed)
    selected = protocol.select(store.sequences)

    def scores(*shape: int) -> np.ndarray[Any, Any]:
        return (
            rng.integers(1, 9, shape) / 7 if ties else rng.permutation(np.prod(shape)).reshape(shape) / np.prod(shape)
        )

    if protocol.task in ("pose", "keypoint-detection"):
        return _poses(protocol, store, rng, scores)
    if protocol.task == "clip-classification":
        return _clips(protocol, selected, scores)
    if protocol.truth_table == "segments":
        return _detections(protocol, store, selected, rng, scores)
    return pa.concat_tables(_images(protocol, selected, rng, scores))


def _clips(protocol: Any, selected: pa.Table, scores: Any) -> pa.Table:
    """Scores of one clip or of three; in every second sequence, the true class of the first clip has a better one."""
    clips = 3 if protocol.recipe.combination else 1
    rows = selected.select(["sequence"]).take(pa.array(np.repeat(np.arange(len(selected)), clips)))
    values = scores(len(rows), protocol.classes)
    better = np.arange(0, len(selected), 2)
    values[better * clips, np.array(protocol.class_of(selected))[better]] *= 8
    return rows.append_column("clip", pa.array(np.arange(len(rows)) % clips)).append_column("scores", vector(values))


def _poses(protocol: Protocol, store: Store, rng: np.random.Generator, scores: Any) -> pa.Table:
    name = protocol.prediction_columns[0]
    rows = pa.concat_tables(targets(store, protocol))
    if protocol.task == "keypoint-detection":
        rows = rows.take(pa.array(np.repeat(np.arange(len(rows)), DETECTIONS)))
    points = np.nan_to_num(to_numpy(rows[name], rows.schema.field(name)))
    noisy = points + rng.normal(0, 1, points.shape) * rng.choice([1, 8, 60], (len(points), 1, 1))
    found = rows.select(["sequence", "frame", "person"]).append_column(name, vector(noisy.astype(np.float32)))
    if protocol.task == "keypoint-detection":
        found = found.append_column("score", pa.array(scores(len(found))))
        found = found.append_column("keypoint_scores", vector(scores(len(found), points.shape[1])))
    return found


def _detections(
    protocol: Protocol, store: Store, selected: pa.Table, rng: np.random.Generator, scores: Any
) -> pa.Table:
    """Intervals, or boxes on keyframes, near the true ones; one in five has the label of another."""
    rows = store.table("segments")
    rows = rows.filter(pc.is_in(rows["sequence"], selected["sequence"].combine_chunks()))
    rows = rows.take(pa.array(np.repeat(np.arange(len(rows)), DETECTIONS)))
    other = np.where(rng.random(len(rows)) < 0.2, rng.permutation(len(rows)), np.arange(len(rows)))
    found = rows.select(["sequence"]).append_column("score", pa.array(scores(len(rows))))
    if protocol.task == "temporal":
        start = np.maximum(rows["start"].to_numpy() + rng.integers(-9, 9, len(rows)), 0)
        stop = np.maximum(rows["stop"].to_numpy() + rng.integers(-9, 9, len(rows)), start + 1)
        columns = {"start": pa.array(start), "stop": pa.array(stop), "label": rows["label"].take(pa.array(other))}
    else:
        boxes = to_numpy(rows["bbox_normalised"], rows.schema.field("bbox_normalised"))
        boxes = boxes + rng.choice([-0.02, 0, 0.02], boxes.shape)
        columns = {"bbox_normalised": vector(boxes), "label": rows["action"].take(pa.array(other))}
        if protocol.recipe.window:  # type: ignore[attr-defined]
            frame = np.rint(30 * (rows["timestamp"].to_numpy() - 900)).astype(int)
            columns["frame"] = pa.array(np.maximum(frame - np.arange(len(rows)) % DETECTIONS, 0))
            columns["person"] = pa.array(np.arange(len(rows)) // DETECTIONS)
            columns["confidence"] = pa.array(rng.choice([0.7, 0.9], len(rows)))
        else:
            columns["timestamp"] = rows["timestamp"]
    for name, values in columns.items():
        found = found.append_column(name, values)
    return found


def _images(protocol: Protocol, selected: pa.Table, rng: np.random.Generator, scores: Any) -> Iterator[pa.Table]:
    """Scores of every image of MERL's videos, or a label of every chunk of them."""
    for video in selected.to_pylist():
        frames = frames_of(video["results_thumb"], len(video["results_labels"]))
        if "label" in protocol.prediction_columns:
            frames = frames[::CHUNK]
        columns = {"sequence": pa.array([video["sequence"]] * len(frames)), "frame": pa.array(frames)}
        if "label" in protocol.prediction_columns:
            true = np.array(video["results_labels"])[::CHUNK]
            wrong = rng.random(len(true)) < 0.2
            columns["label"] = pa.array(np.array(NAMES)[np.where(wrong, rng.integers(0, 6, len(true)), true)])
        columns["scores"] = vector(scores(len(frames), len(NAMES)))
        yield pa.table(columns)
