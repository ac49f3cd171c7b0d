"""Slices add up to the whole, name what is worst, and are what scoring the slice alone gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.schema import to_numpy
from har_bench.studying.explaining import Explanation, explain
from tests.hub.labelled_clips import Clips
from tests.hub.systems import FRAMES, OFFSETS, PROTOCOL, off_by
from tests.sampled import Samples


@pytest.fixture(scope="module")
def mpii(samples: Samples) -> Store:
    return samples("mpii")


@pytest.fixture(scope="module")
def persons(mpii: Store) -> dict[str, np.ndarray[Any, Any]]:
    """The scored persons' columns, in the order of the store."""
    rows = mpii.poses(split="tompson/valid")
    return {name: to_numpy(rows[name], rows.schema.field(name)) for name in rows.column_names if name != "splits"}


@pytest.fixture(scope="module")
def predictions(persons: dict[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    random = np.random.default_rng(0)
    points = np.nan_to_num(persons["keypoints"])
    points = points + random.normal(size=points.shape) * persons["head_size"][:, None, None] * 0.35
    return {
        "sequence": persons["sequence"],
        "frame": persons["frame"],
        "person": persons["person"],
        "keypoints": points,
    }


@pytest.fixture(scope="module")
def explained(mpii: Store, predictions: dict[str, Any]) -> Explanation:
    return explain("mpii/pckh:mmpose1", mpii, predictions, worst=3)


def test_sequences_and_subjects_go_from_the_worst_to_the_best(toys: Store) -> None:
    found = explain(PROTOCOL, toys, off_by(toys, OFFSETS), worst=2)
    assert [(each.name, round(each.number, 3)) for each in found.worst] == [("s002/right", 9), ("s004/right", 7)]
    subjects = [(each.name, round(each.number, 3), each.count) for each in found.slices["subject"]]
    assert subjects == [(f"s{number:03d}", OFFSETS[number], "1 sequence") for number in np.argsort(OFFSETS)[::-1]]
    assert found.overall == pytest.approx(np.average(OFFSETS, weights=FRAMES), abs=1e-4)
    assert set(found.slices) == {"subject"}  # every scored toy sequence is of one camera and one action: none
    assert [note.partition(":")[0] for note in found.notes] == ["no slices by person size", "no slices by visibility"]


def test_what_is_overall_is_what_scoring_says(mpii: Store, predictions: dict[str, Any], explained: Explanation) -> None:
    result = har_bench.score("mpii/pckh:mmpose1", mpii, predictions, resamples=0)
    assert explained.overall == result["PCKh@0.5"]
    joints = {row["joint"]: row["PCKh@0.5"] for row in result.tables["joint"]}
    assert {each.name: each.number for each in explained.slices["joint"]} == joints
    assert {"joint", "group", "person size", "visibility"} <= set(explained.slices)
    for slices in explained.slices.values():
        assert [each.number for each in slices] == sorted(each.number for each in slices)
        assert all(each.count for each in slices)
    counts = {row["joint"]: f"{row['count']} joints" for row in result.tables["joint"]}
    assert {each.name: each.count for each in explained.slices["joint"]} == counts


def hits(persons: dict[str, Any], predictions: dict[str, Any], joints: Any) -> float:
    """PCKh@0.5 of some joints (N, 16) by its definition."""
    distance = np.linalg.norm(predictions["keypoints"] - persons["keypoints"], axis=-1) / persons["head_size"][:, None]
    scored = joints & np.isfinite(distance) & (np.arange(16) != 6) & (np.arange(16) != 7)
    return float(100 * (distance[scored] < 0.5).mean())


def test_size_terciles_are_persons_of_that_size(
    persons: dict[str, Any], predictions: dict[str, Any], explained: Explanation
) -> None:
    size = persons["head_size"]
    low, high = np.quantile(size, [1 / 3, 2 / 3])
    masks = {"small": size < low, "medium": (size >= low) & (size < high), "large": size >= high}
    found = {each.name.partition(" ")[0]: each for each in explained.slices["person size"]}
    assert {name: each.count for name, each in found.items()} == {
        name: f"{mask.sum()} persons" for name, mask in masks.items()
    }
    for name, mask in masks.items():
        everything = np.broadcast_to(mask[:, None], (len(size), 16))
        assert found[name].number == pytest.approx(hits(persons, predictions, everything))


def test_visibility_is_that_of_the_joint(
    persons: dict[str, Any], predictions: dict[str, Any], explained: Explanation
) -> None:
    found = {each.name: each.number for each in explained.slices["visibility"]}
    assert found["visible"] == pytest.approx(hits(persons, predictions, persons["visibility"] == 2))
    assert found["occluded or inferred"] == pytest.approx(hits(persons, predictions, persons["visibility"] == 1))


def test_the_worst_images_are_those_scored_alone(
    mpii: Store, predictions: dict[str, Any], explained: Explanation, persons: dict[str, Any]
) -> None:
    assert len(explained.worst) == 3
    for each in explained.worst:
        of = persons["sequence"] == each.name
        assert each.number == pytest.approx(hits(persons, predictions, of[:, None] & np.ones(16, bool)))


def test_everything_is_printed(explained: Explanation) -> None:
    tables = list(explained.tables())
    assert [title for title, _, _ in tables][-1] == "the 3 worst sequences"
    assert all(len(row) == len(columns) for _, columns, rows in tables for row in rows)
    assert explained.lines()[0].startswith("mpii/pckh:mmpose1: PCKh@0.5 is")
    assert any("varies most by" in line for line in explained.lines())


def test_clips_are_sliced_by_the_mean_size_of_their_persons(samples: Samples) -> None:
    store = samples("penn_action")
    names = Clips().select(store.sequences)["sequence"].to_pylist()
    right = {"sequence": names, "label": np.arange(len(names)) % 2}
    found = explain("tests.hub.labelled_clips:Clips", store, right)
    assert found.overall == pytest.approx(100 * np.mean(right["label"] == 0))
    sizes = found.slices["person size"]
    assert sum(int(each.count.split()[0]) for each in sizes) == len(names)
    whole = sum(each.number * int(each.count.split()[0]) for each in sizes) / len(names)
    assert whole == pytest.approx(found.overall)
    assert found.slices["action"][0].number <= found.slices["action"][-1].number


def test_what_cannot_be_scored_is_one_sentence(toys: Store) -> None:
    with pytest.raises(HarBenchError, match="missing"):
        explain(PROTOCOL, toys, {"s000/right": off_by(toys, OFFSETS)["s000/right"]})
