"""Average precision of detected keypoints by object keypoint similarity, as COCO and CrowdPose are scored.

Lin et al., Microsoft COCO, ECCV 2014; https://cocodataset.org/#keypoints-eval. Detections are matched with annotated
persons image by image (:mod:`har_bench.protocols.oks.matching`); precision is read at 101 recalls and averaged over
ten thresholds of similarity. Where the tools print -1, since there is nobody to be found, a metric is absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError, listed, unknown
from har_bench.protocol import Batch, Foreign, Options, Protocol, Records, Scores, clues, of_split, option
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Along, Curve, Metric, by_name
from har_bench.protocol.tables import cell
from har_bench.raw import file_name
from har_bench.results import Row
from har_bench.skeletons import skeleton
from har_bench.store import Store

from . import files
from .curves import RECALLS, Block, Curves, Place, Ranking, curves, mean, rank
from .matching import IGNORED, THRESHOLDS, TRUE, extents, match
from .recipes import RECIPES, OKSRecipe
from .similarity import Detections, Persons

AT_50, AT_75 = 0, 5
"""Where 0.5 and 0.75 are among the thresholds."""


CROWDING = ("AP_easy", "AP_medium", "AP_hard")


@dataclass(frozen=True)
class OKSOptions(Options):
    """What is scored."""

    split: str = option("", "such as 2017/val (default: the store's only split, or its only validation split)")
    sigmas: tuple[float, ...] = option(
        (), "one per joint with + between, such as 0.026+0.025 (default: those of the store's joints)", above=0
    )
    category: int = option(1, "the category id of the persons", least=0)
    part: str = option("", "of recipe wholebody: body, foot, face, lefthand or righthand alone (default: all joints)")
    nan: Literal["refused", "similar"] = option(
        "refused", "joints that are NaN: refused, or similar to everybody as pycocotools has it"
    )
    first: int = option(0, "score only so many images, by ascending id; 0 scores all", least=0)


class OKS(Protocol):
    """Multi-person keypoint detection in images."""

    name = "coco/oks"
    version = "1"
    summary = "AP and AR of detected keypoints by object keypoint similarity, as pycocotools and CrowdPose have it"
    metrics = (
        Metric(
            *("AP", "%", "higher", "mean precision over 101 recalls and the thresholds 0.50, 0.55 … 0.95"), recall="AR"
        ),
        Metric("AP50", "%", "higher", "AP at the threshold 0.50", Along("AP", 0.5, rises=False), recall="AR50"),
        Metric("AP75", "%", "higher", "AP at the threshold 0.75", Along("AP", 0.75, rises=False), recall="AR75"),
        Metric("APm", "%", "higher", "AP of persons of 32^2 to 96^2 px", recall="ARm"),
        Metric("APl", "%", "higher", "AP of persons from 96^2 px on", recall="ARl"),
        Metric("AR", "%", "higher", "mean over the thresholds of the share of persons found"),
        Metric("AR50", "%", "higher", "share of persons found at the threshold 0.50", Along("AR", 0.5, rises=False)),
        Metric("AR75", "%", "higher", "share of persons found at the threshold 0.75", Along("AR", 0.75, rises=False)),
        Metric("ARm", "%", "higher", "AR of persons of 32^2 to 96^2 px"),
        Metric("ARl", "%", "higher", "AR of persons from 96^2 px on"),
        Metric("AP_easy", "%", "higher", "AP on images with a crowd index below 0.1"),
        Metric("AP_medium", "%", "higher", "AP on images with a crowd index from 0.1 to below 0.8"),
        Metric("AP_hard", "%", "higher", "AP on images with a crowd index from 0.8 on"),
    )
    tables = (Curve("threshold", falls=("AP", "AR")), Curve("precision_recall", measure="precision@0.5"))
    recipes = by_name(*RECIPES)
    ignores_truth = True
    notes = clues.PERSONS
    option_type = OKSOptions
    task = "keypoint-detection"
    truth_columns = (
        "annotation_id", "annotation_row", "category_id", "bbox", "area", "iscrowd", "num_keypoints", "keypoints",
        "visibility",
    )  # fmt: skip
    prediction_columns = ("keypoints", "score")
    optional_columns = ("keypoint_scores", "bbox")

    recipe: OKSRecipe
    options: OKSOptions
    state: Records[Place]

    def configure(self) -> None:
        """Take the sigmas and the part that were chosen.

        Raises:
            HarBenchError: the recipe has no such part.
        """
        self.finite = self.options.nan == "refused"
        self.sigmas = np.array(self.options.sigmas)
        self._categories = "choose others with the options category and split"
        self._flip = np.zeros(0, np.int64)
        self.part = self.options.part or next(iter(self.recipe.parts), "")
        if self.part and self.part not in self.recipe.parts:
            raise unknown(f"part of {self.name}:{self.recipe.name}", self.part, self.recipe.parts)

    @property
    def has_torch_path(self) -> bool:
        """For the similarities; matching stays where it is."""
        return True

    def prepare(self, store: Store) -> None:
        """Take the sigmas of the store's own joints, unless others were given.

        Raises:
            HarBenchError: neither the store nor the user has sigmas.
        """
        self._categories = _categories(store)
        joints = store.skeleton()
        self._flip = np.asarray(joints.flip)
        if not self.options.sigmas:
            if not joints.sigmas:
                raise HarBenchError(f"the joints {joints.name} of {store.path} have no sigmas; give the option sigmas")
            self.sigmas = _tenths(joints.sigmas)

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """COCO's results json (also .json.gz, .json.xz): a list of image_id, category_id, keypoints and score."""
        if not files.is_results(path):
            files.refuse_other_json(path)
            return None
        images = self._of_split(store.sequences)
        ids = (file_name(name) for name in images["sequence"].to_pylist())
        known = dict(zip(ids, images["image_id"].to_pylist(), strict=True))
        results = files.read_results(path, self.options.category, self.part, known)
        at = files.places(path, results, images["image_id"].to_numpy())
        sequences = images["sequence"].combine_chunks().take(pa.array(at))
        boxes = "with boxes" if results.bbox is not None else "without boxes"
        return Foreign(files.table(results, sequences), f"COCO keypoint results, {boxes}", results.notes)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The images of the split.

        Raises:
            HarBenchError: no such split, or none given and several to choose from.
        """
        images = self._of_split(sequences)
        if self.options.first:
            order = np.argsort(images["image_id"].to_numpy(), kind="stable")[: self.options.first]
            images = images.take(pa.array(np.sort(order)))
        return images

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray:
        """The annotations of the category of persons.

        Raises:
            HarBenchError: one of them has no keypoints at all.
        """
        del sequences
        chosen = pc.fill_null(pc.equal(rows["category_id"], self.options.category), fill_value=False)
        absent = pc.and_(chosen, pc.is_null(rows["keypoints"]))
        if pc.any(absent).as_py():
            row = rows["annotation_id"].filter(absent)[0]
            raise HarBenchError(
                f"annotation {row} has no keypoints, which {self.canonical} cannot score; mend the file"
            )
        return chosen

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Match the detections of whole images.

        Raises:
            HarBenchError: an annotation lacks what the recipe's tool needs, or joints do not fit.
        """
        sigmas = self._sigmas(truth["keypoints"].shape[1])
        joints = slice(*self.recipe.parts.get(self.part, (0, len(sigmas))))
        persons, detections = self._persons(truth, joints), self._detections(predictions, len(sigmas), joints)
        areas = np.array(list(self.recipe.areas.values()))
        matches = match(
            persons, detections, sigmas[joints], areas, limit=self.recipe.max_detections, device=self.device
        )
        images = truth.sequences
        crowding = np.full(images.num_rows, np.nan)
        if "crowd_index" in images.column_names:
            crowding = images["crowd_index"].to_numpy().astype(np.float64)
        block = Block(images["image_id"].to_numpy(), crowding, matches)
        for row, name in enumerate(truth.names()):
            self.state.add(name, Place(block, row))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the detected points look like others than pixels of the image."""
        if not len(predictions) or predictions["keypoints"].ndim != 3:
            return {}
        annotated = np.where(truth["visibility"][..., None] > 0, truth["keypoints"], np.nan)
        if predictions["keypoints"].shape[1:] != annotated.shape[1:] or len(self._flip) != annotated.shape[1]:
            return {}
        return clues.of_persons(
            predictions["keypoints"],
            predictions["score"],
            predictions.starts,
            annotated,
            truth.starts,
            self._flip,
        )

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """COCO's ten numbers, or CrowdPose's nine, when image i of :meth:`units` counts ``weights[i]`` times."""
        return self._metrics(self._curves(weights), weights)

    def compute(self) -> Scores:
        """The metrics, with AP and AR per threshold, and precision over recall at 0.5 and 0.75."""
        found, ranking = self._curves(None), self.state.derived(self._ranked)
        if not ranking.positives.any():
            raise HarBenchError(
                f"{self.canonical} has nothing to score: nobody of category {self.options.category} is annotated with "
                f"a labelled joint in the {len(ranking.positives)} images; {self._categories}"
            )
        at_50, at_75 = found.precision[0, AT_50], found.precision[0, AT_75]
        tables: dict[str, list[Row]] = {
            "threshold": [
                {"threshold": round(float(at), 2), "AP": _percent(precision), "AR": _percent(recall)}
                for at, precision, recall in zip(THRESHOLDS, found.precision[0], found.recall[0], strict=True)
            ],
            "precision_recall": [
                {"recall": round(float(at), 2), "precision@0.5": _percent(half), "precision@0.75": _percent(three)}
                for at, half, three in zip(RECALLS, at_50, at_75, strict=True)
            ],
        }
        marks = ranking.marks[0, AT_50]
        return Scores(
            metrics=self._metrics(found, None),
            tables=tables,
            counts={
                "images": len(ranking.positives),
                "persons": int(ranking.positives[:, 0].sum()),
                "detections": len(ranking.image),
                "detections_ignored@0.5": int((marks == IGNORED).sum()),
                "detections_true@0.5": int((marks == TRUE).sum()),
            },
        )

    def _of_split(self, sequences: pa.Table) -> pa.Table:
        known = sorted({name for splits in sequences["splits"].to_pylist() for name in splits or ()})
        wanted = self.options.split
        ending = [name for name in known if name.endswith(f"/{wanted or 'val'}")]
        fitting = known if not wanted and len(known) == 1 else [wanted] if wanted in known else ending
        if len(fitting) > 1 or not (fitting or wanted):
            raise HarBenchError(f"choose what {self.name} scores with the option split: one of {listed(known)}")
        if not fitting:
            raise unknown("split of the store", wanted, known)
        return of_split(sequences, fitting[0], self.canonical)

    def _sigmas(self, joints: int) -> Floats:
        sigmas = self.sigmas if len(self.sigmas) else _tenths(skeleton(self.recipe.layout).sigmas)
        if len(sigmas) != joints:
            raise HarBenchError(f"there are {joints} joints and {len(sigmas)} sigmas; give one each by option sigmas")
        if any(last > joints for _, last in self.recipe.parts.values()):
            raise HarBenchError(f"{self.canonical} needs 133 joints and there are {joints}; choose the recipe official")
        return sigmas

    def _persons(self, truth: Batch, joints: slice) -> Persons:
        """The annotated persons in the order of the file, with what the recipe's tool makes of them."""
        order = np.lexsort(
            (truth["annotation_row"], np.repeat(np.arange(len(truth.starts) - 1), np.diff(truth.starts)))
        )
        given = {name: truth[name][order] for name in self.truth_columns if name != "category_id"}
        needed = ["bbox", "iscrowd"]
        needed += [] if self.recipe.recount else ["num_keypoints"]
        needed += [] if self.recipe.box_area else ["area"]
        for name in needed:
            values = given[name].astype(np.float64)
            absent = np.isnan(values if values.ndim == 1 else values.sum(axis=1))
            if absent.any():
                row = given["annotation_id"][int(np.argmax(absent))]
                raise HarBenchError(f"annotation {row} has no {name}, which {self.canonical} needs; add it to the file")
        last = _last_of_id(given["annotation_id"], truth.starts)
        if last is not None:
            given = {name: values[last] for name, values in given.items()}
        box, crowd = given["bbox"].astype(np.float64), given["iscrowd"] != 0
        share, labelled = self.recipe.box_area, given["visibility"][:, joints] > 0
        unlabelled = ~labelled.any(axis=1) if self.recipe.recount else given["num_keypoints"] == 0
        return Persons(
            starts=truth.starts,
            keypoints=np.ascontiguousarray(given["keypoints"][:, joints], np.float64),
            labelled=labelled,
            bbox=np.ascontiguousarray(box),
            area=box[:, 3] * box[:, 2] * share if share else given["area"].astype(np.float64),
            ignore=crowd | unlabelled,
            crowd=crowd,
            named=given["annotation_id"] != 0,
        )

    def _detections(self, given: Batch, width: int, joints: slice) -> Detections:
        """The detected persons, with their areas."""
        if not len(given):
            points = np.zeros((0, width, 2))[:, joints]
            return Detections(given.starts, points, np.zeros(0), np.zeros(0))
        starts, columns = given.starts, dict(given.columns)
        if columns["keypoints"].shape[1:] != (width, 2):
            shape = columns["keypoints"].shape[1:]
            raise HarBenchError(
                f"the predicted keypoints have {shape[0]} joints of {shape[1]} numbers, the annotated ones {width} of "
                "2; predict these"
            )
        kept = np.ones(len(given), bool)
        if self.finite:  # what is not finite is here only where gaps count as errors: as no detection
            kept = np.isfinite(columns["keypoints"]).all(axis=(1, 2)) & np.isfinite(columns["score"])
        if self.recipe.seen_only and "keypoint_scores" in columns:
            kept &= (columns["keypoint_scores"][:, joints] > 0).any(axis=1)
        if not kept.all():
            columns = {name: values[kept] for name, values in columns.items()}
            starts = np.append(0, np.cumsum(kept))[starts]
        points = np.ascontiguousarray(columns["keypoints"], np.float64)
        box = columns.get("bbox")
        area = extents(points[:, : self.recipe.extent]) if box is None else box[:, 2].astype(np.float64) * box[:, 3]
        score = np.ascontiguousarray(columns["score"], np.float64)
        return Detections(starts, np.ascontiguousarray(points[:, joints]), score, area)

    def _ranked(self, records: Records[Place]) -> Ranking:
        """All detections in the order of their scores."""
        return rank(records.values(), len(self.recipe.areas))

    def _curves(self, weights: Floats | None, group: int | None = None) -> Curves:
        """Precision and recall when images count ``weights`` times, and only those of a group, if one is given."""
        ranking = self.state.derived(self._ranked)
        weights = np.ones(len(ranking.positives)) if weights is None else np.asarray(weights, np.float64)
        if group is not None:
            # NaN is in the last bin, where it must not count
            bins = np.digitize(ranking.crowd_index, self.recipe.crowding or ())
            weights = weights * ((bins == group) & np.isfinite(ranking.crowd_index))
        return curves(ranking.marks, weights[ranking.image], weights @ ranking.positives)

    def _metrics(self, found: Curves, weights: Floats | None) -> dict[str, float]:
        values = {}
        for span, suffix in enumerate(self.recipe.areas):
            for name, each in (("AP", found.precision[span]), ("AR", found.recall[span])):
                values[name + suffix] = each
                if not suffix:
                    values |= {f"{name}50": each[AT_50], f"{name}75": each[AT_75]}
        if self.recipe.crowding:
            for group, name in enumerate(CROWDING):
                values[name] = self._curves(weights, group).precision[0]
        return {metric.name: 100 * mean(values[metric.name]) for metric in self.metrics if metric.name in values}


def evaluate(annotations: Path, results: Path, recipe: str = "official", **options: Any) -> Scores:
    """Score a results file on an annotation file, both as COCO defines them, without a store.

    Args:
        annotations: such as ``person_keypoints_val2017.json``; every image of it is scored.
        results: a list of image_id, category_id, keypoints and score.
        recipe: of ``coco/oks``.
        options: of ``coco/oks``: sigmas, category, part.

    Raises:
        HarBenchError: a file is damaged, or the two do not fit together.
    """
    protocol = OKS(recipe, options)
    category = protocol.options.category
    found = files.read_results(results, category, protocol.part)
    broken = ~np.isfinite(found.keypoints).all(axis=(1, 2))
    if protocol.finite and broken.any():
        raise HarBenchError(
            f"{results} has {broken.sum()} detections with joints that are NaN (first: {int(np.argmax(broken))}); mend "
            "them, or take them for similar to everybody as pycocotools does, with the option nan=similar"
        )
    joints = found.keypoints.shape[1]
    truth = files.read_annotations(annotations, category, joints=joints)
    protocol.update(truth, files.results_batch(results, found, truth.sequences))
    return protocol.compute()


def _last_of_id(ids: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """For each annotation the last one with its id, which is the one that COCO's tools read; None if all differ.

    Raises:
        HarBenchError: annotations of different images have one id.
    """
    order = np.argsort(ids, kind="stable")
    again = ids[order][1:] == ids[order][:-1]
    if not again.any():
        return None
    image = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    apart = again & (image[order][1:] != image[order][:-1])
    if apart.any():
        number = ids[order][1:][apart][0]
        raise HarBenchError(f"annotations of two images have the id {number}; number the annotations of the file anew")
    last = np.arange(len(ids))
    ends = np.append(~again, True)
    last[order] = order[ends][np.cumsum(np.append(0, ends[:-1]))]
    return last


def _categories(store: Store) -> str:
    """Which categories the store's persons are of, as a remedy."""
    if "category_id" not in store.schema("poses").names:
        return "does the store hold annotations?"
    counts: Counter[int] = Counter()
    for part in store.parts("poses"):
        for pair in pc.value_counts(store.read("poses", part, ["category_id"])["category_id"]).to_pylist():
            counts[pair["values"]] += pair["counts"]
    there = listed(f"{category} ({count:,} annotations)" for category, count in sorted(counts.items()))
    return f"the store has the categories {there}: choose one with the option category, or another split"


def _tenths(sigmas: Sequence[float]) -> Floats:
    """Sigmas as the tools compute them, tenths over ten: 1.07 / 10 is not the double 0.107."""
    return np.asarray(np.round(np.asarray(sigmas, np.float64) * 10, 6) / 10, np.float64)


def _percent(values: Floats) -> float | None:
    """A table's number; None where there are no persons."""
    return cell(100 * mean(values))
