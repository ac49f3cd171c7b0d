"""Entering a result into a folder of entries: scored again first, refused on any difference, never written over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from har_bench import __version__, registry, remote, results
from har_bench.entries import record
from har_bench.entries.card import CARD, Card, Kept
from har_bench.entries.folder import RESULT, Entry, opened, place_of, twins
from har_bench.entries.outcomes import ResultError
from har_bench.entries.record import RECORD
from har_bench.files import destination_folder, whole_folder, write_whole
from har_bench.protocol import checking
from har_bench.results import Result
from har_bench.scoring.keeping import keep
from har_bench.storing import fingerprint
from har_bench.studying.differences import differences
from har_bench.studying.sources import Sources, again


def add(
    result: str | Path,
    folder: str | Path,
    *,
    predictions: str | Path,
    stores: Iterable[str | Path],
    card: Card,
    url: str = "",
    jobs: int = 1,
    quiet: bool = True,
) -> Path:
    """Make an entry of a result: score its predictions again, and write both with the card and the record.

    Args:
        result: a result file.
        folder: of all entries; the new one goes to ``<dataset>/<protocol>/<name>`` in it.
        predictions: the file that the result was scored from.
        stores: stores, or folders that hold them; the result's own is found by its fingerprint.
        card: who made it, with what, and how.
        url: where the predictions are to be had, if they are too large to be kept in the folder.
        jobs: processes that score.
        quiet: no progress.

    Returns:
        The entry's folder.

    Raises:
        HarBenchError: there is an entry of this name, the predictions or the store are not the result's, or a number
            comes out otherwise.
    """
    old = _publishable(result)
    path = remote.fetch(predictions)
    digest = fingerprint.of_path(path) if path.exists() else ""
    if digest != old.fingerprints["predictions"]:
        raise ResultError(
            "fingerprint differs",
            f"{result} was scored from other predictions (blake3 {old.fingerprints['predictions'][:16]}…) than "
            f"{predictions}; give the file that it was scored from",
        )
    root = destination_folder(folder)
    card = replace(card, predictions=Kept(blake3=digest, url=url)) if url else card
    target = root / place_of(old, card)
    _refuse_twins(root, target, old, card)
    with whole_folder(target) as temporary:
        new, kept = old, ""
        if not url:
            path = keep(path, temporary)
            kept, found = path.name, {"predictions": fingerprint.of_file(path), "given": digest}
            new = msgspec.structs.replace(old, fingerprints=old.fingerprints | found)
        _require_equal(result, new, again(new, Sources(list(stores), [path]), jobs, quiet=quiet))
        results.write(new, temporary / RESULT)
        write_whole(temporary / CARD, card.to_toml().encode())
        said = record.made(new, card, kept, __version__)
        write_whole(temporary / RECORD, said.to_toml().encode())
    return target


def _publishable(place: str | Path) -> Result:
    """A result that can be believed so far, of the installed version."""
    result = results.read(place)
    checking.require(result, str(place))
    installed = registry.installed("protocols", result.protocol).version
    if result.version != installed:
        raise ResultError(
            "version old",
            f"{place} is of version {result.version} of {result.protocol}, and {installed} is installed; score the "
            "predictions again",
        )
    return result


def _refuse_twins(root: Path, target: Path, result: Result, card: Card) -> None:
    """Refuse a name that is taken, as a folder or on the board."""
    others = (opened(path, results.read(path)) for path in sorted(target.parent.glob(f"*/{RESULT}")))
    mine = Entry(target, result, card, None)
    taken = target.exists() or twins([*filter(None, others), mine])
    if taken:
        raise ResultError(
            "duplicate name",
            f"{target.relative_to(root)} is there already, and is never overwritten; say with --setting what tells "
            f"this {card.name} from it",
        )


def _require_equal(place: str | Path, old: Result, new: Result) -> None:
    if found := differences(old, new):
        raise ResultError("numbers differ", f"{place} was scored again, and {found}; publish what scoring says")
