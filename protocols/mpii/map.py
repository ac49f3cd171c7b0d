"""Multi-person pose on MPII: average precision per joint, after whole persons were assigned by PCKh.

Pishchulin et al., DeepCut, CVPR 2016; the official toolkit's ``evaluateAP``. In each image a predicted person goes to
the annotated person on whom most joints are hits, one prediction per person; the joints of an assigned prediction are
right where they are hits on that very person, all others are wrong, and each joint's detections of all images are
ranked by score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Options, Protocol, Records, Scores, clues, of_split, option
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Groups, Metric, Recipe, by_name
from har_bench.protocol.tables import cell, mean
from har_bench.results import Row
from har_bench.skeletons import skeleton

JOINTS = skeleton("mpii16").joints
SCORED = tuple(index for index, joint in enumerate(JOINTS) if joint not in ("pelvis", "thorax"))
"""The 14 joints, by their place among MPII's 16."""

GROUPS = {
    "Head": ("head_top", "neck"),
    **{
        part: (f"left_{part.lower()}", f"right_{part.lower()}")
        for part in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
    },
}
"""The columns of the toolkit's table: plain means of two joints."""


@dataclass(frozen=True)
class MAPRecipe(Recipe):
    """One tool's way of computing multi-person AP.

    Attributes:
        at: the largest distance of a hit, in head sizes of the annotated person.
    """

    at: float = 0.5


OFFICIAL = MAPRecipe(
    "official",
    about="MPII's toolkit: 14 joints, hits (<=) at half a head size, all-point AP under the precision envelope; an "
    "image without any prediction contributes no truth. It crops images to groups of people, which stores do not "
    "have: here an image is one group",
    oracle="evalMPII.zip: assignGTmulti.m, getRPC.m, VOCap.m",
    cite="Pishchulin et al., CVPR 2016",
    inflates="an image without any prediction is left out, though everybody in it was missed",
)


def assign(predicted: Floats, truth: Floats, head_size: Floats, *, at: float = 0.5) -> Bools:
    """Which predicted joints of one image are right: (P, J).

    Every prediction keeps the annotated person on whom the largest share of that person's annotated joints are hits,
    and every annotated person the prediction with the largest such share; of equal ones the first counts.

    Args:
        predicted: (P, J, 2) px; NaN where not predicted.
        truth: (G, J, 2) px; NaN where not annotated.
        head_size: (G,) px; NaN where unknown, which makes every joint a miss.
        at: the largest distance of a hit, in head sizes (``<=``).

    Raises:
        HarBenchError: shapes that do not belong together.

    >>> assign(np.array([[[0.0, 0.0], [9.0, 9.0]]]), np.zeros((1, 2, 2)), np.ones(1)).tolist()
    [[True, False]]
    """
    if predicted.shape[1:] != truth.shape[1:] or truth.shape[2:] != (2,) or head_size.shape != truth.shape[:1]:
        shapes = f"{predicted.shape}, {truth.shape} and {head_size.shape}"
        raise HarBenchError(f"mAP needs points (P, J, 2), (G, J, 2) and head sizes (G,), and was given {shapes}")
    right = np.zeros(predicted.shape[:2], np.bool_)
    if not len(predicted) or not len(truth):
        return right
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.linalg.norm(predicted[:, None] - truth, axis=-1) / head_size[:, None]
        hit = distance <= at
    share = hit.sum(axis=2) / np.maximum(_present(truth).sum(axis=1), 1)
    chosen = share.argmax(axis=1)
    kept = np.where(np.arange(len(truth)) == chosen[:, None], share, 0)
    persons = np.flatnonzero(kept.max(axis=0) > 0)
    winners = kept.argmax(axis=0)[persons]
    right[winners] = hit[winners, persons]
    return right


def average_precision(right: npt.ArrayLike, positives: float, weights: Floats | None = None) -> float:
    """Area under the precision envelope, over all points: percent, NaN without positives.

    Args:
        right: (N,) whether each detection is right, best score first.
        positives: how many there are to find.
        weights: (N,) how often each detection counts, once by default.

    >>> round(average_precision([True, False, True], 2), 4)
    83.3333
    """
    right = np.asarray(right, np.bool_)
    if positives <= 0:
        return float("nan")
    weights = np.ones(len(right)) if weights is None else weights
    gained, seen = weights[right], np.cumsum(weights)[right]
    # the envelope's corners are right detections: a wrong one only lowers the precision
    precision = np.divide(np.cumsum(gained), seen, out=np.zeros(len(seen)), where=seen > 0)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return 100 * float((gained * envelope).sum() / positives)


def _present(points: Floats) -> Bools:
    return cast(Bools, np.isfinite(points).all(axis=-1))


class Image(NamedTuple):
    """What one image contributes: (14,) annotated joints; (P, 14) scores, NaN where not predicted; (P, 14) right."""

    annotated: npt.NDArray[np.int32]
    scores: npt.NDArray[np.floating[Any]]
    right: Bools


class Ranking(NamedTuple):
    """All images together: (S, 14) annotated joints; per joint, best score first, the image and whether it is right."""

    annotated: npt.NDArray[np.int32]
    image: list[npt.NDArray[np.int32]]
    right: list[Bools]


def ranked(records: Records[Image]) -> Ranking:
    """Every joint's detections in the order of their scores, then of the images' names and of the predictions."""
    images = records.values()
    empty = np.zeros((0, len(SCORED)), np.float32)
    scores = np.concatenate([empty, *(image.scores for image in images)])
    right = np.concatenate([empty, *(image.right for image in images)]).astype(np.bool_)
    owner = np.repeat(np.arange(len(images), dtype=np.int32), [len(image.scores) for image in images])
    # NaN, a joint that was not predicted, is sorted to the end; a joint at a time, to hold no second table
    lengths = (~np.isnan(scores)).sum(axis=0)
    kept = (np.argsort(-column, kind="stable")[:length] for column, length in zip(scores.T, lengths, strict=True))
    best = [(owner[order], right[order, joint]) for joint, order in enumerate(kept)]
    return Ranking(
        np.array([image.annotated for image in images]).reshape(-1, len(SCORED)),
        *map(list, zip(*best, strict=True)),
    )


@dataclass(frozen=True)
class MAPOptions(Options):
    """What is scored."""

    split: str = option("tompson/valid", "the images that are scored, with all their annotated persons")
    unpredicted: Literal["skip", "count"] = option(
        "skip", "what an image without predictions is: skip, as the toolkit, or count as missed"
    )


class MultiPersonAP(Protocol):
    """Multi-person pose on MPII's images.

    Detections of equal score rank in the order of the images' names, then of the predictions, which decides digits:
    rounded scores often tie. Inside an image the order of the predictions also decides who is assigned to whom.
    """

    name = "mpii/map"
    version = "1"
    summary = "multi-person AP per joint on MPII's images, as the official toolkit computes it"
    metrics = (
        Metric("mAP", "%", "higher", "mean over 14 joints of the average precision at half a head size"),
        *(
            Metric(f"AP {group}", "%", "higher", f"mean of the APs of {' and '.join(GROUPS[group])}")
            for group in GROUPS
        ),
    )
    skeletons = ("mpii16",)
    tables = (Groups("joint", measure="AP", means={"mAP": "AP"}), Groups("group", measure="AP"))
    recipes = by_name(OFFICIAL)
    notes = clues.PERSONS
    option_type = MAPOptions
    task = "keypoint-detection"
    truth_columns = ("keypoints", "head_size")
    prediction_columns = ("keypoints", "score")
    optional_columns = ("keypoint_scores",)
    finite = False  # a joint that is not predicted is NaN
    train_split = "tompson/train"

    recipe: MAPRecipe
    options: MAPOptions
    state: Records[Image]

    def configure(self) -> None:
        """Begin to note what is skipped."""
        self.skipped: Records[None] = Records()

    def select(self, sequences: pa.Table) -> pa.Table:
        """The split's images that show annotated persons.

        Raises:
            HarBenchError: there are none.
        """
        return of_split(sequences, self.options.split, self.canonical)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Assign the predicted persons of whole images.

        Raises:
            HarBenchError: the predictions do not have MPII's 16 joints, or a predicted joint has no score.
        """
        scores = self._scores(predictions)
        for (name, annotated), (_, given) in zip(truth.slices(), predictions.slices(), strict=True):
            if given.start == given.stop and self.options.unpredicted == "skip":
                self.skipped.add(name, None)
                continue
            points = truth["keypoints"][annotated][:, SCORED]
            guess = predictions["keypoints"][given][:, SCORED] if len(predictions) else np.zeros((0, len(SCORED), 2))
            image = Image(
                _present(points).sum(axis=0, dtype=np.int32),
                np.where(_present(guess), scores[given], np.nan),
                assign(guess, points, truth["head_size"][annotated], at=self.recipe.at),
            )
            if np.isnan(image.scores).sum() > (~_present(guess)).sum():
                raise HarBenchError(f"image {name!r} has a predicted joint without a score; give it one, or NaN")
            self.state.add(name, image)

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the detected points look like others than pixels of the image."""
        if not len(predictions) or predictions["keypoints"].ndim != 3:
            return {}
        return clues.of_persons(
            predictions["keypoints"],
            predictions["score"],
            predictions.starts,
            truth["keypoints"],
            truth.starts,
            skeleton("mpii16").flip,
        )

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when image i of :meth:`units` counts ``weights[i]`` times.

        A joint that nobody has is left out of the mean.
        """
        precisions = self._precisions(weights)
        found = {"mAP": mean(precisions)}
        return found | {f"AP {group}": mean(precisions[_places(joints)]) for group, joints in GROUPS.items()}

    def compute(self) -> Scores:
        """The metrics, with tables per joint and per pair of joints.

        Raises:
            HarBenchError: no scored image has an annotated joint.
        """
        ranking = self.state.derived(ranked)
        annotated = ranking.annotated.sum(axis=0).tolist()
        if not any(annotated):
            raise HarBenchError(
                f"{self.canonical} has nothing to score: none of the {len(self.state)} images with predictions has "
                "an annotated joint; predict other images, or choose another split"
            )
        metrics = self.metrics_of()
        joints: list[Row] = [
            {
                "joint": JOINTS[joint],
                "AP": cell(precision),
                "annotated": count,
                "predicted": len(right),
                "right": int(right.sum()),
            }
            for joint, precision, count, right in zip(SCORED, self._precisions(), annotated, ranking.right, strict=True)
        ]
        groups: list[Row] = [{"group": name.removeprefix("AP "), "AP": cell(value)} for name, value in metrics.items()]
        counts = {
            "images": len(self.state),
            "images_without_predictions": len(self.skipped),
            "annotated_joints": sum(annotated),
            "predicted_joints": sum(map(len, ranking.right)),
        }
        return Scores(metrics, {"joint": joints, "group": [*groups[1:], groups[0]]}, counts)

    def _scores(self, predictions: Batch) -> Floats:
        """(N, 14) scores of the predicted joints: their own, else their person's."""
        if not len(predictions):
            return np.zeros((0, len(SCORED)))
        shape = predictions["keypoints"].shape[1:]
        if shape != (len(JOINTS), 2):
            raise HarBenchError(
                f"the predicted keypoints have shape {shape}; {self.name} takes MPII's {len(JOINTS)} x 2"
            )
        if "keypoint_scores" not in predictions.columns:
            return np.repeat(predictions["score"][:, None], len(SCORED), axis=1)
        own = predictions["keypoint_scores"]
        if own.shape[1:] != (len(JOINTS),):
            raise HarBenchError(
                f"the predicted keypoint_scores have shape {own.shape[1:]}; give {len(JOINTS)} a person"
            )
        return own[:, SCORED]

    def _precisions(self, weights: Floats | None = None) -> Floats:
        """(14,) average precisions, percent; NaN for a joint that nobody has."""
        ranking = self.state.derived(ranked)
        weights = np.ones(len(self.state)) if weights is None else weights
        positives = weights @ ranking.annotated
        return np.array(
            [
                average_precision(right, count, weights[image])
                for image, right, count in zip(ranking.image, ranking.right, positives, strict=True)
            ]
        )


def _places(joints: tuple[str, ...]) -> list[int]:
    return [SCORED.index(JOINTS.index(joint)) for joint in joints]
