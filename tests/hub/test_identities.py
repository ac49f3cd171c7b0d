"""True results break no identity, however odd the predictions; a number that was tampered with breaks one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from har_bench import HarBenchError, registry, results
from har_bench.protocol import Batch, Protocol
from har_bench.results import Interval, Result
from har_bench.scoring import identities

HISTORIC = sorted((Path(__file__).parent / "historic_results").glob("*.json"))
LIFTING, POINTING = "h36m/mpjpe:", "mpii/pckh:"
RECIPES = [
    f"{name}:{recipe}" for name in ("h36m/mpjpe", "mpii/pckh") for recipe in registry.load("protocols", name).recipes
]


def result_of(protocol: Protocol) -> Result:
    """A result as scoring makes it, without a store."""
    scores = protocol.compute()
    size = len(protocol.units())
    weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), 5 if size > 1 else 0)
    drawn = [protocol.metrics_of(row.astype(np.float64)) for row in weights]
    return Result(
        protocol=protocol.name,
        version=protocol.version,
        recipe=protocol.recipe.name,
        options={},
        dataset=protocol.dataset,
        primary=protocol.primary.name,
        metrics={name: value for name, value in scores.metrics.items() if np.isfinite(value)},
        units={metric.name: metric.unit for metric in protocol.metrics if metric.name in scores.metrics},
        intervals={
            name: Interval(low=min(values), high=max(values))
            for name in scores.metrics
            for values in [[row[name] for row in drawn if np.isfinite(row.get(name, np.nan))]]
            if values
        },
        tables=scores.tables,
        counts=scores.counts,
        fingerprints={},
        versions={},
        environment={},
    )


def scored(canonical: str, seed: int, noise: float, sequences: int = 6) -> Result:
    """A real protocol on random poses: lifelike, useless or perfect ones."""
    name, _, recipe = canonical.partition(":")
    protocol = registry.load("protocols", name)(recipe)
    random = np.random.default_rng(seed)
    frames = random.integers(1, 5, sequences)
    starts, rows = np.cumsum([0, *frames]), int(frames.sum())
    table = pa.table(
        {
            "sequence": [f"{place:02d}" for place in range(sequences)],
            "action": random.choice(["Walking", "Eating", "Posing"], sequences).tolist(),
            "subject": random.choice(["S9", "S11"], sequences).tolist(),
            "camera": random.choice(["1", "2"], sequences).tolist(),
        }
    )
    if canonical.startswith(LIFTING):
        truth: dict[str, Any] = {"keypoints_3d": random.normal(size=(rows, 17, 3)) * 300}
        predicted = {"keypoints_3d": truth["keypoints_3d"] - truth["keypoints_3d"][:, :1]}
    else:
        points = random.integers(20, 200, (rows, 16, 2)).astype(float)
        points[random.random((rows, 16)) < 0.2] = np.nan
        truth = {
            "keypoints": points,
            "head_size": np.full(rows, 30.0),
            "head_box": np.tile([10.0, 10, 40, 50], (rows, 1)),
            "scale": np.full(rows, 1.2),
            "objpos": np.full((rows, 2), 100.0),
            "tompson_row": np.arange(rows, dtype=np.int32),
        }
        predicted = {"keypoints": np.nan_to_num(points)}
    predicted = {key: values + random.normal(size=values.shape) * noise for key, values in predicted.items()}
    protocol.update(Batch(table, starts, truth), Batch(table, starts, predicted))
    return result_of(protocol)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(RECIPES),
    st.integers(0, 2**31),
    st.sampled_from([0.0, 1e-9, 1.0, 20.0, 300.0, 1e6]),
    st.integers(1, 8),
)
def test_true_results_break_nothing(canonical: str, seed: int, noise: float, sequences: int) -> None:
    assert identities.check(scored(canonical, seed, noise, sequences)) == []


@pytest.mark.parametrize("path", HISTORIC, ids=lambda path: path.stem)
def test_historic_results_break_nothing(path: Path) -> None:
    identities.require(results.read(path))


def test_better_alignment_may_have_the_larger_mean_error() -> None:
    protocol = registry.load("protocols", "h36m/mpjpe")()
    truth = np.random.default_rng(1).normal(size=(2, 17, 3)) * 300
    predicted = truth - truth[:, :1]
    predicted[:, 16] += 1000  # least squares spreads one joint's error over all
    table = pa.table({"sequence": ["a"], "action": ["x"], "subject": ["S9"], "camera": ["1"]})
    starts = np.array([0, 2])
    protocol.update(Batch(table, starts, {"keypoints_3d": truth}), Batch(table, starts, {"keypoints_3d": predicted}))
    result = result_of(protocol)
    assert result["P-MPJPE"] > result["MPJPE"]
    assert identities.check(result) == []


# ---------------------------------------------------------------------------------------------- tampering


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["action", "subject", "camera", "sequence"]), st.data())
def test_a_row_that_was_changed_is_noticed(seed: int, title: str, data: st.DataObject) -> None:
    result = scored("h36m/mpjpe:videopose3d", seed, 20)
    row = data.draw(st.sampled_from(range(len(result.tables[title]))))
    column = data.draw(st.sampled_from(["frames", "MPJPE", "P-MPJPE", "N-MPJPE", "AUC"]))
    changed = copy.deepcopy(result)
    changed.tables[title][row][column] += 1  # type: ignore[operator]
    assert any(title in problem or column in problem for problem in identities.check(changed))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(RECIPES), st.data())
def test_a_point_of_a_curve_that_was_changed_is_noticed(seed: int, canonical: str, data: st.DataObject) -> None:
    result = scored(canonical, seed, 20)
    rows = result.tables["threshold"]
    column = data.draw(st.sampled_from([name for name in rows[0] if name != "threshold"]))
    place = data.draw(st.integers(0, len(rows) - 2))
    changed = copy.deepcopy(result)
    changed.tables["threshold"][place][column] = rows[place + 1][column] + 0.01  # type: ignore[operator]
    assert any(column in problem for problem in identities.check(changed))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(RECIPES), st.data())
def test_a_metric_beyond_its_joints_is_noticed(seed: int, canonical: str, data: st.DataObject) -> None:
    result = scored(canonical, seed, 20)
    lifting = canonical.startswith(LIFTING)
    name = data.draw(st.sampled_from(["MPJPE", "P-MPJPE", "N-MPJPE"] if lifting else ["PCKh@0.5", "PCKh@0.1"]))
    known = [row[name] for row in result.tables["joint"] if row[name] is not None and row.get("in_mean", 1)]
    assume(len(known) == (17 if lifting else 14))
    beyond = data.draw(st.sampled_from([min(known) - 0.01, max(known) + 0.01]))  # type: ignore[type-var, operator]
    changed = msgspec.structs.replace(result, metrics=result.metrics | {name: beyond})
    assert any(name in problem for problem in identities.check(changed))


def made(metrics: dict[str, float], protocol: str = "x/y", unit: str = "%", **more: Any) -> Result:
    """A result of a protocol, whose declarations hold; ``x/y`` is a stranger's that is not installed."""
    fields: dict[str, Any] = {"tables": {}, "counts": {}, "intervals": {}} | more
    return Result(
        protocol=protocol,
        version="1",
        recipe="r",
        options={},
        dataset="x",
        primary=next(iter(metrics)),
        metrics=metrics,
        units=dict.fromkeys(metrics, unit),
        fingerprints={},
        versions={},
        environment={},
        **fields,
    )


LIFTED, SEEN, FOUND, TIMED, NAMED = "h36m/mpjpe", "mpii/pckh", "coco/oks", "temporal/map", "ntu60/xsub"
BROKEN = {
    "PCK falls": made({"PCKh@0.1": 60.0, "PCKh@0.5": 50.0}, SEEN),
    "PCK falls in a row": made({"a": 5.0}, SEEN, tables={"joint": [{"joint": "x", "PCKh@0.1": 9.0, "PCKh@0.2": 8.0}]}),
    "top-5 below top-1": made({"top-1": 60.0, "top-5": 59.0}, NAMED),
    "AR@100 below AR@10": made({"AR@10": 60.0, "AR@100": 59.0}, TIMED),
    "AR75 above AR50": made({"AR50": 50.0, "AR75": 51.0}, FOUND, counts={"persons_ignored": 3}),
    "mAP rises with tIoU": made({"mAP@0.5": 40.0, "mAP@0.75": 41.0, "mAP": 40.0}, TIMED),
    "F1 rises with overlap": made({"F1@50": 50.0, "F1@25": 49.0}, "merl/segmental"),
    "AP beyond AR": made({"AP": 52.0, "AR": 50.0}, FOUND),
    "above 100": made({"accuracy": 100.1}),
    "below 0": made({"accuracy": -0.1}),
    "a negative length": made({"error": -1.0}, unit="mm"),
    "not finite": made({"error": float("nan")}, unit="mm"),
    "an interval upside down": made({"a": 5.0}, intervals={"a": Interval(low=6, high=5)}),
    "an interval above 100": made({"a": 5.0}, intervals={"a": Interval(low=6, high=101)}),
    "a table above 100": made({"a": 5.0}, tables={"class": [{"class": "x", "a": 101.0}]}),
    "a negative count": made({"a": 5.0}, counts={"frames": -1}),
    "frames that do not add up": made(
        {"a": 5.0}, LIFTED, counts={"frames": 3}, tables={"action": [{"action": "x", "frames": 2}]}
    ),
    "P-MPJPE beyond its bound": made(
        {"P-MPJPE": 21.0, "MPJPE": 10.0}, LIFTED, unit="mm", tables={"joint": [{"joint": "x"}] * 4}
    ),
    "more hits than joints": made({"a": 5.0}, SEEN, tables={"joint": [{"joint": "x", "hits@0.5": 3, "count": 2}]}),
    "hits that are no such share": made(
        {"a": 5.0}, SEEN, tables={"joint": [{"joint": "x", "PCKh@0.5": 51.0, "hits@0.5": 1, "count": 2}]}
    ),
    "a mean outside its classes": made({"mAP": 5.0}, "merl/frame-map", tables={"class": [{"class": "x", "AP": 6.0}]}),
    "a curve by tIoU that rises": made(
        {"mAP": 5.0}, TIMED, tables={"tiou": [{"tiou": 0.5, "mAP": 5.0}, {"tiou": 0.6, "mAP": 6.0}]}
    ),
    "a curve by threshold that falls": made(
        {"a": 5.0},
        LIFTED,
        tables={"threshold": [{"threshold": 5, "P-3DPCK": 5.0}, {"threshold": 10, "P-3DPCK": 4.0}]},
    ),
    "one class's AP rises": made({"a": 5.0}, TIMED, tables={"label": [{"label": "x", "AP@0.5": 5.0, "AP@0.7": 6.0}]}),
}


@pytest.mark.parametrize("what", BROKEN)
def test_every_broken_identity_is_one_sentence(what: str) -> None:
    assert len(identities.check(BROKEN[what])) == 1
    with pytest.raises(HarBenchError, match=":r contradicts itself: "):
        identities.require(BROKEN[what])


HOLDING = {
    "equal neighbours": made({"PCKh@0.1": 50.0, "PCKh@0.5": 50.0}, SEEN),
    "AP75 above AP50 where truth may be ignored": made({"AP50": 50.0, "AP75": 50.1}, FOUND),
    "AP over 101 points": made({"AP": 100 * 51 / 101, "AR": 50.0}, FOUND),
    "means of unlike things": made({"mAP@mid": 90.0, "mAP@0.5": 10.0, "F1@10": 50.0}, "merl/segmental"),
    "names that only look like a family's": made({"PCK@0.2": 60.0, "PCK@0.3": 50.0, "top-1": 9.0, "top-5": 3.0}),
    "a PCK and a joint outside its mean": made(
        {"PCKh@0.5": 50.0},
        SEEN,
        tables={
            "joint": [{"joint": "a", "in_mean": 0, "PCKh@0.5": 9.0}, {"joint": "b", "in_mean": 1, "PCKh@0.5": 50.0}]
        },
    ),
}


@pytest.mark.parametrize("what", HOLDING)
def test_what_may_hold_is_not_refused(what: str) -> None:
    assert identities.check(HOLDING[what]) == []


# ---------------------------------------------------------------------------------------------- the theorem on AP


def greedy(affinity: np.ndarray[Any, Any], at: float, ignored: Any = ()) -> tuple[list[int], float]:
    """The truths that detections in order take, and AP; a match with an ignored truth leaves the ranking."""
    taken: list[int] = []
    ranking = []
    for row in affinity:
        free = [place for place in range(len(row)) if place not in taken and row[place] >= at]
        own = [place for place in free if place not in ignored]
        if own:
            taken.append(max(own, key=lambda place: row[place]))
            ranking.append(1)
        elif not free:
            ranking.append(0)
    hits, positives = np.array(ranking, float), affinity.shape[1] - len(ignored)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return taken, float((envelope * hits).sum() / positives)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 5), st.booleans())
def test_greedy_matching_covers_more_at_a_lower_threshold(seed: int, detections: int, truths: int, some: bool) -> None:
    affinity = np.random.default_rng(seed).random((detections, truths)).round(1)
    ignored = (0,) if some and truths > 1 else ()
    low, high = (greedy(affinity, at, ignored) for at in (0.5, 0.75))
    assert set(low[0]) >= set(high[0])
    assert ignored or low[1] >= high[1] - 1e-12


def test_an_ignored_truth_can_make_ap_rise_with_the_threshold() -> None:
    affinity = np.array([[0.6, 0.0, 0.9], [0.8, 0.0, 0.0], [0.0, 0.9, 0.0]])  # the third truth is a crowd
    low, high = (greedy(affinity, at, ignored=(2,))[1] for at in (0.5, 0.75))
    assert (low, high) == (pytest.approx(5 / 6), 1.0)
