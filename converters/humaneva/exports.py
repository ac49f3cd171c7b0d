"""HumanEva as VideoPose3D reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from har_bench.arrays import Singles
from har_bench.errors import HarBenchError
from har_bench.exporting import Done, Exporter
from har_bench.foreign.writing import write_npz
from har_bench.skeletons import mapping, skeleton
from har_bench.store import Store

from .archives import PIXELS, POSES
from .calibration import COLOUR

_LAYOUT = "humaneva15"


@dataclass
class VideoPose3D(Exporter):
    """``positions_3d``: ``Train/S1``, ``Walking 1 chunk0``, (T, 15, 3) m in the world; pixels of the colour cameras."""

    summary = f"VideoPose3D's {POSES} and {PIXELS}, for its run.py with -d humaneva15 -k gt"
    loses = (
        "the black and white cameras, trial 3, which was never filmed, and partitions without poses",
        "of 20 points, all but the 15 joints made of them; where a run of frames lies in its take",
    )

    def select(self, store: Store) -> pa.Table:
        """The filmed runs of frames with poses, in the colour cameras."""
        rows = store.sequences.select(["camera", "chunk", "trial", "rows"]).to_pylist()
        kept = [row["camera"] in COLOUR and row["chunk"] is not None and row["trial"] < 3 for row in rows]
        if not any(kept):
            raise HarBenchError(f"{store.path} has no poses in a colour camera; convert Train and Validate")
        return store.sequences.filter(pa.array(kept, pa.bool_()))

    def write(self, store: Store, sequences: pa.Table, out: Path, done: Done) -> None:
        """Both archives."""
        joints = mapping(store.skeleton(), skeleton(_LAYOUT))
        worlds: dict[str, dict[str, Singles]] = {}
        pixels: dict[str, dict[str, list[Singles | None]]] = {}
        for view in store.each(sequences, ("keypoints", "keypoints_3d")):
            row = view.info
            partition, _, rest = row["sequence"].partition("/")
            subject, name = f"{partition}/{row['subject']}", rest.split("/")[1]
            world = store.camera(row["camera"], row["subject"]).to_world(joints.points(view.keypoints_3d)) / 1000
            worlds.setdefault(subject, {}).setdefault(name, world.astype(np.float32))
            views = pixels.setdefault(subject, {}).setdefault(name, [None] * len(COLOUR))
            views[COLOUR.index(row["camera"])] = joints.points(view.keypoints).astype(np.float32)
            done(len(view))
        sides = [list(side) for side in zip(*joints.target.pairs, strict=True)]
        metadata = {
            "layout_name": _LAYOUT,
            "num_joints": len(joints.target),
            "keypoints_symmetry": sides,
        }
        write_npz(out / POSES, {"positions_3d": worlds})
        write_npz(out / PIXELS, {"positions_2d": pixels, "metadata": metadata})
