"""A tiny AVA in the official layout: release v2.2 with AVA-Kinetics and proposals, and tracklets in a folder."""

from __future__ import annotations

import io
import pickle
import string
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.samples import walking_person

from . import labels as ava_labels
from .tracklets import ACTIONS

SECONDS = range(902, 908)
SIZE = 360, 640
"""Height and width of the sample's frames."""

_FEATURES = 2048  # of the appearance that LART's data has
_EVERY = 6  # frames share one feature
_CHARACTERS = string.ascii_letters + string.digits + "-_"


def write_sample(out: Path, seed: int) -> None:
    """Write the csv files and lists of v2.2 and of AVA-Kinetics, and ``tracklets/`` with LART's and PHALP's files."""
    rng = np.random.default_rng(seed)
    out.mkdir(parents=True, exist_ok=True)
    films = {split: _ids(rng, count) for split, count in (("train", 3), ("val", 2), ("test", 1))}
    for split in ("train", "val"):
        rows = [row for film in films[split] for second in SECONDS for row in _keyframe(rng, film, f"{second:04d}")]
        # annotated seconds in which nobody is
        _write(out / f"ava_{split}_v2.2.csv", [*rows, f"{films[split][0]},0908"])
        clips = _ids(rng, 2)
        moments = [f"{clip},{second:.6f}" for clip in clips for second in rng.uniform(0, 300, 2)]
        boxed = [row.rsplit(",", 1)[0] for moment in moments for row in _keyframe(rng, *moment.split(","))]
        _write(out / f"kinetics_{split}_v1.0.csv", [*boxed, f"{clips[0]},12.500000"])
    for split, names in films.items():
        excluded = 909 + rng.integers(0, 5)
        _write(out / f"ava_{split}_excluded_timestamps_v2.2.csv", [f"{names[0]},{excluded:04d}"])
    _write(out / "ava_test_v2.2.txt", films["test"])
    _write(out / "ava_included_timestamps_v2.2.txt", [f"{second:04d}" for second in range(902, 920)])
    named = [f"{film}.{rng.choice(['mkv', 'mp4', 'webm'])}" for film in films["train"] + films["val"]]
    _write(out / "ava_file_names_trainval_v2.1.txt", named)
    _write_lists(out)
    proposals = {f"{film},{second:04d}": _proposals(rng) for film in films["val"] for second in SECONDS}
    (out / "ava_dense_proposals_val.pkl").write_bytes(pickle.dumps(proposals, 2))
    _write_tracklets(out / "tracklets", rng, films["val"][0])


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "ascii", newline="\n")


def _ids(rng: np.random.Generator, count: int) -> list[str]:
    """Names as YouTube gives them: eleven characters, some with dashes and underscores."""
    return sorted("".join(rng.choice(list(_CHARACTERS), 11)) for _ in range(count))


def _keyframe(rng: np.random.Generator, video: str, second: str) -> list[str]:
    """A row for each action of each person: a pose as a rule, and up to three others."""
    rows = []
    for person in range(rng.integers(1, 4)):
        low, high = np.sort(rng.uniform(0, 1, (2, 2)), axis=0)
        box = ",".join(f"{side:.3f}" for side in (*low, *np.minimum(high + 0.01, 1)))
        poses = rng.choice(np.arange(1, 15), rng.choice([0, 1, 1, 1, 2]), replace=False)
        others = rng.choice(np.arange(15, ACTIONS + 1), rng.integers(1, 4), replace=False)
        rows += [f"{video},{second},{box},{action},{person}" for action in (*poses, *others)]
    return rows


def _proposals(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    corners = np.sort(rng.uniform(0, 1, (rng.integers(1, 4), 2, 2)), axis=1).reshape(-1, 4)
    return np.concatenate([corners, rng.uniform(0.5, 1, (len(corners), 1))], axis=1)


def _write_lists(out: Path) -> None:
    labels = [
        f'label {{\n  name: "{action.name}"\n  label_id: {action.id}\n  label_type: {action.type}\n}}'
        for action in ava_labels.packaged()
    ]
    _write(out / "ava_action_list_v2.2.pbtxt", labels)
    scored = [
        f'item {{\n  name: "{action.name}"\n  id: {action.id}\n}}'
        for action in ava_labels.packaged()
        if action.id in ava_labels.packaged_evaluated()
    ]
    _write(out / "ava_action_list_v2.2_for_activitynet_2019.pbtxt", scored)


def _write_tracklets(out: Path, rng: np.random.Generator, film: str) -> None:
    out.mkdir(exist_ok=True)
    for keyframe in (150, 180):
        for track in range(2):
            frames = int(rng.integers(20, 40))
            tracklet = _tracklet(rng, keyframe - 10 + track, frames)
            (out / f"ava-val_{film}_{keyframe:06d}_{track}_{frames}.pkl").write_bytes(joblib_bytes(tracklet))
    results = joblib_bytes(_results(rng, 12), aligned=False)
    (out / "demo_walk.pkl").write_bytes(zlib.compress(results, 3))


def _tracklet(rng: np.random.Generator, start: int, frames: int) -> dict[str, Any]:
    """A person who is not detected now and then."""
    index = np.arange(frames) // _EVERY * 1000
    detected = rng.random(frames) < 0.9
    labels = rng.random((frames, 1, ACTIONS)) < 0.03
    keys = np.unique(index[detected]).tolist()
    return {
        "fid": np.arange(start, start + frames, dtype=np.float64).reshape(-1, 1, 1),
        "pose_shape": _of_detected(detected, rng.normal(size=(frames, 1, 229))),
        "3d_joints": _of_detected(detected, _joints(rng, frames)[:, None]),
        "camera": _of_detected(detected, rng.uniform(0, 1, (frames, 1, 3))),
        "camera_bbox": _of_detected(detected, rng.uniform(0, 1, (frames, 1, 3))),
        "action_label_gt": labels.astype(np.int64),
        "action_label_psudo": {key: rng.random((1, ACTIONS)) for key in keys},
        "has_gt": np.where(detected, rng.choice([1.0, 2.0], frames), 0).reshape(-1, 1, 1),
        "has_detection": detected.astype(np.float64).reshape(-1, 1, 1),
        "apperance_index": np.where(detected, index, -1).reshape(-1, 1, 1),
        "apperance_dict": {key: rng.normal(size=(1, _FEATURES)) for key in keys},
        "frame_name": [f"{start + frame + 1:06d}.jpg" for frame in range(frames)],
        "frame_size": [np.array(SIZE) * int(there) for there in detected],
        "frame_bbox": list(_of_detected(detected, rng.uniform(20, 200, (frames, 4)))),
        "frame_conf": [0.9 * float(there) for there in detected],
    }


def _of_detected(detected: npt.NDArray[np.bool_], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values * detected.reshape(-1, *[1] * (values.ndim - 1))


def _joints(rng: np.random.Generator, frames: int) -> npt.NDArray[np.float64]:
    """(T, 45, 3) m: the walking person's 32 joints, some of them again, and the row of zeros."""
    person = walking_person(frames, rng) / 1000
    return np.concatenate([person, person[:, :12], np.zeros((frames, 1, 3))], axis=1).astype(np.float64)


def _results(rng: np.random.Generator, frames: int) -> dict[str, Any]:
    """What PHALP says of a video with two tracks; the second begins later and is only predicted at times."""
    results = {}
    for time in range(frames):
        tracks = [1] if time < 3 else [1, 2]
        seen = [True] if time < 3 else [True, time not in (5, 6, frames - 1)]
        results[f"img/{time + 1:06d}.jpg"] = {
            "time": time,
            "tid": tracks,
            "tracked_time": [0 if there else 1 for there in seen],
            "bbox": [rng.uniform(20, 200, 4).astype(np.float32) for _ in tracks],
            "size": [list(SIZE) for _ in tracks],
            "conf": [np.float32(0.9) for _ in tracks],
            "smpl": [_smpl(rng) for _ in tracks],
            "camera": [rng.uniform(0, 50, 3).astype(np.float32) for _ in tracks],
            "camera_bbox": [rng.uniform(0, 1, 3).astype(np.float32) for _ in tracks],
            "3d_joints": [_joints(rng, 1)[0].astype(np.float32) for _ in tracks],
        }
    return results


def _smpl(rng: np.random.Generator) -> dict[str, npt.NDArray[np.float32]]:
    shapes = {"global_orient": (1, 3, 3), "body_pose": (23, 3, 3), "betas": (10,)}
    return {part: rng.normal(size=shape).astype(np.float32) for part, shape in shapes.items()}


def joblib_bytes(value: Any, *, aligned: bool = True) -> bytes:
    """``value`` as ``joblib.dump`` writes it: a pickle with the arrays' bytes in between, on multiples of 16 bytes.

    Args:
        value: dicts, lists, numbers, text and plain arrays.
        aligned: joblib leaves the padding out of compressed files.
    """
    out = io.BytesIO(b"\x80\x02")
    out.seek(0, io.SEEK_END)
    _append(value, out, aligned=aligned)
    return out.getvalue() + pickle.STOP


def _append(value: Any, out: io.BytesIO, *, aligned: bool) -> None:
    if isinstance(value, dict):
        out.write(pickle.EMPTY_DICT)
        for key, item in value.items():
            _append(key, out, aligned=aligned)
            _append(item, out, aligned=aligned)
            out.write(pickle.SETITEM)
    elif isinstance(value, list):
        out.write(pickle.EMPTY_LIST)
        for item in value:
            _append(item, out, aligned=aligned)
            out.write(pickle.APPEND)
    elif isinstance(value, np.ndarray):
        state = {
            "subclass": np.ndarray,
            "shape": value.shape,
            "order": "C",
            "dtype": value.dtype,
            "allow_mmap": aligned,
        }
        state["numpy_array_alignment_bytes"] = 16 if aligned else None
        out.write(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + pickle.dumps(state, 2)[2:-1] + pickle.BUILD)
        if aligned:
            padding = -(out.tell() + 1) % 16
            out.write(bytes([padding]) + b"\xff" * padding)
        out.write(value.tobytes())
    else:
        out.write(pickle.dumps(value, 2)[2:-1])
