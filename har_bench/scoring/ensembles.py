"""Several files of class scores as one: fused by the names of their sequences, with weights, before they are scored.

What the numbers are is said and not guessed. ``probabilities`` are averaged; of ``logits`` the softmax is, which makes
networks comparable whose numbers have different sizes; ``sums`` adds the numbers as they are, as CTR-GCN's program does
with logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from har_bench import remote
from har_bench.arrays import Floats
from har_bench.errors import HarBenchError, listed, unknown
from har_bench.scoring.held import Predictions
from har_bench.storing import fingerprint

if TYPE_CHECKING:
    from har_bench.protocol import Protocol

Fuse = Literal["probabilities", "logits", "sums"]
TASK = "clip-classification"
MEMBER = "predictions "
"""What the fingerprint of each file is called in a result, before its number."""

_SUM = 1e-3
_SHOWN = 12


@dataclass(frozen=True)
class Ensemble:
    """Score files of clip classification that are scored as one; given in the place of predictions.

    Attributes:
        files: two or more, each of any kind that the protocol reads, with one row of scores a sequence.
        weights: of each file; equal ones where there are none.
        fuse: what the numbers in the files are, and so how they are fused.
    """

    files: tuple[str | Path, ...]
    weights: tuple[float, ...] = ()
    fuse: Fuse | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be fused.

        Raises:
            HarBenchError: fewer than two files, other weights than files, or not a word of what the numbers are.
        """
        if len(self.files) < 2:
            raise HarBenchError(f"an ensemble of {len(self.files)} is none; give two files or more after --ensemble")
        if self.fuse is None:
            raise HarBenchError(
                f"whether {self.files[0]} has probabilities or logits is not guessed; give --fuse probabilities, "
                "logits (softmax first) or sums (added as they are)"
            )
        if self.fuse not in get_args(Fuse):
            raise unknown("way to fuse scores", self.fuse, get_args(Fuse))
        if self.weights and len(self.weights) != len(self.files):
            raise HarBenchError(f"there are {len(self.weights)} weights for {len(self.files)} files; give one each")
        if self.weights and not (all(isfinite(share) and share >= 0 for share in self.weights) and any(self.weights)):
            raise HarBenchError(
                f"the weights {listed(map(str, self.weights))} are not all 0 or more, with one above it; give others"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """The weight of each file."""
        return self.weights or (1.0,) * len(self.files)

    @classmethod
    def taken(cls, options: Mapping[str, Any], files: Sequence[str | Path]) -> tuple[Self | None, dict[str, Any]]:
        """The ensemble among a result's options, if there is one, of these files; and the other options."""
        rest = {name: value for name, value in options.items() if name not in ("ensemble", "fuse")}
        if "ensemble" not in options:
            return None, rest
        shares = tuple(float(word) for word in str(options["ensemble"]).split("+"))
        return cls(tuple(files), shares, options["fuse"]), rest

    @property
    def absolute(self) -> Self:
        """The same for another process."""
        return replace(self, files=tuple(remote.absolute(file) for file in self.files))

    @property
    def given(self) -> dict[str, Any]:
        """What stands in a result's options, and so in its canonical name."""
        return {"ensemble": "+".join(repr(share).removesuffix(".0") for share in self.shares), "fuse": self.fuse}


def fused(ensemble: Ensemble, members: Sequence[Predictions], protocol: Protocol) -> Predictions:
    """The predictions of an ensemble, of those of its files.

    Args:
        ensemble: how they are fused.
        members: what each file holds.
        protocol: must be one of clip classification.

    Raises:
        HarBenchError: a protocol of another task, a file without scores, with several rows of a sequence, without a
            sequence that another has or with another number of classes, or numbers that are no probabilities.
    """
    if protocol.task != TASK:
        raise HarBenchError(f"{protocol.name} scores no classes of clips, so nothing can be fused; give one file")
    names = list(members[0].names())
    for path, member in zip(ensemble.files, members, strict=True):
        other = set(member.names()) ^ set(names)
        if other:
            raise HarBenchError(
                f"{path} and {ensemble.files[0]} are not of the same sequences ({len(other)} are in one alone, such as "
                f"{min(other)}); fuse files of one test set"
            )
    total: Floats = np.zeros(())
    broken = []
    for path, member, share in zip(ensemble.files, members, ensemble.shares, strict=True):
        scores = _scores(member, names, path, ensemble.fuse)
        if total.ndim and total.shape != scores.shape:
            raise HarBenchError(
                f"{path} has {scores.shape[1]} classes and {ensemble.files[0]} has {total.shape[1]}; fuse files of one "
                "label space"
            )
        total = total + share * scores
        lost = int((~np.isfinite(scores)).any(axis=1).sum())
        if lost:
            broken.append(f"{path} has {lost} sequences whose scores are not finite")
    if ensemble.fuse != "sums":
        total = total / sum(ensemble.shares)
    told = [
        f"{path} (weight {share:g}, blake3 {member.fingerprint[:_SHOWN]})"
        for path, member, share in zip(ensemble.files, members, ensemble.shares, strict=True)
    ]
    digest = fingerprint.combined(
        [
            f"ensemble of {ensemble.fuse}",
            *(f"{share!r} {member.fingerprint}" for member, share in zip(members, ensemble.shares, strict=True)),
        ]
    )
    pieces = {name: {"scores": row[None]} for name, row in zip(names, total, strict=True)}
    what = f"an ensemble of {len(members)} files of {ensemble.fuse}"
    found = Predictions(pieces, f"{what} ({'; '.join(broken)})" if broken else what, digest)
    found.called = f"the ensemble of {listed([str(path) for path in ensemble.files])}"
    found.notes = (f"fused, as {ensemble.fuse}: {'; '.join(told)}", *(note for each in members for note in each.notes))
    found.members = {f"{MEMBER}{place}": each.fingerprint for place, each in enumerate(members, 1)}
    return found


def _scores(member: Predictions, names: Sequence[str], path: str | Path, fuse: Fuse | None) -> Floats:
    """(S, C) a file's scores in the order of the names, as they are fused."""
    rows = []
    for name in names:
        piece = member.of(name) or {}
        if "scores" not in piece:
            raise HarBenchError(
                f"{path} has no scores of {name}, and labels cannot be fused; give every class a number"
            )
        scores = np.atleast_2d(np.asarray(piece["scores"], np.float64))
        if len(scores) != 1:
            raise HarBenchError(f"{path} has {len(scores)} clips of {name}; average them to one row before fusing")
        rows.append(scores[0])
    if len({len(row) for row in rows}) > 1:
        raise HarBenchError(f"{path} has scores of {min(map(len, rows))} and of {max(map(len, rows))} classes; mend it")
    found = np.stack(rows)
    if fuse == "logits":
        powers = np.exp(found - found.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    if fuse == "probabilities":
        wrong = (found < 0).any(axis=1) | (np.abs(found.sum(axis=1) - 1) > _SUM)
        if wrong.any():
            row = int(wrong.argmax())
            raise HarBenchError(
                f"{path} has no probabilities: those of {names[row]} add up to {found[row].sum():.4g}, the least is "
                f"{found[row].min():.4g}; give --fuse logits if that is what they are"
            )
    return found
