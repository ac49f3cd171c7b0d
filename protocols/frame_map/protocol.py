"""AVA frame-mAP: ``video,second,x1,y1,x2,y2,action,score`` csv, or ``timestamp, bbox_normalised, label, score``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Anything, Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Foreign, Options, Protocol, Records, Scores, of_split, option
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Groups, Metric, Recipe, by_name
from har_bench.protocol.tables import cell, mean
from har_bench.results import Row

from . import clues
from .actions import ACTIONS, MOST, group_of
from .files import read_detections
from .keyframes import BEGINNING, FPS, SPAN, TICKS, Objects, coded, group, listed, runs, ticked
from .matching import (
    Candidates,
    Detections,
    Order,
    Ranking,
    Truth,
    average_precision,
    match,
    places,
    rank,
    window_means,
)

if TYPE_CHECKING:
    from har_bench.store import Store


@dataclass(frozen=True)
class FrameMAPRecipe(Recipe):
    """One tool's way from boxes to frame-mAP.

    Attributes:
        classes: the numbers of the actions that are scored; detections of others do not exist.
        order: how the detections of a keyframe are put in order; see :mod:`har_bench.protocols.frame_map.matching`.
        cap: how many detections of a keyframe are kept, over all actions; 0 is all.
        frames: where detections count: on every ``annotated`` keyframe; where there is a box of an ``evaluated``
            action; or on ``any`` second, so that those elsewhere are false positives.
        excluded: what excluded keyframes do: they ``count``, they are ``left out``, or their detections are left out
            while their ``objects count``.
        undetected: a class with objects and without detections has AP ``zero``, or is ``left out`` of the mean.
        invalid: a detection with x1 >= x2 or y1 >= y2 is ``dropped``, or ``kept`` as a false positive.
        precision: the floating-point type of boxes and scores.
        whole_seconds: whether keyframes are told apart by whole seconds.
        group_mean: a group's mean is over its classes with objects (``present``), or NaN if one has none (``all``).
        window: with predictions for every frame of a track, the mean over this many frames before a keyframe and, with
            it, as many from it on is the keyframe's score; 0 is the keyframe's own.
        confidence: with a column ``confidence``, the least one that is kept.
    """

    classes: tuple[int, ...] = tuple(ACTIONS)
    order: Order = "heap"
    cap: int = 50
    frames: Literal["annotated", "evaluated", "any"] = "annotated"
    excluded: Literal["count", "left out", "objects count"] = "count"
    undetected: Literal["zero", "left out"] = "zero"
    invalid: Literal["dropped", "kept"] = "dropped"
    precision: Literal["float64", "float32"] = "float64"
    whole_seconds: bool = False
    group_mean: Literal["present", "all"] = "present"
    window: int = 0
    confidence: float | None = None


RECIPES = (
    FrameMAPRecipe(
        name="official",
        about="the best 50 detections of each annotated keyframe",
        oracle="ActivityNet Evaluation/get_ava_performance.py",
        cite="Gu et al., CVPR 2018",
    ),
    FrameMAPRecipe(
        name="slowfast",
        about="all detections, matched in the order of the file; those on seconds without objects are false positives",
        oracle="facebookresearch/SlowFast slowfast/utils/ava_eval_helper.py",
        cite="Feichtenhofer et al., ICCV 2019",
        order="file",
        cap=0,
        frames="any",
        excluded="left out",
        whole_seconds=True,
    ),
    FrameMAPRecipe(
        name="mmaction2",
        about="all detections on keyframes with an evaluated object, in single precision; classes without are left out",
        oracle="open-mmlab/mmaction2 ava_eval",
        cite="mmaction2 contributors, 2020",
        inflates="an action that is never detected is left out of the mean instead of counting as 0, and detections on "
        "keyframes without an evaluated box are no false positives",
        order="score",
        cap=0,
        frames="evaluated",
        excluded="objects count",
        undetected="left out",
        invalid="kept",
        precision="float32",
        whole_seconds=True,
    ),
    FrameMAPRecipe(
        name="lart",
        about="official, with scores averaged over 12 frames of a track and boxes of confidence 0.8 or more",
        oracle="brjathu/LART evaluator with track.fullframe@avg.6",
        cite="Rajasegaran et al., CVPR 2023",
        group_mean="all",
        window=6,
        confidence=0.8,
    ),
)


@dataclass(frozen=True)
class FrameMAPOptions(Options):
    """What is scored."""

    split: str = option("val", "such as val, v1.0/test or, of several, v2.2/val+kinetics-v1.0/val")
    actions: tuple[str, ...] = option((), "score these numbers of the action list, such as 4,11,80; the recipe's 60")
    confidence: float | None = option(None, "the detector's least that counts; the recipe's (LART has 0.9 for AK-val)")


class Video(NamedTuple):
    """What is kept of a video.

    Attributes:
        sums: (2 C + 1,) objects and detections of each class, and keyframes.
        found: its detections.
    """

    sums: Ints
    found: Detections


def sums_of(records: Records[Video]) -> Ints:
    """(V, 2 C + 1) the videos' sums."""
    return np.array([video.sums for video in records.values()], np.int64).reshape(len(records), -1)


class FrameMAP(Protocol):
    """Actions of every person in AVA's keyframes.

    Predictions have ``sequence`` (the video), ``timestamp`` [s] or ``frame`` (0-based, 30 per second from second 900;
    films only), ``bbox_normalised`` (x1, y1, x2, y2 as fractions of the image), ``label`` (the action's number, from
    1) and ``score``; ``confidence`` is the detector's. With ``frame`` and ``person`` (the track), recipes with a window
    take the rows of all frames and average them.

    Equal scores in a keyframe come in the tool's order, which depends on the order of the file; equal scores of
    several keyframes come in the order of the videos' names and of time, where the tools leave them to an unstable
    sort.
    """

    name = "ava/frame-map"
    version = "1"
    summary = "mAP at IoU 0.5 of AVA's 60 evaluated actions, as four published tools compute it"
    metrics = (
        Metric("mAP@0.5", "%", "higher", "mean over the actions of the area under precision over recall, IoU 0.5"),
    )
    tables = (Groups("action", measure="AP@0.5"), Groups("group"))
    recipes = by_name(*RECIPES)
    notes = clues.NOTES
    option_type = FrameMAPOptions
    task = "spatio-temporal"
    truth_table = "segments"
    truth_columns = ("timestamp", "bbox_normalised", "action", "evaluated", "split", "person")
    prediction_columns = ("bbox_normalised", "label", "score")
    optional_columns = ("timestamp", "frame", "person", "confidence")

    recipe: FrameMAPRecipe
    options: FrameMAPOptions
    state: Records[Video]

    @cached_property
    def actions(self) -> tuple[int, ...]:
        """The numbers of the actions that are scored, rising.

        Raises:
            HarBenchError: some are none of an action list.
        """
        if not self.options.actions:
            return self.recipe.classes
        wrong = [word for word in self.options.actions if not (word.isdecimal() and 0 < int(word) <= MOST)]
        if wrong:
            raise HarBenchError(f"{self.name} cannot take action {wrong[0]!r}; give numbers from 1 to {MOST}")
        return tuple(sorted({int(word) for word in self.options.actions}))

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """The csv of detections that all of AVA's tools write, plain or gzipped."""
        del store
        return read_detections(path)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The videos of the split; ``val`` is that of the store's release, without Kinetics."""
        return of_split(sequences, self._wanted, self.canonical)

    def _wanted(self, split: str) -> bool:
        wanted = self.options.split.split("+")
        release, _, part = split.rpartition("/")
        return split in wanted or (part in wanted and release.startswith("v"))

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray:
        """The rows of the split; a video may be in several."""
        del sequences
        names = rows["split"].unique().to_pylist()
        return pc.is_in(rows["split"], value_set=pa.array([name for name in names if self._wanted(name)], pa.string()))

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Match the detections of whole videos."""
        objects = self._objects(truth)
        labels = self._labels(predictions)
        codes = self._codes(predictions)
        keyframes = self._keyframes(truth, objects, codes[labels >= 0])
        rows, starts = group(codes, keyframes)
        boxes = np.asarray(_boxes(predictions), self.recipe.precision)
        scores = np.asarray(self._scores(predictions, labels, codes, keyframes), self.recipe.precision)
        edges, found = match(
            Candidates(boxes, scores, labels, rows, starts),
            Truth(*objects.on(keyframes)),
            order=self.recipe.order,
            cap=self.recipe.cap,
            keep_invalid=self.recipe.invalid == "kept",
        )
        videos, kinds = len(truth.starts) - 1, len(self.actions)
        of_video = np.searchsorted(keyframes, np.arange(videos + 1) * SPAN)
        ends = edges[of_video]
        of_row = np.repeat(np.arange(videos), np.diff(ends))
        sums = np.concatenate(
            [
                _counts(objects.codes // SPAN, objects.classes, videos, kinds),
                _counts(of_row, found.classes, videos, kinds),
                np.diff(of_video)[:, None],
            ],
            axis=1,
        )
        for video, name in enumerate(truth.names()):
            self.state.add(name, Video(sums[video], found.part(slice(ends[video], ends[video + 1]))))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether boxes, times or labels look like others than AVA's."""
        if not len(predictions):
            return {}
        codes = coded(truth.starts, self._ticks(truth["timestamp"], "the store has"))
        every = np.union1d(codes, listed(truth.sequences, "empty"))
        true = codes, truth["bbox_normalised"].reshape(-1, 4).astype(np.float64)
        return clues.of_detections(predictions, self._codes(predictions), every, np.array(self.actions), true)

    def _objects(self, truth: Batch) -> Objects:
        """The boxes of evaluated actions that count."""
        actions = truth["action"]
        evaluated = np.isin(actions, self.actions)
        if not self.options.actions and (evaluated != truth["evaluated"].astype(bool)).any():
            other = actions[int(np.argmax(evaluated != truth["evaluated"].astype(bool)))]
            raise HarBenchError(
                f"the store and {self.canonical} disagree on whether action {other} is evaluated; convert AVA with its "
                "own list of evaluated actions, or say which with --option actions="
            )
        codes = coded(truth.starts, self._ticks(truth["timestamp"], "the store has"))
        kept = evaluated
        if self.recipe.excluded == "left out":
            kept = evaluated & ~np.isin(codes, listed(truth.sequences, "excluded"))
        boxes = truth["bbox_normalised"].reshape(-1, 4)
        if self.recipe.invalid == "dropped":
            inverted = kept & ((boxes[:, 0] > boxes[:, 2]) | (boxes[:, 1] > boxes[:, 3]))
            if inverted.any():
                row = int(np.argmax(inverted))
                raise HarBenchError(
                    f"{truth.names()[codes[row] // SPAN]} at {truth['timestamp'][row]:g} s has a true box with x1 > x2 "
                    f"or y1 > y2, at which the tool of {self.canonical} stops; mend the annotations and convert again"
                )
        rows = np.flatnonzero(kept)
        if self.recipe.order != "file":
            # the tools read the person's number as a score, which is 1 in files without it, and sort by it
            persons = np.nan_to_num(truth["person"].astype(np.float64), nan=1.0)
            rows = rows[np.argsort(-persons[rows], kind="stable")]
        classes = places(self.actions, actions[rows])
        order = np.lexsort((classes, codes[rows]))
        rows = rows[order]
        every = np.union1d(codes, listed(truth.sequences, "empty"))
        return Objects(codes[rows], classes[order], boxes[rows].astype(self.recipe.precision), every)

    def _keyframes(self, truth: Batch, objects: Objects, detected: Ints) -> Ints:
        """The codes of the keyframes on which detections count, sorted."""
        if self.recipe.frames == "annotated":
            codes = objects.every
        elif self.recipe.frames == "evaluated":
            codes = np.unique(objects.codes)
        else:
            codes = np.union1d(objects.codes, runs(detected)[0])
        if self.recipe.excluded != "count":
            codes = np.setdiff1d(codes, listed(truth.sequences, "excluded"))
        return codes[codes >= 0]

    def _labels(self, predictions: Batch) -> npt.NDArray[np.int16]:
        """(N,) the class of each detection; -1 for what does not exist."""
        labels = predictions["label"]
        if labels.dtype.kind not in "iuf" or (labels.dtype.kind == "f" and (labels % 1 != 0).any()):
            raise HarBenchError(f"{self.name} wants the numbers of AVA's actions, 1 to 80, in the column label")
        classes = places(self.actions, labels)
        if self.recipe.confidence is not None and "confidence" in predictions.columns:
            classes[~(predictions["confidence"] >= self.recipe.confidence)] = -1
        # with --missing count-as-error, a detection without a number is none
        for values in (_boxes(predictions), predictions["score"][:, None]):
            if not np.isfinite(values.sum()):
                classes[~np.isfinite(values).all(axis=1)] = -1
        return classes

    def _codes(self, predictions: Batch) -> Ints:
        """(N,) the code of each detection's keyframe; -1 where there can be none."""
        if not len(predictions):
            return np.zeros(0, np.int64)
        if self._averages(predictions):
            seconds = np.where(predictions["frame"] % FPS == 0, self._seconds_of_frames(predictions), np.nan)
        elif "timestamp" in predictions.columns:
            seconds = predictions["timestamp"]
        elif "frame" in predictions.columns:
            seconds = self._seconds_of_frames(predictions)
        else:
            raise HarBenchError(f"{self.name} needs a column timestamp [s] or frame in the predictions")
        return coded(predictions.starts, self._ticks(seconds, "the predictions have"))

    def _seconds_of_frames(self, predictions: Batch) -> Floats:
        for name, splits in zip(predictions.names(), predictions.sequences["splits"].to_pylist(), strict=True):
            if not any(split.startswith("v") for split in splits):
                raise HarBenchError(f"frames of {name} have no known times; give the column timestamp instead")
        return np.asarray(BEGINNING + predictions["frame"] / FPS, np.float64)

    def _ticks(self, seconds: Anything, whose: str) -> Ints:
        """(N,) whole microseconds, -1 for no time."""
        ticks = ticked(seconds)
        if self.recipe.whole_seconds and (ticks[ticks >= 0] % TICKS).any():
            second = seconds[int(np.argmax((ticks >= 0) & (ticks % TICKS != 0)))]
            raise HarBenchError(
                f"{whose} a keyframe at {second:g} s, and {self.canonical} knows whole seconds only; use official"
            )
        return ticks

    def _averages(self, predictions: Batch) -> bool:
        return self.recipe.window > 0 and {"frame", "person"} <= set(predictions.columns)

    def _scores(self, predictions: Batch, labels: npt.NDArray[np.int16], codes: Ints, keyframes: Ints) -> Anything:
        """(N,) the scores, of rows on keyframes averaged where the recipe does so."""
        scores = predictions["score"]
        if not self._averages(predictions):
            return scores
        videos = np.repeat(np.arange(len(predictions.starts) - 1), np.diff(predictions.starts))
        tracks = np.unique(np.stack([videos, predictions["person"], labels]), axis=1, return_inverse=True)[1]
        wanted = np.flatnonzero(np.isin(codes, keyframes))
        scores = np.array(scores, np.float64)
        scores[wanted] = window_means(
            predictions["score"], tracks.reshape(-1), predictions["frame"], wanted, self.recipe.window
        )
        return scores

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """mAP@0.5 when video i of ``units()`` counts ``weights[i]`` times."""
        return {"mAP@0.5": 100 * mean(self._areas(weights))}

    def _areas(self, weights: Floats | None) -> Floats:
        """(C,) AP of each class, 0 to 1; NaN for what is left out of the mean."""
        ranking, sums = self.state.derived(self._ranked), self.state.derived(sums_of)
        kinds = len(self.actions)
        weights = np.ones(len(sums)) if weights is None else weights
        areas = average_precision(ranking, sums[:, :kinds], weights)
        if self.recipe.undetected == "left out":
            areas[weights @ sums[:, kinds : 2 * kinds] == 0] = np.nan
        return areas

    def _ranked(self, records: Records[Video]) -> Ranking:
        """All detections in order."""
        return rank([video.found for video in records.values()], len(self.actions))

    def compute(self) -> Scores:
        """mAP, with tables per action and per kind of action."""
        kinds = len(self.actions)
        areas = 100 * self._areas(None)
        sums = self.state.derived(sums_of).sum(axis=0).astype(int)
        objects, detections = sums[:kinds], sums[kinds : 2 * kinds]
        groups = [group_of(id_) for id_ in self.actions]
        return Scores(
            metrics={"mAP@0.5": mean(areas)},
            tables={
                "action": [
                    {
                        "action": ACTIONS.get(id_, str(id_)),
                        "id": id_,
                        "group": group,
                        "AP@0.5": cell(area),
                        "objects": int(of_class),
                        "detections": int(found),
                    }
                    for id_, group, area, of_class, found in zip(
                        self.actions, groups, areas, objects, detections, strict=True
                    )
                ],
                "group": [self._group(name, areas[np.array(groups) == name]) for name in dict.fromkeys(groups)],
            },
            counts={
                "videos": len(self.state),
                "keyframes": int(sums[-1]),
                "objects": int(objects.sum()),
                "detections": int(detections.sum()),
            },
        )

    def _group(self, name: str, areas: Floats) -> Row:
        value = float(areas.mean()) if self.recipe.group_mean == "all" else mean(areas)
        return {"group": name, "mAP@0.5": cell(value), "actions": int(np.isfinite(areas).sum())}


def _boxes(predictions: Batch) -> Anything:
    boxes = predictions["bbox_normalised"]
    if len(predictions) and boxes.shape[1:] != (4,):
        raise HarBenchError(f"bbox_normalised of the predictions has shape {boxes.shape}; give x1, y1, x2, y2 a row")
    return boxes.reshape(-1, 4)


def _counts(videos: Ints, classes: Anything, count: int, kinds: int) -> Ints:
    """(V, C) how many there are of each class in each video."""
    return np.bincount(videos * kinds + classes, minlength=count * kinds).reshape(count, kinds)
