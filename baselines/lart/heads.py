"""The head that tells a SMPL body from a token, in three steps from a mean body (HMR; Kanazawa et al., CVPR 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from har_bench.errors import HarBenchError
from har_bench.foreign.npz import open_npz

ROTATIONS, SHAPES, CAMERA = 24, 10, 3
HIDDEN, STEPS, DROPOUT = 1024, 3, 0.5


class Body(NamedTuple):
    """SMPL bodies.

    Attributes:
        rotations: (N, 24, 3, 3); the first is the whole body's.
        shape: (N, 10) betas.
        camera: (N, 3) as the head has it.
    """

    rotations: torch.Tensor
    shape: torch.Tensor
    camera: torch.Tensor

    def flat(self) -> torch.Tensor:
        """(N, 226) as the tracklets have a body: the rotations row by row, and the shape."""
        return torch.cat([self.rotations.flatten(1), self.shape], dim=1)


class BodyHead(nn.Module):
    """Rotations, shape and camera of a body, beginning at SMPL's mean, which its licence keeps with the body model."""

    init_body_pose: torch.Tensor
    init_betas: torch.Tensor
    init_cam: torch.Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        pose = 6 * ROTATIONS
        for name, size in (("init_body_pose", pose), ("init_betas", SHAPES), ("init_cam", CAMERA)):
            self.register_buffer(name, torch.zeros(1, size))
        self.fc1 = nn.Linear(width + pose + SHAPES + CAMERA, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, HIDDEN)
        self.drop = nn.Dropout(DROPOUT)
        self.decpose = nn.Linear(HIDDEN, pose)
        self.decshape = nn.Linear(HIDDEN, SHAPES)
        self.deccam = nn.Linear(HIDDEN, CAMERA)

    def forward(self, tokens: torch.Tensor) -> Body:
        """(N, D) -> bodies."""
        pose, shape, camera = (
            start.expand(len(tokens), -1) for start in (self.init_body_pose, self.init_betas, self.init_cam)
        )
        for _ in range(STEPS):
            hidden = torch.cat([tokens, pose, shape, camera], dim=1)
            for layer in (self.fc1, self.fc2):
                hidden = self.drop(layer(hidden).relu())
            pose = pose + self.decpose(hidden)
            shape = shape + self.decshape(hidden)
            camera = camera + self.deccam(hidden)
        return Body(rotations(pose.reshape(-1, ROTATIONS, 6)), shape, camera)

    def begin_at(self, path: Path) -> None:
        """Take the mean body of SMPL, which comes with the body model: ``smpl_mean_params.npz``.

        Raises:
            HarBenchError: it is another file.
        """
        arrays = open_npz(path)
        for name, key in (("init_body_pose", "pose"), ("init_betas", "shape"), ("init_cam", "cam")):
            start = getattr(self, name)
            found = np.asarray(arrays[key]) if key in arrays else np.empty(0)
            if found.size != start.numel() or found.dtype.kind not in "fiu":
                raise HarBenchError(
                    f"{path} has no {key} of {start.numel()} numbers; give smpl_mean_params.npz of the SMPL body model"
                )
            start.copy_(torch.from_numpy(found.astype(np.float32).reshape(1, -1)))


def rotations(six: torch.Tensor) -> torch.Tensor:
    """(..., 6) -> (..., 3, 3): two vectors of three, made orthonormal, are the matrix's first columns (Zhou et al.).

    >>> rotations(torch.tensor([2.0, 0, 0, 5, 3, 0])).round().tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    first, second = six[..., :3], six[..., 3:]
    first = functional.normalize(first, dim=-1)
    second = functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)
