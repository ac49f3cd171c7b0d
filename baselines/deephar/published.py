"""The configurations that the original program was published with, by name."""

from __future__ import annotations

from .action import ActionOptions
from .architecture import Architecture
from .reception import ReceptionOptions
from .spnet_parts import SPNetOptions


def _penn(pyramids: int = 6, acting: tuple[int, ...] = (5, 6)) -> Architecture:
    return Architecture(
        spnet=SPNetOptions(
            pyramids=pyramids,
            actions=(15,),
            action_pyramids=acting,
            pose_features=160,
            visual_features=160,
            replica=pyramids > 2,
        )
    )


ARCHITECTURES = {
    "mpii_2d": Architecture(ReceptionOptions()),
    "h36m_3d": Architecture(ReceptionOptions(joints=17, depths=16, context=0)),
    "penn_merge": Architecture(ReceptionOptions(blocks=4), ActionOptions(15)),
    "ntu_merge": Architecture(
        ReceptionOptions(joints=20, depths=8, context=0, blocks=4), ActionOptions(60, "v2", dims=3)
    ),
    "spnet_penn": _penn(),
    "spnet_penn_speed": _penn(acting=(1, 2, 3, 4, 5, 6)),
    "spnet_penn_train": _penn(2, (1, 2)),
    "spnet_ntu": Architecture(
        spnet=SPNetOptions(joints=17, dims=3, pyramids=2, actions=(60,), pose_features=192, visual_features=192)
    ),
    "spnet_pose3d": Architecture(spnet=SPNetOptions(joints=17, dims=3, action_pyramids=())),
    "spnet_pose2d": Architecture(spnet=SPNetOptions(action_pyramids=())),
}
"""As the evaluation scripts built them: 2018 on MPII, Human3.6M, Penn Action and NTU; SPNet for what 2020 published."""


def clips_of(architecture: Architecture) -> tuple[int, int]:
    """How many frames the clips of such a network have, and one frame in how many it sees, as it was published.

    NTU's pictures were halved in time before, so every second frame of a store's is one of theirs.
    """
    if architecture.spnet is not None:
        return (8, 6) if architecture.shape.dims == 2 else (8, 8)
    return (20, 2) if architecture.heads is not None and architecture.heads.version == "v2" else (16, 2)
