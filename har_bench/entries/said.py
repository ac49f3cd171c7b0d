"""What people say of an entry, beside what its result says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Said:
    """Who made an entry, with what, and how; an empty field says that nobody said.

    Attributes:
        name: Of the method, as the leaderboard prints it; the result's model by default.
        setting: What tells it from other entries of the same name, such as "seed 1".
        who: Its authors.
        paper: A URL or a reference.
        year: Of publication.
        input: Where its 2D keypoints come from, such as CPN, or what else it was given.
        frames: How many it sees at once.
        extra_data: What it was trained on besides the training split; "none" for nothing.
        causal: Whether it looks at no later frame.
        code: Where it is.
        licence: Of the code or the weights.
        command: What made the predictions.
    """

    name: str = ""
    setting: str = ""
    who: str = ""
    paper: str = ""
    year: int | None = None
    input: str = ""
    frames: int | None = None
    extra_data: str = ""
    causal: bool | None = None
    code: str = ""
    licence: str = ""
    command: str = ""
