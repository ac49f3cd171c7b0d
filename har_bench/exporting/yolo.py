"""YOLO's pose labels, of any store with joints in pictures whose sizes are known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from har_bench.arrays import Floats
from har_bench.errors import HarBenchError
from har_bench.exporting.contract import Done, Exporter
from har_bench.exporting.pictures import boxes, chosen_splits, column, picture, refuse_flat
from har_bench.files import put, write_whole
from har_bench.options import option
from har_bench.schema import to_numpy
from har_bench.storing.rows import containing

if TYPE_CHECKING:
    from har_bench.store import Store

ROLES = {"train": "train", "val": "val", "valid": "val", "validate": "val", "test": "test"}
"""What YOLO calls the parts of a dataset, by the last word of a split's name."""


@dataclass
class YOLOPose(Exporter):
    """``data.yaml``, a list of pictures a split, and ``labels/PICTURE.txt`` with a line a person.

    A line is the class 0, the box's middle and size, and x, y, v of every joint, in shares of width and height. What is
    outside the picture is cut off, or absent. The pictures go to ``images/``, such as by a link to the raw folder.
    """

    summary = "YOLO's pose labels with data.yaml, for ultralytics"
    loses: ClassVar[tuple[str, ...]] = (
        "crowds, persons without a box, joints outside the picture, joints in space",
        "which person is which",
    )

    splits: tuple[str, ...] = option((), "only these, such as standard/train; of the family of most splits by default")
    every: int = option(1, "of films one frame in so many, from frame 0", least=1)

    def select(self, store: Store) -> pa.Table:
        """The sequences of the splits."""
        refuse_flat(store, "YOLO's pose labels")
        chosen = pa.concat_tables(store.select(split) for split in self._roles(store))
        if chosen["width"].null_count or chosen["height"].null_count:
            row = chosen["width"].is_null().index(True).as_py()
            raise HarBenchError(
                f"{store.path} does not know how large {chosen['sequence'][max(row, 0)]} is, and YOLO counts in shares "
                "of that; export coco, whose pixels are plain"
            )
        return chosen

    def _roles(self, store: Store) -> dict[str, str]:
        """What YOLO calls each split.

        Raises:
            HarBenchError: two would be called the same.
        """
        names = chosen_splits(store, self.splits)
        if not self.splits:
            families = [name.rpartition("/")[0] for name in names]
            names = [name for name, family in zip(names, families, strict=True) if family == _fullest(families)]
        found = {name: ROLES.get(name.rpartition("/")[2], name.rpartition("/")[2]) for name in names}
        for name, role in found.items():
            twin = next((other for other in found if other != name and found[other] == role), None)
            if twin:
                raise HarBenchError(f"{name} and {twin} would both be YOLO's {role}; choose with splits={name}")
        return found

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """The labels, the lists and ``data.yaml``."""
        del sequences
        wanted = ("frame", "bbox", "keypoints", "visibility", "iscrowd", "splits")
        columns = [name for name in wanted if name in store.schema("poses").names]
        roles = self._roles(store)
        for split, role in roles.items():
            pictures: list[str] = []
            for view in store.each(store.select(split), columns):
                row, count = view.info, 0
                poses = view.poses
                if "splits" in columns:  # which are of persons
                    poses = poses.filter(containing(poses["splits"], {split}))
                for frame, lines in self._frames(poses, row):
                    name = picture(row, frame)
                    place = out / "labels" / PurePosixPath(name).with_suffix(".txt")
                    place.parent.mkdir(parents=True, exist_ok=True)
                    put(place, "".join(f"{line}\n" for line in lines).encode())
                    pictures.append(f"./images/{name}\n")
                    count += len(lines)
                done(count)
            write_whole(out / f"{role}.txt", "".join(pictures).encode())
        found = store.skeleton()
        lists = {role: f"{role}.txt" for role in roles.values()}
        lists.setdefault("val", lists.get("test") or next(iter(lists.values())))  # without one YOLO does not begin
        lines = [
            *(f"{role}: {name}" for role, name in lists.items()),
            f"kpt_shape: [{len(found)}, 3]",
            f"flip_idx: {found.flip.tolist()}",
            "names: {0: person}",
            f"kpt_names: {{0: {json.dumps(found.joints)}}}",
        ]
        write_whole(out / "data.yaml", "".join(f"{line}\n" for line in lines).encode())

    def _frames(self, poses: pa.Table, row: dict[str, Any]) -> Iterator[tuple[int, list[str]]]:
        """Every picture of a sequence, with its lines."""
        size = np.array([row["width"], row["height"]], np.float64)
        crowd = column(poses, "iscrowd")
        if crowd is not None:
            poses = poses.filter(pa.array(crowd == 0))
        points, flags = (to_numpy(poses[name], poses.schema.field(name)) for name in ("keypoints", "visibility"))
        lines = _lines(points.astype(np.float64) / size, flags, boxes(poses, points) / np.tile(size, 2))
        found: dict[int, list[str]] = {0: []} if row["n_frames"] == 1 else {}
        for frame, line in zip(poses["frame"].to_pylist(), lines, strict=True):
            if frame % self.every == 0:
                found.setdefault(frame, []).extend([line] if line else [])
        yield from sorted(found.items())


def _fullest(families: Sequence[str]) -> str:
    """The family of most splits, the first of several."""
    return max(families, key=families.count)


def _lines(points: Floats, flags: Any, box: Floats) -> list[str | None]:
    """Lines of N persons, of (N, J, 2) joints and (N, 4) boxes x, y, w, h in shares; None without a box inside."""
    low, high = np.clip(box[:, :2], 0, 1), np.clip(box[:, :2] + box[:, 2:], 0, 1)
    there = (flags > 0) & (points >= 0).all(axis=-1) & (points <= 1).all(axis=-1)
    values = np.where(there[..., None], points, 0)
    found: list[str | None] = []
    for person in range(len(points)):
        if not (high[person] > low[person]).all():
            found.append(None)
            continue
        corners = [*(low[person] + high[person]) / 2, *(high[person] - low[person])]
        joints = [
            f"{x:.6f} {y:.6f} {flag}"
            for (x, y), flag in zip(values[person], flags[person] * there[person], strict=True)
        ]
        found.append(" ".join(["0", *(f"{value:.6f}" for value in corners), *joints]))
    return found
