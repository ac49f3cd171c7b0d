"""Published rows that were scored exactly as one of our recipes scores, declared with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .entries import Readme, RepoFile, Reported, Scored, Value


@dataclass(frozen=True)
class Equal:
    """Published rows that were scored exactly as one of our recipes scores.

    Attributes:
        scoring: the canonical name of the recipe.
        scored: how many poses or sequences the published evaluation set has; a result that scored another number of
            them (a sample, a part of the data) stays on a board of its own.
        dataset: of the rows, as sources print it.
        metrics: (protocol text, metric) as printed -> the recipe's metric.
        why: how we know.
        sources: the systems or repositories that print the rows; anybody, where the number can be read in one way only.
        table: the table in which they print them, if only there.
    """

    scoring: str
    scored: int
    dataset: str
    metrics: Mapping[tuple[str, str], str]
    why: str
    sources: frozenset[str] | None = None
    table: str = ""

    def translate(self, entry: Reported) -> dict[str, Value]:
        """The entry's numbers by the recipe's metric names; empty unless the declaration covers them."""
        source = entry.source
        name = {Readme: "system", RepoFile: "repo"}.get(type(source), "")
        if (
            entry.dataset != self.dataset
            or (self.sources is not None and getattr(source, name, "") not in self.sources)
            or (self.table and source.table != self.table)
        ):
            return {}
        renamed = ((self.metrics.get((entry.scoring, metric)), value) for metric, value in entry.values.items())
        return {metric: value for metric, value in renamed if metric}


def _of_ntu(protocol: str, dataset: str, split: str, sequences: int) -> Equal:
    return Equal(
        scoring=f"{protocol}:single-clip",
        scored=sequences,
        dataset=dataset,
        metrics={(split, "top-1 accuracy"): "top-1"},
        why=f"Top-1 accuracy is the share of the {sequences:,} test sequences whose highest score is that of their "
        "class, and can be counted in one way only; how many clips gave the scores is the method's matter.",
    )


EQUALS = (
    Equal(
        scoring="h36m/mpjpe:videopose3d",
        scored=543_344,
        dataset="Human3.6M",
        sources=frozenset({"VideoPose3D"}),
        table="Results on Human3.6M",
        metrics={("H36M Protocol 1", "MPJPE"): "MPJPE", ("H36M Protocol 2", "P-MPJPE"): "P-MPJPE"},
        why="VideoPose3D prints what its own evaluation computes: every frame of S9 and S11, mean over the 15 actions.",
    ),
    Equal(
        scoring="mpii/pckh:hrnet",
        scored=2958,
        dataset="MPII",
        sources=frozenset({"leoxiaobin/deep-high-resolution-net.pytorch", "microsoft/human-pose-estimation.pytorch"}),
        table="Results on MPII val",
        metrics={("val, flip test", metric): metric for metric in ("PCKh@0.5", "PCKh@0.1")},
        why="Both repositories print what their shared evaluator computes; their “@0.1” reads the threshold 0.11, as "
        "the recipe does.",
    ),
    _of_ntu("ntu60/xsub", "NTU RGB+D 60", "cross-subject", 16_487),
    _of_ntu("ntu60/xview", "NTU RGB+D 60", "cross-view", 18_932),
    _of_ntu("ntu120/xsub", "NTU RGB+D 120", "cross-subject", 50_919),
    _of_ntu("ntu120/xset", "NTU RGB+D 120", "cross-setup", 59_477),
)


def equal_of(entry: Scored) -> Equal | None:
    """The declaration that puts an entry beside published rows: same recipe, and the whole evaluation set scored."""
    for equal in EQUALS:
        if equal.scoring == entry.scoring and equal.scored in entry.result.counts.values():
            return equal
    return None
