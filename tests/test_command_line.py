"""The main job on the command line, for every protocol and recipe: sample, convert, score, read, leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from har_bench import cli, open_store, registry, results
from har_bench.protocol import make_protocol
from tests import enlarged

PROTOCOLS = {name: registry.load("protocols", name) for name in registry.available("protocols")}
LAYOUTS = {("coco/oks", "crowdpose"): "crowdpose14", ("coco/oks", "wholebody"): "coco-wholebody133"}
"""Recipes of other joints than those of the sample."""


def run(*words: object) -> None:
    """A command, which ends well."""
    try:
        cli.main([str(word) for word in words])
    except SystemExit as stop:
        if stop.code:
            pytest.fail(" ".join(map(str, words)))


@pytest.fixture(scope="module")
def store_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    home = tmp_path_factory.mktemp("stores")

    @cache
    def converted(dataset: str) -> Path:
        run("sample", dataset, home / f"{dataset}-raw")
        run("convert", dataset, home / f"{dataset}-raw", home / dataset, "--jobs", 1, "--quiet")
        return home / dataset

    others = enlarged.stores(home / "others")

    def store(name: str, recipe: str) -> Path:
        layout = LAYOUTS.get((name, recipe))
        dataset = PROTOCOLS[name].dataset
        return others(dataset, parts=1, layout=layout).path if layout else converted(dataset)

    return store


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_recipe_goes_from_the_sample_to_the_page(
    name: str, store_of: Callable[[str, str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for recipe in PROTOCOLS[name].recipes:
        store, out = store_of(name, recipe), tmp_path / "results" / f"{recipe}.json"
        predictions = tmp_path / f"{recipe}.parquet"
        pq.write_table(enlarged.predicted(make_protocol(name, recipe), open_store(store), ties=False), predictions)
        words = ("--recipe", recipe, "--resamples", 5, "--model", recipe, "--out", out, "--quiet")
        run("score", name, store, predictions, *words)
        found = results.read(out)
        assert (found.protocol, found.recipe) == (name, recipe)
        assert f"result: {out}" in capsys.readouterr().out
    run("leaderboard", "build", tmp_path / "results", tmp_path / "site")
    table = (tmp_path / "site" / "leaderboard.csv").read_text()
    assert all(f",{recipe}," in table for recipe in PROTOCOLS[name].recipes)
