"""Pinhole cameras: world <-> camera frame, and projection with the distortion formula each dataset was made with.

All functions take (..., 3) or (..., 2) arrays of any batch shape and compute in float64; lengths are mm, images px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from har_bench.arrays import Floats
from har_bench.errors import unknown

Model = Literal["none", "h36m", "opencv"]


@dataclass(frozen=True)
class Camera:
    """A calibrated camera.

    Attributes:
        f: (2,) focal lengths [px].
        c: (2,) principal point [px].
        R: (3, 3) rotation, world to camera.
        t: (3,) translation [mm]: ``X_camera = R @ X_world + t``.
        distortion: (5,) k1, k2, p1, p2, k3, in OpenCV's order whatever the model.
        model: the distortion formula: ``opencv`` (Brown, tangential terms with the factor 2), ``h36m`` (Human3.6M's
            own ``ProjectPointRadial``, whose tangential terms lack it) or ``none``.
    """

    f: Floats
    c: Floats
    R: Floats
    t: Floats
    distortion: Floats
    model: Model = "opencv"

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """A camera from a row of a store's ``cameras`` table."""
        return cls(
            f=np.array([row["fx"], row["fy"]]),
            c=np.array([row["cx"], row["cy"]]),
            R=np.asarray(row["R"], np.float64).reshape(3, 3),
            t=np.asarray(row["t"], np.float64),
            distortion=np.asarray(row["distortion"], np.float64),
            model=row["model"],
        )

    @property
    def centre(self) -> Floats:
        """(3,) the camera's position in the world [mm]."""
        return -self.R.T @ self.t

    def to_camera(self, world: npt.ArrayLike) -> Floats:
        """(..., 3) world points [mm] in the camera frame: x right, y down, z forward."""
        return np.asarray(world, np.float64) @ self.R.T + self.t

    def to_world(self, points: npt.ArrayLike) -> Floats:
        """(..., 3) camera-frame points [mm] in the world; the inverse of :meth:`to_camera`."""
        return (np.asarray(points, np.float64) - self.t) @ self.R

    def project(self, points: npt.ArrayLike) -> Floats:
        """(..., 3) camera-frame points [mm] as (..., 2) pixels."""
        points = np.asarray(points, np.float64)
        return self.f * distort(points[..., :2] / points[..., 2:], self.distortion, self.model) + self.c

    def project_world(self, world: npt.ArrayLike) -> Floats:
        """(..., 3) world points [mm] as (..., 2) pixels."""
        return self.project(self.to_camera(world))


def calibration(cameras: Mapping[str, Camera], subject: str) -> dict[str, Any]:
    """The calibration columns of a store's ``cameras`` table, for a subject's cameras by name."""
    found = list(cameras.values())
    return {
        "camera": list(cameras),
        "subject": [subject] * len(found),
        **{name: [camera.f[axis] for camera in found] for axis, name in enumerate(("fx", "fy"))},
        **{name: [camera.c[axis] for camera in found] for axis, name in enumerate(("cx", "cy"))},
        "model": [camera.model for camera in found],
        **{name: np.stack([getattr(camera, name) for camera in found]) for name in ("distortion", "R", "t")},
    }


def distort(plane: npt.ArrayLike, distortion: npt.ArrayLike, model: Model) -> Floats:
    """(..., 2) points of the image plane at distance 1, bent as the lens bends them.

    With r² = x² + y² and radial = 1 + k1 r² + k2 r⁴ + k3 r⁶:

    * ``opencv``: x' = x radial + 2 p1 x y + p2 (r² + 2x²), y' = y radial + p1 (r² + 2y²) + 2 p2 x y;
    * ``h36m``: (x', y') = (x, y) (radial + p1 y + p2 x) + (p2, p1) r²: the formula of Human3.6M's official code.
      OpenCV's is wrong for that dataset by up to 0.19 px.

    Raises:
        HarBenchError: an unknown model.
    """
    xy = np.asarray(plane, np.float64)
    if model == "none":
        return xy
    k1, k2, p1, p2, k3 = np.asarray(distortion, np.float64)
    x, y = xy[..., :1], xy[..., 1:]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    tangential = p1 * y + p2 * x
    shift = np.array([p2, p1]) * r2
    if model == "h36m":
        return xy * (radial + tangential) + shift  # type: ignore[no-any-return]
    if model == "opencv":
        return xy * (radial + 2 * tangential) + shift  # type: ignore[no-any-return]
    raise unknown("distortion formula", model, ("h36m", "opencv", "none"))
