"""The networks against numbers that pyskl's own code produced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from har_bench.skeletons import skeleton
from tests.golden import REAL, load

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench.baselines.stgcn.baseline import PARTITIONS  # noqa: E402
from har_bench.baselines.stgcn.graph import adjacency  # noqa: E402
from har_bench.baselines.stgcn.model import Architecture, Kind, SkeletonNetwork  # noqa: E402
from har_bench.classifying.classifier import cosine  # noqa: E402
from har_bench.training import weights  # noqa: E402

FOLDER = "models/skeleton"
TINY, FULL, SIX = (load(f"{FOLDER}/{name}.json") for name in ("tiny_models", "full_models", "six_sgd_steps"))
LAYOUTS = {"nturgb+d": "ntu25", "coco": "coco17"}
NAMED: dict[str, Kind] = {"stgcnpp": "st-gcn++", "stgcn": "st-gcn"}
FORWARD = [path for path in [REAL / FOLDER / "full_forward.npz"] if path.is_file()]


def network(kind: Kind, layout: str, classes: int, architecture: Architecture | None = None) -> Any:
    graph = adjacency(skeleton(layout), PARTITIONS[kind])
    return SkeletonNetwork(architecture or Architecture(kind), graph, classes)


def tiny(name: str) -> Any:
    """The golden's network with its weights, and its arrays."""
    entry = TINY[name]
    backbone = entry["backbone"]
    kind = NAMED[name.partition("_")[0]]
    sizes = (tuple(backbone[f"{what}_stages"]) for what in ("inflate", "down"))
    architecture = Architecture(kind, backbone["base_channels"], backbone["num_stages"], *sizes)
    model = network(kind, LAYOUTS[backbone["graph_cfg"]["layout"]], entry["num_classes"], architecture)
    weights.fill(model, weights.read(REAL / FOLDER / f"{name}.safetensors").models[""], name)
    return model, {key: torch.tensor(value) for key, value in np.load(REAL / FOLDER / f"{name}.npz").items()}


@pytest.mark.real
@pytest.mark.parametrize("name", TINY)
def test_a_network_computes_what_pyskls_does(name: str) -> None:
    model, given = tiny(name)
    model.eval()
    with torch.no_grad():
        features, logits = model.backbone(given["input"]), model(given["input"])
    torch.testing.assert_close(features, given["eval_backbone"], rtol=1e-4, atol=2e-4)
    torch.testing.assert_close(logits, given["eval_logits"], rtol=0, atol=1e-5)
    averaged = given["eval_probs_averaged_over_the_batch_as_clips"]
    torch.testing.assert_close(logits.softmax(1).mean(0), averaged, rtol=0, atol=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("name", TINY)
def test_a_step_of_training_has_pyskls_loss_gradients_and_statistics(name: str) -> None:
    model, given = tiny(name)
    loss = torch.nn.functional.cross_entropy(model.train()(given["input"]), given["label"])
    loss.backward()
    assert loss.item() == pytest.approx(float(given["train_loss"]), abs=1e-5)
    norms = {key: float(parameter.grad.norm()) for key, parameter in model.named_parameters()}
    total = float(np.linalg.norm(list(norms.values())))
    assert total == pytest.approx(float(given["train_grad_norm_total"]), rel=1e-4)
    for key, norm in TINY[name]["grad_norms"].items():
        if norm >= 1e-4:  # the others are zero but for rounding: biases before a batch norm
            assert norms[key] == pytest.approx(norm, rel=2e-3), key
    first = model.backbone.gcn[0].gcn
    graph = {"grad_first_A": first.A.grad, "grad_first_PA": first.PA.grad if hasattr(first, "PA") else None}
    for key, found in {
        **graph,
        "grad_fc_weight": model.cls_head.fc_cls.weight.grad,
        "grad_first_conv_weight": first.conv.weight.grad,
        "grad_data_bn_weight": model.backbone.data_bn.weight.grad,
        "data_bn_running_mean_after": model.backbone.data_bn.running_mean,
        "data_bn_running_var_after": model.backbone.data_bn.running_var,
    }.items():
        if key in given:
            torch.testing.assert_close(found, given[key], rtol=2e-3, atol=1e-5)


@pytest.mark.real
@pytest.mark.parametrize("name", SIX)
def test_six_steps_of_training_end_where_pyskls_do(name: str) -> None:
    """Rounding grows in ST-GCN++, whose many biases have no gradient but noise."""
    model, given = tiny(name)
    loose = name.startswith("stgcnpp")
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, 6))
    losses = []
    for _ in SIX[name]["losses"]:
        loss = torch.nn.functional.cross_entropy(model.train()(given["input"]), given["label"])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, SIX[name]["losses"], atol=5e-4 if loose else 1e-5)
    with torch.no_grad():
        logits = model.eval()(given["input"]).numpy()
    np.testing.assert_allclose(logits, SIX[name]["eval_logits_after"], atol=2e-2 if loose else 1e-5)


@pytest.mark.real
@pytest.mark.parametrize("name", FULL)
def test_a_published_network_has_pyskls_names_shapes_and_parameters(name: str) -> None:
    entry = FULL[name]
    kind = NAMED[name.partition("_")[0]]
    layout = {25: "ntu25", 17: "coco17"}[entry["input"][3]]
    with torch.device("meta"):
        model = network(kind, layout, 120 if "ntu120" in name else 60)
        features = model.backbone(torch.zeros(entry["input"]))
    shapes = {key: list(value.shape) for key, value in model.state_dict().items()}
    assert list(features.shape) == entry["backbone_output"]
    assert len(shapes) == entry["entries"]
    assert weights.count(model) == entry["parameters"]
    if "_" not in entry["state_dict"]:
        assert shapes == entry["state_dict"]


def by_formula(model: Any) -> None:
    """Fill a network with the weights of the golden's formula; numbers are counted over the sorted names."""
    free = model.backbone.gcn[0].gcn.free
    for number, (name, value) in enumerate(sorted(model.state_dict().items())):
        wave = np.sin(0.37 * np.arange(value.numel()) ** 1.5 + 1.3 * number).reshape(value.shape)
        match name.rpartition(".")[2], value.ndim:
            case "num_batches_tracked", _:
                continue
            case "running_var", _:
                wave = 1 + 0.5 * wave
            case "running_mean", _:
                wave = 0.1 * wave
            case "A", _:
                wave = value.numpy() + (0.02 * wave if free else 0)
            case "PA", _:
                wave = 1 + 0.1 * wave
            case "bias", _:
                wave = 0.05 * wave
            case _, 1:
                wave = 1 + 0.2 * wave
            case _:
                wave = wave * np.sqrt(2 / (value.numel() / len(value)))
        value.copy_(torch.tensor(wave, dtype=torch.float32))


@pytest.mark.real
@pytest.mark.parametrize("name", sorted({key.partition("/")[0] for path in FORWARD for key in np.load(path)}))
def test_a_network_of_full_size_computes_what_pyskls_does_on_real_clips(name: str) -> None:
    expected = dict(np.load(FORWARD[0]))
    clips = np.load(REAL / FOLDER / "ntu_pipeline.npz")["formatted/S001C001P001R001A050/j/clips_0_and_9"]
    with torch.no_grad():
        model = network(NAMED[name], "ntu25", 60).eval()
        by_formula(model)
        features = model.backbone(torch.tensor(clips))
        logits = model.cls_head(features)
    np.testing.assert_allclose(logits, expected[f"{name}/logits"], atol=1e-4)
    np.testing.assert_allclose(
        features.mean((3, 4)), expected[f"{name}/feature_mean_per_channel"], rtol=1e-4, atol=1e-5
    )
    averaged = expected[f"{name}/probabilities_of_the_two_clips_averaged"]
    np.testing.assert_allclose(logits.softmax(1).mean(0), averaged, atol=1e-6)


SMALL: dict[str, Any] = {"channels": 6, "stages": 3, "inflate": (2,), "down": (2,)}


@pytest.mark.parametrize("kind", PARTITIONS)
@pytest.mark.parametrize("frames", [8, 9])
def test_a_stage_that_is_down_leaves_out_one_frame_of_two(kind: Kind, frames: int) -> None:
    model = network(kind, "penn13", 4, Architecture(kind, **SMALL))
    clips = torch.randn(2, 1, frames, 13, 3)
    assert model.backbone(clips).shape == (2, 1, 12, -(-frames // 2), 13)
    assert model(clips).shape == (2, 4)


def test_an_absent_person_counts_in_the_mean() -> None:
    """Were it left out, published weights would see other numbers than in their training."""
    model = network("st-gcn", "penn13", 4, Architecture("st-gcn", **SMALL)).eval()
    clips = torch.randn(1, 2, 8, 13, 3)
    clips[:, 1] = 0
    features = model.backbone(clips)
    expected = model.cls_head.fc_cls(features.mean((3, 4))[0].mean(0))
    torch.testing.assert_close(model(clips)[0], expected)
    assert not torch.allclose(model(clips), model(clips[:, :1]))


def test_the_graph_of_st_gcn_plus_plus_is_learnt_and_that_of_st_gcn_is_weighed() -> None:
    free, fixed = (network(kind, "penn13", 4, Architecture(kind, **SMALL)) for kind in PARTITIONS)
    assert {name.rpartition(".")[2] for name, _ in free.named_parameters() if "A" in name} == {"A"}
    assert {name.rpartition(".")[2] for name, _ in fixed.named_parameters() if "A" in name} == {"PA"}
    for blocks in (free.backbone.gcn, fixed.backbone.gcn):
        blocks[0].gcn.A.data += 1
        assert not torch.equal(blocks[0].gcn.A, blocks[1].gcn.A)
