"""Pictures and videos for a dataset that has none here: its people as stick figures, where its store says they are.

For samples, tests and demonstrations, in which nobody's pictures may be.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from har_bench.arrays import Bools, Bytes, Floats
from har_bench.drawing.films import canvas
from har_bench.drawing.poses import colour_of
from har_bench.errors import HarBenchError
from har_bench.files import whole
from har_bench.media.images import SUFFIXES
from har_bench.skeletons import Skeleton
from har_bench.store import SequenceView, Store

SIZE = (1280, 720)
"""Width and height where a store does not say [px]."""
USUAL_FPS = 25.0
_LIMB, _HEAD = 0.045, 0.07
"""The width of a limb and the radius of a joint without children, in heights of the person."""


def render(store: Store, root: Path, names: Sequence[str] | None = None) -> int:
    """Draw the pictures and videos of a store's sequences where it says that they lie; those that are there stay.

    Args:
        store: with keypoints [px].
        root: the folder of the raw download.
        names: only these sequences; all by default.

    Returns:
        How many files, folders of pictures counted as one.

    Raises:
        HarBenchError: the store has no keypoints in pictures, or a file cannot be written.
    """
    if not store.parts("poses") or "keypoints" not in store.schema("poses").names:
        raise HarBenchError(f"{store.dataset} has no keypoints in pictures to draw people from; leave the pictures out")
    drawn, bones = 0, store.skeleton()
    for name in names if names is not None else store.sequences["sequence"].to_pylist():
        sequence = store.sequence(name)
        if len(sequence):
            drawn += _sequence(sequence, bones, root)
    return drawn


def _sequence(sequence: SequenceView, bones: Skeleton, root: Path) -> int:
    media = sequence.info["media"]
    if media is None:
        return _by_row(sequence, bones, root)
    path = root / media
    if path.exists():
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = _frames(sequence, bones)
    if path.suffix.lower() in SUFFIXES:
        _save(path, next(pictures))
    elif path.suffix:
        film = path.with_name(f"{path.name}.mp4")  # what is in a file its content tells, not what it is called
        with canvas(film, sequence.info["fps"] or USUAL_FPS) as made:
            for picture in pictures:
                made.add(picture)
        film.replace(path)
    else:
        for number, picture in enumerate(pictures, 1):
            _save(path / f"{number:06d}.jpg", picture)
    return 1


def _by_row(sequence: SequenceView, bones: Skeleton, root: Path) -> int:
    """Pictures that a store names row by row, as it does for clips that others cut out of MERL's videos."""
    if "image" not in sequence.poses.column_names:
        return 0
    names, frames, drawn = sequence.poses["image"].to_pylist(), sequence.frame.tolist(), 0
    for frame, picture in enumerate(_frames(sequence, bones)):
        paths = {root / name for name, at in zip(names, frames, strict=True) if at == frame and name}
        for path in paths:
            if not path.exists():
                _save(path, picture)
                drawn += 1
    return drawn


def _frames(sequence: SequenceView, bones: Skeleton) -> Iterator[Bytes]:
    """(H, W, 3) RGB of every frame, on a ground of its own for each sequence."""
    points, frame = sequence.keypoints.astype(np.float64), sequence.frame
    count = max(sequence.info["n_frames"] or 0, int(frame.max()) + 1)
    width, height = (sequence.info[side] or usual for side, usual in zip(("width", "height"), SIZE, strict=True))
    random = np.random.default_rng(zlib.crc32(sequence.info["sequence"].encode()))
    coarse = random.integers(40, 90, (9, 16, 3)).astype(np.uint8)
    ground = Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)
    for number in range(count):
        picture = ground.copy()
        for person in points[frame == number]:
            _figure(ImageDraw.Draw(picture), person, bones)
        yield np.asarray(picture)


def _figure(pen: ImageDraw.ImageDraw, points: Floats, bones: Skeleton) -> None:
    """A person of lines, each joint's limb and end in the colour of its side."""
    seen: Bools = np.asarray(np.isfinite(points).all(axis=1))
    if not seen.any():
        return
    there = points[seen]
    height = max(float(np.ptp(there, axis=0).max()), 1.0)
    for one, other in bones.lines:
        if seen[one] and seen[other]:
            pen.line((*points[one], *points[other]), fill=colour_of(bones, other), width=max(1, round(_LIMB * height)))
    inner = {parent for parent in bones.parents if parent >= 0}
    for joint in np.flatnonzero(seen).tolist():
        (x, y), radius = points[joint], height * (_LIMB / 2 if joint in inner else _HEAD / 2)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour_of(bones, joint))


def _save(path: Path, picture: Bytes) -> None:
    """Write a picture, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind: Any = {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:].upper())
    with whole(path) as temporary:
        Image.fromarray(picture).save(temporary, kind, **({"quality": 95} if kind == "JPEG" else {}))
