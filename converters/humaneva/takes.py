"""What is published of HumanEva-I beside its files: partitions, chunks of valid frames, video offsets, calibrations."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec
import numpy as np

from .calibration import Calibration, from_numbers

FPS = 60.0
MOCAP_FPS = 120.0
MOCAP_ONLY = 3
"""The trial that was never filmed."""

DAMAGED, NO_POSE = "damaged-mocap", "no-pose"
DEFECTS = {
    DAMAGED: "the motion capture of S3 ThrowCatch is damaged; VideoPose3D leaves it out",
    NO_POSE: "no frame of this partition of the take has all 39 markers and every segment",
}


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """A partition of a recorded take.

    Attributes:
        partition: ``Train``, ``Validate`` or ``Test``.
        subject: S1 to S4.
        action: such as ``Walking``.
        trial: 1 was filmed and captured, 2 filmed (its motion capture is withheld), 3 captured only.
        first: its first frame, counted from 1.
        last: its last frame.
        chunks: lengths of the runs of valid frames in VideoPose3D's archive, by number; None where that has none.
    """

    partition: str
    subject: str
    action: str
    trial: int
    first: int
    last: int
    chunks: dict[str, int] | None = None

    @property
    def stem(self) -> str:
        """What the names of its raw files begin with."""
        return f"{self.action}_{self.trial}"

    @property
    def key(self) -> str:
        """Such as ``Train/S1/Walking 1``: what the names of its sequences begin with."""
        return f"{self.partition}/{self.subject}/{self.action} {self.trial}"

    @property
    def filmed(self) -> bool:
        """Whether there are videos of it."""
        return self.trial != MOCAP_ONLY

    def media(self, camera: str) -> str | None:
        """The video's path under what holds the subjects' folders."""
        return f"{self.subject}/Image_Data/{self.stem}_({camera}).avi" if self.filmed else None

    def defects(self, valid: int | None) -> list[str]:
        """Which of :data:`DEFECTS` it has, when that many frames have a pose (None: none is to be expected)."""
        damaged = (self.subject, self.action, self.trial) == ("S3", "ThrowCatch", 1)
        return [DAMAGED] * damaged + [NO_POSE] * (valid == 0)

    @property
    def split(self) -> str | None:
        """The split of VideoPose3D, which tests on Validate."""
        names = {"Train": "videopose3d/train", "Validate": "videopose3d/test"}
        return None if self.trial != 1 or DAMAGED in self.defects(None) else names.get(self.partition)


class Published(msgspec.Struct, frozen=True):
    """The package's copy of the published facts.

    Attributes:
        source: where they come from.
        takes: every partition of every take.
        image_starts: by subject and take, the frames of C1, C2 and C3, counted from 1, that show frame 1.
    """

    source: str
    takes: tuple[Take, ...]
    image_starts: dict[str, tuple[int, int, int]]

    def starts(self, take: Take) -> tuple[int, int, int] | None:
        """The videos' offsets of a take, where they are published."""
        return self.image_starts.get(f"{take.subject}/{take.action} {take.trial}")


class _Cameras(msgspec.Struct, frozen=True):
    source: str
    cameras: dict[str, tuple[float, ...]]


@cache
def published() -> Published:
    """The package's own copy."""
    return msgspec.json.decode(_data("takes.json"), type=Published)


@cache
def calibrations(subject: str) -> dict[str, Calibration]:
    """The colour cameras of a subject as recovered from VideoPose3D's archives; empty for S4, who is not in them."""
    found = msgspec.json.decode(_data("cameras.json"), type=_Cameras).cameras
    names = (key.split("/") for key in found)
    return {camera: from_numbers(np.array(found[f"{owner}/{camera}"])) for owner, camera in names if owner == subject}


def _data(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()
