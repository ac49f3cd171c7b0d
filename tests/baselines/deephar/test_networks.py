"""deephar's networks by themselves: padding, soft-argmax, votes, and what holds whatever the weights are."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from har_bench.baselines.deephar.action import ActionHeads, ActionOptions, MergeModel
from har_bench.baselines.deephar.layers import (
    Convolution,
    Norm,
    global_max_min,
    initialise,
    max_min_pooled,
    pooled,
)
from har_bench.baselines.deephar.reception import Reception, ReceptionOptions
from har_bench.baselines.deephar.soft_argmax import DepthArgmax, SoftArgmax, Votes, channel_softmax, sureness
from har_bench.baselines.deephar.spnet import SPNet, shrunk
from har_bench.baselines.deephar.spnet_parts import Down, Entry, SPNetOptions, Up, replicate
from har_bench.errors import HarBenchError

SMALL = ReceptionOptions(blocks=2, size=64, kernel=3)
TINY = SPNetOptions(
    pyramids=2, levels=3, growth=8, size=64, kernel=3, actions=(4,), pose_features=16, visual_features=16
)


def pictures(*lead: int, side: int = 64) -> torch.Tensor:
    return torch.rand(*lead, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def drawn(model: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    initialise(model)
    return model.eval()


def test_same_padding_by_hand() -> None:
    """TensorFlow pads the end of an even length: the first output of a stride of 2 begins at the first pixel."""
    taking = Convolution(1, 1, (1, 3), 2)
    torch.nn.init.ones_(taking.weight)
    row = torch.tensor([1.0, 2, 3, 4])[None, None, None]
    assert taking(row).detach().flatten().tolist() == [6, 7]
    assert pooled(-row.expand(1, 1, 4, 4), 3)[0, 0, 0].tolist() == [-1, -3]


def test_pooling_adds_the_minimum() -> None:
    maps = torch.tensor([[1.0, -5], [2, 3]])[None, None]
    assert max_min_pooled(maps).item() == global_max_min(maps).item() == -2


def test_norms_have_no_factor_and_keras_epsilon() -> None:
    norm = Norm(2).eval()
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    assert "weight" not in norm.state_dict()
    torch.testing.assert_close(norm(torch.ones(1, 2, 1, 1)).flatten(), torch.full((2,), 1 / math.sqrt(1.001)))


def test_the_ends_of_a_map_are_0_and_1() -> None:
    shares = torch.zeros(1, 3, 4, 8)
    shares[0, 0, 0, 0] = shares[0, 1, 3, 7] = 1
    shares[0, 2, 1, :] = 1 / 8
    found = SoftArgmax(3, 4, 8)(shares)[0]
    torch.testing.assert_close(found, torch.tensor([[0, 0], [1, 1], [0.5, 1 / 3]]))


@pytest.mark.parametrize(("variant", "first"), [("cvpr18", 0.0), ("master", 1 / 8)])
def test_depths_begin_where_the_branch_says(variant: str, first: float) -> None:
    maps = torch.tensor([[[50.0, 0, 0, 0], [0, 0, 0, 50]]])
    found = DepthArgmax(2, 4, variant)(maps)  # type: ignore[arg-type]
    torch.testing.assert_close(found, torch.tensor([[first, 1 - first]]))


def test_votes_count_a_joints_own_contexts() -> None:
    own = torch.tensor([[[0.5, 0.5], [0.0, 0.0]]])
    context = torch.tensor([[[1.0, 0], [0, 1], [0.2, 0.2], [0.2, 0.2]]])
    found = Votes(2, 2)(own, context, torch.tensor([[3.0, 1, 1, 1]]))
    torch.testing.assert_close(found, torch.tensor([[[0.55, 0.45], [0.04, 0.04]]]))


def test_how_sure_a_joint_is() -> None:
    maps = torch.zeros(1, 1, 3, 3)
    maps[0, 0, 1, 1], maps[0, 0, 1, 2] = 2, 1
    assert sureness(maps, "master").item() == 3
    assert sureness(maps, "cvpr18").item() == pytest.approx(1 / (1 + math.exp(-2)))


def models() -> list[tuple[str, torch.nn.Module, torch.Tensor]]:
    return [
        ("reception 2d", Reception(SMALL), pictures(1)),
        ("reception 3d", Reception(replace(SMALL, joints=17, depths=4, context=0)), pictures(1)),
        ("merged", MergeModel(SMALL, ActionOptions(3)), pictures(1, 4)),
        ("spnet", SPNet(TINY), pictures(1, 4)),
        ("spnet, long clips", SPNet(replace(TINY, joints=17, dims=3, replica=True, actions=(4, 5))), pictures(1, 18)),
        ("spnet, strides", SPNet(replace(TINY, resampling="conv")), pictures(1, 3)),
    ]


@pytest.mark.parametrize("case", range(6))
def test_in_bfloat16_and_with_channels_last(case: int) -> None:
    name, model, images = models()[case]
    drawn(model)
    with torch.no_grad():
        plain = _flat(model(images))
        last = _flat(model.to(memory_format=torch.channels_last)(images.contiguous()))
        with torch.autocast("cpu", torch.bfloat16):
            half = _flat(model(images))
    for ours, across, low in zip(plain, last, half, strict=True):
        assert torch.isfinite(ours).all(), name
        torch.testing.assert_close(across, ours, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(low.float(), ours, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("model", "images"),
    [
        (MergeModel(replace(SMALL, blocks=1, joints=8), ActionOptions(3)), pictures(1, 4)),
        (Reception(replace(SMALL, blocks=1, depths=4, context=0)), pictures(1)),
        (SPNet(replace(TINY, levels=2, dims=3, replica=True)), pictures(1, 4)),
    ],
)
def test_compiled_without_a_break(model: torch.nn.Module, images: torch.Tensor) -> None:
    drawn(model)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        for ours, theirs in zip(_flat(model(images)), _flat(compiled(images)), strict=True):
            torch.testing.assert_close(theirs, ours)
    torch.compiler.reset()


def _flat(found: object) -> list[torch.Tensor]:
    return list(found) if isinstance(found, list) else [*found.poses, *found.actions]  # type: ignore[attr-defined]


def test_places_keep_their_precision_in_bfloat16() -> None:
    """Maps in bfloat16 lose a little; a place of 0..1 in it would be half a pixel of 256 off."""
    shares = channel_softmax(torch.randn(1, 4, 32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        found = SoftArgmax(4, 32, 32)(shares)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, SoftArgmax(4, 32, 32)(shares), rtol=0, atol=0)


def test_every_weight_is_trained_by_the_outputs() -> None:
    for name, model, images in models()[:5]:
        initialise(model)
        sum(each.sum() for each in _flat(model(images))).backward()  # type: ignore[union-attr]
        idle = [weight for weight, each in model.named_parameters() if each.grad is None]
        assert not idle, (name, idle)


def test_heads_take_the_poses_of_another_network() -> None:
    """What the second seed trains: actions of places, of how visible they are, of maps and of features."""
    heads = drawn(ActionHeads(ActionOptions(5, channels=8)))
    found = heads(
        torch.rand(2, 8, 16, 2), torch.rand(2, 8, 16, 1), torch.rand(2, 8, 16, 4, 4), torch.rand(2, 8, 8, 4, 4)
    )
    assert [tuple(each.shape) for each in found] == [(2, 5)] * 9


def test_merging_is_the_trunk_and_the_heads() -> None:
    model = drawn(MergeModel(SMALL, ActionOptions(3)))
    clip = pictures(1, 4)
    with torch.no_grad():
        whole = model(clip)
        features = model.trunk.features(clip[0])
        reading = model.reader(model.trunk(features)[-1])
        found = model.heads(*(each[None] for each in (*reading, features)))
    torch.testing.assert_close(found, whole.actions)


def test_a_network_may_stop_after_any_block() -> None:
    images = pictures(2)
    for model in (Reception(SMALL), SPNet(TINY), MergeModel(SMALL, ActionOptions(3))):
        drawn(model)
        with torch.no_grad():
            whole = model.poses(images)
            for blocks in range(1, len(whole)):
                found = model.poses(images, blocks)
                assert len(found) == blocks
                torch.testing.assert_close(found, whole[:blocks])


def test_a_picture_is_a_clip_without_actions() -> None:
    model = drawn(SPNet(TINY))
    clip = pictures(1, 3)
    with torch.no_grad():
        alone, within = model(clip[:, 1]), model(clip)
    assert len(alone.poses) == 4
    assert not alone.actions
    for picture, frame in zip(alone.poses, within.poses, strict=True):
        torch.testing.assert_close(picture, frame[:, 1])


def test_a_replica_begins_as_what_it_replicates() -> None:
    model = drawn(SPNet(replace(TINY, replica=True)))
    clip = pictures(1, 3)
    with torch.no_grad():
        apart = model.walk(clip)
        replicate(model)
        alike = model.walk(clip)
    assert not np.allclose(apart.moving[0], apart.poses[0])
    for moving, pose in zip(alike.moving, alike.poses, strict=True):
        torch.testing.assert_close(moving, pose)


def test_zeros_that_fill_a_window_up_take_part_and_what_same_pads_does_not() -> None:
    """Three frames of five joints, all negative: one joint of zeros before, two after, one frame after."""
    hidden = -torch.arange(1.0, 16).view(1, 1, 3, 5)
    assert shrunk(hidden)[0, 0].tolist() == [[0, -2, -4, 0], [0, -7, -9, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    long = -torch.arange(1.0, 19).view(1, 1, 18, 1).expand(1, 1, 18, 4)
    assert shrunk(long)[0, 0, :, 0].tolist() == [0, -2, -4, -6, -8, -10, -12, -14, -16, 0], "18 frames, one before"


def test_going_down_and_up_by_convolutions_by_hand() -> None:
    """A stride of 2 on the shortcut and on the kernel, which begins at the first pixel; up without a shortcut."""
    options = replace(TINY, resampling="conv", growth=1)
    down, up = Down(options, 1).eval(), Up(options, 0).eval()
    scale = 1 / math.sqrt(1.001)
    image = torch.arange(1.0, 17).view(1, 1, 4, 4)
    with torch.no_grad():
        for weight in down.parameters():
            weight.zero_()
        down.r0.bn1.weight.fill_(1)
        down.r0.shortcut_conv.weight[0, 0] = 1
        down.r0.conv1.depthwise.weight[1, 0, 2, 2] = 1  # type: ignore[union-attr]
        down.r0.conv1.pointwise.weight[0, 1, 0, 0] = 100  # type: ignore[union-attr]
        found = down(torch.cat([image, image, -image], dim=1))
        assert found.shape == (1, 4, 2, 2)
        expected = torch.tensor([[1 + 1100, 3], [9, 11]]) * scale
        torch.testing.assert_close(found[0, 0], expected)
        assert not found[0, 1:].any()

        up.bn1.bias.zero_()
        up.convtrans1.weight.zero_()
        up.convtrans1.weight[0, 2] = torch.tensor([[1.0, 2], [3, 4]])
        up.convtrans1.weight[1, 2] = 100
        raised = up(torch.tensor([5.0, -5, 1, 1]).view(1, 4, 1, 1))
    torch.testing.assert_close(raised[0, 2], torch.tensor([[5.0, 10], [15, 20]]) * scale)
    assert not raised[0, :2].any()
    entry = Entry(replace(options, growth=4, division=16, size=64))
    strides = {name: module.stride[0] for name, module in entry.named_modules() if isinstance(module, Convolution)}
    assert [name for name, stride in strides.items() if stride == 2] == [
        "conv1", "res3.conv2", "res3.shortcut_conv", "res5.conv2", "res5.shortcut_conv",
    ]  # fmt: skip
    assert entry(pictures(1)).shape == (1, 12, 4, 4)


@pytest.mark.parametrize("replica", [False, True])
def test_sharper_maps_are_for_the_softmax_alone(replica: bool) -> None:
    """As if the maps themselves were three times as large, and what the next block is told of them a third of that."""
    sharp = drawn(SPNet(replace(TINY, alpha=3.0, replica=replica)))
    large = SPNet(replace(TINY, replica=replica)).eval()
    state = {name: tensor.clone() for name, tensor in sharp.state_dict().items()}
    for name in state:
        if "heatmaps_conv1" in name:
            state[name] *= 3
        if "heatmaps_conv2" in name:
            state[name][:, TINY.joints :] /= 3
    large.load_state_dict(state)
    clip = pictures(1, 4)
    with torch.no_grad():
        for ours, theirs in zip(_flat(sharp(clip)), _flat(large(clip)), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
        plain = SPNet(replace(TINY, replica=replica)).eval()
        plain.load_state_dict(sharp.state_dict())
        assert not torch.allclose(plain(clip).poses[0], sharp(clip).poses[0], atol=1e-4)


def test_what_cannot_be_built_is_told() -> None:
    with pytest.raises(HarBenchError, match=r"pyramids are 1 to 2.*of 3"):
        SPNet(replace(TINY, action_pyramids=(3,)))
    with pytest.raises(HarBenchError, match=r"72 pixels.*give a multiple of 32"):
        SPNet(replace(TINY, size=72))
    with pytest.raises(HarBenchError, match="not 12 times"):
        SPNet(replace(TINY, division=12))
