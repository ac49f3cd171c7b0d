"""PCK on Penn Action: the share of visible joints within a fraction of the person's size, by every rule in use.

Zhang, Zhu, Derpanis, ICCV 2013, publish the data and no pose metric; the tables of the video pose papers (Nie et al.,
Luo et al., Luvizon et al.) follow the test code of LSTM Pose Machines (Luo et al., CVPR 2018). There a joint is a hit
when its distance to the truth is at most 0.2 of the longer side of the frame's box, and hits are pooled over all
visible joints of all test frames. Each of the ways to deviate from that is a :class:`PCKRecipe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench.arrays import Anything, Bools, Floats, taken
from har_bench.errors import HarBenchError
from har_bench.protocol import Batch, Protocol, Records, Scores, by_name, clues, of_split
from har_bench.protocol.clues import Clues
from har_bench.protocol.declarations import Counted, Curve, Groups, Metric, Recipe
from har_bench.protocol.tables import cell, grouped, share
from har_bench.results import Row
from har_bench.skeletons import skeleton
from har_bench.store import Store

Compare = Literal["<=", "<"]

THRESHOLDS: Floats = np.arange(1, 11) / 20
"""The table's thresholds, 0.05 to 0.5; they are compared as these very doubles."""
AT = 3
"""Which of them is 0.2, the published one."""

JOINTS = skeleton("penn13").joints
_SIDED = {"Sho": "shoulder", "Elb": "elbow", "Wri": "wrist", "Hip": "hip", "Knee": "knee", "Ank": "ankle"}
GROUPS = {"Head": ("head",), **{short: (f"right_{joint}", f"left_{joint}") for short, joint in _SIDED.items()}}
"""The columns of the published tables: left and right joints pooled."""

VISIBLE = 2
"""What the store's ``visibility`` is for a joint that counts."""

TORSOS = {
    "torso": (["left_shoulder"], ["right_hip"]),
    "torso_middle": (["left_shoulder", "right_shoulder"], ["left_hip", "right_hip"]),
}
"""From the mean of which joints to that of which others a torso reaches, by its column in the store."""
SHORTEST_TORSO = 1.0
"""A true torso shorter than so many pixels is replaced by the predicted one."""

OWN_TORSO = "where the true torso is below 1 px the prediction's own sets the threshold, and a longer one forgives more"
"""Why recipes that measure in torsos flatter a prediction."""


@dataclass(frozen=True)
class PCKRecipe(Recipe):
    """One way of computing PCK.

    Attributes:
        compare: whether a distance equal to the threshold is a hit.
        size: what the threshold is a fraction of: :func:`box_size`; the store's column ``torso`` or ``torso_middle``,
            which are of the label file's own numbers; or ``visible_torso``, that of the visible joints. A torso that is
            unknown or below 1 px is the predicted one: see :func:`torso_size`.
        extra: what is added to the size [px].
        skip_degenerate: whether frames whose box has no width or no height are left out.
    """

    compare: Compare = "<="
    size: Literal["box", "torso", "torso_middle", "visible_torso"] = "box"
    extra: float = 0.0
    skip_degenerate: bool = False


RECIPES = (
    PCKRecipe(
        name="lstm-pm",
        about="0.2 of the box's longer side x2 - x1 or y2 - y1, <=, pooled over visible joints",
        oracle="LSTM Pose Machines, test code for Penn Action",
        cite="Luo et al., CVPR 2018",
    ),
    PCKRecipe(
        name="strict",
        about="as lstm-pm, but a distance equal to the threshold is a miss",
        oracle="LSTM Pose Machines' rule with <",
        cite="Luo et al., CVPR 2018, as re-implemented",
        compare="<",
    ),
    PCKRecipe(
        name="plus-one",
        about="as lstm-pm, but a box of whole pixels: its side is x2 - x1 + 1",
        oracle="LSTM Pose Machines' rule with inclusive boxes",
        cite="Luo et al., CVPR 2018, as re-implemented",
        extra=1.0,
    ),
    PCKRecipe(
        name="skip-degenerate",
        about="as lstm-pm, without the frames whose box has no width or no height",
        oracle="LSTM Pose Machines' rule on valid boxes",
        cite="Luo et al., CVPR 2018, as re-implemented",
        skip_degenerate=True,
    ),
    PCKRecipe(
        name="torso",
        about="0.2 of left shoulder to right hip, of the label's numbers whatever their visibility; the predicted "
        "torso where the true one is below 1 px",
        oracle="the torso variant of LSTM Pose Machines' test code; no numbers of it are public",
        cite="Luo et al., CVPR 2018",
        inflates=OWN_TORSO,
        size="torso",
    ),
    PCKRecipe(
        name="torso-visible",
        about="as torso, but the predicted torso too where shoulder or hip is not visible (version 1's torso)",
        oracle="LSTM Pose Machines' rule on visible joints",
        cite="Luo et al., CVPR 2018, as re-implemented",
        inflates=f"{OWN_TORSO}, and also where shoulder or hip is not visible",
        size="visible_torso",
    ),
    PCKRecipe(
        name="torso-middle",
        about="as torso, from the middle of the shoulders to the middle of the hips, frame by frame",
        oracle="UniPose's torso, without its defect of taking the first frame's for a whole batch",
        cite="Artacho, Savakis, CVPR 2020",
        inflates=OWN_TORSO,
        size="torso_middle",
    ),
)


class Hits(NamedTuple):
    """Which joints are hit, and which count; both (N, J)."""

    hit: Bools
    counted: Bools


def pck(
    predicted: npt.ArrayLike, truth: npt.ArrayLike, size: npt.ArrayLike, *, at: float = 0.2, compare: Compare = "<="
) -> Hits:
    """Which joints lie within ``at`` sizes of the truth (LSTM Pose Machines: ``distance <= at * size``).

    Args:
        predicted: (N, J, 2) px; a NaN prediction is a miss.
        truth: (N, J, 2) px; NaN where not visible, which does not count.
        size: (N,) px; NaN makes all joints misses.
        at: the threshold, in sizes.
        compare: whether a distance of exactly ``at`` sizes is a hit (``<=``) or not (``<``).

    Raises:
        HarBenchError: no arrays of numbers, or shapes that do not belong together.

    >>> pck([[[3, 4]]], [[[0, 0]]], [25]).hit.tolist()
    [[True]]
    """
    points, true, sizes = taken("pck", predicted=(predicted, "N J 2"), truth=(truth, "N J 2"), size=(size, "N"))
    return Hits(_within(distance(points, true), at * sizes, compare), visible(true))


def _within(distances: Floats, reach: Floats, compare: Compare) -> Bools:
    """(N, J) which distances are within their row's reach (N,)."""
    return distances <= reach[:, None] if compare == "<=" else distances < reach[:, None]


def visible(truth: Floats) -> Bools:
    """(N, J) which of the points (N, J, 2) are there."""
    return cast(Bools, np.isfinite(truth).all(axis=-1))


def distance(predicted: Floats, truth: Floats) -> Floats:
    """(N, J) px between points (N, J, 2); NaN where either is."""
    difference = predicted.astype(np.float64) - truth
    return cast(Floats, np.sqrt(difference[..., 0] ** 2 + difference[..., 1] ** 2))


def box_size(box: Floats) -> Floats:
    """(N,) px: the longer side of boxes (N, 4) x1, y1, x2, y2; a degenerate box has a size of 0 or less."""
    return np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])


def torso_length(points: Floats, which: str = "torso") -> Floats:
    """(N,) px that one of :data:`TORSOS` is long in Penn's 13 joints (N, 13, 2); NaN where a joint is not there."""
    above, below = (
        points[:, [JOINTS.index(joint) for joint in joints]].astype(np.float64).mean(axis=1) for joints in TORSOS[which]
    )
    return cast(Floats, np.linalg.norm(above - below, axis=-1))


def torso_size(true: Floats, guessed: Floats) -> Floats:
    """(N,) px: true torsos (N,), and the predicted ones where they are below 1 px or NaN."""
    return np.where(true >= SHORTEST_TORSO, true, guessed)


def carried_forward(box: Floats, starts: npt.NDArray[np.int64]) -> Floats:
    """(N, 4) boxes in which a frame without one has that of the frame before, as LSTM Pose Machines repeats it.

    Args:
        box: NaN where the label file has no row; two real files lack their last.
        starts: (S + 1,) row offsets of the sequences, across which nothing is carried.
    """
    rows = np.where(np.isfinite(box).all(axis=1), np.arange(len(box)), -1)
    latest = np.maximum.accumulate(rows)
    first = np.repeat(starts[:-1], np.diff(starts))
    return np.where((latest >= first)[:, None], box[latest], np.nan)


COUNTED = (Counted("PCK@0.2", "hits", "count"),)


class Scored(NamedTuple):
    """What is kept of a sequence.

    Attributes:
        sums: its frames, the joints that count, and their hits at :data:`THRESHOLDS`.
        action: its action.
        viewpoint: its viewpoint.
    """

    sums: npt.NDArray[np.int32]
    action: str
    viewpoint: str


class PennPCK(Protocol):
    """Pose on the 1,068 test sequences of Penn Action."""

    name = "penn_action/pck"
    version = "2"
    skeletons = ("penn13",)
    summary = "PCK@0.2 on the test sequences of Penn Action, per group of joints and pooled"
    metrics = (
        Metric("PCK@0.2", "%", "higher", "visible joints within 0.2 of the person's size, pooled over all frames"),
        Metric("joint-mean PCK@0.2", "%", "higher", "the plain mean of the 13 joints' own PCK@0.2"),
        Metric("sequence-mean PCK@0.2", "%", "higher", "the plain mean of the sequences' own PCK@0.2"),
    )
    tables = (
        Groups("joint", counted=COUNTED, means={"joint-mean PCK@0.2": "PCK@0.2", "PCK@0.2": "PCK@0.2"}),
        Groups("group", counted=COUNTED),
        Curve("threshold", rises=("PCK",)),
        *(Groups(name, shares_out=True, counted=COUNTED) for name in ("action", "viewpoint", "sequence")),
    )
    recipes = by_name(*RECIPES)
    notes = clues.POINTS
    task = "pose"
    truth_columns: tuple[str, ...] = ("keypoints", "visibility", "box")
    prediction_columns = ("keypoints",)
    train_split = "standard/train"

    recipe: PCKRecipe
    state: Records[Scored]

    def configure(self) -> None:
        """Recipes of torsos read them from the store."""
        if self.recipe.size in TORSOS:
            self.truth_columns = (*self.truth_columns, self.recipe.size)

    def prepare(self, store: Store) -> None:
        """See that the store has the torsos.

        Raises:
            HarBenchError: it was converted before they were kept.
        """
        if self.recipe.size in TORSOS and self.recipe.size not in store.schema("poses").names:
            raise HarBenchError(
                f"{store.path} does not hold the length of torsos, which {self.canonical} measures in; convert Penn "
                "Action again"
            )

    def select(self, sequences: pa.Table) -> pa.Table:
        """The test sequences.

        Raises:
            HarBenchError: there are none.
        """
        return of_split(sequences, "standard/test", self.canonical)

    def update(self, truth: Batch, predictions: Batch) -> None:
        """Count the hits of whole sequences; a frame whose sequence has no box yet cannot be measured, nor counts."""
        predicted, starts = predictions["keypoints"], truth.starts
        # the store has the places of occluded joints too; only visible ones are scored
        points = np.where((truth["visibility"] == VISIBLE)[..., None], truth["keypoints"], np.nan)
        counted, box = visible(points), carried_forward(truth["box"], starts)
        if self.recipe.size == "box":
            size = box_size(box)
            counted &= np.isfinite(size)[:, None]
        elif self.recipe.size == "visible_torso":
            size = torso_size(torso_length(points), torso_length(predicted))
        else:
            size = torso_size(truth[self.recipe.size], torso_length(predicted, self.recipe.size))
        if self.recipe.skip_degenerate:
            counted &= (box[:, 2:] > box[:, :2]).all(axis=1, keepdims=True)
        size = size + self.recipe.extra
        distances = distance(predicted, points)
        hits = [counted & _within(distances, at * size, self.recipe.compare) for at in THRESHOLDS]
        by_sequence = [_by_sequence(columns, starts) for columns in (counted, *hits)]
        sums = np.column_stack([np.diff(starts), *by_sequence]).astype(np.int32)
        labels = zip(*(truth.sequences[name].to_pylist() for name in ("action", "pose")), strict=True)
        for name, row, label in zip(truth.names(), sums, labels, strict=True):
            self.state.add(name, Scored(row, label[0] or "", label[1] or ""))

    def clues(self, truth: Batch, predictions: Batch) -> Clues:
        """Whether the points look like others than pixels of the image."""
        swap = skeleton("penn13").flip
        return clues.of_points(predictions["keypoints"], truth["keypoints"], truth.starts, swap)

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        """The metrics when sequence i of :meth:`units` counts ``weights[i]`` times."""
        hits, counted = self.state.derived(needed)
        weights = np.ones(len(hits)) if weights is None else weights
        per_sequence = share(hits.sum(axis=1), counted.sum(axis=1))
        measured = weights * np.isfinite(per_sequence)
        joints = share(weights @ hits, weights @ counted)
        values = (
            share((weights @ hits).sum(), (weights @ counted).sum()),
            share(np.nansum(joints) / 100, np.isfinite(joints).sum()),
            share(measured @ np.nan_to_num(per_sequence) / 100, measured.sum()),
        )
        return {metric.name: float(value) for metric, value in zip(self.metrics, values, strict=True)}

    def compute(self) -> Scores:
        """The metrics, and tables by joint, group, threshold, action, viewpoint and sequence."""
        names, sums = self.units(), self.state.derived(sums_of)
        records = self.state.values()
        total = _unpack(sums.sum(axis=0, dtype=np.float64))
        pooled = np.column_stack([sums[:, 0], *(each.sum(axis=1) for each in self.state.derived(needed))])
        columns = {joint: [index] for index, joint in enumerate(JOINTS)}
        groups = {group: [JOINTS.index(joint) for joint in joints] for group, joints in GROUPS.items()}
        everything = {"Mean": list(range(len(JOINTS)))}
        curve = share(total.hits.sum(axis=1), total.counted.sum())

        def row(joints: list[int]) -> Row:
            return _row(total.hits[AT, joints].sum(), total.counted[joints].sum())

        tables: dict[str, list[Row]] = {
            "joint": [{"joint": name, **row(at)} for name, at in columns.items()],
            "group": [{"group": name, **row(at)} for name, at in (groups | everything).items()],
            "threshold": [
                {"threshold": float(at), "PCK": cell(value)} for at, value in zip(THRESHOLDS, curve, strict=True)
            ],
            "action": _breakdown("action", [record.action for record in records], pooled),
            "viewpoint": _breakdown("viewpoint", [record.viewpoint for record in records], pooled),
            "sequence": _breakdown("sequence", names, pooled),
        }
        counts = {"sequences": len(names), "frames": int(total.frames), "joints": int(total.counted.sum())}
        return Scores(self.metrics_of(), tables, counts)


def sums_of(records: Records[Scored]) -> npt.NDArray[np.int32]:
    """(S, 1 + 13 + 130) the sequences' sums."""
    rows = [record.sums for record in records.values()]
    return np.array(rows, np.int32).reshape(-1, 1 + len(JOINTS) * (1 + len(THRESHOLDS)))


def needed(records: Records[Scored]) -> tuple[Floats, Floats]:
    """(S, 13) hits at the published threshold, and joints that count."""
    totals = _unpack(records.derived(sums_of))
    return totals.hits[:, AT].astype(np.float64), totals.counted.astype(np.float64)


class _Totals(NamedTuple):
    """Frames (...,), joints that count (..., 13) and hits (..., T, 13)."""

    frames: Anything
    counted: Anything
    hits: Anything


def _unpack(sums: Anything) -> _Totals:
    joints = len(JOINTS)
    return _Totals(
        sums[..., 0],
        sums[..., 1 : 1 + joints],
        sums[..., 1 + joints :].reshape(*sums.shape[:-1], len(THRESHOLDS), joints),
    )


def _by_sequence(flags: Bools, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(S, J) numbers of true flags (N, J) between the row offsets."""
    sums = np.vstack([np.zeros((1, flags.shape[1]), np.int64), np.cumsum(flags, axis=0)])
    return np.diff(sums[starts], axis=0)


def _row(hits: float, counted: float) -> Row:
    return {"PCK@0.2": cell(float(share(hits, counted))), "hits": int(hits), "count": int(counted)}


def _breakdown(column: str, values: list[str], pooled: Floats) -> list[Row]:
    """A row of pooled PCK for every distinct value of the sequences; (S, 3) frames, hits and joints that count."""
    groups, totals = grouped(values, pooled)
    return [
        {column: group, "frames": int(frames), **_row(hits, counted)}
        for group, (frames, hits, counted) in zip(groups, totals, strict=True)
    ]
