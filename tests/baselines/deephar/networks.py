"""Networks of deephar that are small, and one whose answers are known."""

import torch
from torch import nn

from har_bench.baselines.deephar.action import ActionOptions
from har_bench.baselines.deephar.architecture import Architecture
from har_bench.baselines.deephar.layers import Network
from har_bench.baselines.deephar.reception import ReceptionOptions
from har_bench.baselines.deephar.spnet_parts import SPNetOptions
from har_bench.baselines.deephar.weighing import Loaded

TINY = SPNetOptions(
    pyramids=2, levels=3, growth=8, size=64, kernel=3, actions=(15,), pose_features=16, visual_features=16
)
SPNET = Architecture(spnet=TINY)
RECEPTION = Architecture(ReceptionOptions(blocks=2, size=64, kernel=3))
MERGE = Architecture(ReceptionOptions(blocks=2, size=64, kernel=3), ActionOptions(15))


def drawn(architecture: Architecture, seed: int = 0) -> Network:
    """A network whose joints lie apart and whose statistics are no ones and zeros, so that mistakes show."""
    torch.manual_seed(seed)
    model = architecture.build().eval()
    for name, tensor in model.named_buffers():
        if name.endswith("running_mean"):
            nn.init.uniform_(tensor, -0.1, 0.1)
        if name.endswith("running_var"):
            nn.init.uniform_(tensor, 0.5, 1.5)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(weight, -0.2, 0.2)
        if "heatmaps_conv1" in name or name.endswith("maps.1.weight"):
            nn.init.normal_(weight, std=5.0)
    return model


def loaded(architecture: Architecture, layout: str = "mpii-pa16") -> Loaded:
    """Such a network as weights give it."""
    return Loaded(drawn(architecture), architecture, layout, "tiny", "penn_action/accuracy")


class White(Network):
    """Every joint in the middle of what is white; in a second block, a tenth to the right of it."""

    def __init__(self, joints: int = 16, depth: float | None = None) -> None:
        super().__init__()
        self.joints, self.depth = joints, depth
        self.unused = nn.Parameter(torch.zeros(1))

    def poses(self, images: torch.Tensor) -> list[torch.Tensor]:
        white = (images.mean(dim=1) > 0).float()
        total = white.sum(dim=(1, 2)).clamp(min=1)
        height, width = white.shape[1:]
        x = (white.sum(dim=1) * (torch.arange(width) + 0.5)).sum(dim=1) / total / width
        y = (white.sum(dim=2) * (torch.arange(height) + 0.5)).sum(dim=1) / total / height
        deep = [] if self.depth is None else [torch.full_like(x, self.depth)]
        poses = [torch.stack([x + right, y, *deep, torch.full_like(x, 0.9)], dim=-1) for right in (0.0, 0.1)]
        return [pose[:, None].expand(-1, self.joints, -1) for pose in poses]

    def groups(self) -> dict[str, list[nn.Module]]:
        return {}
