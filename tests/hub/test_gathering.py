"""Tasks whose predictions answer no single row: both sides come per sequence, each with its own offsets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.arrays import Floats
from har_bench.protocol import Batch, Groups, Metric, Protocol, Recipe, Scores, matrix
from tests.toy import write_raw


class Counting(Protocol):
    """How many rows each side has, and the sum of the predicted scores."""

    name = "toy/counting"
    version = "1"
    dataset = "toy"
    task = "temporal"
    summary = "toy"
    metrics = (Metric("predicted", "px", "higher", "rows"),)
    tables = (Groups("sequence"),)
    recipes: ClassVar = {"plain": Recipe("plain", "toy", "nothing", "nobody")}
    truth_table = "segments"
    truth_columns = ("label",)
    prediction_columns = ("score",)
    optional_columns = ("label",)

    def select(self, sequences: pa.Table) -> pa.Table:
        return sequences

    def update(self, truth: Batch, predictions: Batch) -> None:
        for (name, true), (_, given) in zip(truth.slices(), predictions.slices(), strict=True):
            labels = truth.columns.get("label")
            known = 0 if labels is None else len(set(labels[true]))
            named = len(predictions.columns.get("label", [])[given])
            self.state.add(
                name,
                [true.stop - true.start, given.stop - given.start, predictions["score"][given].sum(), known, named],
            )

    def metrics_of(self, weights: Floats | None = None) -> dict[str, float]:
        return {"predicted": float(self.state.derived(matrix)[:, 1].sum())}

    def compute(self) -> Scores:
        rows = [
            {"sequence": name, "true": int(row[0]), "predicted": int(row[1]), "score": row[2], "named": int(row[4])}
            for name, row in zip(self.state.names(), self.state.derived(matrix), strict=True)
        ]
        return Scores(self.metrics_of(), {"sequence": rows}, {"sequences": len(rows)})


class CountingPoses(Counting):
    """The same against poses, every other frame."""

    truth_table = "poses"
    truth_columns = ("keypoints",)

    def keep(self, sequences: pa.Table, rows: pa.Table) -> pa.ChunkedArray | None:
        return pa.chunked_array([pa.array(rows["frame"].to_numpy() % 2 == 0)])


class Classifying(Counting):
    """The same against sequences, which must all have predictions."""

    truth_table = "sequences"
    truth_columns = ("action",)
    complete = True


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    home = tmp_path_factory.mktemp("gathering")
    return har_bench.convert("tests.toy:Toy", write_raw(home / "raw", [30, 7]), home / "store", jobs=1, quiet=True)


ROWS = {
    "sequence": ["s001/left", "s000/right", "s000/right", "s001/left", "s001/left"],
    "start": [0, 1, 2, 3, 4],
    "score": [0.5, 0.25, 1.0, 2.0, 4.0],
}


def rows_of(result: har_bench.Result, column: str) -> dict[str, Any]:
    return {str(row["sequence"]): row[column] for row in result.tables["sequence"]}


def score(protocol: str, store: Store, predictions: Any, **options: Any) -> har_bench.Result:
    return har_bench.score(f"tests.hub.test_gathering:{protocol}", store, predictions, **options)


@pytest.mark.parametrize(
    ("protocol", "true"), [("Counting", [1, 1]), ("CountingPoses", [15, 4]), ("Classifying", [1, 1])]
)
def test_each_side_has_its_own_rows(protocol: str, true: list[int], store: Store) -> None:
    everywhere = {
        key: [*values, *rest]
        for (key, values), rest in zip(ROWS.items(), (["s000/left", "s001/right"], [0, 0], [1.0, 1.0]), strict=True)
    }
    found = score(protocol, store, everywhere)
    assert rows_of(found, "true") == {
        "s000/left": true[0],
        "s000/right": true[0],
        "s001/left": true[1],
        "s001/right": true[1],
    }
    assert rows_of(found, "predicted") == {"s000/left": 1, "s000/right": 2, "s001/left": 3, "s001/right": 1}
    assert rows_of(found, "score") == {"s000/left": 1.0, "s000/right": 1.25, "s001/left": 6.5, "s001/right": 1.0}


def test_a_sequence_without_predictions_counts_unless_it_must_have_some(store: Store) -> None:
    assert rows_of(score("Counting", store, ROWS), "predicted")["s000/left"] == 0
    with pytest.raises(HarBenchError, match="2 missing"):
        score("Classifying", store, ROWS)
    assert score("Classifying", store, ROWS, missing="count-as-error").counts["sequences"] == 4


def test_optional_columns_are_given_when_they_are_there(store: Store) -> None:
    assert set(rows_of(score("Counting", store, ROWS), "named").values()) == {0}
    named = rows_of(score("Counting", store, ROWS | {"label": list("abcde")}), "named")
    assert named == {"s000/left": 0, "s000/right": 2, "s001/left": 3, "s001/right": 0}


def test_what_does_not_fit_is_named(store: Store) -> None:
    with pytest.raises(HarBenchError, match="no column score"):
        score("Counting", store, {"sequence": ["s000/left"], "start": [0]})
    with pytest.raises(HarBenchError, match=r"1 non-finite \(first: a score of s001/left"):
        score("Counting", store, ROWS | {"score": [0.5, 0.25, 1.0, np.nan, 4.0]})
    with pytest.raises(HarBenchError, match="1 unknown"):
        score("Counting", store, ROWS | {"sequence": ["elsewhere", *ROWS["sequence"][1:]]})


def test_order_and_workers_change_nothing(store: Store, tmp_path: Path) -> None:
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "rows.parquet")
    one = score("Counting", store, tmp_path / "rows.parquet")
    assert score("Counting", store, tmp_path / "rows.parquet", jobs=2) == one
    assert score("Counting", store, table.take([4, 2, 0, 1, 3])).tables == one.tables
