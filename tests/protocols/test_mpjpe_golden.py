"""Human3.6M's pose errors equal VideoPose3D's and mmpose's on real data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from har_bench.protocols.mpjpe import MPJPE
from tests import h36m_data
from tests.golden import load
from tests.h36m_data import H36M, Poses

GROUPS = ("action_mean", "frame_weighted")

CLOSED_FORM = load("h36m/golden/h36m_closed_form_golden.json")
LIFTED = load("h36m/golden/h36m_real_pred_golden.json")

# golden name -> (metric, recipe); a suffix 64 means every 64th frame, mm_ that mmpose computed it
METRICS = {"mpjpe": "MPJPE", "p_mpjpe": "P-MPJPE", "n_mpjpe": "N-MPJPE", "mpjve": "MPJVE", "pck50": "3DPCK@50"} | {
    f"{name}{suffix}": f"{prefix}{metric}"
    for suffix, prefix in {"": "", "_none": "", "_procrustes": "P-", "_scale": "N-"}.items()
    for name, metric in {"pck150": "3DPCK@150", "auc": "AUC"}.items()
}
NAMES = {name: (metric, "videopose3d") for name, metric in METRICS.items()} | {
    f"{name}_recentred": (METRICS[name], "recentred") for name in ("mpjpe", "n_mpjpe")
}


def plain(name: str) -> str:
    """A golden name without what says how often frames were taken or who computed it."""
    return name.removeprefix("mm_").removesuffix("64")


def tolerance(metric: str, poses: int) -> float:
    """The golden errors are float32, so a joint may be on the other side of a threshold: one, or 3 in a million."""
    joint = 100 / (17 * poses)
    return joint + 3e-4 if "PCK" in metric else joint / 31 + 3e-4 if "AUC" in metric else 2e-4


def groups(golden: dict[str, Any]) -> list[tuple[str, str]]:
    """Every (block, group) of a golden file: the two averages and each action."""
    return [
        (block, group)
        for block, values in golden.items()
        if "per_action" in values
        for group in (*(name for name in values if name in GROUPS), *values["per_action"])
    ]


class Scored:
    """Every sequence scored once per recipe and frame step; a block is a merge of some of them."""

    def __init__(self, h36m: H36M, pairs: Iterable[tuple[str, int, Poses, Poses]]) -> None:
        self.sequences = h36m.sequences
        self.parts: dict[tuple[str, int], dict[str, MPJPE]] = {}
        self.known: dict[tuple[str, str, str, int], dict[str, float]] = {}
        for name, step, truth, predicted in pairs:
            for recipe in ("videopose3d", "recentred"):
                part = MPJPE(recipe, {"every": step})
                part.update(h36m.batch(name, truth), h36m.batch(name, predicted))
                self.parts.setdefault((recipe, step), {})[name] = part

    def numbers(self, block: str, group: str, recipe: str, step: int) -> dict[str, float]:
        """The numbers of a golden block's group, selected as its name says, or of one sequence."""
        known = (block, group, recipe, step)
        if known not in self.known:
            part = self.parts[recipe, step].get(group)
            self.known[known] = flat(part or self.merged(block, group, recipe, step))
        return self.known[known]

    def merged(self, block: str, group: str, recipe: str, step: int) -> MPJPE:
        options = {name: value for name, value in h36m_data.options_of(block).items() if name != "every"}
        chosen = MPJPE(options=options).select(self.sequences)
        # deephar's recipe differs in how it averages; what is merged was scored by the other one
        merged = MPJPE("deephar" if group == "frame_weighted" else recipe, {"every": step})
        for name, action in zip(chosen["sequence"].to_pylist(), chosen["action"].to_pylist(), strict=True):
            if group in (*GROUPS, action):
                merged.merge(self.parts[recipe, step][name])
        return merged


def flat(protocol: MPJPE) -> dict[str, float]:
    """Metrics, 3DPCK at 50 mm, frames and actions."""
    scores = protocol.compute()
    at_50 = next(row["3DPCK"] for row in scores.tables["threshold"] if row["threshold"] == 50)
    actions = len(scores.tables["action"])
    return {**scores.metrics, "3DPCK@50": float(at_50 or 0), "frames": scores.counts["frames"], "actions": actions}


@pytest.fixture(scope="session")
def h36m() -> H36M:
    return h36m_data.read()


@pytest.fixture(scope="session")
def closed_form(h36m: H36M) -> Scored:
    def pairs() -> Iterable[tuple[str, int, Poses, Poses]]:
        for name in MPJPE().select(h36m.sequences)["sequence"].to_pylist():
            truth = h36m.truth(name)
            predicted = h36m_data.closed_form(truth)
            yield name, 1, truth, predicted
            yield name, 64, truth[::64], predicted[::64]

    return Scored(h36m, pairs())


@pytest.fixture(scope="session")
def lifted(h36m: H36M) -> Scored:
    return Scored(h36m, ((name, 64, h36m.truth(name)[::64], poses) for name, poses in h36m_data.lifted().items()))


def check(scored: Scored, golden: dict[str, Any], block: str, group: str) -> None:
    """Every golden number of one group."""
    values = golden[block].get(group) or golden[block]["per_action"][group]
    step = h36m_data.options_of(block).get("every", 1)
    frames = values.get("frames", golden[block]["frames"])
    totals = scored.numbers(block, group, "videopose3d", step)
    assert totals["frames"] == frames
    assert len(values) > 1
    if group in GROUPS:
        assert totals["actions"] == len(golden[block]["per_action"])
    # an average over actions moves most when the joint on the threshold is in the shortest one
    fewest = min([frames, *(row["frames"] for row in golden[block]["per_action"].values())])
    for key in values.keys() - {"frames"}:
        metric, recipe = NAMES[plain(key)]
        found = scored.numbers(block, group, recipe, step)[metric]
        assert found == pytest.approx(values[key], abs=tolerance(metric, fewest)), key


@pytest.mark.real
@pytest.mark.parametrize(("block", "group"), groups(CLOSED_FORM))
def test_closed_form_predictions_score_as_videopose3d(closed_form: Scored, block: str, group: str) -> None:
    check(closed_form, CLOSED_FORM, block, group)


@pytest.mark.real
@pytest.mark.parametrize(("block", "group"), groups(LIFTED))
def test_real_predictions_score_as_videopose3d_and_mmpose(lifted: Scored, block: str, group: str) -> None:
    check(lifted, LIFTED, block, group)


@pytest.mark.real
@pytest.mark.parametrize(
    ("block", "key"),
    [
        (block, key)
        for golden in (CLOSED_FORM, LIFTED)
        for block, rows in golden.items()
        if block.startswith("per_sequence")
        for key in sorted(rows[0].keys() - {"subject", "action", "camera"})
    ],
)
def test_each_sequence_scores_as_videopose3d(request: pytest.FixtureRequest, block: str, key: str) -> None:
    fixture, golden = ("lifted", LIFTED) if block in LIFTED else ("closed_form", CLOSED_FORM)
    scored: Scored = request.getfixturevalue(fixture)
    step = 64 if block.endswith("64") or key.endswith("64") else 1
    metric, recipe = ("frames", "videopose3d") if plain(key) == "n" else NAMES[plain(key)]
    assert len(scored.parts[recipe, step]) == len(golden[block])
    for row in golden[block]:
        name = f"{row['subject']}/{row['action']}/{row['camera']}"
        found = scored.numbers(block, name, recipe, step)
        assert found[metric] == pytest.approx(row[key], abs=tolerance(metric, int(found["frames"]))), name
