"""HumanEva's small text files: ``.cal`` (a camera), ``.ofs`` (a video's place in time) and ``.mp`` (body measures)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from har_bench.cameras import Camera, distort
from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.texts import utf8

COLOUR = ("C1", "C2", "C3")
CAMERAS = (*COLOUR, "BW1", "BW2", "BW3", "BW4")
"""Every camera, in the order in which the official code synchronises them."""

_MEASURE = re.compile(r"""\$\s*(\w+)\s*=\s*["']?([^\s"';]+)""")
_SEPARATED = re.compile(r"[\s;,]+")
_SKEWED_ROTATION = 1e-3  # how far R Rᵀ may be from the identity


@dataclass(frozen=True)
class Calibration:
    """A camera, and the skew of its axes that :class:`~har_bench.cameras.Camera` has no place for.

    Attributes:
        camera: everything else; its distortion is OpenCV's, which is also Bouguet's.
        skew: u = fx (x + skew y) + cx; 0 in every calibration that is known.
    """

    camera: Camera
    skew: float = 0.0

    def project(self, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(..., 3) camera-frame points [mm] as (..., 2) pixels; NaN where a point is not in front of the camera."""
        front = points[..., 2:] > 0
        plane = np.full((*points.shape[:-1], 2), np.nan)
        np.divide(points[..., :2], points[..., 2:], out=plane, where=front)
        bent = distort(plane, self.camera.distortion, "opencv")
        bent[..., 0] += self.skew * bent[..., 1]
        return np.asarray(self.camera.f * bent + self.camera.c)


def read_cal(path: Path) -> Calibration:
    """Read 22 numbers: fc (2), cc (2), skew, kc (5: k1 k2 p1 p2 k3), R (9, row-major), T (3, mm).

    Raises:
        HarBenchError: the file holds something else.
    """
    calibration = from_numbers(_numbers(path, 22, "fc, cc, skew, kc, R and T"))
    R = calibration.camera.R
    if np.abs(R @ R.T - np.eye(3)).max() > _SKEWED_ROTATION:
        raise HarBenchError(f"{path} holds no rotation in its numbers 11 to 19; download it again")
    return calibration


def from_numbers(values: npt.NDArray[np.float64]) -> Calibration:
    """A calibration from the 22 numbers of a ``.cal`` file."""
    camera = Camera(
        f=values[:2],
        c=values[2:4],
        R=values[10:19].reshape(3, 3),
        t=values[19:],
        distortion=values[5:10],
        model="opencv",
    )
    return Calibration(camera, float(values[4]))


def read_measures(path: Path) -> dict[str, float]:
    """A subject's measures [mm], lines such as ``$LShoulderOffset = 50``.

    Raises:
        HarBenchError: the file holds something else, or not both shoulder offsets.
    """
    found = dict(_MEASURE.findall(_text(path)))
    measures = {}
    for name in ("LShoulderOffset", "RShoulderOffset"):
        value = _number(found.get(name, ""))
        if not np.isfinite(value):
            raise HarBenchError(f"{path} holds no line ${name} = number; download it again")
        measures[name] = value
    return measures


@dataclass(frozen=True)
class Sync:
    """How the frames of a take, counted from 1, lie in the motion capture and in the videos.

    Attributes:
        start: row of the motion capture, counted from 1, at frame 1.
        step: rows of the motion capture per frame.
        images: by camera, the frame of its video, counted from 1, that shows frame 1.
    """

    start: float = 1.0
    step: float = 1.0
    images: Mapping[str, int] | None = None

    def rows(self, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Where frames, counted from 1, lie between the rows, counted from 1, of the motion capture."""
        return np.asarray(self.start + (frames - 1) * self.step, np.float64)


def read_sync(paths: Sequence[Path]) -> Sync:
    """Synchronise a take from the ``.ofs`` files of all seven cameras, in the order of :data:`CAMERAS`.

    Each file is three numbers: a frame of the video, the row of the motion capture at the same instant, and the rows
    per frame. Frame 1 is the first that every video shows and the motion capture has.

    Raises:
        HarBenchError: a file holds something else.
    """
    image, row, step = np.stack([_numbers(path, 3, "im_st, mc_st and mc_sc") for path in paths]).T
    if (step <= 0).any():
        raise HarBenchError(f"{paths[int(np.argmax(step <= 0))]} gives a step that is not positive; download it again")
    start = row[0]
    images = image + (start - row) / step
    scale = float(step.mean())
    early = images.min() - 1
    start -= scale * early
    images -= early
    if start < 1:
        images -= (start - 1) / scale
        start = 1.0
    rounded = np.floor(images + 0.5).astype(np.int64)  # as MATLAB rounds
    return Sync(float(start), scale, {name: int(first) for name, first in zip(CAMERAS, rounded, strict=True)})


def _numbers(path: Path, count: int, what: str) -> npt.NDArray[np.float64]:
    """The numbers of a file, whatever is between them; lines of words before the first one are a header."""
    lines = [line.replace('"', " ").replace("'", " ") for line in _text(path).splitlines()]
    header = takewhile(lambda line: not any(np.isfinite(_number(word)) for word in _SEPARATED.split(line)), lines)
    text = "\n".join(lines[len(list(header)) :])
    flat = [word.rstrip(",") for word in re.split(r"[\s;]+", text) if word.strip(",")]
    if len(flat) != count:  # commas are between numbers, and not in them
        flat = [word for word in _SEPARATED.split(text) if word]
    values = np.array([_number(word) for word in flat])
    if len(values) != count:
        raise HarBenchError(
            f"{path} holds {len(values)} numbers where the {count} of {what} are expected; download it again"
        )
    if not (np.abs(values) < 1e9).all():
        odd = flat[int(np.argmin(np.abs(values) < 1e9))][:20]
        raise HarBenchError(f"{path} holds {odd!r} where one of the {count} numbers {what} is; download it again")
    return values


def _text(path: Path) -> str:
    return utf8(compressed.read(path), str(path)).decode("latin1")


def _number(word: str) -> float:
    """A number, with a point or a decimal comma; NaN for another word."""
    try:
        return float(word.replace(",", "."))
    except ValueError:
        return np.nan
