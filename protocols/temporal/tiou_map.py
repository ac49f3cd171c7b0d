"""Temporal action detection as ActivityNet scores it: mAP over tIoU thresholds, and AR@AN of the same intervals.

Caba Heilbron et al., ActivityNet, CVPR 2015, and the challenge's evaluation. A detection takes the free action of its
label and video with which its tIoU is largest, if that is at least the threshold; AP is the area under the envelope of
precision; mAP is its mean over labels that have a truth, and over thresholds. As proposals, the intervals are read
without their labels. The protocol is scored on MERL Shopping; a subclass with another ``dataset`` and ``split`` scores
any other store that has segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError, listed
from har_bench.foreign import json_file
from har_bench.protocol import Batch, Foreign, Protocol, Records, Scores, by_name, of_split
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Along, Curve, Groups, Metric, Recipe
from har_bench.results import Row
from har_bench.store import Store

from . import clues
from .intervals import (
    Detections,
    Pieces,
    Ranked,
    Recalls,
    average_precisions,
    average_recall,
    by_score,
    match,
    mean_over_labels,
    ranked,
    ranked_scores,
    recalled,
    temporal_iou,
)

PROPOSAL_TIOU: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
AVERAGE_NUMBERS = (1, 5, 10, 100)
REPORTED = (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.95)
TIOU = tuple(sorted({*PROPOSAL_TIOU, *REPORTED}))
"""Every threshold that a recipe may score at."""


@dataclass(frozen=True)
class TemporalRecipe(Recipe):
    """One set of thresholds.

    Attributes:
        tiou: thresholds of mAP.
        proposal_tiou: thresholds of AR.
        proposals: the largest average number of proposals per video.
    """

    tiou: tuple[float, ...] = PROPOSAL_TIOU
    proposal_tiou: tuple[float, ...] = PROPOSAL_TIOU
    proposals: int = 100


RECIPES = (
    TemporalRecipe(
        name="activitynet",
        about="mAP over tIoU 0.5:0.05:0.95",
        oracle="activitynet/ActivityNet, Evaluation/eval_detection.py and eval_proposal.py",
        cite="Caba Heilbron et al., CVPR 2015",
    ),
    TemporalRecipe(
        name="thumos",
        about="mAP over tIoU 0.3:0.1:0.7 by the same rule, as papers report THUMOS'14",
        oracle="open-mmlab/mmaction2, the same evaluator at these thresholds",
        cite="Idrees et al., CVIU 2017",
        tiou=(0.3, 0.4, 0.5, 0.6, 0.7),
    ),
)


class Video(NamedTuple):
    """What is kept of a video.

    Attributes:
        pieces: its detections by label.
        actions: how many true intervals it has.
        reached: see :func:`.intervals.recalled`.
    """

    pieces: Pieces
    actions: int
    reached: Ints


def by_label(records: Records[Video]) -> dict[str, Ranked]:
    """Each label's detections of all videos, best first."""
    return ranked([video.pieces for video in records.values()])


def joined(records: Records[Video]) -> tuple[Ints, Ints, Floats]:
    """What every video reaches, one after the other; (V + 1,) where each begins; (V,) true intervals."""
    videos = records.values()
    starts = np.cumsum([0, *(len(video.reached) for video in videos)])
    reached = np.concatenate([np.zeros(0, np.int64), *(video.reached for video in videos)])
    return reached, starts, np.array([video.actions for video in videos], np.float64)


class TemporalMAP(Protocol):
    """Labelled intervals of videos."""

    name = "temporal/map"
    version = "1"
    dataset = "merl"
    summary = "mAP over tIoU thresholds and AR@AN of detected intervals, as ActivityNet and THUMOS'14 papers report"
    metrics = (
        Metric("mAP", "%", "higher", "mean AP over labels and over the recipe's tIoU thresholds"),
        *(
            Metric(f"mAP@{at:g}", "%", "higher", f"mean AP over labels at tIoU {at:g}", Along("mAP", at, rises=False))
            for at in REPORTED
        ),
        *(
            Metric(
                *(f"AR@{number}", "%", "higher", f"average recall with {number} proposals per video on average"),
                along=Along("AR", number),
            )
            for number in AVERAGE_NUMBERS
        ),
        Metric("AUC", "%", "higher", "area under AR over AN, up to the recipe's largest AN"),
    )
    tables = (
        Groups(
            "label",
            measure="AP",
            along={f"AP@{at:g}": Along("AP", at, rises=False) for at in TIOU},
            means={"mAP": "AP"} | {f"mAP@{at:g}": f"AP@{at:g}" for at in REPORTED},
        ),
        Curve("tiou", falls=("mAP",)),
        Curve("proposals", measure="AR"),
    )
    notes = clues.NOTES
    recipes = by_name(*RECIPES)
    task = "temporal"
    truth_table = "segments"
    truth_columns = ("start", "stop", "label")
    prediction_columns = ("start", "stop", "label", "score")
    train_split = "standard/train"
    split: ClassVar[str] = "standard/test"
    """The split that is scored."""

    recipe: TemporalRecipe
    state: Records[Video]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """ActivityNet's ``.json`` of results: by video a list of ``label``, ``score`` and ``segment`` in seconds."""
        return read_results(path, store)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The videos of the split."""
        return of_split(sequences, self.split, self.canonical)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Match the intervals of whole videos."""
        for (name, true), (_, found) in zip(truth.slices(), predictions.slices(), strict=True):
            start, stop, score = (predictions[column][found] for column in ("start", "stop", "score"))
            order = by_score(score, start, stop)
            segments = np.stack([start, stop], axis=1)[order]
            actions = np.stack([truth["start"][true], truth["stop"][true]], axis=1)
            actions = actions[first := np.lexsort(actions.T[::-1])]
            labels, true_labels = (
                predictions["label"][found][order].astype(str),
                truth["label"][true][first].astype(str),
            )
            overlap, score = temporal_iou(segments, actions), ranked_scores(score)[order]
            pieces = {}
            for label in sorted({*labels.tolist(), *true_labels.tolist()}):
                mine, theirs = labels == label, true_labels == label
                hits = match(overlap[np.ix_(mine, theirs)], self.recipe.tiou)
                pieces[label] = Detections(score[mine], hits, int(theirs.sum()))
            self.state.add(name, Video(pieces, len(actions), recalled(overlap, self.recipe.proposal_tiou)))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the intervals look like others than frames of their video."""
        return clues.of_intervals(truth, predictions) if len(predictions) else {}

    def remarks(self) -> list[str]:
        """That detections have labels of no action, and so can hit nothing."""
        found = self.state.derived(by_label)
        known = sorted(label for label, each in found.items() if each.positives.sum())
        others = {label: len(each.owner) for label, each in found.items() if label not in known}
        if not sum(others.values()):
            return []
        every = sum(len(each.owner) for each in found.values())
        return [
            f"{sum(others.values()):,} of {every:,} detections have labels that no action has, such as "
            f"{next(iter(others))[:40]!r}, and can hit none; the actions are {listed(known)}"
        ]

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when video i of :meth:`units` counts ``weights[i]`` times."""
        areas = average_precisions(self.state.derived(by_label), "envelope", weights)
        means = mean_over_labels(areas, len(self.recipe.tiou))
        by_name = {f"mAP@{at:g}": float(mean) for at, mean in zip(self.recipe.tiou, means, strict=True)}
        by_name |= {"mAP": float(means.mean())}
        recalls = self.recalls(weights)
        by_name |= {f"AR@{number}": float(recalls.recall[number - 1]) for number in AVERAGE_NUMBERS}
        by_name |= {"AUC": recalls.area}
        return {metric.name: by_name[metric.name] for metric in self.metrics if metric.name in by_name}

    def recalls(self, weights: Floats | None = None) -> Recalls:
        """AR over AN from 1 to 100, all intervals of a video as proposals."""
        most, thresholds = self.recipe.proposals, len(self.recipe.proposal_tiou)
        return average_recall(*self.state.derived(joined), thresholds, most=most, weights=weights)

    def compute(self) -> Scores:
        """The metrics, with tables per label, per threshold and per number of proposals."""
        found = self.state.derived(by_label)
        areas = average_precisions(found)
        known = {label for label, each in found.items() if each.positives.sum()}
        names = [f"AP@{at:g}" for at in self.recipe.tiou]
        labels: list[Row] = [
            {
                "label": label,
                "AP": float(areas[label].mean()),
                **dict(zip(names, areas[label].tolist(), strict=True)),
                "actions": int(found[label].positives.sum()),
                "detections": len(found[label].owner),
            }
            for label in sorted(known)
        ]
        means = mean_over_labels(areas, len(names))
        recalls = self.recalls()
        return Scores(
            metrics=self.metrics_of(),
            tables={
                "label": labels,
                "tiou": [{"tiou": at, "mAP": float(value)} for at, value in zip(self.recipe.tiou, means, strict=True)],
                "proposals": [
                    {"AN": float(number), "AR": float(value)}
                    for number, value in zip(recalls.proposals, recalls.recall, strict=True)
                ],
            },
            counts={
                "videos": len(self.units()),
                "actions": sum(int(found[label].positives.sum()) for label in known),
                "detections": sum(len(found[label].owner) for label in known),
                "detections_of_other_labels": sum(len(each.owner) for key, each in found.items() if key not in known),
            },
        )


_FORM = "write {'results': {video: [{'label', 'score', 'segment': [start, stop]}]}}"


_SUFFIXES = (".json", ".json.gz", ".json.xz")


class _Result(msgspec.Struct):
    label: str | int
    score: float
    segment: tuple[float, float]


class _Results(msgspec.Struct):
    results: dict[str, list[_Result]]


class _Videos(msgspec.Struct):
    """The same before its detections are looked at."""

    results: dict[str, list[msgspec.Raw]]


def read_results(path: Path, store: Store) -> Foreign | None:
    """ActivityNet's results as intervals of frames, each video's by its own frame rate; None for another file.

    Raises:
        HarBenchError: the file begins as one of them but is damaged, or names a video whose frame rate is unknown.
    """
    if not path.is_file() or not path.name.lower().endswith(_SUFFIXES):
        return None
    try:
        file: _Results = json_file.read(path, _Results, what="ActivityNet's json of results", remedy=_FORM)
    except HarBenchError:
        _refuse_first_broken(path)
        raise
    results = file.results
    rates = dict(zip(*(store.sequences[name].to_pylist() for name in ("sequence", "fps")), strict=True))
    rows: dict[str, list[Any]] = {field.name: [] for field in _ROWS}
    for video, detections in results.items():
        if rates.get(video, 0.0) is None:
            raise HarBenchError(f"{path}: the store knows no frame rate of {video!r}; write our columns, in frames")
        for each in detections:
            start, stop = (second * (rates.get(video) or 1.0) for second in each.segment)
            for name, value in zip(rows, (video, start, stop, str(each.label), each.score), strict=True):
                rows[name].append(value)
    if not rows["sequence"]:
        raise HarBenchError(f"{path} holds no detection; {_FORM}")
    return Foreign(pa.table(rows, _ROWS), "ActivityNet's json of results, seconds as frames")


_ROWS = pa.schema(
    [
        ("sequence", pa.string()),
        ("start", pa.float64()),
        ("stop", pa.float64()),
        ("label", pa.string()),
        ("score", pa.float64()),
    ]
)


def _refuse_first_broken(path: Path) -> None:
    """Name the first detection that is none; nothing where the file as a whole is something else.

    Raises:
        HarBenchError: there is one.
    """
    try:
        file: _Videos = json_file.read(path, _Videos)
    except HarBenchError:
        return
    for video, detections in file.results.items():
        for row, each in enumerate(detections):
            try:
                msgspec.json.decode(each, type=_Result)
            except msgspec.DecodeError as error:
                raise HarBenchError(
                    f"detection {row} of {video!r} in {path} is none ({json_file.told(error)}); {_FORM}"
                ) from error
