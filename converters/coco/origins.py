"""What the place and the name of an annotation file tell: its split, its sequences' names, where its images are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .layout import Layout

SUFFIXES = (".json", ".json.gz", ".json.xz")
OFFICIAL = re.compile(r"person_keypoints_(train|val)(2014|2017)")
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "trainval": "trainval",
}
"""Words that name a split, as a folder or at the end of a file's name."""

ROBOFLOW = "_annotations.coco"
"""Roboflow's name of every annotation file; its images lie beside it."""

FOLDER = "annotations"
"""Where annotations usually are, beside the images' folders."""

_LAST = re.compile(rf"(?:(.*)[_\-. ])?({'|'.join(SPLITS)})((?:[_\-. ]v\d[\d.]*)?)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Origin:
    """Where an annotation file belongs.

    Attributes:
        label: the first part of its sequences' names, such as ``val2017``.
        split: such as ``2017/val``.
        source: the file, as a path under the raw root.
        base: the folder of its dataset, as a path under the raw root; empty if that is the raw root.
        media: the folder of its images below that; None where only the images' URLs tell.
        layout: of its joints.
    """

    label: str
    split: str
    source: str
    base: str
    media: str | None
    layout: Layout


def stem(path: Path) -> str:
    """A file's name without its extensions."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(suffix)]


def folders(raw: Path, path: Path) -> tuple[str, ...]:
    """The folders between the raw root and a file."""
    return path.relative_to(raw).parts[:-1] if raw.is_dir() else ()


def base(raw: Path, path: Path) -> tuple[str, ...]:
    """The folder of a file's dataset: without those of splits, and without ``annotations``."""
    found = [name for name in folders(raw, path) if name.lower() not in SPLITS]
    return tuple(found[:-1] if found and found[-1].lower() == FOLDER else found)


def origins(raw: Path, found: Mapping[Path, Layout]) -> list[Origin]:
    """What the names of the files tell, in their order; two have one label if nothing tells them apart."""
    times = Counter(stem(path) for path in found)
    return [_origin(raw, path, layout, alone=times[stem(path)] == 1) for path, layout in found.items()]


def _origin(raw: Path, path: Path, layout: Layout, *, alone: bool) -> Origin:
    name = stem(path)
    source = "/".join((*folders(raw, path), path.name))
    inside = "/".join(base(raw, path))
    official = OFFICIAL.fullmatch(name)
    if official:
        part, year = official.groups()
        return Origin(part + year, f"{year}/{part}", source, inside, part + year, layout)
    crowdpose = layout.joints is not None and layout.joints.name == "crowdpose14"
    media = "images" if crowdpose else None
    parts = "/".join(folder for folder in folders(raw, path) if folder.lower() in SPLITS)
    label = name
    if name == ROBOFLOW and parts:
        label, inside, media = parts, "/".join(folders(raw, path)), ""
    elif parts and not alone:
        label = f"{parts}/{name}"
    return Origin(label, _split(raw, path, name), source, inside, media, layout)


def _split(raw: Path, path: Path, name: str) -> str:
    """A folder below the raw root tells it, or else the file's last word, or the raw root's own name.

    The last two may contradict each other: ``annotations/val`` of a dataset of videos has ``000001_test.json``, and
    somebody's folder ``test`` may have ``crowdpose_train.json``. The folder ``annotations`` above tells which it is.
    """
    below = [SPLITS[folder.lower()] for folder in folders(raw, path) if folder.lower() in SPLITS]
    if below:
        return f"{FOLDER}/{below[-1]}"
    root = raw if raw.is_dir() else raw.parent
    around = SPLITS.get(root.name.lower())
    last = _LAST.fullmatch(name)
    word = SPLITS[last[2].lower()] if last else None
    if around and (word is None or root.parent.name.lower() == FOLDER):
        return f"{FOLDER}/{around}"
    if last is None or (around and around != word):
        return f"{name}/all"
    return f"{(last[1] or '') + last[3] or FOLDER}/{word}"
