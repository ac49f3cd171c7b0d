"""The network against numbers that the original code produced, and its own invariants."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from har_bench.errors import HarBenchError
from tests.golden import REAL, load

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from har_bench.baselines.videopose3d.model import (  # noqa: E402
    Architecture,
    Normalisation,
    TemporalModel,
    architecture_of,
)
from har_bench.lifting.lifter import distance  # noqa: E402
from har_bench.training import weights  # noqa: E402

FOLDER = "models/videopose3d"
INDEX = load(f"{FOLDER}/index.json")
MODELS = {name: entry for name, entry in INDEX.items() if "state" in entry}
FULL_SIZE = INDEX.get("full_size_params", {})
EXACT = {"rtol": 1e-5, "atol": 1e-5}
SMALL = Architecture((3, 3), joints_in=3, joints_out=2, channels=8)


def keys(name: str) -> list[str]:
    path = REAL / FOLDER / f"{name}.io.npz"
    return sorted(np.load(path).files) if path.is_file() else []


CASES = [(name, key) for name in MODELS for key in keys(name) if not key.startswith("x") and key != "train_target"]


def arrays(name: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(REAL / FOLDER / f"{name}.npz") as file:
        return dict(file)


def golden(name: str, **changes: Any) -> Any:
    """The model of a golden, in evaluation mode."""
    entry = MODELS[name]
    state = weights.read(REAL / FOLDER / f"{name}.safetensors").models[""]
    architecture = architecture_of(state, causal=entry["causal"])
    model = TemporalModel(dataclasses.replace(architecture, **changes))
    weights.fill(model, state, name)
    return model.eval()


def trained(name: str, key: str) -> Any:
    """What one step of training leaves, by the golden's key; without dropout, as the golden was made."""
    given = {field: torch.tensor(value) for field, value in arrays(f"{name}.io").items()}
    model = golden(name, dropout=0.0).train()
    predicted = model(given["x1f"], strided=True)
    loss = distance(predicted, given["train_target"])
    loss.backward()
    return {
        "train_y": predicted,
        "train_loss": loss,
        "train_grad_expand": model.expand_conv.weight.grad[:8],
        "train_running_mean_expand": model.expand_bn.running_mean,
        "train_running_var_expand": model.expand_bn.running_var,
    }[key].detach()


@pytest.mark.real
@pytest.mark.parametrize(("name", "key"), CASES)
def test_it_computes_what_the_original_computes(name: str, key: str) -> None:
    given = arrays(f"{name}.io")
    with torch.no_grad():
        match key:
            case "y":
                found = golden(name)(torch.tensor(given["x"]))
            case "y1f":
                found = golden(name)(torch.tensor(given["x1f"]), strided=True)
            case "y1f_ref":
                found = golden(name)(torch.tensor(given["x1f"]))
            case _:
                with torch.enable_grad():
                    found = trained(name, key)
    assert found.shape == given[key].shape
    # the golden's gradients, of float32, are up to 1.2e-5 of the largest away from float64's; ours, half of that
    tolerance = {"rtol": 0, "atol": 2e-5 * np.abs(given[key]).max()} if key == "train_grad_expand" else EXACT
    np.testing.assert_allclose(found.numpy(), given[key], **tolerance)


@pytest.mark.real
@pytest.mark.parametrize("name", MODELS)
def test_architecture_and_state_dict_are_the_originals(name: str) -> None:
    entry, model = MODELS[name], golden(name)
    at = model.architecture
    expected = {
        "arc": list(at.widths),
        "dense": at.dense,
        "channels": at.channels,
        "receptive_field": at.receptive_field,
        "pad": list(at.pads),
        "causal_shifts": [pad * at.causal for pad in at.pads],
        "params": weights.count(model),
        "num_joints_in": at.joints_in,
        "in_features": at.features,
        "num_joints_out": at.joints_out,
        "state": [[key, list(tensor.shape)] for key, tensor in model.state_dict().items()],
    }
    assert {key: entry[key] for key in expected} == expected
    # the original's method for the total multiplies shifts that are dilated already by their dilation once more;
    # its evaluation does not use it, but moves the window by half the receptive field, as we do
    assert entry["causal_shift"] == sum(np.multiply(entry["causal_shifts"], at.dilations))
    assert at.shift == sum(entry["causal_shifts"])


@pytest.mark.real
@pytest.mark.parametrize("name", FULL_SIZE)
def test_parameter_counts_of_full_size_models(name: str) -> None:
    widths, joints, *dense = name.split("_")
    architecture = Architecture(
        tuple(map(int, widths.split(","))), joints_out=int(joints.removeprefix("J")), dense=dense == ["dense"]
    )
    with torch.device("meta"):
        assert weights.count(TemporalModel(architecture)) == FULL_SIZE[name]


def test_parameter_count_with_scores_among_the_inputs() -> None:
    with torch.device("meta"):  # the published d-pt-243.bin
        assert weights.count(TemporalModel(Architecture((3,) * 5, features=3))) == 17_004_595


@pytest.mark.real
def test_the_raw_predictions_that_flipping_averages() -> None:
    given = arrays("tta")
    with torch.no_grad():
        found = golden("tm_333")(torch.tensor(given["x"]))
    np.testing.assert_allclose(found.numpy(), given["raw"], **EXACT)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("widths", [(3, 3, 7), (1, 1, 1), (5,), (3, 1, 5)])
def test_strided_equals_dilated(widths: tuple[int, ...], causal: bool) -> None:
    model = TemporalModel(dataclasses.replace(SMALL, widths=widths, causal=causal)).eval()
    field = model.architecture.receptive_field
    torch.manual_seed(1)
    sequence = torch.randn(1, field + 4, 3, 2)
    of_windows = model(sequence[0].unfold(0, field, 1).permute(0, 3, 1, 2), strided=True)
    torch.testing.assert_close(model(sequence)[0], of_windows[:, 0])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_an_output_frame_sees_its_window_and_nothing_else(causal: bool, dense: bool) -> None:
    torch.manual_seed(2)
    model = TemporalModel(dataclasses.replace(SMALL, causal=causal, dense=dense)).eval()
    sequence = torch.randn(1, 9 + 6, 3, 2, requires_grad=True)
    model(sequence)[0, 4].sum().backward()
    seen = sequence.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
    assert seen == list(range(4, 4 + 9))


def test_a_causal_network_carries_the_last_frame_past_its_convolutions() -> None:
    for causal, carried in ((False, 4), (True, 8)):
        model = TemporalModel(dataclasses.replace(SMALL, causal=causal)).eval()
        for layer in model.layers_conv:
            torch.nn.init.zeros_(layer.weight)
        # the first convolution only passes its own residual frame on
        kernel = model.expand_conv.weight.detach()
        kernel[..., [index for index in range(3) if index != (2 if causal else 1)]] = 0
        model.expand_conv.weight = torch.nn.Parameter(kernel)
        window = torch.randn(1, 9, 3, 2, requires_grad=True)
        model(window).sum().backward()
        assert window.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist() == [carried]


def test_momentum_reaches_every_batch_normalisation() -> None:
    model = TemporalModel(SMALL).train()
    model.set_momentum(1.0)
    model(torch.randn(4, 9, 3, 2))
    statistics = [layer.running_mean for layer in (model.expand_bn, *model.layers_bn)]
    assert len(statistics) == 3
    model.set_momentum(0.0)
    kept = [mean.clone() for mean in statistics]
    model(torch.randn(4, 9, 3, 2))
    for mean, before in zip(statistics, kept, strict=True):
        assert mean.abs().max() > 0
        torch.testing.assert_close(mean, before, rtol=0, atol=0)


def test_dropout_only_in_training() -> None:
    model = TemporalModel(SMALL)
    window = torch.randn(64, 9, 3, 2)
    assert not torch.equal(model.train()(window), model(window))
    assert torch.equal(model.eval()(window), model(window))


def test_bfloat16_takes_keypoints_in_and_gives_poses_out_unrounded() -> None:
    """Half a pixel in a thousand, which bfloat16 cannot tell, moves the pose."""
    torch.manual_seed(0)
    model = TemporalModel(SMALL).eval()
    window = torch.full((1, 9, 3, 2), 0.75)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first, second = model(window), model(window + 0.001)
    assert first.dtype == torch.float32
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture((3, 3, 3), channels=4),
        Architecture((3, 3, 7), channels=4, features=3),
        Architecture((3, 5, 3), channels=4, joints_out=1),
        Architecture((1, 1, 1), channels=4, joints_in=15),
        Architecture((5,), channels=4, causal=True),
        Architecture((3, 3, 5), channels=4, dense=True),
        Architecture((1, 3), channels=4),
    ],
)
def test_a_state_dict_tells_its_architecture(architecture: Architecture) -> None:
    state = {name: tensor.numpy() for name, tensor in TemporalModel(architecture).state_dict().items()}
    assert architecture_of(state, causal=architecture.causal) == architecture


@pytest.mark.parametrize(
    "state", [{}, {"expand_conv.weight": np.zeros((4, 34, 3))}, {"expand_conv.weight": np.zeros(3)}]
)
def test_other_state_dicts_are_refused(state: dict[str, npt.NDArray[Any]]) -> None:
    with pytest.raises(HarBenchError, match="not those of a VideoPose3D network"):
        architecture_of(state)


@pytest.mark.parametrize("widths", [(), (3, 2, 3), (0,), (-3,)])
def test_widths_without_a_middle_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(HarBenchError, match="must be odd, as in 3,3,3"):
        Architecture(widths)


@pytest.mark.parametrize(
    ("shape", "strided"),
    [((2, 8, 3, 2), False), ((2, 8, 3, 2), True), ((2, 10, 3, 2), True), ((2, 9, 4, 2), False), ((9, 3, 2), False)],
)
def test_keypoints_that_do_not_fit_are_refused(shape: tuple[int, ...], strided: bool) -> None:
    more = "" if strided else " or more"
    with pytest.raises(HarBenchError, match=rf"shape \({', '.join(map(str, shape))}\).*\(batch, 9{more}, 3, 2\)"):
        TemporalModel(SMALL)(torch.zeros(shape), strided=strided)


def test_a_dense_network_has_no_strided_form() -> None:
    with pytest.raises(HarBenchError, match="no strided form"):
        TemporalModel(dataclasses.replace(SMALL, dense=True))(torch.zeros(1, 9, 3, 2), strided=True)


def test_a_compiled_network_holds_for_the_momentum_of_every_epoch() -> None:
    graphs: list[Any] = []

    def counted(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.manual_seed(0)
    model = TemporalModel(Architecture((3, 3), channels=8)).train()
    model.compile(backend=counted)
    for epoch in range(10):
        model.set_momentum(0.1 * 0.8**epoch)
        model(torch.randn(4, 9, 17, 2), True)
    assert 1 <= len(graphs) <= 2


def test_running_statistics_are_those_of_torch_with_the_momentum_that_was_set() -> None:
    torch.manual_seed(0)
    ours, theirs = Normalisation(5), torch.nn.BatchNorm1d(5)
    for momentum in (0.1, 0.03):
        ours.rate.fill_(momentum)
        theirs.momentum = momentum
        rows = torch.randn(20, 5) * 3 + 1
        assert torch.equal(ours(rows), theirs(rows))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=1e-7)
