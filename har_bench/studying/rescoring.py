"""Scoring a folder of results again after a protocol's version was raised, from the very predictions they came from.

A result names its predictions and its store by fingerprint; both are looked for by content, so files may have been
moved and renamed. The new result is written beside the old one, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from har_bench import registry, remote, results
from har_bench.errors import HarBenchError
from har_bench.files import FullError
from har_bench.protocol import Protocol
from har_bench.results import Result
from har_bench.studying.breakdowns import Texts
from har_bench.studying.sources import Sources, again

Status = Literal["rescored", "current", "already", "impossible"]


@dataclass(frozen=True)
class Rescored:
    """What became of one result file.

    Attributes:
        path: the file, or its URL.
        status: ``rescored`` now, ``current`` as it is, ``already`` rescored before, or ``impossible``.
        reason: in words; why it is impossible.
        written: the new file, if there is one.
        before: the old primary number.
        after: the new one, if it was rescored now.
    """

    path: str | Path
    status: Status
    reason: str
    written: str | Path | None = None
    before: float | None = None
    after: float | None = None


def rescore(
    folder: str | Path,
    *,
    stores: Iterable[str | Path] = (),
    predictions: Iterable[str | Path] = (),
    jobs: int = 1,
    quiet: bool = True,
) -> list[Rescored]:
    """Score every result of an older protocol version again, where its store and predictions are found.

    The recipe, its options, the treatment of missing rows, the joint layout, the number of resamples and the model's
    name stay; measured speed is copied.

    Args:
        folder: of result files; folders in it are searched too. It may be a URL, as all the others.
        stores: stores, or folders that hold them at any depth.
        predictions: files of predictions, or folders that hold them at any depth.
        jobs: processes that score; see :func:`har_bench.score`.
        quiet: no progress.

    Returns:
        One entry per JSON file, in the order of the paths.

    Raises:
        HarBenchError: a folder or file that was named is not there, or the disk is full.
    """
    found = Sources(list(stores), list(predictions))
    for place in (*found.store_roots, *found.prediction_roots):
        if not remote.is_there(place):
            raise HarBenchError(f"{place} does not exist; name a file or a folder that does")
    files = [place for place in remote.files_at(folder) if Path(place).suffix == ".json"]
    return [_one(place, found, jobs, quiet=quiet) for place in files]


def tables(outcomes: Sequence[Rescored]) -> Iterator[Texts]:
    """What was done with each file, and why not, for printing."""
    rows: list[tuple[str, ...]] = [
        (str(each.written or each.path), each.status, _number(each.before), _number(each.after), each.reason)
        for each in outcomes
    ]
    yield "results", ("file", "status", "before", "after", "why"), rows


def lines(outcomes: Sequence[Rescored]) -> list[str]:
    """How many results there are of each status, in one line."""
    counts = {status: sum(each.status == status for each in outcomes) for status in get_args(Status)}
    return [", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no result files"]


def _one(path: str | Path, found: Sources, jobs: int, *, quiet: bool) -> Rescored:
    before = None
    try:
        old = results.read(path)
        before = old.metrics.get(old.primary)
        protocol: type[Protocol] = registry.load("protocols", old.protocol)
        target = _beside(path, old, protocol.version)
        if old.version == protocol.version:
            return Rescored(path, "current", f"{old.protocol} is at version {old.version}", before=before)
        if not _older(old.version, protocol.version):
            raise HarBenchError(
                f"it is of version {old.version}, and {protocol.version} is installed; update har_bench"
            )
        if remote.is_there(target):
            return Rescored(path, "already", "a result of the installed version is there", target, before)
        new = again(old, found, jobs, quiet=quiet)
        results.write(new, target)
    except FullError:  # nothing else could be written either
        raise
    except HarBenchError as error:
        return Rescored(path, "impossible", str(error), before=before)
    reason = f"{old.protocol} went from version {old.version} to {new.version}"
    return Rescored(path, "rescored", reason, target, before, new.metrics.get(new.primary))


def _beside(path: str | Path, old: Result, version: str) -> str | Path:
    """``mine.json`` of version 1, and ``mine.v2.json``, become ``mine.v3.json``."""
    return remote.beside(path, f"{Path(path).stem.removesuffix(f'.v{old.version}')}.v{version}.json")


def _older(first: str, second: str) -> bool:
    """Whether one version comes before another; dotted numbers compare as numbers."""

    def key(version: str) -> list[tuple[int, str]]:
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in version.split(".")]

    return key(first) < key(second)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
