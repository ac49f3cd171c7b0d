"""Several trainings of one model: each with the next seed, the first one's result, all of them in its table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench import HarBenchError, Store, results
from har_bench.baseline import Baseline
from har_bench.cli import main
from har_bench.options import option
from har_bench.protocol import Protocol
from har_bench.running import run_seeds
from har_bench.schema import vector
from tests import motions
from tests.motions import MotionAccuracy


@dataclass
class Guess(Baseline):
    """Learns to guess, from its seed."""

    summary = "guesses"

    seed: int = option(5, "of the guesses")
    checkpoints: str = option("", "folder")

    def fit(self, store: Store, protocol: Protocol) -> None:
        self.learnt = self.seed

    def serves(self, store: Store, protocol: Protocol) -> bool:
        return True

    def predict(self, store: Store, protocol: Protocol) -> Iterator[pa.Table]:
        names = protocol.select(store.sequences)["sequence"]
        scores = np.random.default_rng(self.learnt).random((len(names), 3))
        yield pa.table({"sequence": names, "scores": vector(scores)})

    def save(self, path: Path) -> None:
        path.write_text(f"{self.learnt} {self.checkpoints}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return motions.store(tmp_path_factory.mktemp("motions"))


def test_every_seed_is_in_the_table_with_mean_and_deviation(store: Store, tmp_path: Path) -> None:
    given: dict[str, Any] = {"protocol": MotionAccuracy(), "out": tmp_path / "p.parquet", "save": tmp_path / "w"}
    result = run_seeds(3, Guess(checkpoints="kept"), store, **given)
    alone = [har_bench.run(Guess(seed=seed), store, protocol=MotionAccuracy())["top-1"] for seed in (5, 6, 7)]
    assert len(set(alone)) > 1
    assert result["top-1"] == alone[0]
    rows = {row["seed"]: row["top-1"] for row in result.tables["seed"]}
    assert [rows[str(seed)] for seed in (5, 6, 7)] == alone
    assert rows["mean"] == pytest.approx(statistics.mean(alone))
    assert rows["standard deviation"] == pytest.approx(statistics.stdev(alone))
    assert result.readings["seed"].kind == "facts"
    assert (result.model, result.environment["baseline"]) == ("Guess", "Guess")
    for ending, number in (("", 5), ("-seed6", 6), ("-seed7", 7)):
        assert (tmp_path / f"w{ending}").read_text() == f"{number} kept/seed{number}"
        assert (tmp_path / f"p{ending}.parquet").exists()


def test_a_model_without_a_seed_has_no_spread(store: Store, tmp_path: Path) -> None:
    for number, baseline, more, words in (
        (3, "nearest-centroid", {}, "nearest-centroid learns the same from every seed; leave --seeds out"),
        (3, "oracle-noise", {}, "oracle-noise learns the same"),
        (3, Guess(), {"weights": tmp_path / "w"}, "leave either --weights or --seeds out"),
        (0, Guess(), {}, "--seeds is 0; give 2 or more"),
    ):
        with pytest.raises(HarBenchError, match=words):
            run_seeds(number, baseline, store, protocol=MotionAccuracy(), **more)


def test_seeds_are_on_the_command_line(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "result.json"
    told = ["--protocol", "tests.motions:MotionAccuracy", "--seeds", "2", "--set", "seed=8", "--quiet"]
    main(["run", f"{__name__}:Guess", str(store.path), *told, "--out", str(out)])
    said = capsys.readouterr().out
    assert "standard deviation" in said
    assert [row["seed"] for row in results.read(out).tables["seed"]] == ["8", "9", "mean", "standard deviation"]
