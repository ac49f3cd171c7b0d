"""Which network a state dict is of, told by the names of its tensors: of those that people try to load here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy.typing as npt

SIGNS: Mapping[str, tuple[str, ...]] = {
    "MotionBERT": ("temp_embed", "joints_embed"),
    "MixSTE": ("STEblocks.", "TTEblocks."),
    "PoseFormerV2": ("Freq_embedding", "Joint_embedding"),
    "PoseFormer": ("Spatial_patch_to_embedding", "Temporal_pos_embed"),
    "MHFormer": ("Transformer_encoder_1.", "Transformer_hypothesis."),
    "StridedTransformer-Pose3D": ("Transformer_reduce.",),
    "a PyTorch port of 3d-pose-baseline (Martinez et al.)": ("linear_stages.", "batch_norm1."),
    "SemGCN": ("gconv_input.", "gconv_layers."),
    "VideoPose3D": ("expand_conv.weight", "shrink.weight"),
    "LART": ("pose_shape_encoder.", "action_head_ava."),
    "HMR or 4D-Humans": ("smpl_head.",),
    "ViTPose": ("backbone.blocks.", "keypoint_head."),
    "HRNet": ("stage2.0.branches.", "final_layer."),
    "SimpleBaseline (Xiao et al.)": ("deconv_layers.", "final_layer."),
    "an MMPose detector": ("backbone.", "keypoint_head."),
    "an MMPose model": ("backbone.", "head."),
    "pyskl (ST-GCN++ and others)": ("backbone.gcn.", "cls_head."),
    "CTR-GCN": ("data_bn.", "l1.gcn1."),
    "ultralytics YOLO": ("22.cv2.", "22.cv3."),
    "a ResNet": ("layer1.0.conv1.", "layer4.0.conv1."),
}
"""What the names of each network's tensors begin with, or have in them after a dot; the more particular first."""

FIRST = 3
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def likely(names: Iterable[str]) -> str | None:
    """Whose network has tensors of these names; None if nobody's that is known here."""
    there = [f".{name}" for name in names]
    for project, signs in SIGNS.items():
        if all(any(f".{sign}" in name for name in there) for sign in signs):
            return project
    return None


def in_words(state: Mapping[str, npt.NDArray[Any]]) -> str:
    """What a state dict is: how many tensors and parameters, the first tensors' names, and whose it likely is."""
    learnt = {name: prod(array.shape) for name, array in state.items() if not name.endswith(STATISTICS)}
    more = ", ..." if len(learnt) > FIRST else ""
    project = likely(state)
    whose = f"; it looks like {project}" if project else ""
    tensors = f"{len(learnt):,} tensor{'s' * (len(learnt) != 1)}"
    first = ", ".join([*learnt][:FIRST])
    return f"{sum(learnt.values()):,} parameters in {tensors} ({first}{more}){whose}"
