"""Tracklets of people whose bodies tell what they do, as LART's files and as AVA's annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import har_bench
from har_bench.converters.ava.sample import joblib_bytes
from har_bench.store import Store

ACTIONS = (5, 12, 80)
"""What people do: one action each."""

SIZE = 200, 400
"""Height and width of the frames."""

FEATURES = 4


def tracklet(
    start: int,
    frames: int,
    action: int = 12,
    *,
    seed: int = 0,
    undetected: Sequence[int] = (),
    has_gt: Sequence[int] = (),
    features: int = FEATURES,
    name: int = 0,
) -> dict[str, Any]:
    """A tracklet from frame ``start`` on, whose body leans as its action does.

    Args:
        start: its first fid; the frame's name has the same number.
        frames: T.
        action: in the true labels, where there are any, and the likeliest of the pseudo labels.
        seed: of the noise.
        undetected: rows in which nobody is.
        has_gt: rows that are annotated; the others have pseudo labels.
        features: D.
        name: what is added to a fid in the frame's name.
    """
    rng = np.random.default_rng((seed, start, action))
    there = np.ones(frames, bool)
    there[list(undetected)] = False
    lean = np.random.default_rng(action).normal(size=229)
    keys = np.where(there, np.arange(frames) // 6 * 1000, -1)
    labels = np.zeros((frames, 1, 80), np.int64)
    labels[list(has_gt), 0, action - 1] = 1
    pseudo = np.full(80, 0.1)
    pseudo[action - 1] = 0.9
    known = np.where(there, 1.0, 0.0)
    known[list(has_gt)] = 2.0
    seen = there.astype(float)
    return {
        "fid": np.arange(start, start + frames, dtype=np.float64).reshape(-1, 1, 1),
        "pose_shape": ((lean + 0.3 * rng.normal(size=(frames, 229))) * seen[:, None])[:, None],
        "3d_joints": rng.normal(size=(frames, 1, 45, 3)) * seen[:, None, None, None],
        "camera": rng.uniform(0, 1, (frames, 1, 3)) * seen[:, None, None],
        "camera_bbox": rng.uniform(0, 1, (frames, 1, 3)) * seen[:, None, None],
        "action_label_gt": labels,
        "action_label_psudo": {int(key): pseudo[None] for key in np.unique(keys[there])},
        "has_gt": known.reshape(-1, 1, 1),
        "has_detection": seen.reshape(-1, 1, 1),
        "apperance_index": keys.reshape(-1, 1, 1),
        "apperance_dict": {int(key): rng.normal(size=(1, features)) for key in np.unique(keys[there])},
        "frame_name": [f"img/{start + row + name:06d}.jpg" for row in range(frames)],
        "frame_size": [np.array(SIZE) * int(each) for each in there],
        "frame_bbox": [np.array([40.0, 20.0, 80.0, 100.0]) * each for each in seen],
        "frame_conf": [0.9 * each for each in seen],
    }


def written(folder: Path, clip: str, track: int, made: dict[str, Any]) -> Path:
    """The file of a tracklet, named as LART names it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{clip}_{track}_{len(made['frame_name'])}.pkl"
    path.write_bytes(joblib_bytes(made))
    return path


def converted(folder: Path, out: Path) -> Store:
    return har_bench.convert("ava", folder, out, jobs=1, quiet=True)


def datasets(folder: Path, clips: int = 12, **options: Any) -> tuple[Store, Store]:
    """Stores of AVA's annotations of the validation, and of tracklets to learn from and to be tested on.

    Every clip is of one person, and its key frame is one of AVA's seconds.
    """
    rows, tracks = [], folder / "tracks"
    for split in ("train", "val"):
        for number in range(clips):
            action, video, key = (
                ACTIONS[number % len(ACTIONS)],
                f"film{split:_<5}{number // 6:02d}",
                60 + 30 * (number % 6),
            )
            seed = number + 100 * (split == "val")
            made = tracklet(key - 8, 20, action, seed=seed, has_gt=[8], undetected=[3], **options)
            written(tracks, f"ava-{split}_{video}_{key:06d}", 0, made)
            if split == "val":
                rows.append(f"{video},{900 + key // 30:04d},0.100,0.100,0.300,0.600,{action},0\n")
    raw = folder / "ava"
    raw.mkdir()
    (raw / "ava_val_v2.2.csv").write_text("".join(rows))
    return converted(raw, folder / "truth"), converted(tracks, folder / "tracklets")
