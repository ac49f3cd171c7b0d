"""Small honest files of every format, damaged at random: each is read or refused, in bounded time and memory.

``HAR_BENCH_FUZZ=N`` damages each kind of file N times; with ``-s`` a table says what came of it.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.hub.fuzzing import fuzz, is_sentence, table
from tests.hub.readings import Reading

ROUNDS = int(os.environ.get("HAR_BENCH_FUZZ", "10"))
SEED = int(os.environ.get("HAR_BENCH_FUZZ_SEED", "0"))
MEGABYTES = 600.0
"""What reading a file of some kilobytes may take, the libraries that it loads included."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


def test_damaged_files_are_read_or_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    readings: dict[str, list[Reading]] = defaultdict(list)
    for name, reading in fuzz(tmp_path, ROUNDS, SEED):
        readings[name].append(reading)
    print(table(readings))
    every = [each for some in readings.values() for each in some]
    odd = [each for each in every if each.outcome in ("escaped", "ended") or not is_sentence(each)]
    assert odd == []
    assert [each for each in every if each.megabytes > MEGABYTES] == []
    assert [name for name, found in readings.items() if found[0].outcome != "read"] == [], "an honest file is refused"
    assert list((tmp_path / "nowhere").iterdir()) == []
    assert all(len(found) == ROUNDS + 1 for found in readings.values())
