"""Honest files of every format, damaged at random and read in another process with bounds of time and memory.

``python -m tests.hub.fuzzing 100000 --seed 1`` damages so many and says what came of them, which ``docs/foreign.md``
records; the tests damage a few of each kind.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tests.hub.damages import CHANGES
from tests.hub.honest_files import Kind, kinds
from tests.hub.model_files import model_kinds
from tests.hub.own_files import own_kinds, store
from tests.hub.readings import Reading, read_elsewhere

ELSEWHERE = ("journal", "label", "separations")
"""Readers of folders, which name what is in them."""

SECONDS = 60.0
"""By the clock, after which a file counts as endless; honest ones of this size take milliseconds."""

BATCH = 2000


def every_kind(folder: Path) -> dict[str, Kind]:
    """All kinds of files, with a toy store in ``folder`` that some are scored on."""
    return kinds(folder / "samples") | own_kinds(store(folder)) | model_kinds()


def damaged(
    folder: Path, every: Mapping[str, Kind], rounds: int, rng: np.random.Generator
) -> Iterator[list[tuple[str, Path]]]:
    """Batches of kinds and files, each kind so many times; the honest files come first."""
    batch: list[tuple[str, Path]] = []
    for round_ in range(rounds + 1):
        for number, (name, kind) in enumerate(every.items()):
            path = folder / f"{round_}-{number}{kind.suffix}"
            how = CHANGES[rng.integers(len(CHANGES))]
            path.write_bytes(kind.where(kind.honest, how, rng) if round_ else kind.honest)
            batch.append((name, path))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def fuzz(folder: Path, rounds: int, seed: int, *, slowly: bool = False) -> Iterator[tuple[str, Reading]]:
    """What came of every file, with its kind; a file that is read or refused is deleted.

    Args:
        folder: gets the files, and a folder ``nowhere`` in which they are read.
        rounds: how often each kind is damaged.
        seed: of the damage.
        slowly: whether to tell after each batch what came of all until then.
    """
    every = every_kind(folder)
    nowhere = folder / "nowhere"
    nowhere.mkdir()
    until: dict[str, list[Reading]] = defaultdict(list)
    for batch in damaged(folder, every, rounds, np.random.default_rng(seed)):
        files = [(every[name].reader, path) for name, path in batch]
        for (name, path), reading in zip(batch, read_elsewhere(files, folder=nowhere, seconds=SECONDS), strict=True):
            until[name].append(reading)
            yield name, reading
            if reading.outcome in ("read", "refused"):
                path.unlink()
        if slowly:
            print(table(until), flush=True)


def is_sentence(reading: Reading) -> bool:
    """Whether a refusal is one sentence with the file's name, or with the folder's, and a remedy."""
    text = reading.text
    named = reading.path in text or reading.reader in ELSEWHERE
    return reading.outcome == "read" or (named and "; " in text and "\n" not in text and len(text) < 1200)


def table(readings: dict[str, list[Reading]]) -> str:
    head = f"\n{'format':26}{'files':>8}{'read':>8}{'refused':>9}{'escaped':>9}{'ended':>7}{'max s':>9}{'max MB':>9}"
    lines = [head]
    for kind, found in {**readings, "all": [each for some in readings.values() for each in some]}.items():
        counts = Counter(each.outcome for each in found)
        outcomes = "".join(f"{counts[name]:>{width}}" for name, width in (("read", 8), ("refused", 9), ("escaped", 9)))
        slowest, largest = max(each.seconds for each in found), max(each.megabytes for each in found)
        lines.append(f"{kind:26}{len(found):>8}{outcomes}{counts['ended']:>7}{slowest:>9.3f}{largest:>9.1f}")
    return "\n".join(lines)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=int, help="how many to damage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where those that escaped stay")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    rounds = -(-given.files // len(every_kind(folder / "counted")))
    for name, reading in fuzz(folder, rounds, given.seed, slowly=True):
        slow = reading.seconds > 5 or reading.megabytes > 1000
        if reading.outcome in ("escaped", "ended") or slow or not is_sentence(reading):
            print(f"{name}: {reading}", flush=True)


if __name__ == "__main__":
    _main()
