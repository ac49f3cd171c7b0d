"""The network has LART's names and shapes, gives its numbers, and its masks hide what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from har_bench.baselines.lart.heads import rotations  # noqa: E402
from har_bench.baselines.lart.network import (  # noqa: E402
    RELEASED,
    Architecture,
    Inputs,
    Layers,
    Masks,
    Network,
    position_table,
    random_masks,
    zero_masks,
)
from har_bench.errors import HarBenchError  # noqa: E402
from tests.golden import REAL, load  # noqa: E402
from tests.lart_weights import formula_weights  # noqa: E402

TINY = Architecture(Layers(229, 6, 4), Layers(135, 6, 2), Layers(3, 6, 2), 2, 2, 4, 8)
TABLES = load("lart/state_dict_tables.json")
NAMES = {name: next(each for each in TABLES if each.startswith(name)) for name in RELEASED if TABLES}


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_every_released_configuration_has_the_names_shapes_and_size_of_its_weights(name: str) -> None:
    golden = TABLES[NAMES[name]]
    with torch.device("meta"):
        network = Network(RELEASED[name])
    ours = [[name, list(tensor.shape), str(tensor.dtype)] for name, tensor in network.state_dict().items()]
    assert ours == golden["state_dict"]
    assert sum(each.numel() for each in network.parameters()) == golden["n_params_trainable"]


@pytest.mark.real
def test_the_released_network_has_the_keys_of_the_index() -> None:
    golden = load("models/lart/index.json")["full"]
    with torch.device("meta"):
        network = Network(RELEASED["hiera"])
    assert [[name, list(tensor.shape)] for name, tensor in network.state_dict().items()] == golden["state"]
    assert sum(each.numel() for each in network.parameters()) == golden["params"]


def filled(made: Architecture, state: Mapping[str, Any]) -> Network:
    """A network with these weights; the table of positions is where it begins, as in the goldens."""
    network = Network(made).eval()
    left = network.load_state_dict({name: torch.as_tensor(value) for name, value in state.items()}, strict=False)
    assert set(left.missing_keys) <= {"pos_embedding", "pe"}
    assert not left.unexpected_keys
    return network


def inputs_of(golden: Mapping[str, Any], prefix: str = "") -> Inputs:
    arrays = [torch.as_tensor(golden[f"{prefix}{name}"]) for name in ("pose_shape", "joints_3D", "apperance_emb")]
    return Inputs(arrays[0], torch.as_tensor(golden[f"{prefix}has_detection"])[..., 0] > 0, *arrays[1:])


def close(found: Any, golden: Any) -> None:
    np.testing.assert_allclose(found.detach().numpy(), golden, rtol=0, atol=1e-5)


def compare(network: Network, output: torch.Tensor, goldens: Sequence[Any]) -> None:
    """What comes out, and what three heads make of it."""
    of_ava, places = network.actions(output, 3).flatten(0, 2), network.places(output, 3).flatten(0, 2)
    for found, golden in zip((output, of_ava, places, network.kinetics(output, 3)), goldens, strict=True):
        close(found, golden)


@pytest.fixture(scope="module")
def small() -> tuple[Network, Mapping[str, Any]]:
    with np.load(REAL / "models/lart/lart_small.weights.npz") as state:
        made = Architecture(Layers(229, 20, 8), Layers(135, 16, 8), Layers(40, 24, 16), 2, 4, 8, 24)
        return filled(made, dict(state)), dict(np.load(REAL / "models/lart/lart_small.io.npz"))


@pytest.mark.real
def test_tokens_and_heads_are_larts(small: tuple[Network, Mapping[str, Any]]) -> None:
    network, golden = small
    inputs = inputs_of(golden)
    masks = zero_masks(inputs.detected, torch.as_tensor(golden["mask_detection"])[..., 0] > 0)
    assert np.array_equal(masks.hidden.numpy(), golden["mask_after"][..., 0] > 0)
    output = network(inputs, masks)
    compare(network, output, [golden[name] for name in ("out_tokens", "ava", "loca", "kinetics")])
    body = network.body(output[:, 3:].flatten(0, 1))
    close(body.rotations[:, :1], golden["global_orient"])
    close(body.rotations[:, 1:5], golden["body_pose"])
    close(body.shape, golden["betas"])
    close(body.camera, golden["smpl_cam"])
    close(position_table(32)[:, :12, :3], golden["pos_embedding_slice"])


@pytest.mark.real
def test_both_ways_to_hide_tokens_are_larts() -> None:
    golden = dict(np.load(REAL / "lart/lart_small_forward.npz"))
    made = Architecture(Layers(229, 229, 16), Layers(135, 32, 16), Layers(48, 40, 32), 2, 4, 16, 96)
    network = filled(made, formula_weights(made))
    inputs = inputs_of(golden, "in/")
    masks = zero_masks(inputs.detected)
    assert np.array_equal(masks.hidden.numpy(), golden["zero/mask_detection_after"][..., 0] > 0)
    close(network.tokens(inputs, masks.hidden), golden["zero/tokens_in"])
    output = network(inputs, masks)
    names = ("output", "pred_actions_ava", "cam_t", "pred_actions_kinetics")
    compare(network, output, [golden[f"zero/{name}"] for name in names])
    body = network.body(output[:, 3:].flatten(0, 1))
    close(body.rotations[:, :1], golden["zero/global_orient"])
    close(body.rotations[:, 1:], golden["zero/body_pose"])
    close(body.shape, golden["zero/betas"])
    torch.manual_seed(0)
    drawn = random_masks(inputs.detected)
    assert np.array_equal(drawn.hidden.numpy(), golden["random_seed0/mask_detection_after"][..., 0] > 0)
    close(network(inputs, drawn), golden["random_seed0/output"])


def some(samples: int = 2, frames: int = 3, people: int = 2) -> Inputs:
    torch.manual_seed(1)
    shape = samples, frames, people
    detected = torch.ones(shape, dtype=torch.bool)
    return Inputs(torch.randn(*shape, 229), detected, torch.randn(*shape, 135), torch.randn(*shape, 3))


def test_class_tokens_come_first_and_see_nothing() -> None:
    network = Network(TINY).eval()
    inputs = some()
    masks = zero_masks(inputs.detected)
    one, other = (network(inputs._replace(pose=scale * inputs.pose), masks) for scale in (1, 2))
    assert one.shape == (2, 2 + 3 * 2, TINY.width)
    assert torch.equal(one[:, :2], other[:, :2])
    assert torch.equal(one[:, :2], network.class_token.expand(2, 2, -1))
    assert not torch.allclose(one[:, 2:], other[:, 2:])
    assert network.actions(one, 2).shape == (2, 3, 2, 60)


def test_nobody_sees_who_is_hidden() -> None:
    network, inputs = Network(TINY).eval(), some()
    inputs.detected[0, 1, 1] = False
    masks = zero_masks(inputs.detected)
    changed = inputs.pose.clone()
    changed[0, 1, 1] = 7
    assert torch.equal(network(inputs, masks), network(inputs._replace(pose=changed), masks))
    changed[0, 1, 0] = 7
    assert not torch.equal(network(inputs, masks), network(inputs._replace(pose=changed), masks))


def test_in_training_who_was_not_detected_takes_from_all_alike() -> None:
    """A token whose every score is -1000 weighs all tokens the same, as LART's softmax does."""
    network, inputs = Network(TINY).eval(), some(samples=1)
    inputs.detected[0, 2, 1] = False
    attention = network.transformer.layers[0][0].fn
    tokens = torch.randn(1, 6, TINY.width)
    allowed = inputs.detected.flatten(1)
    pairs = allowed[:, None, None, :] & allowed[:, None, :, None]
    values = attention.to_qkv(tokens).chunk(3, dim=-1)[2].mean(dim=1)
    close(attention(tokens, pairs)[:, 5], attention.to_out(values).detach().numpy())
    output = network(inputs, Masks(torch.zeros_like(inputs.detected), inputs.detected))
    assert torch.isfinite(output).all()


def test_nothing_detected_is_no_nan() -> None:
    inputs = some()
    inputs.detected[:] = False
    assert torch.isfinite(Network(TINY).eval()(inputs, zero_masks(inputs.detected))).all()


def test_so_many_of_the_detected_are_drawn() -> None:
    detected = torch.ones(1, 5, 2, dtype=torch.bool)
    detected[0, 0] = False
    torch.manual_seed(3)
    hidden = random_masks(detected, 0.4).hidden
    assert int(hidden.sum()) == 3
    assert not hidden[~detected].any()
    assert not random_masks(detected, 0.0).hidden.any()


def test_layers_are_passed_by_in_training_only() -> None:
    network = Network(Architecture(Layers(229, 6, 8), None, None, 2, 2, 4, 8, dropout=0.0, drop_path=0.9))
    inputs = Inputs(some().pose, some().detected)
    masks = zero_masks(inputs.detected)
    assert not torch.equal(network(inputs, masks), network(inputs, masks))
    network.eval()
    assert torch.equal(network(inputs, masks), network(inputs, masks))


def test_a_rotation_is_its_first_two_columns() -> None:
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    six = torch.cat([2 * turn[:, 0], 3 * turn[:, 1] + turn[:, 0]])
    torch.testing.assert_close(rotations(six), turn)


def test_the_mean_body_is_a_file_of_ones_own(tmp_path: Path) -> None:
    network = Network(TINY)
    np.savez(tmp_path / "mean.npz", pose=np.arange(144.0), shape=np.ones(10), cam=np.zeros(3))
    network.body.begin_at(tmp_path / "mean.npz")
    assert network.body.init_body_pose[0, 5] == 5
    np.savez(tmp_path / "short.npz", pose=np.arange(72.0), shape=np.ones(10), cam=np.zeros(3))
    with pytest.raises(HarBenchError, match=r"short\.npz has no pose of 144 numbers; give smpl_mean_params\.npz"):
        network.body.begin_at(tmp_path / "short.npz")
