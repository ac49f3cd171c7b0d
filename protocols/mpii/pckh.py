"""PCKh on MPII: the share of joints within a fraction of the head size, by every published way of counting.

Andriluka et al., 2D Human Pose Estimation: New Benchmark and State of the Art Analysis, CVPR 2014. A joint is a hit
when its distance to the truth is at most ``t`` head sizes; the head size is 0.6 of the head box's diagonal. The tools
that papers quote differ in the comparison, in the truth, in the mean and in what they call PCKh@0.1; each is a
:class:`PCKhRecipe`. All are scored on the 2,958 validation persons of Tompson et al. (CVPR 2015).

No recipe but ``official`` publishes an area under the curve; the others get the same integral of their own curve.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from har_bench.arrays import Bools, Floats, kernel, taken
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Foreign, Protocol, Records, Scores, clues, of_split
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Along, Counted, Curve, Groups, Metric, by_name
from har_bench.protocol.tables import cell, places, share
from har_bench.results import Row
from har_bench.skeletons import skeleton
from har_bench.store import Store

from .files import read_preds
from .recipes import JOINTS, RECIPES, PCKhRecipe
from .truth import inside_crop, tompson_truth

THRESHOLDS: Floats = np.arange(51) / 100
"""The curve's thresholds, in head sizes; they are compared as these very doubles."""

SIDED = {
    name: (f"left_{name.lower()}", f"right_{name.lower()}")
    for name in ("Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle")
}
UPPER_BODY = tuple(joint for name in ("Wrist", "Elbow", "Shoulder") for joint in SIDED[name])


class Hits(NamedTuple):
    """Which joints are hit, and which are annotated; both (N, J)."""

    hit: Bools
    counted: Bools


def pckh(
    predicted: npt.ArrayLike,
    truth: npt.ArrayLike,
    head_size: npt.ArrayLike,
    *,
    at: float = 0.5,
    compare: Literal["<=", "<"] = "<=",
) -> Hits:
    """Which joints lie within ``at`` head sizes (``<=``, as the official MPII evaluator).

    Args:
        predicted: (N, J, 2) px; a NaN prediction is a miss.
        truth: (N, J, 2) px; NaN where not annotated.
        head_size: (N,) px.
        at: the threshold, in head sizes.
        compare: whether a distance of exactly ``at`` is a hit (``<=``) or not (``<``).

    Raises:
        HarBenchError: no arrays of numbers, or shapes that do not belong together.

    >>> one = pckh([[[3, 4]]], [[[0, 0]]], [10])
    >>> one.hit.tolist(), one.counted.tolist()
    ([[True]], [[True]])
    """
    points, true, sizes = taken(
        "pckh", predicted=(predicted, "N J 2"), truth=(truth, "N J 2"), head_size=(head_size, "N")
    )
    distance = head_distance(points, true, sizes)
    hit = np.less_equal(distance, at) if compare == "<=" else np.less(distance, at)
    return Hits(hit, annotated(true))


def annotated(truth: Floats) -> Bools:
    """(N, J) which of the points (N, J, 2) are there."""
    return cast(Bools, np.isfinite(truth).all(axis=-1))


def head_distance(
    predicted: Floats, truth: Floats, head_size: Floats, *, precision: Literal["float64", "float32"] = "float64"
) -> Floats:
    """(N, J) distances in head sizes; NaN where either point is.

    Args:
        predicted: (N, J, 2) px.
        truth: (N, J, 2) px.
        head_size: (N,) px.
        precision: of the points, their difference and its norm; the division is always in double precision.
    """
    difference = predicted.astype(precision) - truth.astype(precision)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        norm = np.sqrt(difference[..., 0] ** 2 + difference[..., 1] ** 2)
        return cast(Floats, norm / head_size.astype(np.float64)[:, None])


class Counts(NamedTuple):
    """Numbers of persons (...,), annotated joints (..., J) and hits (..., J, 51) at each of :data:`THRESHOLDS`."""

    persons: Floats
    counted: Floats
    hits: Floats


def count(
    distance: Floats, counted: Bools, starts: npt.NDArray[np.int64], *, compare: Literal["<=", "<"] = "<="
) -> Floats:
    """Persons, annotated joints and hits at all thresholds, per sequence.

    Args:
        distance: (N, J) head sizes; NaN is a miss.
        counted: (N, J) whether the joint is annotated.
        starts: (S + 1,) row offsets of the sequences.
        compare: whether a distance equal to a threshold is a hit.

    Returns:
        (S, 1 + J + 51 J) whole numbers, one row per sequence; :func:`unpack` names its parts.
    """
    joints = distance.shape[1]
    sums = np.zeros((len(starts) - 1, 1 + joints + joints * len(THRESHOLDS)))
    _count(distance, counted, starts, THRESHOLDS, compare == "<", sums)
    return sums


def unpack(sums: Floats) -> Counts:
    """The parts of :func:`count`'s rows, as views."""
    joints = sums.shape[-1] // (1 + len(THRESHOLDS))
    return Counts(
        persons=sums[..., 0],
        counted=sums[..., 1 : 1 + joints],
        hits=sums[..., 1 + joints :].reshape(*sums.shape[:-1], joints, len(THRESHOLDS)),
    )


@kernel
def _count(
    distance: Floats,
    counted: Bools,
    starts: npt.NDArray[np.int64],
    thresholds: Floats,
    strict: bool,
    sums: Floats,
) -> None:
    joints, steps = distance.shape[1], len(thresholds)
    for sequence in range(len(starts) - 1):
        row = sums[sequence]
        row[0] = starts[sequence + 1] - starts[sequence]
        for person in range(starts[sequence], starts[sequence + 1]):
            for joint in range(joints):
                if not counted[person, joint]:
                    continue
                row[1 + joint] += 1
                first, d = 1 + joints + joint * steps, distance[person, joint]
                for step in range(steps):
                    row[first + step] += d < thresholds[step] if strict else d <= thresholds[step]


def _total(records: Records[npt.NDArray[np.uint16]]) -> Floats:
    """(1 + 52 J,) the counts of all images."""
    return sum((rows.sum(axis=0) for rows in _chunks(records)), np.zeros(1 + len(JOINTS) * (1 + len(THRESHOLDS))))


def _chunks(records: Records[npt.NDArray[np.uint16]]) -> Iterator[Floats]:
    """(N, 1 + 52 J) the rows of some images at a time, so that doubles of all of them are never held."""
    rows = records.values()
    for first in range(0, len(rows), 1024):
        yield np.array(rows[first : first + 1024], np.float64)


COLUMNS = {f"PCKh@{at}": Along("PCKh", float(at)) for at in ("0.5", "0.2", "0.1")}
COUNTED = tuple(Counted(name, name.replace("PCKh", "hits"), "count") for name in COLUMNS)


class PCKh(Protocol):
    """Single-person pose on MPII's validation persons.

    An image's record is its row of :func:`count`: whole numbers, so no order of adding them changes a digit.
    """

    name = "mpii/pckh"
    version = "1"
    summary = "PCKh on the 2,958 MPII validation persons, as six published tools compute it"
    metrics = (
        Metric("PCKh@0.5", "%", "higher", "joints within half a head size of the truth", Along("PCKh", 0.5)),
        Metric(
            *("PCKh@0.1", "%", "higher", "joints within a tenth of a head size (hrnet's own number reads 0.11)"),
            along=Along("PCKh", 0.1),
        ),
        Metric("AUC", "%", "higher", "mean PCKh over thresholds 0 to 0.5: trapezoids over 51 points"),
    )
    skeletons = ("mpii16",)
    tables = (
        Groups(
            "joint",
            along=COLUMNS,
            means={"PCKh@0.5": "PCKh@0.5", "PCKh@0.1": "PCKh@0.1"},
            counted=COUNTED,
            within="in_mean",
        ),
        Groups("group", along=COLUMNS),
        Curve("threshold", rises=("PCKh",), areas={"AUC": "PCKh"}),
    )
    recipes = by_name(*RECIPES)
    notes = clues.POINTS
    task = "pose"
    truth_columns = ("keypoints", "head_size", "head_box", "scale", "objpos", "tompson_row")
    prediction_columns = ("keypoints",)
    train_split = "tompson/train"
    row_order = "tompson_row"

    recipe: PCKhRecipe
    state: Records[npt.NDArray[np.uint16]]

    def read_foreign(self, path: Path, store: Store) -> Foreign | None:
        """``preds`` (2958, 16, 2) in a .mat or .h5 file, in Tompson's order and MPII's 1-based pixels."""
        del store
        return read_preds(path)

    def select(self, sequences: pa.Table) -> pa.Table:
        """The images of Tompson's validation list."""
        return of_split(sequences, "tompson/valid", self.canonical)

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray:
        """The persons of Tompson's list; the images show 3,680 others, whom nobody scores."""
        del sequences
        return pc.is_valid(rows["tompson_row"])

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Count the hits of whole images."""
        points, head_size = truth["keypoints"], truth["head_size"]
        if self.recipe.truth == "tompson":
            if not np.isfinite(truth["head_box"]).all():
                raise HarBenchError(
                    f"{self.canonical} needs head boxes, which this store lacks; convert the official .mat"
                )
            columns = (truth[name] for name in ("head_box", "scale", "objpos", "tompson_row"))
            points, head_size = tompson_truth(points, *columns)
        counted = annotated(points)
        if not self.recipe.headless:
            counted &= (head_size != 0)[:, None]
        if self.recipe.crop:
            counted &= inside_crop(points, truth["scale"], truth["objpos"])
        # single precision rounds the coordinates themselves, so it needs the frame that the tool rounds in
        shift = 1 if self.recipe.precision == "float32" else 0
        distance = head_distance(
            predictions["keypoints"] + shift, points + shift, head_size, precision=self.recipe.precision
        )
        sums = count(distance, counted, truth.starts, compare=self.recipe.compare).astype(np.uint16)
        for name, row in zip(truth.names(), sums, strict=True):
            self.state.add(name, row)

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the points look like others than pixels of the image."""
        swap = skeleton("mpii16").flip
        return clues.of_points(predictions["keypoints"], truth["keypoints"], truth.starts, swap)

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """PCKh@0.5, PCKh@0.1 and AUC when image i of :meth:`units` counts ``weights[i]`` times."""
        columns = self.state.derived(self._needed)
        weights = np.ones(len(columns)) if weights is None else weights
        counted, *numbers = (weights @ columns).reshape(-1, len(JOINTS))
        return {
            metric.name: float(self._mean(hundredths, counted))
            for metric, hundredths in zip(self.metrics, numbers, strict=True)
        }

    def compute(self) -> Scores:
        """The metrics, with tables per joint, per group of joints and per threshold."""
        totals = unpack(self.state.derived(_total))
        curve = self._mean(100 * totals.hits.T, totals.counted)
        return Scores(
            metrics=self.metrics_of(),
            tables={
                "joint": self._joints(totals),
                "group": self._groups(totals),
                "threshold": [
                    {"threshold": float(at), "PCKh": cell(value)} for at, value in zip(THRESHOLDS, curve, strict=True)
                ],
            },
            counts={
                "persons": int(totals.persons),
                "images": len(self.state),
                "joints": int(totals.counted[places(JOINTS, self.recipe.joints)].sum()),
            },
        )

    def _steps(self) -> dict[str, int]:
        """The tables' PCKh columns, and which of the thresholds each is read at."""
        return {"0.5": 50, "0.2": 20, "0.1": int(THRESHOLDS.searchsorted(self.recipe.fine))}

    def _hundredths(self, hits: Floats) -> dict[str, Floats]:
        """The tables' columns from hits (..., J, 51), as (..., J) hundredths: whole numbers, so that no sum rounds."""
        columns = {f"PCKh@{name}": 100 * hits[..., step] for name, step in self._steps().items()}
        # the trapezoids' mean height over 50 steps is (sum - half of both ends) / 50
        return columns | {"AUC": 2 * hits.sum(axis=-1) - hits[..., 0] - hits[..., -1]}

    def _needed(self, records: Records[npt.NDArray[np.uint16]]) -> Floats:
        """(S, 4 J) of every image: annotated joints and the metrics' hundredths."""
        pieces = [np.zeros((0, 4 * len(JOINTS)))]
        for rows in _chunks(records):
            counts = unpack(rows)
            hundredths = self._hundredths(counts.hits)
            pieces.append(np.hstack([counts.counted, *(hundredths[metric.name] for metric in self.metrics)]))
        return np.concatenate(pieces)

    def _mean(self, hundredths: Floats, counted: Floats) -> Floats:
        """(..., J) hundredths of hits and (J,) joints counted -> (...) percent over the recipe's joints."""
        joints = places(JOINTS, self.recipe.joints)
        hundredths, counted = hundredths[..., joints], counted[joints]
        if self.recipe.average == "joints":
            present = counted > 0
            hundredths, counted = hundredths[..., present] / counted[present], present.astype(np.float64)
        return share(hundredths.sum(axis=-1), counted.sum(), of=1)

    def _joints(self, totals: Counts) -> list[Row]:
        shares = {name: share(each, totals.counted, of=1) for name, each in self._hundredths(totals.hits).items()}
        return [
            {
                "joint": joint,
                "in_mean": int(joint in self.recipe.joints),
                **{name: cell(column[index]) for name, column in shares.items()},
                **{f"hits@{name}": int(totals.hits[index, step]) for name, step in self._steps().items()},
                "count": int(totals.counted[index]),
            }
            for index, joint in enumerate(JOINTS)
        ]

    def _groups(self, totals: Counts) -> list[Row]:
        columns = self._hundredths(totals.hits)
        shares = {name: share(each, totals.counted, of=1) for name, each in columns.items()}
        rows: list[Row] = [
            {"group": group, **{name: cell(column[places(JOINTS, joints)].mean()) for name, column in shares.items()}}
            for group, joints in {"Head": self.recipe.head, **SIDED}.items()
        ]
        if self.recipe.upper_body:
            upper = places(JOINTS, UPPER_BODY)
            pooled = {
                name: share(each[upper].sum(), totals.counted[upper].sum(), of=1) for name, each in columns.items()
            }
            rows.append({"group": "UBody", **{name: cell(value) for name, value in pooled.items()}})
        total = {name: cell(self._mean(each, totals.counted)) for name, each in columns.items()}
        return [*rows, {"group": self.recipe.total, **total}]
