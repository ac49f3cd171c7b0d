"""What is known of an entry besides its numbers, as fields: what it was given, frames, extra data, size, speed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from .entries import Entry, Reported, Scored

TRUTH = "ground truth"
SPELLINGS = {"gt": TRUTH, "ground truth": TRUTH, "the truth, projected": TRUTH, "truth": TRUTH, "none": ""}
"""How cards and sources call what a method is given, where several say the same."""

_FRAMES = re.compile(r"(\d+) frames?|receptive field (\d+)|sequence (\d+)")
_KEYPOINTS = re.compile(r"2D: (.+)|2D detector (.+)|2D keypoints: (.+)|(.+) 2D(?: Skeleton| Pose)?((?: \(.+\))?)")
_SKELETON = re.compile(r"(?:Official )?3D skeleton", re.IGNORECASE)


class Fields(NamedTuple):
    """What a table shows and filters; empty or None where nobody said.

    Attributes:
        given: what it was given, such as ``CPN`` or ``ground truth``; the class in which it competes.
        frames: how many it sees at once.
        extra: data besides the training split, or what it was trained on.
        causal: whether it looks at no later frame.
        year: of publication.
        parameters: of the model.
        speed: poses a second.
        device: on which that was measured.
        rest: what else was said of its input.
    """

    given: str = ""
    frames: int | None = None
    extra: str = ""
    causal: bool | None = None
    year: int | None = None
    parameters: float | None = None
    speed: float | None = None
    device: str = ""
    rest: str = ""


class Field(NamedTuple):
    """A column that a table may have, and a filter.

    Attributes:
        name: in the address of a filtered page.
        label: of the column.
        read: the value; empty or None where nobody said.
        numeric: whether the filter is a number.
        least: whether that number is the least that is shown, and not the most.
    """

    name: str
    label: str
    read: Callable[[Fields], str | float | None]
    numeric: bool = False
    least: bool = False

    def text(self, fields: Fields) -> str:
        """What a cell shows."""
        value = self.read(fields)
        if not isinstance(value, float):
            return "" if value is None else str(value)
        return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def _causal(fields: Fields) -> str:
    return {None: "", True: "yes", False: "no"}[fields.causal]


COLUMNS = (
    Field("input", "Input", lambda fields: fields.given),
    Field("frames", "Frames", lambda fields: fields.frames, numeric=True),
    Field("extra", "Training", lambda fields: fields.extra),
    Field("causal", "Causal", _causal),
    Field("year", "Year", lambda fields: fields.year, numeric=True, least=True),
    Field("parameters", "Parameters", lambda fields: fields.parameters, numeric=True),
    Field("speed", "Poses/s", lambda fields: fields.speed, numeric=True, least=True),
)
"""In the order shown; a table leaves out what none of its lines has."""


def fields_of(entry: Entry) -> Fields:
    """The fields of an entry: of its card where there is one, else of the words of its source or its result."""
    found = _of_input(entry.input)
    if isinstance(entry, Reported):
        return found._replace(extra=entry.training, year=entry.year)
    if not isinstance(entry, Scored):
        return found
    speed, device = entry.result.speed, entry.result.environment.get("device", "")
    measured = found._replace(
        parameters=speed.get("parameters"),
        speed=speed.get("poses_per_second"),
        device=device or entry.result.environment.get("platform", "").partition("-")[0],
    )
    card = entry.card
    if card is None:
        return measured
    given = SPELLINGS.get(card.input.casefold(), card.input)
    return measured._replace(
        given=given, frames=card.frames, extra=card.extra_data, causal=card.causal, year=card.year, rest=""
    )


@lru_cache(maxsize=4096)
def _of_input(text: str) -> Fields:
    """What a source's words say of the input: ``CPN 2D, 243 frames``, ``2D: CPN; boxes: Mask R-CNN; 243 frames``.

    >>> _of_input("243 frames; 2D detector CPN")[:2], _of_input("GT 2D, 1 frame")[:2], _of_input("256x192")[8]
    (('CPN', 243), ('ground truth', 1), '256x192')
    """
    given, frames, rest = "", None, []
    pieces = [text] if text.startswith("2D keypoints: ") else re.split(r"[;,] *", text)
    for piece in filter(None, pieces):
        if window := _FRAMES.fullmatch(piece):
            frames = int(next(filter(None, window.groups())))
        elif keypoints := _KEYPOINTS.fullmatch(piece):
            name = "".join(filter(None, keypoints.groups()))
            given = SPELLINGS.get(name.casefold(), name)
        elif _SKELETON.fullmatch(piece):
            given = "3D skeleton"
        else:
            rest.append(piece)
    return Fields(given=given, frames=frames, rest="; ".join(rest))
