"""Pickles and npz archives from strangers: honest ones read as NumPy reads them, hostile ones end in one sentence."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import pickles
from tests.damage import damaged, refused
from tests.hub.strange_files import ARRAYS, Load, Strange, objects
from tests.hub.torch_writing import Call, named, pickled


@pytest.fixture
def load(strange: Strange) -> Load:
    return strange(pickles.load)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_bit_for_bit(name: str, protocol: int, load: Load) -> None:
    loaded = load(pickle.dumps(ARRAYS[name], protocol))
    assert type(loaded) is np.ndarray
    assert loaded.dtype == ARRAYS[name].dtype
    assert loaded.shape == ARRAYS[name].shape
    assert loaded.tobytes("A") == ARRAYS[name].tobytes("A")
    assert loaded.flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_scalars_come_back(protocol: int, load: Load) -> None:
    value = {
        "list": [1, 2.5, None, True, "ç", b"\x00\xff", b"", 1 << 80],
        "sets": ({1, 2}, frozenset({"a"})),
        "ordered": OrderedDict(b=1, a=2),
        "scalars": (np.float32(1.5), np.int64(-3), np.str_("é"), np.bool_(True)),
        "other": (slice(1, None, 2), 1j, np.dtype("<f8")),
    }
    loaded = load(pickle.dumps(value, protocol))
    assert loaded == value
    assert [type(item) for item in loaded["scalars"]] == [np.float32, np.int64, np.str_, np.bool_]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_object_arrays_keep_their_structure_and_shared_values(protocol: int, load: Load) -> None:
    shared = np.arange(4)
    loaded = load(pickle.dumps({"objects": objects(), "twice": [shared, shared]}, protocol))
    array = loaded["objects"]
    assert array.shape == (2, 2)
    assert array[0, 0].tolist() == [0.0, 1.0, 2.0]
    assert array[1, 0] is None
    assert array[1, 1]["inner"][1][0].tolist() == [1.0, 1.0]
    assert loaded["twice"][0] is loaded["twice"][1]


def test_a_value_that_holds_itself_is_refused(load: Load) -> None:
    ring: list[Any] = [np.arange(2)]
    ring.append({"again": ring})
    with pytest.raises(HarBenchError, match=r"holds itself; convert it to plain arrays"):
        load(pickle.dumps(ring))


def test_python_2_array_bytes_are_read(load: Load) -> None:
    """Python 2 wrote an array's bytes as text; NumPy reads such files with ``encoding="latin1"``."""
    raw = b"\x00\x00\x80?\xff\xff\x7f\x7f"
    state = b"(I1\n(I2\ntcnumpy\ndtype\n(U\x02f4I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntb"
    forged = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(I0\ntU\x01b\x87R" + state + b"\x89U\x08"
    assert load(forged + raw + b"tb.").tolist() == np.frombuffer(raw, "<f4").tolist()


class Calls:
    """Pickles into a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch OWNED",), "system"),
        (eval, ("open('OWNED', 'w')",), "eval"),
        (exec, ("open('OWNED', 'w')",), "exec"),
        (getattr, (os, "system"), "getattr"),
        (__import__, ("os",), "__import__"),
        (bytearray, (1 << 40,), "bytearray"),
        (np.load, ("x.npy",), "load"),
        (np.lib.format.open_memmap, ("OWNED", "w+"), "open_memmap"),
    ],
)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_of_anything_is_refused_by_name(
    function: Any,
    arguments: Any,
    named: str,
    protocol: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    load: Load,
) -> None:
    monkeypatch.chdir(tmp_path)
    safe = tuple(argument for argument in arguments if argument is not os)
    with pytest.raises(HarBenchError, match=rf"asks for .*{named}, which is not data"):
        load(pickle.dumps([Calls(function, *safe)], protocol))
    assert not list(tmp_path.iterdir())


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
FLOAT = (
    b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R"
    b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)
OBJECT = FLOAT.replace(b"f8", b"O8").replace(b"<", b"|")
HUGE = b"\x8a\x06" + struct.pack("<q", 1 << 40)[:6]


HOSTILE = {
    "numpy's own codec by attribute": (
        b"\x80\x04\x8c\x05numpy\x8c\x0esys.modules.os\x93.",
        "asks for numpy.sys.modules.os",
    ),
    "dotted name": (b"\x80\x04\x8c\x08builtins\x8c\x0dset.__class__\x93.", r"asks for builtins\.set\.__class__"),
    "persistent id": (b"Pabc\n.", "outside itself"),
    "binary persistent id": (b"\x80\x02K\x01Q.", "outside itself"),
    "extension code": (b"\x80\x02\x82\x01.", "outside itself"),
    "out-of-band buffer": (b"\x80\x05\x97.", "outside itself"),
    "memo index": (b"\x80\x02Nr\xff\xff\xff\x7f.", "forged memo index"),
    "declared size": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b".", "is cut off; write or download it again"),
    "bytes of a number": (b"c__builtin__\nbytes\n(L1099511627776L\ntR.", "not a readable pickle"),
    "a function": (b"cnumpy\ndtype\n.", "holds a function"),
    "a function in a key": (b"\x80\x02}cnumpy\ndtype\nNs.", "has a key that is a"),
    "an array in a key": (b"\x80\x03}" + ARRAY + b"Ns.", "has a key that is a"),
    "assignment to a function": (b"cnumpy\ndtype\n}X\x01\x00\x00\x00aNsb.", "gives a state to"),
    "attribute of a function": (b"\x80\x02cnumpy\ndtype\nN}X\x08\x00\x00\x00functionNs\x86b.", "gives a state to"),
    "shape beyond the bytes": (
        b"\x80\x03" + ARRAY + b"(K\x01" + HUGE + b"\x85" + FLOAT + b"\x89C\x08" + bytes(8) + b"tb.",
        "another size",
    ),
    "object shape beyond the list": (
        b"\x80\x03" + ARRAY + b"(K\x01" + HUGE + b"\x85" + OBJECT + b"\x89]tb.",
        "another size",
    ),
    "objects from bytes": (
        b"\x80\x03" + ARRAY + b"(K\x01K\x01\x85" + OBJECT + b"\x89C\x08" + bytes(8) + b"tb.",
        "malformed",
    ),
    "negative shape": (b"\x80\x03" + ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + FLOAT + b"\x89C\x00tb.", "malformed"),
    "structured type": (b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8\x89\x88\x87R.", "not a plain number"),
    "forged type state": (FLOAT.replace(b"NNNJ", b"N}}J").join([b"\x80\x02", b"."]), "structured"),
    "codec": (b"c_codecs\nencode\n(Vabc\nVzip\ntR.", "codec"),
    "deep list": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "nested more than"),
    "deep tuple as a key": (b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.", "unfolds into more than 1000 values"),
    "deep tuple through duplicates": (
        b"\x80\x02}N" + b"\x8520" * 50_000 + b"Ns.",
        "unfolds into more than 1000 values",
    ),
    "empty": (b"", "is empty; was it"),
    "not a pickle": (b"hello", "is no pickle, or a damaged one: it ends early"),
    "truncated": (pickle.dumps(objects())[:-20], "is cut off|ends early"),
    "stack underflow": (b"\x80\x02\x87.", "takes what is not there"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_instructions_end_in_one_sentence(name: str, load: Load) -> None:
    forged, reason = HOSTILE[name]
    with pytest.raises(HarBenchError, match=reason):
        load(forged)


def test_calls_that_repeat_a_long_argument_are_stopped(load: Load) -> None:
    """A few bytes per call would otherwise copy the same text without end."""
    text = b"X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x000"
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0"
    with pytest.raises(
        HarBenchError, match=r"unfolds into more than .*; if you trust it, allow it more with HAR_BENCH_UNFOLD_GB"
    ):
        load(b"\x80\x02" + text + call * 200 + b"N.")


def test_arrays_that_share_their_bytes_are_stopped(load: Load) -> None:
    content = b"B\x00\x00\x10\x00" + bytes(1 << 20) + b"q\x000"
    array = ARRAY + b"(K\x01J\x00\x00\x02\x00\x85" + FLOAT + b"\x89h\x00tb"
    with pytest.raises(
        HarBenchError, match=r"unfolds into more than .*; if you trust it, allow it more with HAR_BENCH_UNFOLD_GB"
    ):
        load(b"\x80\x03" + content + b"](" + array * 200 + b"e.")


def test_random_mutations_never_escape(load: Load) -> None:
    for protocol in (0, 2, 4, 5):
        honest = pickle.dumps({"a": objects(), "b": ARRAYS}, protocol)
        assert 0 < refused(load, damaged(honest, 200, seed=7)) < 1


def test_a_random_state_is_data_too(load: Load) -> None:
    assert load(pickle.dumps(np.random.RandomState(5)))["bit_generator"] == "MT19937"
    with pytest.raises(HarBenchError, match="holds a random state that is malformed"):
        load(pickled(Call(named("numpy.random", "__RandomState_ctor"), (), (1, 2)))[0])


def test_an_attribute_cannot_hide_a_method_of_an_ordered_dict(load: Load) -> None:
    assert list(load(pickled(Call(OrderedDict, (), {"items": 3}))[0]).items()) == []
