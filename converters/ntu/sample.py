"""A tiny synthetic NTU RGB+D in the official layout, with the real one's quirks; also the writer of its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from har_bench.arrays import Floats
from har_bench.samples import walking_person
from har_bench.skeletons import skeleton

from .skeleton_file import FLAGS, JOINTS, NUMBERS, Frames, SkeletonFile

_H36M = {
    "spine_base": "hip", "spine_mid": "spine", "neck": "neck", "head": "head", "spine_shoulder": "thorax",
    **{
        f"{side}_{kinect}": f"{side}_{h36m}"
        for side in ("left", "right")
        for kinect, h36m in {
            "shoulder": "shoulder", "elbow": "elbow", "wrist": "wrist", "hand": "hand", "hip": "hip", "knee": "knee",
            "ankle": "ankle", "foot": "toe_base", "hand_tip": "hand", "thumb": "thumb_tip",
        }.items()
    },
}  # fmt: skip
_LEAVES = (3, 15, 19, 21, 22, 23, 24)  # their orientation is always 0
_FIRST_ID = 72057594037931101
_DISTANCE, _HEIGHT = 3.6, 0.9  # m to the person, and of the camera above the ground


def write_sample(out: Path, seed: int, classes: int) -> None:
    """Write the files; every person walks, whatever the action's name.

    ``S001C001P001R001A001`` is plain, ``S001C002P003R001A050`` has two persons whose ids are one double,
    ``S001C003P001R002A055`` ids that change and a phantom, ``S002C001P003R001A013`` a person who leaves and returns
    and frames without anybody, ``S001C002P006R001A008`` nobody at all, as it is listed; ``S003C001P002R001A060`` has
    its bodies swapped and LF line ends.
    """
    rng = np.random.default_rng(seed)
    folder = out / "nturgb+d_skeletons"
    count = int(rng.integers(24, 33))
    plain = recording(rng, [(_FIRST_ID, range(count))], count)
    write_file(folder / "S001C001P001R001A001.skeleton", plain)
    pair = [(_FIRST_ID + 3, range(count)), (_FIRST_ID + 1, range(count))]
    write_file(folder / "S001C002P003R001A050.skeleton", recording(rng, pair, count))
    changing = [
        (_FIRST_ID + 40, range(14)),
        (_FIRST_ID + 20, range(count)),
        (_FIRST_ID + 60, range(14, count)),
        (_FIRST_ID + 80, range(9)),
    ]
    write_file(folder / "S001C003P001R002A055.skeleton", recording(rng, changing, count))
    leaving = [(_FIRST_ID, [*range(2, 8), *range(14, 22)])]
    write_file(folder / "S002C001P003R001A013.skeleton", recording(rng, leaving, count))
    write_file(folder / "S001C002P006R001A008.skeleton", recording(rng, [], count))
    swapped = recording(rng, pair, count, swap=count // 2)
    write_file(folder / "S003C001P002R001A060.skeleton", swapped, end="\n", last="")
    if classes == 120:
        folder = out / "nturgb+d_skeletons120"
        write_file(folder / "S018C001P008R001A061.skeleton", recording(rng, [(_FIRST_ID, range(count))], count))
        write_file(folder / "S018C003P008R001A115.skeleton", recording(rng, pair, count))
        write_file(folder / "S019C002P049R002A106.skeleton", recording(rng, pair, count))


def recording(
    rng: np.random.Generator, people: Sequence[tuple[int, Sequence[int]]], frames: int, *, swap: int | None = None
) -> SkeletonFile:
    """People who walk before a Kinect.

    Args:
        rng: source of gaits and of every number that is not of the walk.
        people: the body id of each, and the frames in which it is seen.
        frames: how many frames there are.
        swap: the frame from which the bodies' order is reversed.
    """
    order = list(people)
    walks = {who: _walk(rng, frames, 0.7 * place - 0.35) for place, (who, _) in enumerate(order)}
    rows: list[tuple[int, int, int]] = []
    bodies = np.zeros(frames, np.int32)
    for when in range(frames):
        present = [who for who, seen in order if when in seen]
        if swap is not None and when >= swap:
            present.reverse()
        rows += [(when, place, who) for place, who in enumerate(present)]
        bodies[when] = len(present)
    frame, slot, person = np.array(rows, np.int64).reshape(-1, 3).T
    count = len(rows)
    flags = rng.integers(0, 2, (count, len(FLAGS)))
    flags[:, [2, 4]] = rng.integers(0, 5, (count, 2))
    flags[:, [0, 5, 6]] = 0, 0, 2
    points = np.array([walks[who][when] for when, _, who in rows]).reshape(-1, JOINTS, 3)
    made = Frames(
        bodies=bodies,
        frame=frame.astype(np.int32),
        slot=slot.astype(np.uint8),
        person=person,
        flags=flags.astype(np.uint8),
        lean=_printed(np.clip(rng.normal(0, 0.4, (count, 2)), -1, 1)),
        numbers=_printed(_numbers(rng, points)),
        tracking=rng.choice(np.array([1, 2], np.uint8), (count, JOINTS), p=[0.2, 0.8]),
    )
    return SkeletonFile(made, declared=frames)


def _walk(rng: np.random.Generator, frames: int, aside: float) -> Floats:
    """(T, 25, 3) joints in the Kinect's camera space [m]: x to the sensor's left, y up, z forward."""
    bones = skeleton("h36m32")
    walk = walking_person(frames, rng, fps=30.0, radius=500.0).astype(np.float64) / 1000
    points = walk[:, [bones.index(_H36M[joint]) for joint in skeleton("ntu25").joints]]
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([-x + aside, z - _HEIGHT, y + _DISTANCE], axis=-1)


def _numbers(rng: np.random.Generator, points: Floats) -> Floats:
    """(N, 25, 11): the points, their pixels in the depth and color images, and orientations."""
    x, y, z = np.moveaxis(points, -1, 0)
    numbers = np.zeros((*points.shape[:-1], NUMBERS))
    numbers[..., :3] = points
    numbers[..., 3], numbers[..., 4] = 256 + 365 * x / z, 212 - 365 * y / z
    numbers[..., 5], numbers[..., 6] = 960 + 1060 * x / z, 540 - 1060 * y / z
    turned = rng.normal(size=(*points.shape[:-1], 4))
    numbers[..., 7:] = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    numbers[:, _LEAVES, 7:] = 0
    return numbers


def _printed(values: Floats) -> Floats:
    """The values with the seven significant digits that a file gives them."""
    return np.array([float(_text(value)) for value in values.ravel()]).reshape(values.shape)


def _text(value: float) -> str:
    """As .NET prints a single: seven significant digits, an upper-case exponent, and its own names of the rest."""
    if np.isfinite(value):
        return f"{value:.7g}".upper()
    return "NaN" if np.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


def write_file(path: Path, file: SkeletonFile, *, end: str = "\r\n", last: str | None = None) -> None:
    """Write a ``.skeleton`` file.

    Args:
        path: where to; folders are made.
        file: its content; :attr:`SkeletonFile.declared` is the number in the first line.
        end: what ends a line.
        last: what ends the last one instead.
    """
    lines = [str(file.declared)]
    frames, row = file.frames, 0
    for bodies in frames.bodies.tolist():
        lines.append(str(bodies))
        for body in range(row, row + bodies):
            *flags, tracking = frames.flags[body].tolist()
            lean = map(_text, frames.lean[body].tolist())
            lines.append(" ".join(map(str, [int(frames.person[body]), *flags, *lean, tracking])))
            lines.append(str(JOINTS))
            for numbers, state in zip(frames.numbers[body].tolist(), frames.tracking[body].tolist(), strict=True):
                lines.append(f"{' '.join(map(_text, numbers))} {state}")
        row += bodies
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + (end if last is None else last)).encode("ascii"))
