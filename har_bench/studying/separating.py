"""Testing every two entries of a board whose predictions are kept: could chance alone have put one before the other?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from har_bench import results
from har_bench.entries import separations
from har_bench.entries.folder import RESULT, Entry, opened
from har_bench.entries.separations import Pair, Tested
from har_bench.progress import progress
from har_bench.scoring.ways import Remedies
from har_bench.studying.comparing import RESAMPLES, compare
from har_bench.studying.sources import Sources


def separate(
    folder: Path, stores: Iterable[str | Path], *, resamples: int = RESAMPLES, quiet: bool = True
) -> dict[Pair, Tested]:
    """Compare what was not compared before, and keep it in the folder's ``separations.csv``.

    Two that were scored with other options of reading (their unit, missing rows) are compared each in its own way only
    where these are the same, since one way of scoring serves both.

    Args:
        folder: of all entries.
        stores: stores, or folders that hold them; entries of other stores are passed over.
        resamples: exchanges of the permutation test.
        quiet: no progress.

    Returns:
        All tests that the folder keeps now.

    Raises:
        HarBenchError: predictions or stores cannot be read, or an entry's result is damaged.
    """
    kept = separations.read(folder)
    found = Sources(list(stores), [])
    boards: dict[tuple[str, str, str], list[Entry]] = defaultdict(list)
    for path in sorted(folder.rglob(RESULT)):
        result = results.read(path)
        entry = opened(path, result)
        if entry and entry.verified and entry.predictions and result.fingerprints["store"] in found.stores:
            boards[result.canonical, result.version, result.fingerprints["store"]].append(entry)
    missing = {
        pair: (first, second)
        for way, entries in boards.items()
        for first, second in combinations(entries, 2)
        if (pair := separations.pair_of(*way, *(_digest(each) for each in (first, second)))) not in kept
    }
    with progress("pairs", len(missing), quiet=quiet or not missing) as bar:
        for pair, entries in missing.items():
            kept[pair] = _tested(pair, entries, found, resamples)
            bar.advance()
            separations.write(folder, kept.items())
    return kept


def _digest(entry: Entry) -> str:
    return entry.result.fingerprints["predictions"]


def _tested(pair: Pair, entries: tuple[Entry, Entry], found: Sources, resamples: int) -> Tested:
    first, second = sorted(entries, key=_digest)
    result = first.result
    remedies, options = Remedies.taken(result.options)
    comparison = compare(
        result.protocol,
        found.stores[pair.store],
        first.predictions,
        second.predictions,
        recipe=result.recipe,
        options=options,
        missing=options.pop("missing", "error"),
        remedies=remedies,
        resamples=resamples,
    )
    primary = comparison.differences[0]
    return Tested(primary.p, primary.difference, comparison.permutations)
