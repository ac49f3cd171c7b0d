"""Labelling of MERL Shopping's videos, chunk by chunk, as the TCN papers score it: accuracy, edit score, F1@k.

Lea et al., Temporal Convolutional Networks for Action Segmentation and Detection, CVPR 2017. All test videos are one
sequence of chunks, each of six images at 15 fps with one label; segments are its runs of equal labels without those of
the background. The published files differ in which image of a chunk gives its true class (their ED-TCN takes the
second, their ``MERL_dense`` the first), so the frame of each prediction says it; and they may lack the end, in whole
pieces of 600 chunks (ED-TCN: 9,000 of 9,460), so chunks behind the last prediction are left out, and counted. Their
``MERL_sparse`` has a label for every image, which is then a chunk of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats, kernel, taken
from har_bench.errors import HarBenchError
from har_bench.protocol import Along, Batch, Facts, Foreign, Groups, Metric, Recipe, Records, Scores, by_name
from har_bench.protocol.tables import cell, mean
from har_bench.store import Store

from .intervals import average_precision, holds_midpoint, match_by_truth, runs, temporal_iou
from .merl import OfMERL
from .merl_files import CHUNK, CLASSES, NAMES, frames_of, read_chunks

Labels = npt.NDArray[np.int64]

BACKGROUND = len(CLASSES)
OVERLAPS = (0.10, 0.25, 0.50)
LABELS = 4096
"""Labels from 0 up to this are compared as they are; others get numbers first."""

PIECE = 600
"""Chunks that the published files are cut into; a rest of less is lost."""


@dataclass(frozen=True)
class SegmentalRecipe(Recipe):
    """One way of scoring a labelling.

    Attributes:
        background: the label whose segments do not count, if any; it does count for the accuracy.
    """

    background: int | None = BACKGROUND


RECIPES = (
    SegmentalRecipe(
        name="tcn",
        about="all videos as one sequence of chunks, no segments of background, IoU >= k without an extra frame",
        oracle="colincsl/TemporalConvolutionalNetworks, metrics.py",
        cite="Lea et al., CVPR 2017",
    ),
)


class Segments(NamedTuple):
    """Runs of equal labels; (K,) starts, stops (half-open) and labels."""

    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    label: Labels

    @property
    def intervals(self) -> npt.NDArray[np.int64]:
        """(K, 2) starts and stops."""
        return np.stack([self.start, self.stop], axis=1)


def segments(labels: Labels, background: int | None = None) -> Segments:
    """The segments of a labelling (N,), without those of the background."""
    start, stop = runs(labels)
    label = labels[start]
    kept = np.ones(len(label), bool) if background is None else label != background
    return Segments(start[kept], stop[kept], label[kept])


def edit_score(predicted: npt.ArrayLike, truth: npt.ArrayLike) -> float:
    """100 (1 - d / n) of two orders of segments (K,), (L,): d edits apart, and n the longer one's length [%].

    >>> edit_score([0, 1, 2], [0, 2])
    66.66666666666667

    Raises:
        HarBenchError: no arrays of whole numbers.
    """
    mine, true = taken("edit_score", predicted=(predicted, "K whole"), truth=(truth, "L whole"))
    if len(mine) and len(true) and not 0 <= min(mine.min(), true.min()) <= max(mine.max(), true.max()) < LABELS:
        mine, true = np.split(np.unique(np.concatenate([mine, true]), return_inverse=True)[1], [len(mine)])
    longer = max(len(mine), len(true))
    return 100 * (1 - levenshtein(mine, true) / longer) if longer else 100.0


def levenshtein(first: Labels, second: Labels) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence of labels (K,) the other (L,).

    Labels are >= 0. Source: Myers, A fast bit-vector algorithm for approximate string matching, JACM 1999; in blocks
    of 64 as Hyyrö, 2003. A bootstrap needs it a thousand times.
    """
    if not len(first) or not len(second):
        return max(len(first), len(second))
    return int(_levenshtein(first.astype(np.int64), second.astype(np.int64)))


@kernel
def _levenshtein(first: Labels, second: Labels) -> Any:
    one, top = np.uint64(1), np.uint64(63)
    blocks = (len(first) + 63) // 64
    equal = np.zeros((max(first.max(), second.max()) + 1, blocks), np.uint64)
    for i in range(len(first)):
        equal[first[i], i // 64] |= one << np.uint64(i % 64)
    # bits of the vertical differences, +1 and -1, of the column of distances that is being computed
    rises, falls = np.full(blocks, ~np.uint64(0)), np.zeros(blocks, np.uint64)
    end = np.uint64((len(first) - 1) % 64)
    distance = np.int64(len(first))
    for label in second:
        rise_in, fall_in = one, np.uint64(0)
        for block in range(blocks):
            rise, fall = rises[block], falls[block]
            vertical = equal[label, block] | fall
            met = equal[label, block] | fall_in
            diagonal = (((met & rise) + rise) ^ rise) | met
            right_rise, right_fall = fall | ~(diagonal | rise), rise & diagonal
            if block == blocks - 1:
                distance += np.int64((right_rise >> end) & one) - np.int64((right_fall >> end) & one)
            rise_out, fall_out = right_rise >> top, right_fall >> top
            right_rise, right_fall = (right_rise << one) | rise_in, (right_fall << one) | fall_in
            rises[block], falls[block] = right_fall | ~(vertical | right_rise), right_rise & vertical
            rise_in, fall_in = rise_out, fall_out
    return distance


def overlap_f1(predicted: Segments, truth: Segments, at: npt.ArrayLike = OVERLAPS) -> Floats:
    """(T,) F1@k: 100 x the harmonic mean of the precision and recall of segments, all classes together [%].

    In order of time, a predicted segment is right when its tIoU with the true segment of its label that it overlaps
    most, the first of equals, is >= k, and no earlier one took that. F1 of nothing against nothing is 0.

    Args:
        predicted: K segments in order of time.
        truth: L segments in order of time.
        at: (T,) the k, as shares.
    """
    hits = _hits(*predicted, *truth, np.atleast_1d(np.asarray(at, np.float64)))
    either = len(predicted.label) + len(truth.label)
    return 200 * hits / either if either else np.zeros(len(hits))


@kernel
def _hits(start: Labels, stop: Labels, label: Labels, begin: Labels, end: Labels, true: Labels, at: Floats) -> Floats:
    hits = np.zeros(len(at))
    taken = np.zeros((len(true), len(at)), np.bool_)
    low = 0
    for k in range(len(label)):
        while low < len(true) and end[low] <= start[k]:
            low += 1
        best, best_iou = -1, 0.0
        for other in range(low, len(true)):
            if begin[other] >= stop[k]:
                break
            if true[other] == label[k]:
                shared = min(stop[k], end[other]) - max(start[k], begin[other])
                iou = shared / (max(stop[k], end[other]) - min(start[k], begin[other]))
                if iou > best_iou:
                    best, best_iou = other, iou
        for threshold in range(len(at)):
            if best >= 0 and best_iou >= at[threshold] and not taken[best, threshold]:
                taken[best, threshold] = True
                hits[threshold] += 1
    return hits


def segment_average_precision(
    predicted: Segments, scores: Floats, truth: Segments, classes: int, at: float | None = None
) -> Floats:
    """(C,) AP of segments ranked by the largest score of their class inside them, by THUMOS'14's rule [%].

    Args:
        predicted: K segments.
        scores: (N, >= C) scores of each chunk.
        truth: L segments.
        classes: C.
        at: a hit has tIoU > ``at``; None: its midpoint is inside.
    """
    areas = []
    for code in range(classes):
        mine, true = predicted.intervals[predicted.label == code], truth.intervals[truth.label == code]
        score = np.array([scores[start:stop, code].max() for start, stop in mine.tolist()])
        ranked = mine[np.argsort(-score, kind="stable")]
        affinity, above = (holds_midpoint, 0.5) if at is None else (temporal_iou, at)
        # a column at a time: all of them together grow with the square of the number of videos
        columns = (affinity(ranked, one)[:, 0] for one in true)
        hits = match_by_truth(columns, len(ranked), above)
        areas.append(float(average_precision(hits, len(true), area="sum")))
    return np.array(areas)


class Video(NamedTuple):
    """One video's predicted chunks.

    Attributes:
        row: the video's first row in the released order.
        images: how many it has.
        truth: (N,) classes 0 to 5 of its first N chunks, or of N of its images.
        predicted: (N,) the same, predicted.
        scores: (N, 6) or None.
        image: which image of each chunk gave its class, 0 to 5; with a label for each image, the first that has one;
            -1 without predictions.
        step: images per label: those of a chunk, or 1.
    """

    row: int
    images: int
    truth: Labels
    predicted: Labels
    scores: Floats | None
    image: int
    step: int = CHUNK

    def lacks(self, step: int) -> int:
        """How many labels are not there, of a file with one for so many images."""
        begun = self.image if self.step == 1 else 0
        return -(-(self.images - max(begun, 0)) // step) - len(self.truth)


F1 = {f"F1@{at}": Along("F1", at, rises=False) for at in (10, 25, 50)}


class Segmental(OfMERL):
    """The label of every chunk of MERL's test videos."""

    name = "merl/segmental"
    summary = "Frame accuracy, edit score and F1@10, 25, 50 of labelled chunks on MERL Shopping"
    metrics = (
        Metric("F1@50", "%", "higher", "F1 of segments, which are right at tIoU >= 0.5", F1["F1@50"]),
        Metric("F1@25", "%", "higher", "F1 of segments, which are right at tIoU >= 0.25", F1["F1@25"]),
        Metric("F1@10", "%", "higher", "F1 of segments, which are right at tIoU >= 0.1", F1["F1@10"]),
        Metric("edit", "%", "higher", "1 - edits between the orders of segments, over the longer one's length"),
        Metric("accuracy", "%", "higher", "chunks with the right label, background included"),
        Metric(
            *("mAP@0.1", "%", "higher", "mean AP of segments, tIoU > 0.1 (when there are scores)"),
            along=Along("mAP", 0.1, rises=False),
        ),
        Metric(
            *("mAP@0.5", "%", "higher", "mean AP of segments, tIoU > 0.5 (when there are scores)"),
            along=Along("mAP", 0.5, rises=False),
        ),
        Metric("mAP@mid", "%", "higher", "mean AP of segments, midpoint inside (when there are scores)"),
    )
    tables = (
        Groups(
            "class",
            measure="F1@50",
            along={**F1, **{f"AP@{at}": Along("AP", at, rises=False) for at in (0.1, 0.5)}},
            means={f"mAP@{at}": f"AP@{at}" for at in ("0.1", "0.5", "mid")},
        ),
        Facts("sampling"),
        Facts("left_out"),
    )
    recipes = by_name(*RECIPES)
    prediction_columns = ("frame", "label")
    optional_columns = ("scores",)

    recipe: SegmentalRecipe
    state: Records[Video]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """A .mat file of the TCN repository, with ``P``, ``Y`` and ``S``, or the folder of its 1.mat."""
        return read_chunks(path, store)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Take the labels of whole videos.

        Raises:
            HarBenchError: a label is unknown, or a video's chunks do not have one each up to the last.
        """
        for video, (name, rows) in zip(truth.sequences.to_pylist(), predictions.slices(), strict=True):
            columns = {column: values[rows] for column, values in predictions.columns.items()}
            labels = np.array(video["results_labels"], np.int64)
            self.state.add(name, _video(name, video["results_row"], video["results_thumb"], labels, columns))

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when video i of :meth:`units` is in the sequence ``weights[i]`` times, without mAP."""
        videos = self.state.values()
        times = np.ones(len(videos), int) if weights is None else weights.astype(int)
        return self._numbers([video for video, count in zip(videos, times, strict=True) for _ in range(count)])

    def compute(self) -> Scores:
        """The metrics, with a table per class.

        Raises:
            HarBenchError: chunks before the last predicted one have no label.
        """
        videos = self._leading()
        metrics = self._numbers(videos)
        truth, predicted = (np.concatenate([getattr(each, name) for each in videos]) for name in ("truth", "predicted"))
        mine, true = segments(predicted, self.recipe.background), segments(truth, self.recipe.background)
        areas: dict[str, Floats] = {}
        given = [video.scores for video in videos if video.scores is not None]
        if len(given) == len(videos):
            scores = np.concatenate(given)
            for name, at in (("0.1", 0.1), ("0.5", 0.5), ("mid", None)):
                areas[name] = segment_average_precision(mine, scores, true, len(CLASSES), at)
                metrics[f"mAP@{name}"] = mean(areas[name])
        step = videos[0].step
        lacking = {name: video.lacks(step) for name, video in zip(self.state.names(), self.state.values(), strict=True)}
        return Scores(
            metrics=metrics,
            tables={
                "class": [_class_row(code, mine, true, truth, predicted, areas) for code in range(len(CLASSES))],
                "sampling": [{"images_per_chunk": step, "labelled_image": 1 + (videos[0].image if step > 1 else 0)}],
                "left_out": [
                    {"sequence": name, "why": f"{chunks:,} chunks behind the last predicted one"}
                    for name, chunks in sorted(lacking.items())
                    if chunks
                ],
            },
            counts={
                "videos": len(videos),
                "chunks": len(truth),
                "chunks_left_out": sum(lacking.values()),
                "segments": len(true.label),
            },
        )

    def _numbers(self, videos: list[Video]) -> dict[str, float]:
        """The metrics of videos, one after the other in the released order."""
        videos = sorted(videos, key=lambda video: video.row)
        truth, predicted = (np.concatenate([getattr(each, name) for each in videos]) for name in ("truth", "predicted"))
        mine, true = segments(predicted, self.recipe.background), segments(truth, self.recipe.background)
        f1 = overlap_f1(mine, true)
        return {
            **{f"F1@{at}": float(value) for at, value in zip((50, 25, 10), f1[::-1], strict=True)},
            "edit": edit_score(mine.label, true.label),
            "accuracy": float(100 * (truth == predicted).mean()) if len(truth) else float("nan"),
        }

    def _leading(self) -> list[Video]:
        """The videos with predictions, in the released order, which must be the first ones, but for a cut tail."""
        videos = sorted(zip(self.units(), self.state.values(), strict=True), key=lambda item: item[1].row)
        ways = {(video.step, video.image if video.step > 1 else 0) for _, video in videos if len(video.truth)}
        if len(ways) > 1:
            raise HarBenchError(
                "the labels are at different images of the videos' chunks; give them all at one, such as the first"
            )
        step = next(iter(ways), (CHUNK, 0))[0]
        missing = [index for index, (_, video) in enumerate(videos) if video.lacks(step)]
        first = missing[0] if missing else len(videos)
        given = sum(len(video.truth) for _, video in videos)
        late = any(len(video.truth) for _, video in videos[first + 1 :])
        cut = given % PIECE if step > 1 else sum(video.lacks(step) for _, video in videos) >= min(PIECE, given)
        if missing and (late or cut or not given):
            name, video = videos[first]
            whole = -(-video.images // step)
            raise HarBenchError(
                f"{name} has labels for {len(video.truth)} of its {whole} {'chunks' if step > 1 else 'images'}; label "
                f"all of them, one each (only a tail may lack, when what is there is whole pieces of {PIECE} chunks of "
                f"the videos in order, or all but less than {PIECE} images)"
            )
        return [video for _, video in videos if len(video.truth)]


def _video(name: str, row: int, thumb: int, labels: Labels, columns: dict[str, npt.NDArray[Any]]) -> Video:
    """A video's chunks, from its images' classes and the predicted rows."""
    given, images = columns["frame"], len(labels)
    if not len(given):
        return Video(row, images, np.zeros(0, np.int64), np.zeros(0, np.int64), None, -1)
    order = np.argsort(given, kind="stable")
    place = np.searchsorted(frames_of(thumb, images), given[order], "right") - 1
    image, step = int(place[0]), 1 if len(place) > 1 and place[1] == place[0] + 1 else CHUNK
    if not 0 <= image < CHUNK or not np.array_equal(place, image + step * np.arange(len(place))):
        first = int(frames_of(thumb, 1)[0])
        raise HarBenchError(
            f"{name} does not have one label per chunk of {2 * CHUNK} frames from its frame {first} on, nor one per "
            f"image of 2 frames; give them at frames {first}, {first + 2 * CHUNK} and so on, or at every second frame"
        )
    codes = {label: code for code, label in enumerate(NAMES)}
    strange = set(columns["label"].tolist()) - set(codes)
    if strange:
        raise HarBenchError(f"{name} is labelled {min(map(str, strange))!r}; the labels are {', '.join(NAMES)}")
    predicted = np.array([codes[label] for label in columns["label"][order].tolist()], np.int64)
    scores = columns["scores"][order] if "scores" in columns else None
    return Video(row, images, labels[place], predicted, scores, image, step)


def _class_row(
    code: int, mine: Segments, true: Segments, truth: Labels, predicted: Labels, areas: dict[str, Floats]
) -> dict[str, str | int | float | None]:
    own, others = (Segments(*(column[each.label == code] for column in each)) for each in (mine, true))
    chunks = int((truth == code).sum())
    f1 = overlap_f1(own, others)
    recall = float(100 * (predicted[truth == code] == code).mean()) if chunks else None
    return {
        "class": CLASSES[code],
        **{f"F1@{at}": float(value) for at, value in zip((10, 25, 50), f1, strict=True)},
        "recall": recall,
        **{f"AP@{at}": cell(area[code]) for at, area in areas.items()},
        "segments": len(others.label),
        "chunks": chunks,
    }
