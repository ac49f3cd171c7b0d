"""LART's checkpoints are read as they are: no prefix, no body model and no configuration stands in the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from har_bench.baselines.lart import LART  # noqa: E402
from har_bench.baselines.lart.network import Architecture, Layers, Network  # noqa: E402
from har_bench.baselines.lart.released import configuration, released  # noqa: E402
from har_bench.errors import HarBenchError, HarBenchWarning  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402
from har_bench.training import weights  # noqa: E402
from tests.hub.torch_writing import Call, named, storage, tensor, zipped  # noqa: E402
from tests.walking_tracklets import datasets  # noqa: E402

MADE = Architecture(Layers(229, 6, 4), Layers(135, 6, 2), Layers(4, 6, 2), 2, 1, 64, 8)


def config() -> Call:
    """A configuration of Hydra's as Lightning pickles it: objects of classes, each with its state and its parent."""
    plain, anything = named("builtins", "dict"), named("typing", "Any")
    cache = Call(named("collections", "defaultdict"), (plain,))
    about = {"ref_type": anything, "object_type": plain, "resolver_cache": cache}
    node = Call(named("omegaconf.nodes", "AnyNode"), (), {"_val": 8})
    node.state["_metadata"] = Call(named("omegaconf.base", "Metadata"), (), {"ref_type": anything})
    whole = Call(named("omegaconf.dictconfig", "DictConfig"), (), {"_content": {"depth": node}})
    whole.state["_metadata"] = Call(named("omegaconf.base", "ContainerMetadata"), (), about)
    node.state["_parent"] = whole
    return whole


def checkpoint(path: Path, network: Network, prefix: str = "encoder.", **more: Any) -> Path:
    """A file as Lightning writes it: the network's tensors, SMPL's, and settings."""
    state = {f"{prefix}{name}": value.numpy() for name, value in network.state_dict().items()}
    if prefix:
        state["smpl.v_template"] = np.zeros((3, 3), np.float32)
    tensors = {}
    for number, (name, value) in enumerate(state.items()):
        held = storage(value, "FloatStorage", str(number))
        strides = tuple(each // value.itemsize for each in np.empty(value.shape, value.dtype).strides)
        tensors[name] = tensor(held, value.shape, strides)
    path.write_bytes(zipped({"epoch": 2, "state_dict": tensors, "optimizer_states": [{"state": {}}]} | more))
    return path


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(4)
    return Network(MADE).eval().requires_grad_(False)


@pytest.mark.parametrize("prefix", ["encoder.", "encoder._orig_mod.", "encoder.module.", "module.encoder.", ""])
def test_a_checkpoint_loads_unchanged(prefix: str, network: Network, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "epoch_002-EMA.ckpt", network, prefix, hyper_parameters={"cfg": config()})
    found = released(weights.read(path))
    assert (found.made, found.averaged) == (MADE, True)
    machine = LART()
    machine.load(path)
    assert machine.model is not None
    pairs = zip(network.state_dict().values(), machine.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_moving_average_is_told_from_the_last_weights(network: Network, tmp_path: Path) -> None:
    last = checkpoint(tmp_path / "epoch_002.ckpt", network)
    assert not released(weights.read(last)).averaged
    checkpoint(tmp_path / "epoch_002-EMA.ckpt", network)
    with pytest.warns(HarBenchWarning, match=r"epoch_002\.ckpt are the weights of the last step"):
        LART().load(last)


def test_a_moving_average_beside_the_last_weights_is_what_is_taken(network: Network, tmp_path: Path) -> None:
    mean = {f"encoder.{name}": value + 1 for name, value in network.state_dict().items()}
    last = {f"encoder.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": last, "ema_state_dict": mean}, tmp_path / "both.ckpt")
    found = released(weights.read(tmp_path / "both.ckpt"))
    assert found.averaged
    assert np.array_equal(found.state["mask_token"], mean["encoder.mask_token"].numpy())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state.pop("smpl_head.0.init_betas"), "has no SMPL head, whose parameters are licensed"),
        (lambda state: state.update(action_head_mine=torch.ones(3)), "has action_head_mine, which LART's network"),
        (lambda state: state.pop("loca_head.0.0.weight"), "lacks loca_head, which tell no actions"),
    ],
)
def test_heads_that_tell_no_actions_may_be_missing_or_others(
    change: Any, words: str, network: Network, tmp_path: Path
) -> None:
    state = dict(network.state_dict())
    change(state)
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    machine = LART()
    with pytest.warns(HarBenchWarning, match=words):
        machine.load(tmp_path / "x.ckpt")
    assert machine.model is not None
    assert torch.equal(machine.model.action_head_ava[0][0].weight, network.action_head_ava[0][0].weight)


def test_weights_of_another_configuration_are_named_beside_what_the_tracklets_have(tmp_path: Path) -> None:
    """LART itself would go on with zeros where there are no features."""
    hiera, poses = (
        replace(MADE, **changes)
        for changes in ({"appearance": Layers(2048, 6, 2)}, {"appearance": None, "joints": None})
    )
    assert configuration(poses) == "the configuration of poses alone"
    truth, tracklets = datasets(tmp_path, clips=2)
    np.save(tmp_path / "mean_std.npy", np.stack([np.zeros((1, 226)), np.ones((1, 226))]))
    machine = LART(tracklets=str(tracklets.path), mean_std=str(tmp_path / "mean_std.npy"), device="cpu")
    machine.load(checkpoint(tmp_path / "hiera.ckpt", Network(hiera)))
    with pytest.raises(HarBenchError, match=r"Hiera's configuration .*tracklets has features of 4 numbers; convert"):
        list(machine.predict(truth, make_protocol("ava/frame-map:lart")))
    with pytest.raises(
        HarBenchError, match=r"hiera\.ckpt is of Hiera's configuration .*the options make .*of 4 numbers"
    ):
        replace(machine, init=str(tmp_path / "hiera.ckpt"), epochs=1).fit(truth, make_protocol("ava/frame-map:lart"))


def test_released_weights_want_phalps_mean_and_predict_with_it(network: Network, tmp_path: Path) -> None:
    truth, tracklets = datasets(tmp_path, clips=3)
    path, protocol = checkpoint(tmp_path / "lart.ckpt", network), make_protocol("ava/frame-map:lart")
    machine = LART(tracklets=str(tracklets.path), device="cpu")
    machine.load(path)
    with pytest.raises(HarBenchError, match=r"lart\.ckpt are LART's released weights.*give its 3D/mean_std\.npy"):
        list(machine.predict(truth, protocol))
    np.save(tmp_path / "mean_std.npy", np.stack([np.zeros((1, 226)), np.ones((1, 226))]))
    given = LART(tracklets=str(tracklets.path), mean_std=str(tmp_path / "mean_std.npy"), device="cpu")
    given.load(path)
    (found,) = given.predict(truth, protocol)
    assert found.num_rows == 3 * 60
    assert given.describe()["weights"] == "lart.ckpt"


def test_released_weights_of_all_eighty_actions_say_those_that_are_scored(tmp_path: Path) -> None:
    """LART's predict_valid=False; an action's column is its number less 1."""
    truth, tracklets = datasets(tmp_path, clips=3)
    np.save(tmp_path / "mean_std.npy", np.stack([np.zeros((1, 226)), np.ones((1, 226))]))
    wide = Network(replace(MADE, actions=80))
    with torch.no_grad():
        wide.action_head_ava[0][0].weight.zero_()
        wide.action_head_ava[0][0].bias.copy_(torch.arange(80) / 10 - 4)
    machine = LART(tracklets=str(tracklets.path), mean_std=str(tmp_path / "mean_std.npy"), device="cpu")
    machine.load(checkpoint(tmp_path / "lart.ckpt", wide))
    protocol = make_protocol("ava/frame-map:lart", options={"actions": "2,80"})
    (found,) = machine.predict(truth, protocol)
    likely = torch.tensor([0.1 - 4, 7.9 - 4]).sigmoid().tolist()
    assert found["label"].to_pylist() == [2, 80] * 3
    np.testing.assert_allclose(found["score"].to_numpy(), likely * 3, rtol=1e-6)


def test_other_weights_are_named(network: Network, tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {"expand_conv.weight": torch.ones(3, 2, 1), "shrink.weight": torch.ones(2)}}, tmp_path / "x"
    )
    with pytest.raises(HarBenchError, match=r"is not LART's: it has 8 parameters in 2 tensors.*VideoPose3D"):
        LART().load(tmp_path / "x")
    state = network.state_dict()
    torch.save({name: value for name, value in state.items() if not name.startswith("action_head_ava")}, tmp_path / "y")
    broken = state | {"mask_token": state["mask_token"] * torch.nan}
    torch.save(broken, tmp_path / "z")
    with pytest.raises(HarBenchError, match=r"z has numbers in mask_token that are not finite"):
        LART().load(tmp_path / "z")
    torch.save({name: value for name, value in state.items() if not name.startswith("joint_")}, tmp_path / "v")
    with pytest.raises(HarBenchError, match=r"v has encoders for 4\+2 of a token's 8 numbers; it lacks one"):
        LART().load(tmp_path / "v")
    with pytest.raises(HarBenchError, match=r"y lacks tensors of LART's network \('action_head_ava\.0\.0\.weight'\)"):
        LART().load(tmp_path / "y")
