"""The original's files of predicted boxes, as boxes of a store of Penn Action.

Two kinds were published. ``penn_pred_bboxes_multitask.json`` is a list of test, train and valid, each of x1, y1, x2, y2
by ``SEQUENCE.FRAME``; ``penn_pred_bboxes_16f.json`` has one box for a clip, by ``SEQUENCE.STEP.CLIP.MIRRORED``, of the
test sequences. Sequences are counted from 0 in the order of their names, or named, where there are not as many; clips
one after the other. A clip's mirror image is looked at in the mirror image of its own box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from har_bench.arrays import Floats, Ints
from har_bench.errors import HarBenchError
from har_bench.foreign import json_file
from har_bench.media.boxes import BoxFile
from har_bench.store import Store

from .clips import apart
from .files import BOXED, Part

DATASET = "penn_action"
SPLITS: Mapping[Part, str] = {"test": "standard/test", "train": "standard/train"}

_KEY = re.compile(r"\d+\.\d+(\.\d+\.[01])?")


class PredictedBoxes(BoxFile):
    """Boxes of somebody's detector, or of the original's files; those of its clips are for clips alone."""

    def __init__(self, path: Path, store: Store) -> None:
        self._clips: dict[tuple[str, int, int], Floats] = {}
        super().__init__(path, store)

    def read_json(self, store: Store) -> None:
        """Take the original's file if it is one.

        Raises:
            HarBenchError: as for any file of boxes; or it is the original's, and of other sequences than the store's.
        """
        parts = _parts(json_file.read(self.path, what="a list of detections"))
        if parts is None:
            super().read_json(store)
            return
        if store.dataset != DATASET:
            raise HarBenchError(
                f"{self.path} has deephar's boxes of {DATASET}, and the store is of {store.dataset}; "
                "give its boxes in our columns"
            )
        for part, split in SPLITS.items():
            if BOXED[part] < len(parts) and split in store.manifest.splits:
                self._take(parts[BOXED[part]], sorted(store.select(split)["sequence"].to_pylist()), split)

    def __len__(self) -> int:
        return super().__len__() + len(self._clips)

    def of_frames(self, sequence: str, frames: Ints) -> Floats:
        """Of a clip its own box, if the file has boxes of clips."""
        step = int(frames[1] - frames[0]) if len(frames) > 1 else 1
        number, within = divmod(int(frames[0]), apart(len(frames), step)) if step else (0, 1)
        own = None if within else self._clips.get((sequence, step, number))
        return super().of_frames(sequence, frames) if own is None else own[None]

    def _take(self, part: Mapping[str, list[float]], names: list[str], split: str) -> None:
        keys = {key: key.split(".") for key in part}
        last = max((int(number) for number, *_ in keys.values()), default=0)
        if last >= len(names) and not {number for number, *_ in keys.values()} <= set(names):
            raise HarBenchError(
                f"{self.path} has boxes of sequence {last}, and {split} has {len(names)} sequences; convert all of them"
            )
        for key, (number, second, *clip) in keys.items():
            name = names[int(number)] if last < len(names) else number
            x1, y1, x2, y2 = part[key]
            box = np.array([x1, y1, x2 - x1, y2 - y1], np.float64)
            if not clip:
                self.add(name, int(second), 1.0, box)
            elif clip[1] == "0":
                self._clips[name, int(second), int(clip[0])] = box


def _parts(found: Any) -> list[dict[str, list[float]]] | None:
    """The parts of an original's file; None of another one."""
    parts = found if isinstance(found, list) else [found]
    for part in parts:
        if not isinstance(part, dict) or not all(map(_KEY.fullmatch, part)):
            return None
        if not all(isinstance(box, list) and len(box) == 4 for box in part.values()):
            return None
    return parts if any(parts) else None
