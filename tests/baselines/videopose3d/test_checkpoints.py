"""A training's own checkpoint is a file of weights, may be prolonged, and weights that are loaded are not trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import har_bench  # noqa: E402
from har_bench import HarBenchError, Store  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402
from tests.sampled import Samples  # noqa: E402

PROTOCOL = "h36m/mpjpe"
QUICK = {"channels": 16, "batch": 256, "device": "cpu"}


@pytest.fixture(scope="module")
def store(samples: Samples) -> Store:
    return samples("h36m")


def predicted(model: VideoPose3D, store: Store) -> np.ndarray:
    tables = pa.concat_tables(model.predict(store, make_protocol(PROTOCOL)))
    return np.array(tables["keypoints_3d"].to_pylist())


def test_the_latest_checkpoint_of_a_training_is_its_weights(store: Store, tmp_path: Path) -> None:
    trained = VideoPose3D(**QUICK, epochs=1, trajectory=True, checkpoints=str(tmp_path / "kept"))
    trained.fit(store, make_protocol(PROTOCOL))
    loaded = VideoPose3D(device="cpu")
    loaded.load(tmp_path / "kept" / "latest.ckpt")
    assert (loaded.joints, loaded.target, loaded.channels, loaded.trajectory) == ("h36m17", "h36m17", 16, True)
    np.testing.assert_array_equal(predicted(loaded, store), predicted(trained, store))
    other = VideoPose3D(layout="coco17")
    with pytest.raises(HarBenchError, match=r"latest\.ckpt takes in h36m17, not coco17"):
        other.load(tmp_path / "kept" / "latest.ckpt")


def test_a_finished_training_is_prolonged_and_not_cut_short(store: Store, tmp_path: Path) -> None:
    for epochs in (1, 3):
        model = VideoPose3D(**QUICK, epochs=epochs, checkpoints=str(tmp_path))
        model.fit(store, make_protocol(PROTOCOL))
        assert [row["epoch"] for row in model.history] == list(range(1, epochs + 1))
    with pytest.raises(HarBenchError, match="has had 3 epochs, more than 2; ask for as many, or name another folder"):
        VideoPose3D(**QUICK, epochs=2, checkpoints=str(tmp_path)).fit(store, make_protocol(PROTOCOL))


def test_options_of_a_training_beside_weights_are_refused(store: Store, tmp_path: Path) -> None:
    model = VideoPose3D(**QUICK, epochs=1)
    model.fit(store, make_protocol(PROTOCOL))
    model.save(tmp_path / "w.safetensors")
    given = {"protocol": PROTOCOL, "weights": tmp_path / "w.safetensors"}
    with pytest.raises(HarBenchError, match=r"is loaded and nothing is trained, so leave epochs, lr out"):
        har_bench.run("videopose3d", store, **given, settings={"epochs": 1, "lr": 0.1})
    assert har_bench.run("videopose3d", store, **given, settings={"device": "cpu"}).metrics


@pytest.fixture
def of_two(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store, half of whose training sequences are said to be of S9."""
    original = Store.select

    def select(self: Store, split: str) -> pa.Table:
        found = original(self, split)
        subjects = pa.array(["S9" if action < "Phoning" else "S1" for action in found["action"].to_pylist()])
        return found.set_column(found.schema.names.index("subject"), "subject", subjects)

    monkeypatch.setattr(Store, "select", select)
    return store


def test_a_training_is_watched_on_subjects_that_it_does_not_learn_from(of_two: Store, tmp_path: Path) -> None:
    model = VideoPose3D(**QUICK, epochs=2, checkpoints=str(tmp_path), held_out="S9")
    model.fit(of_two, make_protocol(PROTOCOL))
    expected = VideoPose3D(**QUICK, epochs=2, subjects="S1")
    expected.fit(of_two, make_protocol(PROTOCOL))
    np.testing.assert_array_equal(predicted(model, of_two), predicted(expected, of_two))
    errors = [row["held_out_mm"] for row in model.history]
    assert model.describe()["held_out"].startswith(f"{errors[-1]:.1f} mm in the last epoch, which is scored; ")
    VideoPose3D(device="cpu").load(tmp_path / "best.ckpt")
    assert "held_out_mm" in (tmp_path / "curves.csv").read_text()


@pytest.mark.parametrize(
    ("held_out", "words"),
    [("S99", "S99 cannot be held out; there are "), ("S1,S9", "S1, S9 are all who are trained on; hold out fewer")],
)
def test_who_cannot_be_held_out_is_said(held_out: str, words: str, of_two: Store) -> None:
    model = VideoPose3D(**QUICK, epochs=1, held_out=held_out)
    with pytest.raises(HarBenchError, match=words):
        model.fit(of_two, make_protocol(PROTOCOL))


def test_the_protocol_s_own_sequences_are_watched_where_that_is_asked_for(store: Store) -> None:
    model = VideoPose3D(**QUICK, epochs=1, held_out="test")
    model.fit(store, make_protocol(PROTOCOL))
    result = har_bench.score(
        PROTOCOL, store, pa.concat_tables(model.predict(store, make_protocol(PROTOCOL))), quiet=True
    )
    assert model.history[-1]["held_out_mm"] == pytest.approx(result.metrics["MPJPE"], rel=0.2)


def test_a_training_begins_with_other_weights_and_their_options(store: Store, tmp_path: Path) -> None:
    first = VideoPose3D(**QUICK, epochs=2)
    first.fit(store, make_protocol(PROTOCOL))
    first.save(tmp_path / "w.safetensors")
    tuned = VideoPose3D(batch=256, device="cpu", epochs=1, lr=1e-12, init=str(tmp_path / "w.safetensors"))
    tuned.fit(store, make_protocol(PROTOCOL))
    assert tuned.channels == 16
    for name, value in first.models.named_parameters():
        torch.testing.assert_close(dict(tuned.models.named_parameters())[name], value, atol=1e-6, rtol=0)
    with pytest.raises(HarBenchError, match="was made with channels=16, not 8"):
        VideoPose3D(channels=8, init=str(tmp_path / "w.safetensors")).fit(store, make_protocol(PROTOCOL))
