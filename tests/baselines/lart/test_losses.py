"""The losses are LART's, and count whom they should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from har_bench.baselines.lart.losses import UNKNOWN, Aim, Batch, idle, labelled, losses, terms  # noqa: E402
from har_bench.baselines.lart.network import Architecture, Inputs, Layers, Network, zero_masks  # noqa: E402
from tests.golden import REAL, load  # noqa: E402
from tests.lart_weights import formula_weights  # noqa: E402

PARTS = (("loca", "place"), ("pose", "pose"))
GOLDEN = load("lart/losses.json")
WORDS = {
    "action_BCE": "actions",
    "loca_l1": "place-l1",
    "loca_l2": "place-l2",
    "pose_l1": "pose-l1",
    "pose_l2": "pose-l2",
}
KINDS = {"all": "all", "gt": "true", "pseduo_gt": "pseudo"}
TINY = Architecture(Layers(229, 6, 4), None, None, 1, 2, 4, 8)


@pytest.fixture(scope="module")
def network() -> Network:
    made = Architecture(Layers(229, 229, 16), Layers(135, 32, 16), Layers(48, 40, 32), 2, 4, 16, 96)
    found = Network(made).eval()
    found.load_state_dict({name: torch.as_tensor(value) for name, value in formula_weights(made).items()}, strict=False)
    return found


@pytest.fixture(scope="module")
def items() -> Mapping[str, Any]:
    with np.load(REAL / "lart/dataset_items.npz") as found:
        return {name: torch.as_tensor(value)[None] for name, value in found.items()}


def batch_of(items: Mapping[str, Any], name: str) -> Batch:
    detected = items[f"{name}/in/has_detection"][..., 0] > 0
    arrays = [items[f"{name}/in/{part}"] for part in ("pose_shape", "joints_3D", "apperance_emb")]
    return Batch(
        Inputs(arrays[0], detected, *arrays[1:]),
        items[f"{name}/out/action_label_ava"][..., 0, :60],
        items[f"{name}/out/has_gt"][..., 0, 0],
        items[f"{name}/out/pose_shape"][..., 0, :],
        torch.tensor([UNKNOWN]),
    )


@pytest.mark.real
@pytest.mark.parametrize("case", GOLDEN)
def test_a_loss_is_larts(case: str, network: Network, items: Mapping[str, Any]) -> None:
    item, kinds, labels = case.split("|")
    batch = batch_of(items, item)
    aim = Aim(tuple(WORDS[kind] for kind in kinds.split(",")), KINDS[labels])  # type: ignore[arg-type]
    with torch.inference_mode():
        found = terms(network, batch, zero_masks(batch.inputs.detected), aim)
    of = {name: float(value) for name, value in found.items()}
    for name, golden in {"action": "actions", "pose": "pose", "loca": "place"}.items():
        value = sum(value for term, value in of.items() if term.partition("-")[0] == golden)
        assert value == pytest.approx(GOLDEN[case][name], abs=1e-5, rel=1e-6)


@pytest.mark.real
@pytest.mark.parametrize("name", ["item0", "item3"])
def test_what_is_said_of_a_window_is_what_larts_evaluator_averages(
    name: str, network: Network, items: Mapping[str, Any]
) -> None:
    batch = batch_of(items, name)
    golden = np.load(REAL / "lart/sigmoid_preds_ego.npz")[load("lart/dataset_items.json")[name[-1]]["name"]]
    with torch.inference_mode():
        found = network.actions(network(batch.inputs, zero_masks(batch.inputs.detected)), 3)[0, :, 0].sigmoid()
    np.testing.assert_allclose(found.numpy(), golden, rtol=0, atol=1e-5)


def some() -> Batch:
    torch.manual_seed(0)
    detected = torch.tensor([[[True, True], [True, False]]])
    inputs = Inputs(torch.randn(1, 2, 2, 229), detected)
    labels, has_gt = torch.rand(1, 2, 2, 60), torch.tensor([[[2, 1], [0, 2]]])
    return Batch(inputs, labels, has_gt, torch.randn(1, 2, 2, 229), torch.tensor([3]))


def test_whose_labels_count() -> None:
    """Of four tokens one is annotated, one has a pseudo label, one none, and one is annotated and was not detected."""
    batch = some()
    assert labelled(batch, "all").tolist() == [[[True, True], [False, False]]]
    assert labelled(batch, "true").tolist() == [[[True, False], [False, False]]]
    assert labelled(batch, "pseudo").tolist() == [[[False, True], [False, False]]]


def test_the_loss_by_hand_and_of_the_one_alone() -> None:
    batch, network = some(), Network(TINY).eval().requires_grad_(False)
    masks = zero_masks(batch.inputs.detected)
    logits = network.actions(network(batch.inputs, masks), 2)[0, 0]
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.labels[0, 0], reduction="none").mean(1)
    assert float(terms(network, batch, masks, Aim())["actions"]) == pytest.approx(float(10 * each.mean()), rel=1e-5)
    alone = terms(network, batch, masks, Aim(others=False))["actions"]
    assert float(alone) == pytest.approx(float(10 * each[0]), rel=1e-5)


def test_a_training_may_hide_what_a_test_does() -> None:
    """LART's mask_type: with zero nothing is drawn, and the tokens of who was not detected are hidden."""
    batch, network = some(), Network(TINY).eval().requires_grad_(False)
    expected = terms(network, batch, zero_masks(batch.inputs.detected), Aim())["actions"]
    found = [float(losses({"lart": network}, batch, aim=Aim(ratio=1.0, masks="zero"))["actions"]) for _ in range(2)]
    assert found == [float(expected)] * 2
    assert float(losses({"lart": network}, batch, aim=Aim(ratio=1.0))["actions"]) != pytest.approx(float(expected))


def test_a_batch_without_labels_costs_nothing() -> None:
    batch = some()._replace(has_gt=torch.zeros(1, 2, 2))
    loss = losses({"lart": Network(TINY).eval()}, batch, aim=Aim())["actions"]
    assert float(loss.detach()) == 0
    loss.backward()


def test_the_loss_of_kinetics_is_that_of_the_films_whose_class_is_known() -> None:
    """The class token sees nothing, so it is the cross entropy of one constant (LART's network is so made)."""
    network, one = Network(TINY).eval().requires_grad_(False), some()
    inputs = Inputs(*(torch.cat([part] * 3) for part in one.inputs[:2]))
    three = Batch(inputs, *(torch.cat([part] * 3) for part in one[1:4]), torch.tensor([3, UNKNOWN, 7]))
    masks = zero_masks(inputs.detected)
    said = network.kinetics(network(inputs, masks), 2)[0, 0].log_softmax(0)
    found = terms(network, three, masks, Aim(("kinetics",)))
    assert found.keys() == {"kinetics"}
    assert float(found["kinetics"]) == pytest.approx(-float(said[3] + said[7]) / 2, rel=1e-5)
    nobody = three._replace(kinetics=torch.full((3,), UNKNOWN))
    assert float(terms(network, nobody, masks, Aim(("kinetics",)))["kinetics"]) == 0


def test_the_loss_of_kinetics_is_the_specification_s_in_numpy() -> None:
    """No golden has it: the class token, the same for all windows, through 16 -> 16 -> 16 -> 400 with ReLU between;
    cross entropy of the person that a window is about, the mean of the windows."""
    network, one = Network(replace(TINY, pose=Layers(229, 6, 16))).eval().requires_grad_(False), some()
    inputs = Inputs(*(torch.cat([part] * 2) for part in one.inputs[:2]))
    batch = Batch(inputs, *(torch.cat([part] * 2) for part in one[1:4]), torch.tensor([399, 0]))
    state = {name: value.numpy().astype(np.float64) for name, value in network.state_dict().items()}
    hidden = state["class_token"][0, 0]
    for layer in (0, 2, 4):
        weight, bias = (state[f"action_head_kinetics.{layer}.{part}"] for part in ("weight", "bias"))
        hidden = np.maximum(hidden, 0) if layer else hidden
        hidden = weight @ hidden + bias
    likely = np.exp(hidden - hidden.max()) / np.exp(hidden - hidden.max()).sum()
    assert likely.shape == (400,)
    found = terms(network, batch, zero_masks(inputs.detected), Aim(("kinetics",)))["kinetics"]
    assert float(found) == pytest.approx(-np.log(likely[[399, 0]]).mean(), rel=1e-5)


def test_what_is_called_idle_gets_no_gradient_and_all_else_some() -> None:
    network = Network(replace(TINY, drop_path=0.0))
    network.train()
    for chosen in (("actions",), ("actions", "place-l1"), ("pose-l2",), ("actions", "kinetics")):
        network.zero_grad()
        sum(losses({"lart": network}, some(), aim=Aim(chosen)).values()).backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        reached = {name for name, found in gradients.items() if found is not None and found.any()}
        assert reached == {name for name, _ in network.named_parameters() if not name.startswith(idle(chosen))}
