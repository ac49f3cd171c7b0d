"""What is wrong with a file and what to do about it meet in one sentence, at the reader's door."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from har_bench.errors import HarBenchError, Malformed, completing
from har_bench.foreign import pickles


def test_the_name_and_the_remedy_make_it_a_sentence() -> None:
    with pytest.raises(HarBenchError) as caught, completing("a.pkl", "write it again"):
        raise Malformed("holds\nnothing")
    assert str(caught.value) == "a.pkl holds nothing; write it again"
    assert isinstance(caught.value.__cause__, Malformed)


def test_a_remedy_of_its_own_comes_first() -> None:
    with (
        pytest.raises(HarBenchError, match=r"^a\.mat is of version 7\.3; save it with -v7$"),
        completing("a.mat", "mend"),
    ):
        raise Malformed("is of version 7.3", "save it with -v7")


def test_a_fragment_is_no_error_of_ours_and_other_errors_pass() -> None:
    assert not issubclass(Malformed, HarBenchError)
    with pytest.raises(KeyError), completing("a", "b"):
        raise KeyError
    with pytest.raises(HarBenchError, match=r"^whole; mend it$"), completing("a", "b"):
        raise HarBenchError("whole; mend it")


def test_a_reader_completes_what_its_parts_found(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(HarBenchError, match=r"x\.pkl asks for builtins\.print, which is not data; convert it"):
        pickles.load(path)
