"""A training's own checkpoint is a file of weights, may be prolonged, and weights that are loaded are not trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import har_bench  # noqa: E402
from har_bench import HarBenchError, Store, registry  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402

PROTOCOL = "h36m/mpjpe"
QUICK = {"channels": 16, "batch": 256, "device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("h36m")
    registry.load("converters", "h36m").sample(home / "raw", seed=0)
    return har_bench.convert("h36m", home / "raw", home / "store", jobs=1, quiet=True)


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
