"""Every registered baseline on every protocol's sample: it predicts what is scored, and order changes nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store, registry
from har_bench.baseline import Baseline
from har_bench.devices import RESET, peak_memory_mb
from har_bench.protocol import make_protocol
from har_bench.running import make_baseline, train
from tests.sampled import Samples


def quick(baseline: str) -> Baseline:
    """A baseline with the options by which it learns something in seconds."""
    made = registry.load("baselines", baseline)
    return made(**made.quick)  # type: ignore[no-any-return]


CASES = [
    (baseline, protocol) for baseline in registry.available("baselines") for protocol in registry.available("protocols")
]


@pytest.mark.parametrize(("baseline", "protocol"), CASES)
def test_a_baseline_runs_saves_loads_and_predicts_the_same(
    baseline: str, protocol: str, samples: Samples, tmp_path: Path
) -> None:
    chosen = make_protocol(protocol)
    store = samples(chosen.dataset)
    model = quick(baseline)
    if model.needs and model.serves(store, chosen):
        pytest.skip(f"{baseline} needs {model.needs}")
    if not model.serves(store, chosen):
        with pytest.raises(HarBenchError, match="cannot predict what"):
            har_bench.run(baseline, store, protocol=protocol)
        return
    result = har_bench.run(model, store, protocol=protocol, out=tmp_path / "p.parquet")
    first = [table.to_pylist() for table in model.predict(store, chosen)]
    assert first == [table.to_pylist() for table in model.predict(store, chosen)]
    assert np.isfinite(list(result.metrics.values())).all()
    assert har_bench.score(protocol, store, tmp_path / "p.parquet").metrics == result.metrics
    assert {"poses", "seconds", "poses_per_second", "ms_per_sequence", "peak_memory_mb"} <= result.speed.keys()
    if model.trains:
        model.save(tmp_path / "weights")
        loaded = har_bench.run(quick(baseline), store, protocol=protocol, weights=tmp_path / "weights")
        assert loaded.metrics == result.metrics
    if model.history:
        first_loss, last_loss = (
            sum(value for name, value in row.items() if name not in ("epoch", "lr"))
            for row in (model.history[0], model.history[-1])
        )
        assert last_loss < first_loss


def test_training_alone_writes_weights_and_says_what_it_cannot(samples: Samples, tmp_path: Path) -> None:
    h36m, mpii = samples("h36m"), samples("mpii")
    file = tmp_path / "mean.npz"
    trained = train("mean-pose", [mpii], protocol="mpii/pckh", save=file)
    again = make_baseline("mean-pose")
    again.load(file)
    chosen = make_protocol("mpii/pckh")
    first, second = (next(model.predict(mpii, chosen)).to_pylist() for model in (trained, again))
    assert first == second
    for name, of, protocol, words in (
        ("mean-pose", [mpii, h36m], "mpii/pckh", "MeanPose learns from one store for a protocol; give one"),
        ("mean-pose", [mpii], None, "MeanPose learns from one store for a protocol"),
        ("oracle-noise", [h36m], "h36m/mpjpe", "oracle-noise learns nothing"),
        ("videopose3d", [mpii], "mpii/pckh", "videopose3d cannot learn what mpii/pckh scores"),
    ):
        with pytest.raises(HarBenchError, match=words):
            train(name, of, protocol=protocol, save=tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_nothing_to_predict_is_said_before_the_training(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = make_protocol("h36m/mpjpe")
    monkeypatch.setattr(type(protocol), "select", lambda _, sequences: sequences.slice(0, 0))
    model = quick("mean-pose")
    monkeypatch.setattr(model, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(HarBenchError, match="has no sequence that h36m/mpjpe:videopose3d scores"):
        har_bench.run(model, samples("h36m"), protocol=protocol)


@pytest.mark.skipif(not RESET.exists(), reason="only Linux lets a process forget its peak")
def test_what_was_held_before_is_not_a_models_memory(samples: Samples) -> None:
    np.ones(100_000_000)  # 800 MB, and gone
    before = peak_memory_mb() or 0
    assert har_bench.run("mean-pose", samples("h36m"), protocol="h36m/mpjpe").speed["peak_memory_mb"] < before - 300


def test_the_memory_of_the_gpu_that_was_used_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=0: 5_000_000 * device)
    assert peak_memory_mb() == 5


def test_the_oracle_without_noise_is_perfect(samples: Samples) -> None:
    mpii = har_bench.run("oracle-noise", samples("mpii"), protocol="mpii/pckh", settings={"sigma": 0.0})
    assert mpii["PCKh@0.5"] == mpii["PCKh@0.1"] == 100
    for dataset in ("h36m", "humaneva"):  # HumanEva's store has 20 points, and another root than its 15 joints
        perfect = har_bench.run("oracle-noise", samples(dataset), protocol=f"{dataset}/mpjpe", settings={"sigma": 0.0})
        assert perfect["MPJPE"] == pytest.approx(0, abs=1e-3)


def test_the_oracle_s_noise_has_the_size_it_says(samples: Samples) -> None:
    """The mean length of a 3D Gaussian of deviation s is s sqrt(8 / pi)."""
    result = har_bench.run("oracle-noise", samples("h36m"), protocol="h36m/mpjpe", settings={"sigma": 20.0})
    assert result["MPJPE"] == pytest.approx(20 * np.sqrt(8 / np.pi), rel=0.02)
    assert result.environment["sigma"] == "20.0"


def test_the_mean_pose_is_the_mean_of_the_training_split(samples: Samples) -> None:
    from har_bench.schema import to_numpy

    store = samples("h36m")
    model = registry.load("baselines", "mean-pose")()
    model.fit(store, make_protocol("h36m/mpjpe"))
    table = store.poses(split="standard/train", columns=["keypoints_3d"], skeleton="h36m17")
    points = to_numpy(table["keypoints_3d"], table.schema.field(0)).astype(np.float64)
    np.testing.assert_allclose(model.mean, (points - points[:, :1]).mean(axis=0), atol=1e-6)


def test_an_untrained_mean_pose_and_wrong_weights_are_one_sentence(samples: Samples, tmp_path: Path) -> None:
    model = registry.load("baselines", "mean-pose")()
    with pytest.raises(HarBenchError, match="learnt nothing yet"):
        next(model.predict(samples("h36m"), make_protocol("h36m/mpjpe")))
    with pytest.raises(HarBenchError, match="learnt nothing yet"):
        model.save(tmp_path / "weights")
    (tmp_path / "weights").write_bytes(b"no weights")
    with pytest.raises(HarBenchError, match=r"weights has no .npy header .*; write it again"):
        model.load(tmp_path / "weights")


def lifts(baseline: str) -> bool:
    """Whether a baseline lifts poses with torch, on a device and in a precision of the user's choice."""
    try:
        made = registry.load("baselines", baseline)
    except HarBenchError:  # its libraries are not here
        return False
    return hasattr(made, "lift") and {"device", "precision"} <= {option.name for option in dataclasses.fields(made)}


LIFTING = [name for name in registry.available("baselines") if lifts(name)]


def predicted(model: Baseline, store: Store) -> np.ndarray[Any, Any]:
    tables = model.predict(store, make_protocol("h36m/mpjpe"))
    return np.concatenate([np.stack(table["keypoints_3d"].to_numpy()) for table in tables])


@pytest.mark.parametrize("baseline", LIFTING)
def test_neither_batch_nor_device_changes_predictions(
    baseline: str, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven frames at a time or all of them, on every device that is here, in every precision: nearly the same [mm]."""
    torch = pytest.importorskip("torch")
    model = quick(baseline)
    model.fit(samples("h36m"), make_protocol("h36m/mpjpe"))
    model.save(tmp_path / "weights")
    expected = predicted(model, samples("h36m"))
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for device, precision, atol in [(d, p, a) for d in devices for p, a in (("float32", 0.05), ("bf16", 8.0))]:
        other = registry.load("baselines", baseline)(device=device, precision=precision)
        other.load(tmp_path / "weights")
        np.testing.assert_allclose(predicted(other, samples("h36m")), expected, atol=atol)
        with monkeypatch.context() as patched:
            patched.setattr("har_bench.lifting.lifter.FRAMES_AT_ONCE", 7)
            np.testing.assert_allclose(predicted(other, samples("h36m")), expected, atol=atol)


def test_settings_have_the_types_of_their_defaults() -> None:
    made = make_baseline("oracle-noise", {"sigma": 20, "seed": 3})
    assert (made.sigma, made.seed) == (20, 3)  # type: ignore[attr-defined]
    for settings, words in (
        ({"seed": 1.5}, "seed=1.5; give a whole number"),
        ({"sigma": "wide"}, "sigma='wide'; give a number"),
        ({"colour": 1}, "called 'colour'; there are sigma, seed"),
    ):
        with pytest.raises(HarBenchError, match=words):
            make_baseline("oracle-noise", settings)
    pytest.importorskip("torch")
    assert make_baseline("martinez", {"cameras": 54138969}).cameras == "54138969"  # type: ignore[attr-defined]
    assert make_baseline("martinez", {"augment": "no"}).augment is False  # type: ignore[attr-defined]
    with pytest.raises(HarBenchError, match="augment='maybe'; give true or false"):
        make_baseline("martinez", {"augment": "maybe"})
