"""Readers of what har_bench wrote itself, for :mod:`tests.hub.readings`: somebody may have put a pipe in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def validated(path: Path) -> None:
    import har_bench

    har_bench.open_store(path).validate()


def resumed(path: Path) -> None:
    """Convert the toy beside a store, into it."""
    import har_bench

    har_bench.convert("tests.toy:Toy", path.with_name("raw"), path, jobs=1, quiet=True)


def curves(path: Path) -> None:
    from har_bench.training.curves import read_curves

    read_curves(path)


def checkpoints(path: Path) -> None:
    from har_bench.training.checkpoints import newest

    newest(path)


def pose_parts(path: Path) -> None:
    from har_bench.media.pose_parts import Parts

    list(Parts(path, {}))


def fingerprinted(path: Path) -> None:
    from har_bench.storing import fingerprint

    fingerprint.of_path(path)


OWN_READERS: Mapping[str, Callable[[Path], Any]] = {
    "validated": validated,
    "resumed": resumed,
    "curves": curves,
    "checkpoints": checkpoints,
    "pose parts": pose_parts,
    "fingerprinted": fingerprinted,
}
