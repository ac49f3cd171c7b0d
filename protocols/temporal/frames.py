"""Per-image average precision and accuracy on MERL Shopping: a score for each class and the background per image.

The images are those of ``Results/frame_names.txt``, at 15 fps; the alignment of predictions with them is this. AP takes
each image's own scores, those of its chunk of six. MERL's accuracy of 76.4 % is only met when the predictions are taken
to lag four images behind the video (76.388; the last four images of a video are left out), so ``accuracy`` is that;
the table ``alignment`` has the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Facts, Foreign, Groups, Metric, Recipe, Records, Scores, by_name
from har_bench.protocol.tables import mean
from har_bench.store import Store

from .merl import OfMERL
from .merl_files import CHUNK, CLASSES, NAMES, frames_of, read_frames

LAGS = range(9)
"""Lags, in images, that the table ``alignment`` shows."""


@dataclass(frozen=True)
class FrameRecipe(Recipe):
    """How predictions lie over the images.

    Attributes:
        lag: the accuracy takes the prediction for image i + lag of a video for its image i.
    """

    lag: int = 4


RECIPES = (
    FrameRecipe(
        name="official",
        about="AP of each image's own scores; accuracy of predictions that lag 4 images, as published (76.4)",
        oracle="the accuracy in README_MERL.md; AP as sklearn.metrics.average_precision_score",
        cite="Singh et al., CVPR 2016",
        inflates="its accuracy takes the prediction of 4 images later, which lifts the released results from 73.4 to "
        "76.4; its AP is as it should be",
    ),
)


def right_at(predicted: npt.NDArray[Any], labels: npt.NDArray[Any], lag: int = 0) -> npt.NDArray[np.bool_]:
    """Which images of a video are right when the prediction for image i + lag is taken for image i.

    Args:
        predicted: (N,) classes.
        labels: (N,) classes.
        lag: images; the last ``lag`` images have no prediction, and are left out.

    Returns:
        (N - lag,).
    """
    return np.asarray(predicted[lag:] == labels[: len(labels) - lag])


class Steps(NamedTuple):
    """One class's images by falling score, those of equal score and video as one; K of these.

    Attributes:
        owner: (K,) index of the video.
        positive: (K,) images of the class.
        images: (K,) images.
        ends: (D,) the last of each run of equal scores.
    """

    owner: npt.NDArray[np.int64]
    positive: Floats
    images: Floats
    ends: npt.NDArray[np.int64]


def steps(scores: Floats, positive: npt.NDArray[np.bool_], owner: npt.NDArray[np.int64]) -> Steps:
    """Rank the images.

    Args:
        scores: (N,).
        positive: (N,) whether the image is of the class.
        owner: (N,) index of its video.
    """
    order = np.lexsort((owner, -scores))
    scores, owner = scores[order], owner[order]
    first = np.flatnonzero(np.concatenate([[True], (scores[1:] != scores[:-1]) | (owner[1:] != owner[:-1])]))
    ends = np.flatnonzero(np.append(scores[first][1:] != scores[first][:-1], True))
    positives = np.add.reduceat(positive[order].astype(np.float64), first)
    return Steps(owner[first], positives, np.diff(np.append(first, len(scores))).astype(np.float64), ends)


def step_average_precision(ranked: Steps, weights: Floats | None = None) -> float:
    """Precision times the gain in recall at each distinct score, in percent; NaN without positives.

    Args:
        ranked: of :func:`steps`.
        weights: (V,) how often each video counts.

    Source: scikit-learn's ``average_precision_score``.
    """
    times = 1.0 if weights is None else weights[ranked.owner]
    found = np.cumsum(ranked.positive * times)[ranked.ends]
    seen = np.cumsum(ranked.images * times)[ranked.ends]
    if not found[-1]:
        return float("nan")
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    return float(100 * (np.diff(found, prepend=0) * precision).sum() / found[-1])


class Images(NamedTuple):
    """One video's images: (N,) classes 0 to 5, and (N, 6) predicted scores, -inf where none was predicted."""

    labels: npt.NDArray[np.uint8]
    scores: Floats


def ranked(records: Records[Images]) -> list[Steps]:
    """Per class, all images in the order of their scores."""
    videos = records.values()
    owner = np.repeat(np.arange(len(videos)), [len(video.labels) for video in videos])
    labels = np.concatenate([video.labels for video in videos])
    scores = np.concatenate([video.scores for video in videos])
    return [steps(scores[:, code], labels == code, owner) for code in range(len(CLASSES))]


class FrameMAP(OfMERL):
    """The class of every image of MERL's test videos."""

    name = "merl/frame-map"
    summary = "AP of the 5 actions of MERL Shopping per image at 15 fps, and accuracy with the background"
    metrics = (
        Metric("mAP", "%", "higher", "mean over the 5 classes of the AP of the images' scores"),
        Metric("accuracy", "%", "higher", "images whose highest score, at the recipe's lag, is their class of 6"),
    )
    tables = (Groups("class", measure="AP", means={"mAP": "AP"}), Facts("alignment"))
    recipes = by_name(*RECIPES)
    prediction_columns = ("scores",)
    optional_columns = ("frame",)
    complete = True

    recipe: FrameRecipe
    state: Records[Images]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """MERL's ``Results/framepreds.mat``."""
        return read_frames(path, store)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Take the scores of whole videos.

        Raises:
            HarBenchError: an image of a video has no scores, or has them twice, or they are not six.
        """
        for video, (name, rows) in zip(truth.sequences.to_pylist(), predictions.slices(), strict=True):
            labels = np.array(video["results_labels"], np.uint8)
            scores = np.full((len(labels), len(NAMES)), -np.inf)
            if rows.stop > rows.start:  # else counted as errors, by the user's word
                frames = frames_of(video["results_thumb"], len(labels))
                given = predictions["scores"][rows]
                # without frames, the rows are the images in order
                at = predictions["frame"][rows] if "frame" in predictions.columns else frames[: len(given)]
                scores = _at(frames, at, given, name)
            self.state.add(name, Images(labels, scores))

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """Mean AP and accuracy when video i of :meth:`units` counts ``weights[i]`` times."""
        areas = [step_average_precision(each, weights) for each in self.state.derived(ranked)]
        right = self.state.derived(self._right)
        hits, images = right.sum(axis=0) if weights is None else weights @ right
        return {"mAP": mean(areas), "accuracy": float(100 * hits / images)}

    def compute(self) -> Scores:
        """The metrics, with tables per class and per alignment."""
        steps_of = self.state.derived(ranked)
        areas = [step_average_precision(each) for each in steps_of]
        numbers = [int(each.positive.sum()) for each in steps_of]
        rows = zip(CLASSES, areas, numbers, strict=True)
        return Scores(
            metrics=self.metrics_of(),
            tables={
                "class": [
                    {"class": name, "AP": area if count else None, "images": count} for name, area, count in rows
                ],
                "alignment": self._alignments(),
            },
            counts={"videos": len(self.state), "images": sum(len(each.labels) for each in self.state.values())},
        )

    def remarks(self) -> list[str]:
        """That the columns are the classes in another order, the background first."""
        images = self.state.values()
        labels = np.concatenate([each.labels for each in images]).astype(np.int64)
        acting = labels < len(CLASSES)
        ahead = np.concatenate([_best(each) for each in images]) == (labels + 1) % len(NAMES)
        if 2 * ahead[acting].sum() <= acting.sum() or not acting.any():
            return []
        return [
            "most images of actions have their highest score one column behind their class's: is the background the "
            f"first column? the columns are {', '.join(NAMES)}"
        ]

    def _right(self, records: Records[Images]) -> Floats:
        """(V, 2) right and counted images per video."""
        right = [right_at(_best(each), each.labels, self.recipe.lag) for each in records.values()]
        return np.array([[each.sum(), len(each)] for each in right], np.float64)

    def _alignments(self) -> list[dict[str, str | int | float | None]]:
        """Accuracy at each of :data:`LAGS`, and of each chunk's own class, which is that of its first image."""
        best = [(_best(each), each.labels) for each in self.state.values()]
        table: list[dict[str, str | int | float | None]] = []
        for lag in LAGS:
            right = np.concatenate([right_at(predicted, labels, lag) for predicted, labels in best])
            table.append({"alignment": f"predictions {lag} images late", "accuracy": float(100 * right.mean())})
        right = np.concatenate([right_at(predicted[::CHUNK], labels[::CHUNK]) for predicted, labels in best])
        return [*table, {"alignment": "first image of each chunk", "accuracy": float(100 * right.mean())}]


def _best(images: Images) -> npt.NDArray[np.int64]:
    """(N,) class of the highest score, the first of equals; -1 where nothing was predicted."""
    return np.where(np.isneginf(images.scores).all(axis=1), -1, images.scores.argmax(axis=1))


def _at(frames: npt.NDArray[Any], given: npt.NDArray[Any], scores: npt.NDArray[Any], video: str) -> Floats:
    """(N, 6) the scores given at the frames (N,)."""
    if scores.shape[1:] != (len(NAMES),):
        raise HarBenchError(
            f"the scores of {video} have shape {scores.shape}; each must be {len(NAMES)} numbers: {', '.join(NAMES)}"
        )
    if len(given) != len(scores):
        raise HarBenchError(f"{video} has {len(scores)} rows of scores for {len(frames)} images; write column 'frame'")
    order = np.argsort(given, kind="stable")
    given, scores = given[order], np.asarray(scores[order], np.float64)
    place = np.minimum(np.searchsorted(given, frames), len(given) - 1)
    wrong = given[place] != frames
    if wrong.any():
        raise HarBenchError(
            f"{video} has no scores for {wrong.sum()} of its {len(frames)} images at 15 fps, such as frame "
            f"{frames[wrong.argmax()]}; predict every second frame from {frames[0]} on"
        )
    twice = given[1:] == given[:-1]
    if twice.any():
        raise HarBenchError(f"{video} has scores for frame {given[twice.argmax()]} twice; keep one row per frame")
    return np.where(np.isnan(scores[place]), -np.inf, scores[place])
