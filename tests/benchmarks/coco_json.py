"""Annotation files as large as COCO's, of which only the numbers are made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from har_bench.skeletons import skeleton

SIZES = {"train2017": (118_287, 262_465), "val2017": (5_000, 11_004), "train2014": (82_783, 185_316)}
SIZES |= {"val2014": (40_504, 88_153)}
"""Images and persons of the official files."""

VERTICES = 44, 112
"""Numbers in a polygon: with so many, train2017 has 240 MB."""


def write(folder: Path, name: str, scale: int = 1) -> Path:
    """Write ``person_keypoints_NAME.json``, or one that is so many times smaller."""
    images, persons = SIZES[name]
    seed = list(SIZES).index(name)
    random = np.random.default_rng(seed)
    templates = [annotation(random) for _ in range(2000)]
    ids = (random.permutation(np.arange(images // scale) * 4 + 9) + 1_000_000 * seed).tolist()
    owners = random.choice(ids, persons // scale).tolist()
    people = ",".join(templates[at % 2000] % (owner, 183_126 + at) for at, owner in enumerate(owners))
    category = {"id": 1, "name": "person", "keypoints": skeleton("coco17").joints, "skeleton": []}
    path = folder / f"person_keypoints_{name}.json"
    path.write_text(
        f'{{"images": [{",".join(map(image, ids))}],"annotations": [{people}],"categories": [{json.dumps(category)}]}}'
    )
    return path


def annotation(random: np.random.Generator) -> str:
    """One annotation; its id and its image are still ``%d``."""
    v = random.choice([0, 1, 2], (17, 1), p=[0.36, 0.08, 0.56]) * (random.random() < 0.57)
    joints = np.where(v > 0, np.concatenate([random.integers(0, 640, (17, 2)), v], axis=1), 0)
    polygon = random.uniform(0, 640, 2 * random.integers(VERTICES[0] // 2, VERTICES[1] // 2)).round(2)
    record = {
        "segmentation": [polygon.tolist()],
        "num_keypoints": int((v > 0).sum()),
        "area": round(random.uniform(500, 90_000), 5),
        "iscrowd": 0,
        "keypoints": joints.ravel().tolist(),
        "image_id": -1,
        "bbox": random.uniform(0, 400, 4).round(2).tolist(),
        "category_id": 1,
        "id": -2,
    }
    text = json.dumps(record, separators=(",", ": "))
    return text.replace('"image_id": -1', '"image_id": %d').replace('"id": -2', '"id": %d')


def image(number: int) -> str:
    name = f"{number:012d}.jpg"
    record = {
        "license": 3,
        "file_name": name,
        "coco_url": f"http://images.cocodataset.org/train2017/{name}",
        "height": 360,
        "width": 640,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm9.staticflickr.com/8186/{number}_4e622c8349_z.jpg",
        "id": number,
    }
    return json.dumps(record, separators=(",", ": "))
