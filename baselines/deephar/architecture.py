"""The three kinds of network and what defines one, told by hand or by a Keras file's own tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from har_bench.errors import Malformed

from .action import BLOCKS, ActionOptions, MergeModel
from .keras_names import FileGroups
from .keras_order import Layers, Shape, says_nothing
from .layers import Network, initialise
from .reception import Reception, ReceptionOptions
from .soft_argmax import Variant
from .spnet import SPNet
from .spnet_parts import SPNetOptions


@dataclass(frozen=True)
class Architecture:
    """What defines a network: one of CVPR 2018 for poses, the same with heads for actions, or SPNet.

    Attributes:
        reception: the options of the network of 2018.
        heads: with which it recognises actions too.
        spnet: the options of SPNet, in place of both.
    """

    reception: ReceptionOptions | None = None
    heads: ActionOptions | None = None
    spnet: SPNetOptions | None = None

    def build(self) -> Network:
        """The network, with weights drawn as Keras draws them."""
        options = self.reception or ReceptionOptions()
        if self.spnet is not None:
            model: Network = SPNet(self.spnet)
        else:
            model = Reception(options) if self.heads is None else MergeModel(options, self.heads)
        initialise(model)
        return model

    def of_variant(self, variant: Variant) -> Architecture:
        """As one branch of the original program has it; SPNet is in one only."""
        return self if self.reception is None else replace(self, reception=replace(self.reception, variant=variant))

    @property
    def shape(self) -> ReceptionOptions | SPNetOptions:
        """What tells the joints of a pose, the dimensions of a place, and the side of its pictures [px]."""
        return self.spnet or self.reception or ReceptionOptions()

    @property
    def actions(self) -> tuple[int, ...]:
        """How many classes; one number for every set of actions."""
        if self.spnet is not None:
            return self.spnet.actions
        return () if self.heads is None else (self.heads.actions,)

    def heads_named(self, count: int) -> list[str]:
        """What its outputs of actions are called, the last one last."""
        if self.spnet is not None:
            return [f"block {number}" for number in range(1, count + 1)]
        return [f"{head} {number}" for head in ("poses", "looks") for number in range(1, BLOCKS + 1)] + ["both"]


def told_by(file: FileGroups, variant: Variant = "cvpr18") -> Architecture:
    """The network that a file's tensors are of.

    Raises:
        Malformed: they are of none of these.
    """
    names = {name.removeprefix("td_"): layers for name, layers in file.items()}
    if file and all(map(says_nothing, file.values())):
        raise Malformed(
            f"names none of its tensors as Keras does (the first group is {next(iter(file))!r})",
            "say what network it is of with --set architecture=NAME",
        )
    try:
        if "dp1_pb1_heatmaps_conv1" in names:
            return Architecture(spnet=_spnet({name: _only(layers) for name, layers in names.items()}))
        if "Model1" in names:
            return _merge(names, variant)
        if "RegMap1" in names:
            return Architecture(reception=_reception(names, variant))
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise Malformed(f"has layers of deephar, but lacks some that say what network it is ({error})") from error
    raise Malformed(f"is of none of deephar's networks (its groups begin with {', '.join(list(file)[:3]) or 'none'})")


def _only(layers: Layers) -> Mapping[str, Shape]:
    (tensors,) = layers.values()
    return tensors


def _kernel(layers: Layers) -> Shape:
    """The shape of the first kernel of a group: of a separable layer's window, or (H, W, in, out)."""
    return next(iter(_kernels(layers)))


def _kernels(layers: Layers) -> list[Shape]:
    named = (tensors.get("depthwise_kernel") or tensors.get("kernel") for tensors in layers.values())
    return [shape for shape in named if shape]


def _maps(names: Mapping[str, Layers], variant: Variant) -> ReceptionOptions:
    """What the frozen kernels say."""
    side, _, joints, _ = _kernel(names["sSAM"])
    depths = _kernel(names["zSAM"])[0] if "zSAM" in names else 0
    context = _kernel(names["cSAM"])[2] // joints if "cSAM" in names else 0
    return ReceptionOptions(joints=joints, depths=depths, context=context, size=8 * side, variant=variant)


def _reception(names: Mapping[str, Layers], variant: Variant) -> ReceptionOptions:
    return replace(
        _maps(names, variant),
        blocks=sum(re.fullmatch(r"RegMap\d+", name) is not None for name in names),
        kernel=_kernel(names["SepConv1"])[0],
        old_stem="sepconv1_conv" in names,
    )


def _merge(names: Mapping[str, Layers], variant: Variant) -> Architecture:
    inner = names["Model1"]
    windows = [tensors["depthwise_kernel"][0] for tensors in inner.values() if "depthwise_kernel" in tensors]
    blocks = 1 + sum(layer.startswith("sepconv_l1_conv") for layer in inner)
    begun = next(shape for shape in _kernels(names["PoseAR"]) if shape[:2] == (3, 1))
    seen = max(shape[2] for shape in _kernels(names["GuidedVisAR"]) if shape[:2] == (1, 1))
    weighted = (kernel for layers in names.values() for kernel in _kernels(layers)[:1])
    actions = next(shape[2] for shape in weighted if shape[:2] + shape[3:] == (1, 1, 1))
    heads = ActionOptions(actions, "v1" if begun[3] == 8 else "v2", begun[2], seen)
    return Architecture(replace(_maps(names, variant), blocks=blocks, kernel=windows[0]), heads)


def _spnet(names: Mapping[str, Mapping[str, Shape]]) -> SPNetOptions:
    def numbers(pattern: str) -> list[int]:
        return sorted({int(found[1]) for name in names if (found := re.match(pattern, name))})

    levels = 1 + numbers(r"dp1_pb(\d+)_")[-1]
    growth = names["res0_conv2"]["kernel"][3]
    division = 8 << (numbers(r"res(\d+)_")[-1] - 4) // 2
    side = names["dp1_pb1_xy_x"]["depthwise_kernel"][0]
    options = SPNetOptions(
        joints=names["dp1_pb1_heatmaps_conv1"]["kernel"][3],
        dims=3 if "dp1_pb1_depthmaps_conv1" in names else 2,
        pyramids=numbers(r"(?:dp|up)(\d+)_")[-1],
        levels=levels,
        kernel=names["dp1_pb1_r1_conv1"]["depthwise_kernel"][0],
        growth=growth,
        division=division,
        resampling="conv" if any(name.endswith("_convtrans1") for name in names) else "maxpooling",
        size=2 * side * division,
    )
    acts = numbers(r"act(\d+)_")
    if not acts:
        return replace(options, action_pyramids=())
    act = f"act{acts[0]}_action_"
    heads = sorted(name for name in names if name.startswith(f"{act}pred_conv2h"))
    last = numbers(r"(?:dp|up)(\d+)_[du]u\d+_action_r0")[-1:] or [options.pyramids]
    count = len(acts) // (levels - 1)
    return replace(
        options,
        actions=tuple(names[name]["kernel"][3] for name in heads),
        action_pyramids=tuple(range(last[0] - count + 1, last[0] + 1)),
        pose_features=16 * names[f"{act}p_conv0a"]["kernel"][3],
        visual_features=names[f"{act}v_conv0"]["kernel"][3],
        replica=any(name.endswith("_replica") for name in names),
    )
