"""A tiny synthetic Human3.6M in the official layout, with the real one's quirks of names and lengths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from har_bench.samples import walking_person

from . import metadata as h36m_metadata
from .metadata import Take

TAKES = {
    "S1": ("_ALL 1", "Directions 1", "TakingPhoto 1", "Walking 1", "WalkingDog"),
    "S9": ("Directions", "Greeting", "SittingDown", "SittingDown 1", "Walking 1"),
    "S11": ("Directions", "Greeting 2", "Walking 1"),
}
WITH_PIXELS = ("S1", "Walking 1")
"""The one sequence that also has its D2_Positions and D3_Positions_mono."""

_SHORT = {("S9", "Greeting"): 1452, ("S9", "SittingDown 1"): 1234}  # frames by which the real videos are longer


def write_sample(out: Path, seed: int) -> None:
    """Write the tree; every pose is of a walking person, 40 to 60 frames long, whatever its action's name."""
    metadata = h36m_metadata.packaged()
    rng = np.random.default_rng(seed)
    lengths: dict[tuple[str, str], tuple[int, ...]] = {}
    for subject, names in TAKES.items():
        features = out / subject / "MyPoseFeatures"
        for name in names:
            pose = walking_person(int(rng.integers(40, 61)), rng)
            first = len(pose) + _SHORT.get((subject, name), 1)
            lengths[subject, name] = first, first + 2, first + 2, first
            write_cdf(features / "D3_Positions" / f"{name}.cdf", pose)
            if (subject, name) == WITH_PIXELS:
                for camera in metadata.cameras:
                    view = metadata.camera(subject, camera)
                    points = view.to_camera(pose)
                    write_cdf(features / "D3_Positions_mono" / f"{name}.{camera}.cdf", points)
                    write_cdf(features / "D2_Positions" / f"{name}.{camera}.cdf", view.project(points))

    def filmed(take: Take) -> Take:
        frames = lengths.get((take.subject, take.official), take.video_frames)
        return Take(take.subject, take.act, take.subact, take.official, frames)

    takes = tuple(map(filmed, metadata.takes))
    h36m_metadata.write(out / "metadata.xml", msgspec.structs.replace(metadata, takes=takes))


_GZIP_HEADER = re.compile(rb"(\x1f\x8b\x08\x00).{4}([\x00\x02\x04]\xff)", re.DOTALL)
"""Of the compressed record; the four bytes in its middle are the time of writing."""


def write_cdf(path: Path, pose: npt.NDArray[Any]) -> None:
    """Write (T, J, D) poses as an official file: one record of ``Pose``, CDF_FLOAT, (T, J D); no time is in it."""
    from cdflib.cdfwrite import CDF

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name("pose.cdf")  # the writer takes what follows a dot for an extension and replaces it
    flat = np.ascontiguousarray(pose.reshape(1, len(pose), -1), np.float32)
    with CDF(temporary) as file:
        spec = {
            "Variable": "Pose",
            "Data_Type": file.CDF_FLOAT,
            "Num_Elements": 1,
            "Rec_Vary": True,
            "Dim_Sizes": list(flat.shape[1:]),
            "Compress": 6,
        }
        file.write_var(spec, var_data=flat)
    content = temporary.read_bytes()
    temporary.write_bytes(_GZIP_HEADER.sub(rb"\1\0\0\0\0\2", content))
    temporary.replace(path)
