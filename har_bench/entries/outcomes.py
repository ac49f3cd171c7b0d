"""What can be found out about a published result: the outcomes by name, and a finding in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from har_bench.errors import HarBenchError

Outcome = Literal[
    "re-scored equal",
    "predictions absent",
    "store absent",
    "version old",
    "numbers differ",
    "fingerprint differs",
    "value impossible",
    "outside its interval",
    "disagrees with its tables",
    "version unknown",
    "way unknown",
    "other store",
    "edited after scoring",
    "duplicate name",
    "unreadable",
]

Status = Literal["equal", "unverified", "wrong"]

_BENIGN: dict[Outcome, Status] = {
    "re-scored equal": "equal",
    "predictions absent": "unverified",
    "store absent": "unverified",
    "version old": "unverified",
}


def status_of(outcome: Outcome) -> Status:
    """Whether an outcome is the good one, speaks against nothing, or is wrong."""
    return _BENIGN.get(outcome, "wrong")


class Finding(NamedTuple):
    """One thing that is wrong with a result: which kind of thing, and in words."""

    outcome: Outcome
    words: str


class ResultError(HarBenchError):
    """A result that cannot be believed.

    Attributes:
        outcome: why, by name.
    """

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


def first_of(findings: Sequence[Finding]) -> Outcome:
    """The outcome that names several findings: the one that stands first in :data:`Outcome`'s order of the wrong."""
    order = get_args(Outcome)
    return min((finding.outcome for finding in findings), key=order.index)
