"""Clips of people made by hand, and the one of the goldens, of whose three tracklets two are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from har_bench.baselines.lart.clips import Clip, Person
from har_bench.baselines.lart.windows import Norm

GOLDEN = Norm(
    np.concatenate([(np.arange(226) % 7 - 3) * 0.1, np.zeros(3)]).astype(np.float32),
    np.concatenate([np.arange(226) % 5 * 0.2 + 0.5, np.ones(3)]).astype(np.float32),
)
"""The mean_std.npy of the goldens, read off their windows and the tracklets."""


def person(track: int, start: int, frames: int, *, undetected: Sequence[int] = (), **other: Any) -> Person:
    """Somebody whose every number tells the track and the frame."""
    number = 1000.0 * track + np.arange(start, start + frames)
    detected = np.ones(frames, bool)
    detected[list(undetected)] = False

    def filled(width: int) -> Any:
        return np.repeat(number[:, None], width, axis=1).astype(np.float32)

    given = {
        "track": track,
        "frame": np.arange(start, start + frames),
        "name": [f"img/{frame:06d}.jpg" for frame in range(start, start + frames)],
        "detected": detected,
        "pose": filled(229),
        "joints": filled(135),
        "appearance": filled(3),
        "labels": filled(80),
        "has_gt": np.ones(frames, np.int64),
        "box": np.tile([10.0, 20.0, 30.0, 40.0], (frames, 1)),
        "size": np.tile([100.0, 200.0], (frames, 1)),
        "confidence": np.full(frames, 0.9),
    }
    return Person(**given | other)


def seen_in(item: Mapping[str, Any], slot: int, track: int) -> Person:
    """Somebody as a golden window has them, whose own file is not here: all their frames must be in it."""
    rows = np.flatnonzero(item["in/fid"][:, slot, 0])
    labels = np.zeros((len(rows), 80), np.float32)
    labels[:, COLUMNS] = item["out/action_label_ava"][rows, slot, 0, :60]
    return person(
        track,
        int(item["in/fid"][rows[0], slot, 0]),
        len(rows),
        detected=item["in/has_detection"][rows, slot, 0] > 0,
        pose=item["out/pose_shape"][rows, slot, 0],
        joints=item["in/joints_3D"][rows, slot],
        appearance=item["in/apperance_emb"][rows, slot],
        labels=labels,
        has_gt=item["out/has_gt"][rows, slot, 0, 0].astype(np.int64),
    )


def with_person(clip: Clip, somebody: Person) -> Clip:
    return clip._replace(people=sorted([*clip.people, somebody], key=lambda each: each.track))


COLUMNS = [
    number - 1
    for number in (
        *(1, *range(3, 16), 17, 20, 22, 24, *range(26, 31), 34, *range(36, 39), 41, 43, *range(45, 50), 51, 52, 54),
        *(*range(56, 71), *range(72, 75), *range(76, 81)),
    )
]
"""AVA's 60 evaluated actions among the 80."""
