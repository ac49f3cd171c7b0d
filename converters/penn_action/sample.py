"""A dozen synthetic label files in the layout of Penn Action, with the quirks of the real ones."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.io

from har_bench.samples import walking_person
from har_bench.skeletons import skeleton

from .labels import POSES, README_NAMES

SEQUENCES = (1, 2, 3, 4, 5, 38, 99, 100, 979, 1154, 1516, 2326)
"""Numbers of the label files; they make five shards."""

WIDTH, HEIGHT = 480, 270
_PLACEHOLDERS = (0.75, 2 / 3, 1.0, 0.0)  # what real files hold where an invisible joint has no place
_LABELLED = 0.6  # of the invisible joints have one


def write_sample(out: Path, seed: int) -> None:
    """Write ``out / labels``; the same seed gives the same bytes."""
    for index, number in enumerate(SEQUENCES):
        write_label(out / "labels" / f"{number:04d}.mat", label(number, index, np.random.default_rng([seed, number])))


def label(number: int, index: int, random: np.random.Generator) -> dict[str, Any]:
    """The variables of one label file: a walking person seen from the front, moved by ``number``'s quirk."""
    points = _person(18 + 3 * index, random)
    frames = len(points)
    visible = random.random(points.shape[:2]) > 0.15
    visible[0] = True
    box = np.concatenate([points.min(axis=1) - 4, points.max(axis=1) + 4], axis=1)
    if number == 5:
        visible[:, 11] = False  # a joint that is never visible
    elif number == 38:
        box[2:4, 2] = box[2:4, 0]  # a box without width
    elif number == 99:
        box[:, 0] = 2 / 3  # a box out of the picture by the rescaling of pixel 1
    elif number == 979:
        points[5] *= 2  # joints labelled at another scale
        visible[5] = True
    elif number == 1154:
        box = box[:-1]  # no box in the last frame
    elif number == 1516:
        visible[:] = False
        box[:] = [0.73, 0.73, 7.31, 7.31]
    placed = visible | (random.random(visible.shape) < _LABELLED) & (number != 1516)
    points = np.where(placed[..., None], points, _PLACEHOLDERS[index % 4])
    x, y = points[..., 0], points[..., 1]
    if number in (4, 100):  # some real files have integers, x and y even of different widths
        x, y, box = (np.rint(values).astype(np.min_scalar_type(int(values.max()))) for values in (x, y, box))
    action = list(README_NAMES)[(3 * index + 3) % len(README_NAMES)]
    return {
        "action": README_NAMES[action] if number == 3 else action,
        "pose": POSES[index % 4],
        "x": x,
        "y": y,
        "visibility": visible.astype(np.uint8),
        "train": np.array([[-1 if index % 3 == 0 else 1]], np.int32),
        "bbox": box,
        "dimensions": np.array([[HEIGHT, WIDTH, frames]], np.uint16),
        "nframes": np.array([[frames]], np.uint8),
    }


def write_label(path: Path, variables: Mapping[str, Any]) -> None:
    """Write a label file as MATLAB would, without the time of writing that SciPy puts into its header."""
    file = io.BytesIO()
    scipy.io.savemat(file, dict(variables), do_compression=True)  # type: ignore[arg-type] # the stubs know no files
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"MATLAB 5.0 MAT-file, synthetic sample of har_bench".ljust(116) + file.getvalue()[116:])


def _person(frames: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """(T, 13, 2) 1-based pixels of a walking person, on the quarter pixels that a rescaling by 3/4 leaves."""
    bones = skeleton("h36m32")
    world = walking_person(frames, random, fps=25, radius=400.0)
    body = world[:, [bones.index(joint) for joint in skeleton("penn13").joints]]
    pixels = np.stack([WIDTH / 2 + body[..., 0] / 8, HEIGHT - 10 - body[..., 2] / 8], axis=-1)
    return np.asarray(np.rint(pixels / 0.75) * 0.75, np.float64)
