"""ST-GCN as a baseline: it learns, fuses its streams, and takes pyskl's weights as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.cli import main
from har_bench.skeletons import skeleton
from tests import motions
from tests.motions import MotionAccuracy

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench.baselines.stgcn import STGCN  # noqa: E402
from har_bench.baselines.stgcn.graph import adjacency  # noqa: E402
from har_bench.baselines.stgcn.model import Architecture, SkeletonNetwork  # noqa: E402
from har_bench.classifying.classifier import FILES  # noqa: E402
from tests.sampled import Samples  # noqa: E402

TINY: dict[str, Any] = {"channels": 6, "stages": 2, "inflate": "2", "device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return motions.store(tmp_path_factory.mktemp("motions"))


@pytest.fixture(scope="module")
def ntu(samples: Samples) -> Store:
    return samples("ntu60")


@pytest.mark.parametrize("kind", ["st-gcn++", "st-gcn"])
def test_both_networks_learn(kind: str, store: Store) -> None:
    model = STGCN(**TINY, kind=kind, frames=12, epochs=60, batch=6, lr=1.0)  # type: ignore[arg-type]
    result = har_bench.run(model, store, protocol=MotionAccuracy())
    assert result["top-1"] >= 80
    assert result.environment["kind"] == kind


def test_stages_that_are_not_there_are_refused(store: Store) -> None:
    with pytest.raises(HarBenchError, match="inflate is '4'; give stages from 2 to 3"):
        STGCN(stages=3, inflate="4", channels=6, device="cpu").fit(store, MotionAccuracy())


def test_the_four_streams_are_trained_saved_and_fused(store: Store, tmp_path: Path) -> None:
    model = STGCN(**TINY, streams=("all",), frames=8, epochs=2, batch=6)
    result = har_bench.run(model, store, protocol=MotionAccuracy(), save=tmp_path / "w")
    assert result.environment["streams"] == "joint+bone+joint-motion+bone-motion"
    assert set(model.history[0]) == {"epoch", "lr", "joint", "bone", "joint-motion", "bone-motion"}
    loaded = STGCN(device="cpu")
    assert har_bench.run(loaded, store, protocol=MotionAccuracy(), weights=tmp_path / "w").metrics == result.metrics
    assert (loaded.channels, loaded.inflate) == (6, "2")


def test_our_weights_say_whose_they_are(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`har-bench classify` needs no --model for them."""
    model = STGCN(**TINY, frames=8, epochs=1, batch=6)
    model.fit(store, MotionAccuracy())
    model.save(tmp_path / "w.safetensors")
    np.save(tmp_path / "k.npy", np.ones((4, 33, 2), np.float32) * 50)
    with pytest.raises(SystemExit):
        main(
            ["classify", str(tmp_path / "k.npy"), str(tmp_path / "o.csv"), "--weights", str(tmp_path / "w.safetensors")]
        )
    assert "the model has learnt on" in capsys.readouterr().err.replace("\n", " ")


def published(path: Path, kind: Any = "st-gcn++", layout: str = "ntu25", classes: int = 60, *, seed: int = 0) -> Path:
    """A file as mmcv writes it, of a small network with pyskl's names."""
    partition = "spatial" if kind == "st-gcn++" else "one-hop"
    torch.manual_seed(seed)
    graph = adjacency(skeleton(layout), partition)  # type: ignore[arg-type]
    network = SkeletonNetwork(Architecture(kind, 6, 3, (3,), (3,)), graph, classes)
    torch.save({"meta": {"epoch": 16, "config": "j.py"}, "state_dict": network.state_dict()}, path)
    return path


@pytest.mark.parametrize("kind", ["st-gcn++", "st-gcn"])
def test_published_weights_load_by_their_names(kind: str, ntu: Store, tmp_path: Path) -> None:
    path = published(tmp_path / "j.pth", kind)
    model = STGCN(device="cpu", frames=12, clips=2)
    result = har_bench.run(model, ntu, protocol="ntu60/xsub", weights=path)
    told = result.environment
    assert (told["kind"], told["channels"], told["stages"], told["inflate"]) == (kind, "6", "3", "3")
    assert (told["view"], told["joints"], told["clips"]) == ("pyskl", "ntu25", "2")
    assert "epochs" not in told
    exact = STGCN(device="cpu", frames=12, clips=2, view="pyskl-float16")
    assert har_bench.run(exact, ntu, protocol="ntu60/xsub", weights=path).environment["view"] == "pyskl-float16"


@pytest.mark.parametrize("form", ["module.", "without backbone", "with mmcv's average", "float16"])
def test_published_weights_load_in_whatever_form(form: str, tmp_path: Path) -> None:
    state = torch.load(published(tmp_path / "j.pth"), weights_only=True)["state_dict"]
    forms = {
        "module.": {f"module.{name}": value for name, value in state.items()},
        "without backbone": {name.removeprefix("backbone."): value for name, value in state.items()},
        "with mmcv's average": state | {f"ema_{name.replace('.', '_')}": value for name, value in state.items()},
        "float16": {name: value.half() if value.is_floating_point() else value for name, value in state.items()},
    }
    torch.save({"state_dict": forms[form]}, tmp_path / "other.pth")
    models = STGCN(), STGCN()
    for model, name in zip(models, ("j.pth", "other.pth"), strict=True):
        model.load(tmp_path / name)
    one, other = (model.models["joint"].state_dict() for model in models)
    assert all(torch.allclose(other[name], value, atol=1e-3) for name, value in one.items())


def test_what_is_no_whole_network_of_pyskls_is_said(tmp_path: Path) -> None:
    state = torch.load(published(tmp_path / "j.pth"), weights_only=True)["state_dict"]
    torch.save({name: value for name, value in state.items() if "cls_head" not in name}, tmp_path / "b.pth")
    with pytest.raises(HarBenchError, match=r"b\.pth has pyskl's backbone and no head of classes"):
        STGCN().load(tmp_path / "b.pth")
    torch.save({"data_bn.weight": torch.ones(2), "l1.gcn1.PA": torch.ones(3)}, tmp_path / "c.pth")
    with pytest.raises(HarBenchError, match=r"c\.pth is no file that STGCN saved: it has 5 parameters in 2 tensors"):
        STGCN().load(tmp_path / "c.pth")


def test_a_folder_of_pyskls_files_is_fused(ntu: Store, tmp_path: Path) -> None:
    """2 : 2 : 1 : 1, which equals the weighted mean of each stream alone."""
    parts, protocol = [], har_bench.protocol.make_protocol("ntu60/xsub")
    for seed, (stream, name) in enumerate(FILES.items()):
        published(tmp_path / name, seed=seed)
        alone = STGCN(device="cpu", frames=12, clips=1, streams=(stream,))
        alone.load(tmp_path / name)
        parts.append(np.stack([row for rows in alone.predict(ntu, protocol) for row in rows["scores"].to_pylist()]))
    model = STGCN(device="cpu", frames=12, clips=1, streams=("all",))
    model.load(tmp_path)
    found = np.stack([row for rows in model.predict(ntu, protocol) for row in rows["scores"].to_pylist()])
    np.testing.assert_allclose(found, np.average(parts, axis=0, weights=[2, 2, 1, 1]), atol=1e-6)
    with pytest.raises(HarBenchError, match=r"one stream and 4 are asked for; give a folder with j\.pth, b\.pth"):
        STGCN(streams=("all",)).load(tmp_path / "j.pth")
    (tmp_path / "bm.pth").unlink()
    with pytest.raises(HarBenchError, match=r"bm\.pth cannot be read"):
        STGCN(streams=("all",)).load(tmp_path)


def test_weights_of_ntu_are_not_fed_with_other_joints(store: Store, ntu: Store, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"learnt on ntu25 and .* has penn13"):
        har_bench.run(STGCN(), store, protocol=MotionAccuracy(), weights=published(tmp_path / "j.pth"))
    coco = published(tmp_path / "c.pth", layout="coco17")
    with pytest.raises(HarBenchError, match=r"learnt on coco17 and .* has ntu25"):
        har_bench.run(STGCN(), ntu, protocol="ntu60/xsub", weights=coco)
    more = published(tmp_path / "m.pth", classes=120)
    with pytest.raises(HarBenchError, match="120 classes apart and ntu60/xsub:single-clip has 60"):
        har_bench.run(STGCN(), ntu, protocol="ntu60/xsub", weights=more)
    with pytest.raises(HarBenchError, match="sees 13 joints of 3 numbers"):
        STGCN().load(published(tmp_path / "p.pth", layout="penn13"))


def test_what_is_asked_for_must_be_what_the_weights_are(tmp_path: Path) -> None:
    path = published(tmp_path / "j.pth")
    with pytest.raises(HarBenchError, match="made with channels=6, not 64; leave the option out"):
        STGCN(channels=64).load(path)
    torch.save({"state_dict": {"backbone.gcn.0.gcn.A": torch.zeros(3)}}, tmp_path / "odd.pth")
    with pytest.raises(HarBenchError, match="no file that STGCN saved"):
        STGCN().load(tmp_path / "odd.pth")
    content = torch.load(path)
    del content["state_dict"]["backbone.gcn.2.tcn.bn.weight"]
    torch.save(content, tmp_path / "less.pth")
    with pytest.raises(HarBenchError, match=r"does not fit the model.*lacks backbone\.gcn\.2\.tcn\.bn\.weight"):
        STGCN().load(tmp_path / "less.pth")


def test_the_network_is_as_large_as_its_view_suggests(store: Store, ntu: Store) -> None:
    model = STGCN(epochs=1, frames=2, batch=18)
    model.lesson(store, MotionAccuracy())
    assert model.design() == Architecture("st-gcn++", 16, 6, (3, 5), (3, 5))
    model.lesson(ntu, har_bench.protocol.make_protocol("ntu60/xsub"))
    assert model.design() == Architecture("st-gcn++", 64, 10, (5, 8), (5, 8))
    model.inflate = "five"
    with pytest.raises(HarBenchError, match="stages such as 5,8, and not 'five'"):
        model.design()


def test_the_network_of_penn_action_has_the_reference_s_parameters() -> None:
    architecture = Architecture("st-gcn++", 16, 6, (3, 5), (3, 5))
    network = SkeletonNetwork(architecture, adjacency(skeleton("penn13"), "spatial"), 15)
    assert sum(parameter.numel() for parameter in network.parameters()) == 62_351
