"""Whether a folder of results can be believed: each is looked at for itself, then scored again where that is possible.

Nothing is written. Predictions and stores are found by content, as for rescoring; predictions may lie beside the
results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from har_bench import registry, remote, results
from har_bench.entries.folder import Entry, opened, twins
from har_bench.entries.outcomes import Outcome, ResultError, Status, first_of, status_of
from har_bench.errors import HarBenchError
from har_bench.foreign.words import one_line
from har_bench.protocol import checking
from har_bench.results import NoResultError, Result
from har_bench.store import open_store
from har_bench.studying.differences import differences
from har_bench.studying.sources import Sources, again

Verified = tuple[Outcome, str]
"""An outcome and the reason, in words."""


@dataclass(frozen=True)
class Verdict:
    """What was found out about one result file.

    Attributes:
        file: its path under the folder.
        status: ``equal`` when it was scored again and every number came out the same, ``unverified`` when that was
            not possible and nothing speaks against it, ``wrong`` otherwise.
        outcome: which of them it is, by name.
        reason: in words.
    """

    file: str
    status: Status
    outcome: Outcome
    reason: str


def verify(
    folder: str | Path,
    *,
    stores: Iterable[str | Path] = (),
    predictions: Iterable[str | Path] = (),
    jobs: int = 1,
    quiet: bool = True,
) -> list[Verdict]:
    """Look at every result of a folder, and score again those whose predictions and store are found.

    Args:
        folder: of result files; folders in it are searched too. It may be a URL, as all the others.
        stores: stores, or folders that hold them at any depth.
        predictions: files of predictions, or folders that hold them, besides ``folder`` itself.
        jobs: processes that score; see :func:`har_bench.score`.
        quiet: no progress.

    Returns:
        One entry per result file, in the order of the paths; another program's JSON is passed over.

    Raises:
        HarBenchError: a folder or file that was named is not there.
    """
    found = Sources(list(stores), [folder, *predictions])
    for place in (*found.store_roots, *found.prediction_roots):
        if not remote.is_there(place):
            raise HarBenchError(f"{place} does not exist; name a file or a folder that does")
    verdicts, known = [], []
    for place in (place for place in remote.files_at(folder) if Path(place).suffix == ".json"):
        name = one_line(str(place).removeprefix(str(folder)).lstrip("/\\"))
        try:
            result = results.read(place)
            checking.require(result, name)
            entry = None if remote.is_far(place) else opened(Path(place), result)
            known += [entry] if entry else []
            outcome, reason = _verdict(place, result, entry, found, jobs, quiet=quiet)
            if twin := twins(known).get(Path(place).parent) if entry else None:
                outcome, reason = twin
        except NoResultError:
            continue
        except HarBenchError as error:
            outcome = error.outcome if isinstance(error, ResultError) else "unreadable"
            reason = str(error).replace(one_line(str(place)), name)
        verdicts.append(Verdict(name, status_of(outcome), outcome, reason))
    return verdicts


def lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """A line for each file, and how many there are of each status."""
    for each in verdicts:
        yield f"{each.file}: {each.outcome}: {each.reason.removeprefix(f'{each.file} ')}"
    counts = {status: sum(each.status == status for each in verdicts) for status in get_args(Status)}
    yield ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no result files"


def _verdict(
    place: str | Path, result: Result, entry: Entry | None, found: Sources, jobs: int, *, quiet: bool
) -> Verified:
    """The outcome of a file that can be read and published.

    Raises:
        HarBenchError: it cannot be scored again.
    """
    wrong = list(entry.findings()) if entry else []
    if wrong:
        return first_of(wrong), "; ".join(finding.words for finding in wrong)
    installed = registry.installed("protocols", result.protocol).version
    if result.version != installed:
        return (
            "version old",
            f"version {result.version} of {result.protocol} is old, {installed} is installed; rescore it",
        )
    if found.given(result) is None:
        return _without_predictions(place, result)
    if result.fingerprints["store"] not in found.stores:
        return _without_store(result, found)
    if told := differences(result, again(result, found, jobs, quiet=quiet)):
        return "numbers differ", f"scored again, {told}"
    return "re-scored equal", "scored again, every number is the same"


def _without_predictions(place: str | Path, result: Result) -> Verified:
    """Predictions that lie beside a result as its own, and are others, are wrong; absent ones are absent."""
    names = {Path(place).stem, "predictions"}
    home = Path(place)
    others = [Path(other) for other in remote.files_at(remote.beside(place, ""))]
    beside = [each.name for each in others if each.parent == home.parent and each.stem in names and each != home]
    digest = result.fingerprints["predictions"][:16]
    if beside:
        return (
            "fingerprint differs",
            f"the fingerprint of {', '.join(sorted(beside))} differs from its predictions' (blake3 {digest}…)",
        )
    return "predictions absent", f"its predictions (blake3 {digest}…) are absent"


def _without_store(result: Result, found: Sources) -> Verified:
    """A store of the same dataset that is another one is wrong; an absent one is absent."""
    others = [place for place in found.stores.values() if open_store(place).manifest.dataset == result.dataset]
    digest = result.fingerprints["store"][:16]
    if others:
        return "other store", f"it was scored on another store (blake3 {digest}…) than {', '.join(map(str, others))}"
    return "store absent", f"no store of it was given (blake3 {digest}…)"
