"""Human3.6M's raw folders: what the converter makes of them, by sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from har_bench.converter import Tables
from har_bench.converters.h36m import Human36M
from har_bench.converters.h36m.converter import POSES
from har_bench.converters.h36m.sample import write_cdf
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton

J17 = mapping(skeleton("h36m32"), skeleton("h36m17"))


H36M = "h36m"


def tables(raw: Path, *keys: str) -> dict[str, Tables]:
    converter = Human36M()
    return {shard.key: converter.read(shard) for shard in converter.discover(raw) if not keys or shard.key in keys}


def column(found: Tables, name: str, sequence: str | None = None) -> np.ndarray:
    assert found.poses is not None
    rows = found.poses if sequence is None else found.poses.filter(pa.compute.equal(found.poses["sequence"], sequence))
    return to_numpy(rows[name], POSES.field(name))


def tree(root: Path, subject: str, name: str, world: np.ndarray) -> Path:
    """A raw folder with one world file."""
    write_cdf(root / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf", np.asarray(world))
    return root
