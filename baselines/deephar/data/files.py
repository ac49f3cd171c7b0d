"""The original's own annotation files and picture folders, as it converted MPII, Human3.6M, Penn Action and NTU RGB+D.

* ``MPII``: ``annotations.mat``, ``images/NAME``;
* ``Human3.6M``: ``annotations.mat``, ``images/aAA_sSS_eEE_cCC/FRAME.jpg``;
* ``PennAction``: ``annotations.mat``, ``frames/SEQUENCE/FRAME.jpg``;
* ``NTU``: ``nturgb+d_numpy/NAME.npy``, ``images-small/NAME/FRAME.jpg`` of half the size.

Frames count from 1 in their names. Joints come in the order of the networks: pa16, pa17 or pa20.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from har_bench.arrays import Anything, Floats
from har_bench.cameras import Camera
from har_bench.errors import HarBenchError, unknown
from har_bench.foreign import json_file, npy
from har_bench.foreign.mat import load_mat
from har_bench.skeletons import mapping, skeleton

from .boxes import Rule, of_joints, of_picture, of_root, of_scale
from .cameras import camera, projected
from .samples import Sample

Part = Literal["test", "train", "valid"]
Where = Literal["joints", "picture", "file"]
"""What is looked at: around the true joints, about the whole picture, or the boxes of a file."""

ANNOTATIONS = "annotations.mat"
Boxes = Mapping[str, list[float]]

DATASETS = ("mpii", "h36m", "penn_action", "ntu")
"""As recipes call them."""

PARTS: Mapping[Part, str] = {"test": "te", "train": "tr", "valid": "val"}
BOXED: Mapping[Part, int] = {"test": 0, "train": 1, "valid": 2}
"""Where the boxes of a part stand in a file of predicted ones."""

HEAD = 0.6
"""Of the head box's diagonal: the head size by which MPII counts hits."""
PENN_FIRST = 3
"""Of pa16, the joint that is Penn Action's first; it lacks those before."""
NTU_SIZE = (960, 540)
"""Pixels of the pictures of half the size."""
CROSS_SUBJECT = frozenset({1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38})
CROSS_VIEW = frozenset({2, 3})
"""The persons and the cameras whose sequences are trained on."""


def mpii(folder: Path, part: Part) -> Iterator[tuple[Sample, float]]:
    """MPII's persons and their head sizes [px], in pa16."""
    order = [sources[0] for sources in mapping(skeleton("mpii16"), skeleton("mpii-pa16")).sources]
    for chosen, name, persons in _variable(folder, f"annot_{PARTS[part]}").T:
        for rect in chosen.ravel():
            of = _fields(persons.ravel()[int(rect) - 1])
            x1, y1, x2, y2 = of["head"].ravel()
            x, y = of["objpos"].ravel().tolist()
            rule = partial(of_scale, (x, y), float(of["scale"].item()))
            points = np.asarray(of["pose"], np.float64).T[order][None]
            yield (
                Sample((folder / "images" / str(name.item()),), points, rule),
                HEAD * float(np.hypot(x2 - x1, y2 - y1)),
            )


def h36m(folder: Path, part: Part) -> Iterator[tuple[Sample, Floats, Camera]]:
    """Human3.6M's sequences, their (T, 17, 3) poses in the world [mm] and their cameras, in pa17.

    A sample's class is its action's number in its name less one.
    """
    order = [sources[0] for sources in mapping(skeleton("h36m32"), skeleton("h36m-pa17")).sources]
    for sequence in map(_fields, _variable(folder, f"sequences_{PARTS[part]}").ravel()):
        name = str(sequence["name"].item())
        seen = _fields(sequence["camera_parameters"])
        of = camera(np.concatenate([seen[each].ravel() for each in ("R", "T", "f", "c", "p", "k")]))
        frames = [_fields(frame) for frame in sequence["frames"].ravel()]
        world = np.stack([np.asarray(frame["pose3d"], np.float64).T[order] for frame in frames])
        size = int(frames[0]["w"].item()), int(frames[0]["h"].item())
        pictures = tuple(folder / "images" / name / f"{int(frame['f'].item()):05d}.jpg" for frame in frames)
        rule = partial(of_root, size, (float(of.f[0]), float(of.f[1])))
        yield Sample(pictures, projected(of, world), rule, int(name[1:3]) - 1), world, of


def penn(folder: Path, part: Part, where: Where = "joints", predicted: Path | None = None) -> Iterator[Sample]:
    """Penn Action's sequences in pa16.

    Args:
        folder: the dataset's.
        part: test or train.
        where: what is looked at.
        predicted: the file of boxes: a list of test, train and valid, each of x1, y1, x2, y2 by
            ``SEQUENCE.FRAME``, both counted from 0.
    """
    found: Boxes = boxes_of(predicted, part) if predicted else {}
    for number, sequence in enumerate(map(_fields, _variable(folder, f"sequences_{PARTS[part]}").ravel())):
        frames = [_fields(frame) for frame in sequence["frames"].ravel()]
        points = np.full((len(frames), 16, 2), np.nan)
        points[:, PENN_FIRST:] = [np.asarray(frame["pose"], np.float64).T for frame in frames]
        seen = np.array([frame["visible"].ravel() for frame in frames]) > 0
        points[:, PENN_FIRST:][~seen | (points[:, PENN_FIRST:] == 0).any(axis=-1)] = np.nan
        index = f"{int(sequence['idx'].item()):04d}"
        pictures = tuple(folder / "frames" / index / f"{int(frame['f'].item()):06d}.jpg" for frame in frames)
        size = int(frames[0]["w"].item()), int(frames[0]["h"].item())
        given = [found.get(f"{number}.{frame}", [np.nan] * 4) for frame in range(len(frames))]
        corners = np.array(given, np.float64).reshape(-1, 2, 2)
        boxes = np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1) if where == "file" else None
        yield Sample(pictures, points, _rule(where, size), int(sequence["action_id"].item()) - 1, boxes)


def ntu(folder: Path, part: Part, where: Where = "joints", *, joints: int = 20, by_view: bool = False) -> list[Sample]:
    """NTU RGB+D's sequences in pa17 or pa20, every second frame of them, with depths in the third dimension.

    Args:
        folder: the dataset's.
        part: test or train.
        where: what is looked at.
        joints: 17 or 20.
        by_view: split by cameras and not by persons.
    """
    order = [sources[0] for sources in mapping(skeleton("ntu25"), skeleton(f"ntu-pa{joints}")).sources]
    made = []
    for path in sorted((folder / "nturgb+d_numpy").glob("S*.npy")):
        camera_number, person, action = (int(path.stem[place : place + 3]) for place in (5, 9, 17))
        trained = camera_number in CROSS_VIEW if by_view else person in CROSS_SUBJECT
        if trained == (part == "train"):
            rows = npy.load(path)[::2]
            points = rows[:, 76:151].reshape(len(rows), 3, -1).swapaxes(1, 2)[:, order] * [0.5, 0.5, 1]
            points[(points <= 0).any(axis=-1)] = np.nan
            pictures = (folder / "images-small" / path.stem / f"{int(frame):05d}.jpg" for frame in rows[:, 0])
            made.append(Sample(tuple(pictures), points, _rule(where, NTU_SIZE), action - 1))
    return made


def people(dataset: str, folder: Path, part: Part, joints: int) -> list[Sample]:
    """Everybody in a part of one of :data:`DATASETS`, for a network of so many joints.

    Raises:
        HarBenchError: the files are damaged or missing.
    """
    if dataset == "mpii":
        return [sample for sample, _ in mpii(folder, part)]
    if dataset == "h36m":
        return [sample for sample, _, _ in h36m(folder, part)]
    return list(penn(folder, part)) if dataset == "penn_action" else ntu(folder, part, joints=max(joints, 17))


def boxes_of(path: Path, part: Part) -> Boxes:
    """The predicted boxes of a part, x1, y1, x2, y2 by ``SEQUENCE.FRAME``.

    Raises:
        HarBenchError: the file holds no list of them.
    """
    found: list[Boxes] = json_file.read(path, list[dict[str, list[float]]])
    if len(found) <= BOXED[part]:
        raise HarBenchError(f"{path} holds boxes of {len(found)} parts and none of {part}; predict them again")
    return found[BOXED[part]]


def _rule(where: Where, size: tuple[int, int]) -> Rule:
    return partial(of_picture, size) if where == "picture" else of_joints


def _variable(folder: Path, name: str) -> Anything:
    path = folder / ANNOTATIONS
    found = load_mat(path)
    if name not in found:
        raise unknown(f"part of {path}", name, found)
    variable: Anything = found[name]
    return variable


def _fields(struct: Anything) -> dict[str, Anything]:
    """The fields of a struct of one element, however it is wrapped."""
    record = np.asarray(struct).ravel()[0]
    return {name: np.asarray(record[name]) for name in record.dtype.names}
