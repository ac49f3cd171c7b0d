"""A walk through the whole suite on synthetic data: raw samples, stores, baselines, scores and the page."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from har_bench import registry, results
from har_bench.converting.engine import convert
from har_bench.errors import HarBenchError
from har_bench.files import whole_folder
from har_bench.running import run
from har_bench.store import open_store

MARK = ".har-bench-demo"


def demo(folder: Path, *, say: Callable[[str], None]) -> Path:
    """Sample, convert, run, score and publish every dataset that a baseline serves; returns the page.

    Raises:
        HarBenchError: ``folder`` is a file, or holds something and is not an earlier demo's.
    """
    _clear(folder)
    baselines = _installed(say)
    for name in registry.available("protocols"):
        protocol = registry.load("protocols", name)
        raw, store = folder / "raw" / protocol.dataset, folder / "stores" / protocol.dataset
        if not store.exists():
            say(f"\nhar-bench sample {protocol.dataset} {raw}")
            with whole_folder(raw) as temporary:
                registry.load("converters", protocol.dataset).sample(temporary)
            say(f"har-bench convert {protocol.dataset} {raw} {store}")
            say(f"  {convert(protocol.dataset, raw, store, jobs=1, quiet=True)!r}")
        for baseline, made in baselines.items():
            if made.needs or not made().serves(open_store(store), protocol()):
                continue
            out = folder / "results" / f"{name.replace('/', '-')}.{baseline}.json"
            settings = "".join(f" --set {option}={value}" for option, value in made.quick.items())
            say(f"har-bench run {baseline} {store} --protocol {name}{settings} --out {out}")
            result = run(baseline, store, protocol=name, model=f"{baseline} (synthetic data)", settings=made.quick)
            results.write(result, out)
            say(f"  {result.primary} {result[result.primary]:.2f} {result.units[result.primary]}")
    site = folder / "site"
    say(f"\nhar-bench leaderboard build {folder / 'results'} {site}")
    registry.load("leaderboards", "site")(folder / "results", site)
    return site / "index.html"


def _clear(folder: Path) -> None:
    """Make the folder, marked as a demo's and otherwise empty; the mark is the last to go, should this be cut short."""
    if folder.exists() and not folder.is_dir():
        raise HarBenchError(f"{folder} is a file; name a folder for the demo")
    there = list(folder.iterdir()) if folder.exists() else []
    if there and not (folder / MARK).exists():
        raise HarBenchError(f"{folder} exists and is no demo of har-bench; name another folder")
    for path in there:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _installed(say: Callable[[str], None]) -> dict[str, Any]:
    """The baselines whose libraries are here; of the others it is said what they lack."""
    found = {}
    for name in registry.available("baselines"):
        try:
            found[name] = registry.load("baselines", name)
        except HarBenchError as error:
            say(f"left out: {error}")
    return found
