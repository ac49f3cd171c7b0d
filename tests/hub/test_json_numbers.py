"""Lists of numbers are read as a json reader reads them, to the last bit."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har_bench.foreign.json_numbers import numbers

PLAIN = st.one_of(st.integers(-(10**17), 10**17), st.floats(-1e6, 1e6), st.decimals(-9999, 9999, places=3).map(float))
LISTS = st.lists(st.one_of(st.none(), st.lists(st.one_of(PLAIN, st.floats(allow_nan=False, allow_infinity=False)))))


def raw(*texts: str) -> list[msgspec.Raw]:
    return [msgspec.Raw(text.encode()) for text in texts]


@given(LISTS, st.sampled_from([(",", ":"), (", ", ": "), (" ,\n\t", ":")]))
def test_any_lists_are_read_to_the_last_bit(lists: list[list[float] | None], separators: tuple[str, str]) -> None:
    found, lengths = numbers(raw(*(json.dumps(one, separators=separators) for one in lists)))
    expected = np.array([float(value) for one in lists for value in one or ()], float)
    assert found.tobytes() == expected.tobytes()
    assert lengths.tolist() == [len(one or ()) for one in lists]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[]", []),
        ("[ ]", []),
        ("null", []),
        ("[0]", [0.0]),
        ("[-0]", [0.0]),
        ("[-0.0,1]", [-0.0, 1.0]),
        ("[ 1 , 2.50 ]", [1.0, 2.5]),
        ("[123456789012345]", [123456789012345.0]),
        ("[12345678901234567890]", [12345678901234567890.0]),
        ("[0.1,0.30000000000000004]", [0.1, 0.30000000000000004]),
        ("[1e3,-2E-2]", [1000.0, -0.02]),
        ("[0.000000000000001]", [1e-15]),
        ("[1, NaN, -Infinity, Infinity]", [1.0, float("nan"), float("-inf"), float("inf")]),
    ],
)
def test_ways_to_write_a_number(text: str, values: list[float]) -> None:
    found, lengths = numbers(raw("[7]", text, "[8,9]"))
    assert found.tobytes() == np.array([7.0, *values, 8.0, 9.0]).tobytes()
    assert lengths.tolist() == [1, len(values), 2]


@pytest.mark.parametrize(
    "text", ['"1"', "1", "true", "{}", '["1"]', "[true]", "[[1]]", "[1,null]", "[{}]", "[NaN,null]", '["NaN"]']
)
def test_what_is_no_list_of_numbers_is_an_error(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        numbers(raw("[1]", text))
