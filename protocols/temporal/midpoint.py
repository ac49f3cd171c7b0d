"""Average precision of detected actions on MERL Shopping, where a detection's midpoint decides.

Singh et al., A Multi-Stream Bi-Directional Recurrent Neural Network for Fine-Grained Action Detection, CVPR 2016. A
detection is right when its midpoint lies in an action of its class that no better detection took. Everything is
counted in rows of 15 fps, as in the released results: row t shows the frames 2t and 2t + 1 of the video, and an
interval has every row that it touches. AP over tIoU is printed beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Foreign, Options, Records, Scores, by_name, option
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Along, Groups, Metric, Recipe
from har_bench.store import Store

from . import clues
from .intervals import (
    Area,
    Detections,
    Pieces,
    Ranked,
    average_precisions,
    by_score,
    holds_midpoint,
    match,
    mean_over_labels,
    ranked,
    ranked_scores,
    runs,
    temporal_iou,
)
from .merl import OfMERL
from .merl_files import CLASSES, read_detections, scored_videos

TIOU = (0.1, 0.25, 0.5)
STEP = 2
"""Frames of the videos, at 30 fps, per row, at 15 fps."""


@dataclass(frozen=True)
class MidpointRecipe(Recipe):
    """One way of turning ranked detections into an AP.

    Attributes:
        area: see :func:`har_bench.protocols.temporal.intervals.average_precision`.
    """

    area: Area = "envelope"


RECIPES = (
    MidpointRecipe(
        name="official",
        about="area under the precision envelope (VOC 2010), which gives the published 81.87 of the released results",
        oracle="the numbers in README_MERL.md, made with the evaluation code of MPII Cooking Activities",
        cite="Singh et al., CVPR 2016",
    ),
    MidpointRecipe(
        name="eleven-point",
        about="mean precision at recalls 0, 0.1 to 1 (VOC 2007)",
        oracle="the area of VOCevaldet.m, VOC 2007 development kit; hits are those of official",
        cite="Everingham et al., IJCV 2010",
        area="eleven-point",
    ),
    MidpointRecipe(
        name="thumos",
        about="precision summed at the true positives, over their possible number (THUMOS'14)",
        oracle="the area of TH14eventdetpr.m, THUMOS'14 evaluation kit; hits are those of official",
        cite="Idrees et al., CVIU 2017",
        area="sum",
    ),
    MidpointRecipe(
        name="trapezoid",
        about="area under straight lines between the points, from precision 1 at recall 0",
        oracle="numpy.trapezoid over the points of precision and recall; hits are those of official",
        cite="Davis & Goadrich, ICML 2006",
        area="trapezoid",
    ),
)


@dataclass(frozen=True)
class MidpointOptions(Options):
    """Which truth is taken."""

    truth: Literal["released", "labels"] = option(
        "released",
        "released: the runs of Results/frame_names.txt, which the published AP is for; labels: the label files, "
        "a later revision",
    )


def by_label(records: Records[Pieces]) -> dict[str, Ranked]:
    """Each class's detections of all videos, best first."""
    return ranked(records.values())


class MidpointAP(OfMERL):
    """Actions detected in MERL's test videos."""

    name = "merl/midpoint-ap"
    summary = "AP of the 5 actions of MERL Shopping's 28 test videos, hit by midpoint"
    metrics = (
        Metric("mAP", "%", "higher", "mean AP of the 5 classes; a midpoint in a free action of the class is a hit"),
        *(
            Metric(
                f"mAP@{at}",
                "%",
                "higher",
                f"mean AP where a hit has tIoU >= {at} instead",
                Along("mAP", at, rises=False),
            )
            for at in TIOU
        ),
    )
    tables = (
        Groups(
            "class",
            measure="AP",
            along={f"AP@{at}": Along("AP", at, rises=False) for at in TIOU},
            means={f"m{name}": name for name in ("AP", *(f"AP@{at}" for at in TIOU))},
        ),
    )
    notes = clues.NOTES
    recipes = by_name(*RECIPES)
    option_type = MidpointOptions
    truth_table = "segments"
    truth_columns = ("start", "stop", "label")
    prediction_columns = ("start", "stop", "label", "score")

    recipe: MidpointRecipe
    options: MidpointOptions
    state: Records[Pieces]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """MERL's folder ``Results/DetectedActions``, 1.mat to 5.mat."""
        return read_detections(path, store)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The test videos."""
        return super().select(sequences) if self.options.truth == "released" else scored_videos(sequences)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Match the detections of whole videos.

        Raises:
            HarBenchError: a predicted label is none of the five.
        """
        videos = truth.sequences.to_pylist()
        for video, (name, true), (_, found) in zip(videos, truth.slices(), predictions.slices(), strict=True):
            if self.options.truth == "released":
                actions = _released(video["results_thumb"], np.array(video["results_labels"]))
            else:
                actions = _labelled(*(truth[column][true] for column in ("start", "stop", "label")))
            start, stop, label, score = (predictions[column][found] for column in self.prediction_columns)
            self.state.add(name, _scored(actions, start, stop, label, score, name))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the intervals look like others than frames of their video."""
        return clues.of_intervals(truth, predictions) if len(predictions) else {}

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The mAPs when video i of :meth:`units` counts ``weights[i]`` times."""
        areas = average_precisions(self.state.derived(by_label), self.recipe.area, weights)
        means = mean_over_labels(areas, 1 + len(TIOU))
        return {metric.name: float(value) for metric, value in zip(self.metrics, means, strict=True)}

    def compute(self) -> Scores:
        """The mAPs, with a table per class."""
        labels = self.state.derived(by_label)
        areas = average_precisions(labels, self.recipe.area)
        table, counts = [], {"videos": len(self.units()), "actions": 0, "detections": 0}
        for label in CLASSES:
            actions, detections = int(labels[label].positives.sum()), len(labels[label].owner)
            values = (float(value) if actions else None for value in areas[label])
            numbers = dict(zip(("AP", *(f"AP@{at}" for at in TIOU)), values, strict=True))
            table.append({"class": label, **numbers, "actions": actions, "detections": detections})
            counts["actions"] += actions
            counts["detections"] += detections
        return Scores(metrics=self.metrics_of(), tables={"class": table}, counts=counts)


Intervals = dict[str, Floats]


def _released(thumb: int, labels: npt.NDArray[Any]) -> Intervals:
    """Half-open intervals of rows by class: the runs of equal labels; thumb t is row t - 1."""
    start, stop = runs(labels)
    intervals = np.stack([start, stop], axis=1) + float(thumb - 1)
    return {name: intervals[labels[start] == code] for code, name in enumerate(CLASSES)}


def _labelled(start: npt.NDArray[Any], stop: npt.NDArray[Any], label: npt.NDArray[Any]) -> Intervals:
    """Half-open intervals of rows by class, of labelled intervals of frames, in order of time."""
    intervals = _in_rows(start, stop)
    intervals = intervals[order := np.lexsort(intervals.T[::-1])]
    return {name: intervals[label[order] == name] for name in CLASSES}


def _in_rows(start: npt.NDArray[Any], stop: npt.NDArray[Any]) -> Floats:
    """(N, 2) the rows that intervals of frames touch, half-open."""
    return np.stack([np.floor(start / STEP), np.ceil(stop / STEP)], axis=1)


def _scored(
    actions: Intervals,
    start: npt.NDArray[Any],
    stop: npt.NDArray[Any],
    label: npt.NDArray[Any],
    score: npt.NDArray[Any],
    video: str,
) -> dict[str, Detections]:
    """Every class's detections of a video, with their hits by midpoint and by each of :data:`TIOU`."""
    label = label.astype(str)  # of a video without detections, it is an empty array of numbers
    strange = set(label.tolist()) - set(CLASSES)
    if strange:
        raise HarBenchError(
            f"{video} has detections of {min(strange)!r}, which is no class of MERL Shopping; "
            f"write {', '.join(CLASSES)}"
        )
    order = by_score(score, start, stop)
    intervals, score, label = _in_rows(start, stop)[order], ranked_scores(score)[order], label[order]
    scored = {}
    for name, true in actions.items():
        mine = label == name
        found = intervals[mine]
        # the middle of an interval of rows is that of its first and last one
        middle = holds_midpoint(found - [0, 1], true - [0, 1], closed=True)
        hits = np.concatenate([match(middle, 1), match(temporal_iou(found, true), TIOU)], axis=1)
        scored[name] = Detections(score[mine], hits, len(true))
    return scored
