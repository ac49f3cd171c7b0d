"""Two systems on the toy store whose errors are known exactly, for the rooms around scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import har_bench
from har_bench import Store
from tests.toy import write_raw

PROTOCOL = "tests.toy:ToyError"
FRAMES = (30, 7, 12, 5, 9)
OFFSETS = [5.0, 6.0, 9.0, 4.0, 7.0]
"""Of a system in the scored sequences [mm]."""


def toy_store(home: Path) -> Store:
    return har_bench.convert("tests.toy:Toy", write_raw(home / "raw", FRAMES), home / "store", jobs=1, quiet=True)


def off_by(store: Store, offsets: list[float]) -> dict[str, np.ndarray[Any, Any]]:
    """Predictions whose distance in each scored sequence is the given number of mm."""
    names = [f"s{number:03d}/right" for number in range(len(FRAMES))]
    return {
        name: store.sequence(name).keypoints_3d + np.float32([offset, 0, 0])
        for name, offset in zip(names, offsets, strict=True)
    }
