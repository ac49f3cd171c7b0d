"""Whatever is passed as predictions, a result or one sentence comes back: every protocol, every column, every form."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import har_bench
from har_bench import Store, registry
from har_bench.errors import HarBenchError
from har_bench.protocol import make_protocol
from har_bench.results import Result
from har_bench.schema import to_numpy, vector
from tests.enlarged import predicted, sample
from tests.strange import odd

PROTOCOLS = registry.available("protocols")
FORMS = ("columns", "dataframe", "by sequence", "alone", "cell", "column twice")


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sample of a protocol's dataset, and right predictions as a dataframe."""
    home = tmp_path_factory.mktemp("right")

    @cache
    def store(dataset: str) -> Store:
        raw: Path = sample(dataset, home / "samples" / dataset)
        return har_bench.open_store(raw / "sample")

    @cache
    def made(name: str) -> tuple[Store, pa.Table]:
        protocol = make_protocol(name)
        return store(protocol.dataset), predicted(protocol, store(protocol.dataset))

    return made


def outcome(name: str, store: Store, predictions: Any) -> Result | None:
    """The result; None where a sentence was raised. Any other exception fails."""
    try:
        return har_bench.score(name, store, predictions, resamples=0)
    except HarBenchError:
        return None


@pytest.mark.parametrize("name", PROTOCOLS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_but_a_sentence_leaves_the_door(name: str, data: st.DataObject, right: Any) -> None:
    store, table = right(name)
    form = data.draw(st.sampled_from(FORMS))
    column = data.draw(st.sampled_from([*table.column_names, "frame", "person"]))
    value = data.draw(odd())
    frame = table.to_pandas()
    if form == "columns":
        predictions: Any = {key: frame[key].tolist() for key in frame} | {column: value}
    elif form == "dataframe":
        try:
            predictions = frame.assign(**{column: value})
            predictions[column].to_list()
        except Exception:  # pandas itself does not take it, by any exception of its own
            return
    elif form == "by sequence":
        names = store.sequences["sequence"].to_pylist()
        predictions = dict.fromkeys(names, value)
    elif form == "cell":
        cells = pd.Series(frame.get(column, pd.Series(0, frame.index)), dtype=object)
        place = data.draw(st.integers(0, len(cells) - 1))
        cells = pd.Series([value if row == place else each for row, each in enumerate(cells)], dtype=object)
        predictions = frame.assign(**{column: cells})
    elif form == "column twice":
        predictions = pd.concat([frame, frame[table.column_names[-1:]]], axis=1)
    else:
        predictions = value
    outcome(name, store, predictions)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_right_predictions_are_right_in_every_form(name: str, right: Any) -> None:
    store, table = right(name)
    frame = table.to_pandas()
    first, *others = (
        outcome(name, store, form) for form in (table, frame, {key: frame[key].tolist() for key in frame})
    )
    assert first is not None
    assert all(other is not None and other.metrics == first.metrics for other in others)


@pytest.mark.parametrize("frames", ["half", "text", "negative", "nan", "huge"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_frames_that_are_none_are_said(name: str, frames: str, right: Any) -> None:
    store, table = right(name)
    if "frame" not in table.column_names:
        return
    odd_frames = {"half": 0.5, "text": "a", "negative": -1, "nan": np.nan, "huge": 2.0**40}[frames]
    predictions = table.to_pandas().assign(frame=odd_frames)
    with pytest.raises(HarBenchError, match="frame"):
        har_bench.score(name, store, predictions, resamples=0)


@pytest.mark.parametrize(
    "names",
    [
        np.zeros((3, 1), np.float32),
        [["a"], ["b"], []],
        [{"a": 1}] * 3,
        [b"\xff"] * 3,
        [True, False, True],
        [date(2020, 1, 1)] * 3,
        [None] * 3,
    ],
    ids=["vectors", "lists", "structures", "bytes", "truth values", "dates", "nothing"],
)
def test_names_that_are_none_are_said(names: Any, right: Any) -> None:
    store, _ = right("ntu60/xsub")
    column = vector(names, pa.float32()) if isinstance(names, np.ndarray) else pa.array(names)
    predictions = pa.table({"sequence": column, "label": [0, 0, 0]})
    with pytest.raises(HarBenchError):
        har_bench.score("ntu60/xsub", store, predictions, resamples=0)


@pytest.mark.parametrize("kind", ["u1", "i1", "f2", "f4", "u8"])
@pytest.mark.parametrize("name", PROTOCOLS)
def test_small_numbers_rank_and_add_as_large_ones_do(name: str, kind: str, right: Any) -> None:
    """A score of 0 to 100 in a byte must not turn round when it is negated, nor a sum overflow."""
    store, table = right(name)
    for column in set(table.column_names) & {"score", "scores", "confidence", "timestamp"}:
        values = to_numpy(table[column], table.schema.field(column))
        small = np.nan_to_num(np.abs(values) * (100 / max(np.abs(values).max(), 1))).round()
        place = table.column_names.index(column)
        told = []
        for dtype in (kind, "f8"):
            array = vector(small.astype(dtype)) if small.ndim > 1 else pa.array(small.astype(dtype))
            told.append(outcome(name, store, table.set_column(place, column, array)))
        assert (told[0] and told[0].metrics) == (told[1] and told[1].metrics)
