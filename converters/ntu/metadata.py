"""Names, classes and splits of NTU RGB+D 60 and 120, from the package's ``metadata.json``."""

from __future__ import annotations

import itertools
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

SUFFIX = ".skeleton"
NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
CAMERAS, REPLICATIONS, CLASSES_PER_SETUP = 3, 2, 60
LAST_OF_60 = 17
"""The last setup of NTU RGB+D 60; NTU RGB+D 120 goes on to 32."""


class Sample(NamedTuple):
    """The numbers in a sequence's name, all from 1: ``S001C002P003R002A013``."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    @property
    def name(self) -> str:
        """The dataset's own name."""
        return "S%03dC%03dP%03dR%03dA%03d" % self  # noqa: UP031 - twice as fast, and there are 114,480


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was published about both datasets.

    Attributes:
        sources: where each of the others comes from.
        actions: the class names of A001 to A120.
        performers: by setup, those who were recorded in it.
        train: subjects, cameras and setups of the training sets.
        oneshot: NTU RGB+D 120's novel classes and the one exemplar of each.
        missing: sequences whose skeletons are missing or incomplete, to be ignored in training and testing.
    """

    sources: dict[str, str]
    actions: tuple[str, ...]
    performers: dict[int, tuple[int, ...]]
    train: dict[str, frozenset[int]]
    oneshot: OneShot
    missing: frozenset[str]


class OneShot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one-shot protocol of NTU RGB+D 120."""

    novel: frozenset[int]
    exemplars: frozenset[str]


@cache
def packaged() -> Metadata:
    """The package's facts."""
    return msgspec.json.decode(files(__package__).joinpath("metadata.json").read_bytes(), type=Metadata)


def sample(name: str) -> Sample | None:
    """The numbers in a name; None when it is no sequence's."""
    match = NAME.fullmatch(name)
    return Sample(*map(int, match.groups())) if match else None


def of_skeleton_file(name: str) -> str | None:
    """The sequence that a ``.skeleton`` file is called after, in capitals as the official ones are; None for others.

    >>> of_skeleton_file("s001c001p001r001a001.SKELETON"), of_skeleton_file("notes.txt")
    ('S001C001P001R001A001', None)
    """
    if not name.lower().endswith(SUFFIX):
        return None
    bare = name[: -len(SUFFIX)]
    return bare.upper() if NAME.fullmatch(bare.upper()) else bare


def is_sequence_folder(name: str) -> bool:
    """Whether a folder is one sequence's, such as those of the depth images: a hundred files in each of 56,880."""
    return NAME.match(name) is not None


def setups(classes: int) -> list[int]:
    """The setups of the dataset with 60 or 120 classes."""
    return [setup for setup in packaged().performers if setup <= LAST_OF_60 or classes == 120]


def recorded(setup: int) -> int:
    """How many sequences were recorded in a setup."""
    return len(packaged().performers[setup]) * CAMERAS * REPLICATIONS * CLASSES_PER_SETUP


def published(setup: int) -> list[Sample]:
    """Every sequence that was recorded in a setup: its performers did 60 actions twice, before three cameras.

    Setups up to 17 are NTU RGB+D 60 and have its classes; the others have the further 60 of NTU RGB+D 120.
    """
    first = 1 if setup <= LAST_OF_60 else 61
    cameras, replications = range(1, CAMERAS + 1), range(1, REPLICATIONS + 1)
    actions = range(first, first + CLASSES_PER_SETUP)
    numbers = itertools.product(cameras, packaged().performers[setup], replications, actions)
    return [Sample(setup, *each) for each in numbers]


def splits(of: Sample, classes: int) -> list[str]:
    """The parts that a sequence has in the protocols of NTU RGB+D 60 or 120; none if its skeletons are listed missing.

    The authors ask to ignore the listed ones in training and testing, and every skeleton-based result does.
    """
    facts = packaged()
    if of.name in facts.missing:
        return []
    train = facts.train
    if classes == 60:
        return [
            _half("xsub", of.performer in train["subjects60"]),
            _half("xview", of.camera in train["cameras60"]),
        ]
    if of.action not in facts.oneshot.novel:
        oneshot = "auxiliary"
    else:
        oneshot = "exemplars" if of.name in facts.oneshot.exemplars else "evaluation"
    return [
        _half("xsub", of.performer in train["subjects120"]),
        _half("xset", of.setup in train["setups120"]),
        f"oneshot/{oneshot}",
    ]


def _half(family: str, train: bool) -> str:
    return f"{family}/{'train' if train else 'test'}"
