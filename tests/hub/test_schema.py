"""Columns carry units and shapes, and arrays go in and come out as they were."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from har_bench import HarBenchError
from har_bench.schema import (
    CAMERAS,
    SEGMENTS,
    column,
    poses_schema,
    sequences_schema,
    shape_of,
    table,
    texts_of,
    to_numpy,
    vector,
)
from har_bench.storing.fingerprint import of_table

SCHEMAS = {
    "poses": poses_schema(17, dims=(2, 3)),
    "sequences": sequences_schema(),
    "cameras": CAMERAS,
    "segments": SEGMENTS,
}


def test_lengths_and_pixels_have_units() -> None:
    units = {field.name: (field.metadata or {}).get(b"unit") for schema in SCHEMAS.values() for field in schema}
    assert units["keypoints"] == units["bbox"] == units["fx"] == units["width"] == b"px"
    assert units["keypoints_3d"] == units["t"] == b"mm"
    assert units["fps"] == b"1/s"


def test_vectors_are_fixed_size_lists_with_a_shape() -> None:
    field = SCHEMAS["poses"].field("keypoints_3d")
    assert field.type == pa.list_(pa.float32(), 51)
    assert shape_of(field) == (17, 3)
    assert shape_of(pa.field("x", pa.list_(pa.float32(), 4))) == (4,)
    assert shape_of(pa.field("x", pa.int8())) == ()


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_arrays_come_out_as_they_went_in(array: np.ndarray) -> None:  # type: ignore[type-arg]
    field = column("x", pa.float32(), shape=array.shape[1:])
    np.testing.assert_array_equal(to_numpy(vector(array), field), array)
    assert to_numpy(vector(array)[1:], field).shape == (len(array) - 1, *array.shape[1:])


def test_null_vectors_are_nan_or_zero() -> None:
    mask = np.array([False, True])
    field = column("x", pa.float32(), shape=(2, 2))
    numbers = to_numpy(vector(np.ones((2, 2, 2), np.float32), mask=mask), field)
    assert np.isnan(numbers[1]).all()
    assert (numbers[0] == 1).all()
    flags = to_numpy(vector(np.ones((2, 3), np.uint8), mask=mask), column("x", pa.uint8(), shape=(3,)))
    assert flags.tolist() == [[1, 1, 1], [0, 0, 0]]
    listed = to_numpy(pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), column("x", pa.int8(), shape=(2,)))
    assert (listed.dtype, listed.tolist()) == (np.int8, [[1, 2], [0, 0]])


def test_a_table_refuses_what_its_schema_cannot_hold() -> None:
    with pytest.raises(HarBenchError, match="no column of the schema is called 'colour'; there are sequence"):
        table({"colour": ["red"]}, SEGMENTS)
    with pytest.raises(HarBenchError, match="column 'start' cannot hold its values"):
        table({"sequence": ["a"], "start": ["x"]}, SEGMENTS)


@given(
    st.lists(
        st.tuples(st.text(), st.none() | st.integers(-5, 5), st.none() | st.lists(st.text(), max_size=3)), max_size=8
    )
)
def test_a_fingerprint_depends_on_values_and_not_on_chunks(
    rows: list[tuple[str, int | None, list[str] | None]],
) -> None:
    kinds = (pa.string(), pa.int16(), pa.list_(pa.string()))
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    whole = pa.table(
        {str(i): pa.array(values, kind) for i, (values, kind) in enumerate(zip(columns, kinds, strict=True))}
    )
    pieces = pa.concat_tables([whole.slice(0, 3), whole.slice(3)])
    assert of_table(pieces) == of_table(whole)
    if rows:
        changed = whole.set_column(0, "0", pa.array([rows[0][0] + "x", *columns[0][1:]]))
        assert of_table(changed) != of_table(whole)
        assert of_table(whole.slice(1)) != of_table(whole)


def test_what_a_column_says_of_itself_need_be_no_text() -> None:
    said = texts_of({b"unit": b"mm", b"about": b"\xff", b"\xfe": b""})
    assert said == {"unit": "mm", "about": "\ufffd", "\ufffd": ""}
    assert texts_of(None) == {}
