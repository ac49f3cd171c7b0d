"""Stores and predictions, found by the fingerprints that results name, and a result scored again from its own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from har_bench import remote
from har_bench.errors import HarBenchError
from har_bench.results import Result
from har_bench.scoring import score
from har_bench.scoring.ensembles import MEMBER, Ensemble
from har_bench.scoring.ways import Remedies
from har_bench.store import open_store
from har_bench.storing import fingerprint, manifest


@dataclass(frozen=True)
class Sources:
    """Stores and predictions under some folders, by fingerprint; nothing is read before it is needed.

    Attributes:
        store_roots: stores, or folders that hold them at any depth; paths or URLs.
        prediction_roots: files of predictions, or folders that hold them at any depth.
    """

    store_roots: list[str | Path]
    prediction_roots: list[str | Path]

    @cached_property
    def stores(self) -> dict[str, str | Path]:
        """Finished stores by the fingerprint of their content."""
        found: dict[str, str | Path] = {}
        for place in (place for root in self.store_roots for place in remote.files_at(root)):
            name = Path(place).name
            if name != manifest.MANIFEST and not name.endswith(".h5"):
                continue
            try:
                opened = open_store(place if name.endswith(".h5") else remote.beside(place, ""))
            except HarBenchError:  # another program's manifest.json, or an HDF5 file that is no store
                continue
            found.setdefault(opened.fingerprint, opened.place)
        return found

    @cached_property
    def predictions(self) -> dict[str, Path]:
        """Files by the blake3 of their bytes, folders by that of all their files: as scoring fingerprints them."""
        found: dict[str, Path] = {}
        for root in map(remote.fetch, self.prediction_roots):
            inside = [root] if root.is_file() else [root, *sorted(root.rglob("*"))]
            for path in inside:
                with suppress(HarBenchError):  # a pipe, or what may not be read, is nobody's predictions
                    found.setdefault(fingerprint.of_path(path), path)
        return found

    def given(self, result: Result) -> Path | Ensemble | None:
        """A result's predictions: its file, or all files of its ensemble; None where they are not there."""
        digests = [digest for name, digest in result.fingerprints.items() if name.startswith(MEMBER)]
        if not digests:
            return self.predictions.get(result.fingerprints.get("predictions", ""))
        if any(digest not in self.predictions for digest in digests):
            return None
        return Ensemble.taken(result.options, [self.predictions[digest] for digest in digests])[0]


def again(old: Result, found: Sources, jobs: int, *, quiet: bool) -> Result:
    """A result scored again in the same way, from its own store and predictions; measured speed is copied.

    Raises:
        HarBenchError: its store or its predictions are not among those found, or they cannot be scored.
    """
    store, given = found.stores.get(old.fingerprints.get("store", "")), found.given(old)
    for what, there, roots in (
        ("store", store, found.store_roots),
        ("predictions", given, found.prediction_roots),
    ):
        if there is None:
            where = f"in {names}" if (names := ", ".join(map(str, roots))) else "as no folder was given"
            digest = old.fingerprints.get(what, "")
            raise HarBenchError(f"its {what} (blake3 {digest[:16]}…) cannot be found, {where}")
    remedies, options = Remedies.taken(old.options)
    _, options = Ensemble.taken(options, given.files) if isinstance(given, Ensemble) else (None, options)
    new = score(
        old.protocol,
        store or "",
        given,
        recipe=old.recipe,
        options=options,
        missing=options.pop("missing", "error"),
        skeleton=old.environment.get("layout"),
        remedies=remedies,
        jobs=jobs,
        resamples=max((interval.resamples for interval in old.intervals.values()), default=0),
        model=old.model,
        quiet=quiet,
    )
    return msgspec.structs.replace(new, speed=old.speed)
