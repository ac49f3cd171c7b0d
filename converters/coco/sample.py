"""Small synthetic annotation files in the layout of COCO's official ones, with their quirks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from har_bench.samples import walking_person
from har_bench.skeletons import skeleton

SIZE = (640, 480)
SPLITS = {"train2017": (12, 9), "val2017": (6, 139)}
"""Number of images of each file, and the first one's id."""

SOURCES = {
    "nose": "head", "left_eye": "head", "right_eye": "head", "left_ear": "neck", "right_ear": "neck",
    **{f"{side}_{joint}": f"{side}_{joint}" for side in ("left", "right")
       for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")},
}  # fmt: skip
"""For each joint, the one of Human3.6M that is nearest."""

EDGES = [
    *[(16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)],
    *[(8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)],
]
"""The official skeleton, 1-based."""

LICENSES = [
    {
        "url": "http://creativecommons.org/licenses/by-nc-sa/2.0/",
        "id": 1,
        "name": "Attribution-NonCommercial-ShareAlike",
    },
    {"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"},
]

Random = np.random.Generator


def write_sample(out: Path, seed: int) -> None:
    """Write ``annotations/person_keypoints_{train,val}2017.json``; the same seed gives the same bytes."""
    random = np.random.default_rng(seed)
    folder = out / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    for split, (images, first) in SPLITS.items():
        text = json.dumps(_file(random, split, images, first), separators=(",", ": "))
        (folder / f"person_keypoints_{split}.json").write_text(text, "utf-8", newline="\n")


def _file(random: Random, split: str, count: int, first: int) -> dict[str, Any]:
    """One annotation file: images and annotations in no order, some images without anybody."""
    numbers = random.permutation(first + 17 * np.arange(count)).tolist()
    people = []
    for place, number in enumerate(numbers):
        people += [_person(random, number) for _ in range(place % 4)]
        if place % 4 == 3:
            people += [_unlabelled(random, number), _crowd(random, number)]
    ids = random.permutation(183_000 + 7 * np.arange(len(people))).tolist()
    annotations = [
        {**person, "id": 900_100_000_000 + person["image_id"] if person["iscrowd"] else number}
        for person, number in zip((people[at] for at in random.permutation(len(people))), ids, strict=True)
    ]
    return {
        "info": {
            "description": "synthetic sample of har_bench in the layout of COCO 2017",
            "url": "http://cocodataset.org",
            "version": "1.0",
            "year": 2017,
        },
        "licenses": LICENSES,
        "images": [_image(split, number, LICENSES[number % 2]["id"]) for number in numbers],
        "annotations": annotations,
        "categories": [
            {
                "supercategory": "person",
                "id": 1,
                "name": "person",
                "keypoints": list(skeleton("coco17").joints),
                "skeleton": EDGES,
            }
        ],
    }


def _image(split: str, number: int, licence: Any) -> dict[str, Any]:
    name = f"{number:012d}.jpg"
    return {
        "license": licence,
        "file_name": name,
        "coco_url": f"http://images.cocodataset.org/{split}/{name}",
        "height": SIZE[1],
        "width": SIZE[0],
        "date_captured": "2013-11-14 17:02:52",
        "flickr_url": f"http://farm1.staticflickr.com/1/{number}_z.jpg",
        "id": number,
    }


def _person(random: Random, image: int) -> dict[str, Any]:
    """Somebody who walks through the picture; about every fourth joint is occluded or unlabelled."""
    body = walking_person(1, random)[0]
    bones, height = skeleton("h36m32"), random.uniform(120, 380)
    points = body[[bones.index(SOURCES[joint]) for joint in skeleton("coco17").joints]][:, [0, 2]]
    points = (points - points.min(axis=0)) * [1, -1] * height / 1700
    points = np.rint(points + random.uniform((20, 440), (SIZE[0] - 200, 470)) + random.integers(-2, 3, (17, 2)))
    points = points.clip(0, (SIZE[0] - 1, SIZE[1] - 1))
    v = random.choice([0, 1, 2], 17, p=[0.15, 0.15, 0.7])
    v[0] = 2
    joints = np.where(v[:, None] > 0, np.column_stack([points, v]), 0).astype(int)
    corners = np.concatenate([points.min(axis=0) - random.uniform(2, 8, 2), points.max(axis=0) + 5.25])
    return _annotation(image, corners, joints)


def _unlabelled(random: Random, image: int) -> dict[str, Any]:
    """Somebody too small for joints: all of them are 0."""
    corner = random.uniform((0, 0), (600, 440))
    return _annotation(image, np.concatenate([corner, corner + random.uniform(4, 30, 2)]), np.zeros((17, 3), int))


def _annotation(image: int, corners: npt.NDArray[np.float64], joints: npt.NDArray[np.int_]) -> dict[str, Any]:
    """An annotation whose segmentation is the diamond in its box, in the official order of keys, but for ``id``."""
    left, top, right, bottom = np.round(corners, 2).tolist()
    x, y = round((left + right) / 2, 2), round((top + bottom) / 2, 2)
    return {
        "segmentation": [[left, y, x, top, right, y, x, bottom]],
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "area": round((right - left) * (bottom - top) / 2, 5),
        "iscrowd": 0,
        "keypoints": joints.ravel().tolist(),
        "image_id": image,
        "bbox": [left, top, round(right - left, 2), round(bottom - top, 2)],
        "category_id": 1,
    }


def _crowd(random: Random, image: int) -> dict[str, Any]:
    """A group: its segmentation is run-length encoded by columns, its area a whole number."""
    left, top, width, height = random.integers((100, 100, 20, 20), (200, 200, 60, 60)).tolist()
    runs = [left * SIZE[1] + top, *[height, SIZE[1] - height] * (width - 1), height]
    return {
        "segmentation": {"counts": [*runs, SIZE[0] * SIZE[1] - sum(runs)], "size": [SIZE[1], SIZE[0]]},
        "num_keypoints": 0,
        "area": width * height,
        "iscrowd": 1,
        "keypoints": [0] * 51,
        "image_id": image,
        "bbox": [left, top, width, height],
        "category_id": 1,
    }
