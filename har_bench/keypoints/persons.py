"""Who is in a video, and in which frames: everybody is named, and one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from har_bench.arrays import Ints, Singles
from har_bench.errors import unknown
from har_bench.keypoints.linking import link
from har_bench.keypoints.people import People, best_rows

NAMED = 10
"""Persons that are named in a sentence; the others are counted."""


@dataclass(frozen=True)
class Person:
    """Somebody, once a frame.

    Attributes:
        number: the tracker's id, or the count of persons linked so far.
        frames: (n,) numbers of the frames, sorted.
        points: (n, J, 2 or 3) px.
        score: how sure the detector is, on average.
    """

    number: int
    frames: Ints
    points: Singles
    score: float


def persons_of(people: People) -> tuple[list[Person], list[str]]:
    """Everybody, the one seen most first (of two, the one the detector is surer of), and what is to be said of it.

    Persons are told apart by the tracker's ids, and where most detections have none by :func:`link`.
    """
    notes = []
    if people.person is not None and 2 * int((people.person >= 0).sum()) >= len(people):
        without = int((people.person < 0).sum())
        notes += [f"{without:,} detections without an id are left out"] if without else []
        numbers = people.person
        there = np.unique(numbers[numbers >= 0])
    else:
        numbers = link(people)
        there = np.unique(numbers[numbers > 0])
        twice = int((numbers == 0).sum())
        if twice and len(np.unique(people.frame)) == 1:  # else a detector found some of them twice
            notes.append(
                f"all {len(people):,} detections are of one frame, and {twice:,} of them lie on a better one and are "
                "left out; if they are of several frames, the file has to say of which, as image_id or frame_id"
            )
    found = [_person(people, np.flatnonzero(numbers == number), int(number)) for number in there]
    return sorted(found, key=lambda person: (-len(person.frames), -person.score, person.number)), notes


def _person(people: People, rows: Ints, number: int) -> Person:
    rows = rows[best_rows(people.frame[rows], people.score[rows])]
    return Person(number, people.frame[rows], people.points[rows], float(people.score[rows].mean()))


def chosen(path: Path, persons: Sequence[Person], number: int | None) -> Person:
    """The person of this number, or the one seen most.

    Raises:
        HarBenchError: nobody has it.
    """
    for person in persons:
        if number is None or person.number == number:
            return person
    raise unknown(f"person of {path}", number, map(str, sorted(person.number for person in persons)))


def named(persons: Sequence[Person]) -> str:
    """Everybody in words: ``2 persons (1: 60 frames, 2: 58)``."""
    first, *others = persons[:NAMED]
    told = [f"{first.number}: {len(first.frames):,} frame{'s' * (len(first.frames) != 1)}"]
    told += [f"{person.number}: {len(person.frames):,}" for person in others]
    more = f", and {len(persons) - NAMED:,} more" if len(persons) > NAMED else ""
    return f"{len(persons):,} persons ({', '.join(told)}{more})"
