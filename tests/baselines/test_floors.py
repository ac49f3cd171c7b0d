"""The floors of action recognition: learnt from any store of actions, or from keypoints of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.baselines.nearest import NearestCentroid, NearestNeighbour
from tests import motions
from tests.golden import REAL
from tests.motions import MotionAccuracy
from tests.sampled import Samples


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return motions.store(tmp_path_factory.mktemp("motions"))


def detections(folder: Path, store: Store, layout: str) -> Path:
    """The actions of a store's sequences, done by others and seen in another layout."""
    random = np.random.default_rng(5)
    rows = store.sequences.select(["sequence", "action", "n_frames"]).to_pylist()
    clips = {row["sequence"]: motions.clip(row["action"], row["n_frames"], random, layout=layout) for row in rows}
    path = folder / f"{layout}.npz"
    np.savez(path, layout=np.array(layout), **clips)
    return path


@pytest.mark.parametrize("made", [NearestCentroid, NearestNeighbour])
def test_actions_are_told_apart(made: Any, store: Store) -> None:
    result = har_bench.run(made(frames=12), store, protocol=MotionAccuracy())
    assert result["top-1"] == 100
    assert result.environment["view"] == "rms-filled"
    assert result.environment["joints"] == "penn13"
    assert result.environment["left_out"] == "0"


def test_the_nearest_of_each_class_by_hand(store: Store) -> None:
    """Three clips of one joint-pair: the nearer, the more probable."""
    model = NearestNeighbour(frames=1, mirror=False)
    model.fit(store, MotionAccuracy())
    assert model.vectors is not None
    model.vectors = np.zeros((3, 26), np.float32)
    model.vectors[:, 0] = [0, 3, 4]
    model.labels = np.array([2, 0, 2])
    clip = np.zeros((1, 1, 13, 3), np.float32)
    clip[..., 0, :2] = [1, 0]
    expected = np.exp([-1, -np.inf, 0])
    np.testing.assert_allclose(model.probabilities([clip])[0], expected / expected.sum(), rtol=1e-6)


def test_own_keypoints_of_another_layout_are_learnt_and_others_refused_by_name(store: Store, tmp_path: Path) -> None:
    coco, body = (str(detections(tmp_path, store, layout)) for layout in ("coco17", "penn13"))
    result = har_bench.run(NearestNeighbour(inputs=coco), store, protocol=MotionAccuracy(), save=tmp_path / "w")
    assert result["top-1"] == 100
    assert result.environment["joints"] == "coco17"
    for inputs, whose in (("", "store"), (body, "penn13.npz")):
        with pytest.raises(HarBenchError, match=f"learnt on coco17 and .*{whose} has penn13.*same joints"):
            har_bench.run(NearestNeighbour(inputs=inputs), store, protocol=MotionAccuracy(), weights=tmp_path / "w")


def test_a_view_is_of_the_weights(store: Store, tmp_path: Path) -> None:
    har_bench.run(NearestCentroid(view="rms"), store, protocol=MotionAccuracy(), save=tmp_path / "w")
    loaded = har_bench.run(NearestCentroid(), store, protocol=MotionAccuracy(), weights=tmp_path / "w")
    assert loaded.environment["view"] == "rms"
    with pytest.raises(HarBenchError, match="prepared by rms, not rms-filled; leave the view out"):
        har_bench.run(NearestCentroid(view="rms-filled"), store, protocol=MotionAccuracy(), weights=tmp_path / "w")
    with pytest.raises(HarBenchError, match=r"bend0: the view pyskl turns the 25 joints.*13 joints"):
        har_bench.run(NearestCentroid(view="pyskl"), store, protocol=MotionAccuracy())


def test_a_floor_says_what_it_lacks(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HarBenchError, match="learnt nothing yet"):
        next(NearestCentroid().predict(store, MotionAccuracy()))
    (tmp_path / "w").write_bytes(b"no weights")
    with pytest.raises(HarBenchError, match="w is no zip archive"):
        NearestCentroid().load(tmp_path / "w")
    np.savez(tmp_path / "w.npz", vectors=np.zeros(2))
    with pytest.raises(HarBenchError, match="nothing that a floor saved"):
        NearestCentroid().load(tmp_path / "w.npz")
    model = NearestCentroid()
    model.fit(store, MotionAccuracy())
    monkeypatch.setattr(MotionAccuracy, "codes", (*motions.ACTIONS, "fly"))
    with pytest.raises(HarBenchError, match="3 classes apart and motions/accuracy:single-clip has 4"):
        next(model.predict(store, MotionAccuracy()))
    monkeypatch.setattr(MotionAccuracy, "class_of", lambda _, sequences: [None] * len(sequences))
    with pytest.raises(HarBenchError, match="no clip in train with a person and a class"):
        model.fit(store, MotionAccuracy())


def test_a_clip_without_a_person_is_any_class_with_the_same_probability(samples: Samples, tmp_path: Path) -> None:
    """NTU's samples have such files: they are not learnt from, and are answered."""

    ntu = samples("ntu60")
    result = har_bench.run("nearest-centroid", ntu, protocol="ntu60/xsub", out=tmp_path / "p.parquet")
    assert result.environment["view"] == "pyskl"
    model = NearestCentroid()
    model.fit(ntu, har_bench.protocol.make_protocol("ntu60/xsub"))
    scores = {}
    protocol = har_bench.protocol.make_protocol("ntu60/xsub")
    protocol.select = lambda sequences: sequences  # type: ignore[method-assign]
    for rows in model.predict(ntu, protocol):
        scores |= dict(zip(rows["sequence"].to_pylist(), rows["scores"].to_pylist(), strict=True))
    empty = [row["sequence"] for row in ntu.sequences.to_pylist() if not row["rows"]]
    assert empty
    for name in empty:
        assert scores[name] == pytest.approx([1 / 60] * 60)


@pytest.mark.real
@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, 95.88), ({"mirror": False}, 94.29), ({"view": "rms"}, 94.76), ({"view": "rms", "mirror": False}, 92.79)],
)
def test_the_nearest_clip_of_penn_action_is_right_as_often_as_the_reference_s(
    settings: dict[str, Any], expected: float, penn: Store
) -> None:
    result = har_bench.run("nearest-neighbour", penn, protocol="penn_action/accuracy", settings=settings)
    assert result["top-1"] == pytest.approx(expected, abs=0.005)


@pytest.fixture(scope="module")
def penn(tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("penn") / "store"
    return har_bench.convert("penn_action", REAL / "penn_action", out, jobs=1, quiet=True)
