"""MPII as HRNet, simple-baselines and MMPose read it: a json a set, and the truth of the validation set as .mat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from har_bench.arrays import Bools, Floats
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Exporter
from har_bench.files import whole, write_whole
from har_bench.schema import to_numpy
from har_bench.store import Store

SETS = {"train": "tompson/train", "valid": "tompson/valid", "test": "official/test"}
JOINTS = (
    *("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head"),
    *("rwri", "relb", "rsho", "lsho", "lelb", "lwri"),
)
"""The names of the joints in ``gt_valid.mat``, which HRNet's evaluation looks up."""


@dataclass
class HRNet(Exporter):
    """``annot/train.json``, ``valid.json`` in Tompson's order, ``test.json``, and ``annot/gt_valid.mat``.

    Pixels count from 1; a joint that is not annotated is (-1, -1), and ``joints_vis`` says whether it is, not whether
    it can be seen. Coordinates have all their digits, where the published files have some joints moved to 0.
    """

    summary = "HRNet's, simple-baselines' and MMPose's annot/{train,valid,test}.json and gt_valid.mat"
    loses = (
        "persons in none of these sets, or without scale or centre; whether a joint can be seen",
        "activities, videos, and everything of a person but joints, scale, centre and, in valid, the head box",
    )

    def select(self, store: Store) -> pa.Table:
        """The images of the sets."""
        wanted = [split for split in SETS.values() if split in store.manifest.splits]
        if not wanted:
            raise HarBenchError(f"{store.path} has none of the splits {', '.join(SETS.values())}; convert the RELEASE")
        inside = [not set(wanted).isdisjoint(splits or ()) for splits in store.sequences["splits"].to_pylist()]
        return store.sequences.filter(pa.array(inside))

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """A json for each set that the store has, and the .mat of the validation set."""
        counts = dict.fromkeys(sequences["sequence"].to_pylist(), 0)
        (out / "annot").mkdir()
        for name, split in SETS.items():
            poses = _persons(store, split) if split in store.manifest.splits else None
            if poses is None or not poses.num_rows:
                continue
            people = _rows(poses, bare=name == "test")
            text = b",\n ".join(map(msgspec.json.encode, people))
            write_whole(out / "annot" / f"{name}.json", b"[" + text + b"]\n")
            if name == "valid":
                self._truth(poses, out / "annot" / "gt_valid.mat")
            for sequence in poses["sequence"].to_pylist():
                counts[sequence] += 1
        for count in counts.values():
            done(count)

    def _truth(self, poses: pa.Table, path: Path) -> None:
        """The validation set's joints and head boxes, if all persons have one."""
        from scipy.io import savemat

        boxes = _column(poses, "head_box")
        if not np.isfinite(boxes).all():
            self.notes = ("gt_valid.mat was not written, as the head boxes of some persons are not known",)
            return
        points, annotated = _places(poses)
        content = {
            "dataset_joints": np.array([[np.array([name])] for name in JOINTS], object).reshape(1, -1),
            "jnt_missing": (~annotated).T.astype(np.uint8),
            "pos_gt_src": points.transpose(1, 2, 0),
            "headboxes_src": (boxes + 1).reshape(-1, 2, 2).transpose(1, 2, 0),
        }
        with whole(path) as temporary:
            savemat(temporary, content, do_compression=True, appendmat=False)


def _persons(store: Store, split: str) -> pa.Table:
    """The persons of a set, with a scale and a centre, in its published order where it has one."""
    columns = ["sequence", "person", "keypoints", "visibility", "scale", "objpos", "head_box", "tompson_row"]
    poses = store.poses(split, columns)
    known = np.isfinite(_column(poses, "scale").astype(float)) & np.isfinite(_column(poses, "objpos")).all(axis=1)
    poses = poses.filter(pa.array(known))
    return poses.sort_by("tompson_row") if split == SETS["valid"] else poses


def _column(poses: pa.Table, name: str) -> Any:
    return to_numpy(poses[name], poses.schema.field(name))


def _places(poses: pa.Table) -> tuple[Floats, Bools]:
    """(N, 16, 2) joints counted from 1, -1 where they are not annotated, and (N, 16) whether they are."""
    points = _column(poses, "keypoints").astype(np.float64)
    annotated: Bools = (_column(poses, "visibility") > 0) & np.isfinite(points).all(axis=-1)
    return np.where(annotated[..., None], points + 1, -1), annotated


def _rows(poses: pa.Table, *, bare: bool) -> list[dict[str, Any]]:
    """The persons as the json has them; those of the test set are ``bare`` of joints, which MPII withholds."""
    points, annotated = _places(poses)
    values = zip(
        poses["sequence"].to_pylist(),
        _column(poses, "scale").tolist(),
        (_column(poses, "objpos").astype(np.float64) + 1).tolist(),
        points.tolist(),
        annotated.astype(int).tolist(),
        strict=True,
    )
    found = []
    for image, scale, centre, joints, flags in values:
        joined = {} if bare else {"joints_vis": flags, "joints": joints}
        found.append({**joined, "image": image, "scale": scale, "center": centre})
    return found
