"""What is learnt from: which tracks of a store, their bodies, and the classes of their films."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from har_bench.arrays import Ints, Singles
from har_bench.errors import HarBenchError, listed
from har_bench.store import Store

from .clips import Clips
from .kinetics import classes_of


def rows_of(store: Store, splits: str) -> Ints:
    """The rows of ``sequences`` in some splits; of all that end in ``-train`` where none is named.

    Raises:
        HarBenchError: there are none, or no such split.
    """
    known = store.manifest.splits
    wanted = splits.split(",") if splits else [name for name in known if name.endswith("-train")]
    if not wanted:
        raise HarBenchError(
            f"{store.path} has no split for training (LART's are ava-train and kinetics-train, this has "
            f"{listed(known) or 'none'}); give --set learn_from="
        )
    names = {name for split in wanted for name in store.select(split)["sequence"].to_pylist()}
    return np.array([row for row, name in enumerate(store.sequences["sequence"].to_pylist()) if name in names])


def bodies(store: Store, rows: Ints) -> Iterator[Singles]:
    """(N, 229) bodies of those who are detected, clip by clip."""
    clips = Clips(store, 0)
    for row in rows.tolist():
        for person in clips.clip(row).people:
            yield person.pose[person.detected]


def films(store: Store, rows: Ints, kinetics: str) -> Mapping[str, int]:
    """Kinetics' classes of the films in these rows, if its csv was named.

    Raises:
        HarBenchError: it is another file.
    """
    if not kinetics:
        return {}
    there = set(store.sequences["video"].take(rows).to_pylist())
    return {film: number for film, number in classes_of(kinetics).items() if film in there}
