"""What a leaderboard can draw of its entries with the stores and predictions that are here."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from har_bench.browsing import browse
from har_bench.results import Result
from har_bench.showing.stills import worst_frames
from har_bench.store import open_store
from har_bench.studying.sources import Sources

MOST_DRAWN = 4
"""Sequences of a report that are drawn."""

STORES = "stores"
"""The folder of a site that has pages of stores."""


class Illustrations:
    """Pages of stores, and pictures of where predictions are worst; made when they are asked for."""

    def __init__(self, results: Path, stores: Iterable[str | Path], site: Path) -> None:
        """Predictions are found by content under ``results``; pages of stores are written into ``site``."""
        self._sources = Sources(list(stores), [results])
        self._site = site
        self.store = cache(self._browsed)

    def _browsed(self, fingerprint: str) -> str:
        """Where the site has a page of a store; empty for one that is not here."""
        path = self._sources.stores.get(fingerprint)
        if path is None:
            return ""
        store = open_store(path)
        place = f"{STORES}/{store.dataset}-{fingerprint[:8]}"
        return f"{place}/{browse(store, self._site / place).name}"

    def worst(self, result: Result) -> list[tuple[str, bytes]]:
        """Captions and PNGs of where a result is worst; none where store or predictions are not here, or of several."""
        path = self._sources.stores.get(result.fingerprints.get("store", ""))
        given = self._sources.given(result)
        if path is None or not isinstance(given, Path):
            return []
        return worst_frames(path, {result.model or "predictions": given}, result.canonical, MOST_DRAWN)
