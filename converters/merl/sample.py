"""A small synthetic MERL Shopping: labels of six videos, a list of frames, a pose pickle and two action lists."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import scipy.io

from har_bench.samples import walking_person
from har_bench.skeletons import skeleton

from .clips import JOINTS, OCCLUDED, UNLABELLED, VISIBLE
from .labels import BACKGROUND

VIDEOS = ("1_1", "1_2", "5_3", "17_2", "21_1", "33_1")
WIDTH, HEIGHT = 920, 680
POSE_PICKLE, TRAIN_LIST, TEST_LIST = "prepare_train_merl.pkl", "train_2.json", "test_2.json"

_FIRST_THUMB = 4
_JOINTS = {"nose": "neck", **dict.fromkeys(("left_eye", "right_eye", "left_ear", "right_ear"), "head")}


def write_sample(out: Path, seed: int) -> None:
    """Write the layout of the download, and files of clips beside it; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    cells = {video: intervals(random) for video in VIDEOS}
    cells["5_3"][2] = np.zeros((0, 0), np.uint8)  # no instance: neither uint16 nor of two columns
    for video, each in cells.items():
        write_labels(out / "Labels_MERL_Shopping_Dataset" / f"{video}_label.mat", each)
    write_frames(out / "Results" / "frame_names.txt", {"33_1": cells["33_1"]})
    first, last = cells["17_2"][1][0].tolist()
    clip = f"17_2_crop_{first}_{last}_RetractFromShelf"
    (out / POSE_PICKLE).write_bytes(pickle.dumps([pose(clip, number, random) for number in range(1, 7)], protocol=4))
    first, last = cells["33_1"][3][0].tolist()
    clip = f"33_1_crop_{first}_{last}_InspectProduct"
    box = [200.0, 100.0, 500.5, 640.0]
    nearer = [box, [10.0, 20.0, 60.0, 90.0]]
    shares = (np.array(box) / [WIDTH, HEIGHT, WIDTH, HEIGHT]).tolist()
    write_actions(out / TRAIN_LIST, f"LookatShelf_{clip}", [box, [], nearer])
    write_actions(out / TEST_LIST, f"GlanceatShelf_{clip}", [shares, box])


def intervals(random: np.random.Generator) -> list[npt.NDArray[Any]]:
    """Five cells of [first, last] frames; two runs one after the other, so in no order of time."""
    starts = np.sort(random.choice(np.arange(8, 280), 6, replace=False)) * 10
    reach = np.stack([starts, starts + random.integers(15, 40, 6)], axis=1)[[0, 2, 4, 1, 3, 5]]
    reach[5, 1] = reach[5, 0]  # of one frame
    retract = np.stack([reach[:, 1], reach[:, 1] + 30], axis=1)  # each shares a frame with the reach before it
    others = [reach[:3] + np.array([2000, 2010]) + 60 * number for number in range(3)]
    return [np.asarray(cell, np.uint16) for cell in (reach, retract, *others)]


def write_labels(path: Path, cells: Sequence[npt.NDArray[Any]]) -> None:
    """Write ``tlabs`` as MATLAB would, without the time of writing that SciPy puts into its header."""
    tlabs = np.empty((len(cells), 1), object)
    for index, cell in enumerate(cells):
        tlabs[index, 0] = cell
    file = io.BytesIO()
    scipy.io.savemat(file, {"tlabs": tlabs}, do_compression=True)  # type: ignore[arg-type] # the stubs know no files
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"MATLAB 5.0 MAT-file, synthetic sample of har_bench".ljust(116) + file.getvalue()[116:])


def write_frames(path: Path, videos: dict[str, list[npt.NDArray[Any]]]) -> None:
    """Write the list of frames at 15 fps; each video begins at thumb 4 and has a multiple of 6 rows."""
    lines = []
    for video, cells in videos.items():
        rows = 6 * (int(max(cell.max(initial=0) for cell in cells)) // 12)
        labels = np.full(rows, BACKGROUND)
        thumbs = np.arange(_FIRST_THUMB, _FIRST_THUMB + rows)
        for number, cell in enumerate(cells):
            for first, last in cell.tolist():
                labels[(2 * thumbs >= first) & (2 * thumbs <= last)] = number
        lines += [f"{video}_crop/thumb-{thumb:03d}_2.jpg {label}" for thumb, label in zip(thumbs, labels, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "ascii", newline="\n")


def pose(clip: str, number: int, random: np.random.Generator) -> dict[str, Any]:
    """One record of a pose pickle: the upper body of a person, some joints occluded or not labelled."""
    bones = skeleton("h36m32")
    body = walking_person(1, random)[0, [bones.index(_JOINTS.get(each, each)) for each in skeleton("coco17").joints]]
    points = np.stack([WIDTH / 2 + body[:, 0] / 5, HEIGHT - 100 - body[:, 2] / 4], axis=-1).astype(float)
    flags = random.choice([VISIBLE, OCCLUDED, UNLABELLED], JOINTS, p=[0.6, 0.2, 0.2])
    flags[:2] = OCCLUDED, UNLABELLED
    flags[13:] = UNLABELLED
    points_and_flags = zip(points.tolist(), flags.tolist(), strict=True)
    keypoints = [[0.0, 0.0, flag] if flag == UNLABELLED else [*point, flag] for point, flag in points_and_flags]
    low, high = points.min(axis=0), points.max(axis=0)
    return {
        "img_paths": f"{clip}-{number:04d}.jpg",
        "img_width": WIDTH,
        "img_height": HEIGHT,
        "objpos": ((low + high) / 2).tolist(),
        "image_id": number,
        "bbox": [*low.tolist(), *(high - low).tolist()],
        "segment_area": float(np.prod(high - low)),
        "scale_provided": float((high - low)[1] / 368),
        "num_keypoints": 24,  # as in the real files, whatever is labelled
        "segmentations": [],
        "keypoints": keypoints,
        "processed_other_annotations": [],
    }


def write_actions(path: Path, clip: str, boxes: Sequence[Sequence[Any]]) -> None:
    """Write an action list: one image per entry of ``boxes``, whose spelling of the action is that of the clip."""
    records = [
        {
            "action": clip.split("_")[0],
            "keypoints": [],
            "id": clip,
            "image": {"url": f"images/{clip}/{n}.jpg", "file_name": f"{n}.jpg", "width": WIDTH, "height": HEIGHT},
            "person_bbox": list(box),
        }
        for n, box in enumerate(boxes, start=1)
    ]
    path.write_bytes(msgspec.json.encode(records))
