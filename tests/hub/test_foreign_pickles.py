"""Pickles and npz archives from strangers: honest ones read as NumPy reads them, hostile ones end in one sentence."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import pickles
from har_bench.foreign.npz import open_npz
from tests.damage import damaged, refused

ARRAYS = {
    "floats": np.arange(12, dtype="f4").reshape(3, 4),
    "big-endian": np.arange(6, dtype=">i2").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "empty": np.empty((0, 3)),
    "zero-dimensional": np.array(5, np.int64),
    "booleans": np.array([True, False]),
    "text": np.array(["ab", "ç"]),
    "bytes": np.array([b"ab", b"c"]),
    "complex": np.array([1 + 2j]),
}


def objects() -> np.ndarray:
    """A 2 x 2 object array with arrays, containers and text inside."""
    array = np.empty((2, 2), object)
    array[0, 0], array[0, 1] = np.arange(3.0), "text"
    array[1, 1] = {"inner": [np.float32(2.5), (np.ones(2),)]}
    return array


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_come_back_bit_for_bit(name: str, protocol: int) -> None:
    loaded = pickles.load(pickle.dumps(ARRAYS[name], protocol))
    assert type(loaded) is np.ndarray
    assert loaded.dtype == ARRAYS[name].dtype
    assert loaded.shape == ARRAYS[name].shape
    assert loaded.tobytes("A") == ARRAYS[name].tobytes("A")
    assert loaded.flags.writeable


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_scalars_come_back(protocol: int) -> None:
    value = {
        "list": [1, 2.5, None, True, "ç", b"\x00\xff", b"", 1 << 80],
        "sets": ({1, 2}, frozenset({"a"})),
        "ordered": OrderedDict(b=1, a=2),
        "scalars": (np.float32(1.5), np.int64(-3), np.str_("é"), np.bool_(True)),
        "other": (slice(1, None, 2), 1j, np.dtype("<f8")),
    }
    loaded = pickles.load(pickle.dumps(value, protocol))
    assert loaded == value
    assert [type(item) for item in loaded["scalars"]] == [np.float32, np.int64, np.str_, np.bool_]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_object_arrays_keep_their_structure_and_shared_values(protocol: int) -> None:
    shared = np.arange(4)
    loaded = pickles.load(pickle.dumps({"objects": objects(), "twice": [shared, shared]}, protocol))
    array = loaded["objects"]
    assert array.shape == (2, 2)
    assert array[0, 0].tolist() == [0.0, 1.0, 2.0]
    assert array[1, 0] is None
    assert array[1, 1]["inner"][1][0].tolist() == [1.0, 1.0]
    assert loaded["twice"][0] is loaded["twice"][1]


def test_a_value_that_contains_itself_is_read() -> None:
    ring: list[Any] = [np.arange(2)]
    ring.append(ring)
    loaded = pickles.load(pickle.dumps(ring))
    assert loaded[1] is loaded
    assert loaded[0].tolist() == [0, 1]


def test_python_2_array_bytes_are_read() -> None:
    """Python 2 wrote an array's bytes as text; NumPy reads such files with ``encoding="latin1"``."""
    raw = b"\x00\x00\x80?\xff\xff\x7f\x7f"
    state = b"(I1\n(I2\ntcnumpy\ndtype\n(U\x02f4I0\nI1\ntR(I3\nU\x01<NNNI-1\nI-1\nI0\ntb"
    forged = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n(I0\ntU\x01b\x87R" + state + b"\x89U\x08"
    assert pickles.load(forged + raw + b"tb.").tolist() == np.frombuffer(raw, "<f4").tolist()


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
    function: Any, arguments: Any, named: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    safe = tuple(argument for argument in arguments if argument is not os)
    with pytest.raises(HarBenchError, match=rf"asks for .*{named}, which is not data"):
        pickles.load(pickle.dumps([Calls(function, *safe)], protocol))
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
    "dotted name": (b"\x80\x04\x8c\x08builtins\x8c\x0bset.__class__\x93.", "not"),
    "persistent id": (b"Pabc\n.", "outside itself"),
    "binary persistent id": (b"\x80\x02K\x01Q.", "outside itself"),
    "extension code": (b"\x80\x02\x82\x01.", "outside itself"),
    "out-of-band buffer": (b"\x80\x05\x97.", "outside itself"),
    "memo index": (b"\x80\x02Nr\xff\xff\xff\x7f.", "forged memo index"),
    "declared size": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 50) + b".", "not a readable pickle"),
    "bytes of a number": (b"c__builtin__\nbytes\n(L1099511627776L\ntR.", "not a readable pickle"),
    "a function": (b"cnumpy\ndtype\n.", "holds a function"),
    "a function in a key": (b"\x80\x02}cnumpy\ndtype\nNs.", "unhashable"),
    "an array in a key": (b"\x80\x03}" + ARRAY + b"Ns.", "unhashable"),
    "assignment to a function": (b"cnumpy\ndtype\n}X\x01\x00\x00\x00aNsb.", "not a readable pickle"),
    "attribute of a function": (b"\x80\x02cnumpy\ndtype\nN}X\x08\x00\x00\x00functionNs\x86b.", "not a readable pickle"),
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
    "deep list": (b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".", "nested too deeply"),
    "deep tuple as a key": (b"\x80\x02}N" + b"\x85" * 200_000 + b"Ns.", "nested too deeply"),
    "deep tuple through duplicates": (b"\x80\x02}N" + b"\x8520" * 50_000 + b"Ns.", "nested too deeply"),
    "empty": (b"", "not a readable pickle"),
    "not a pickle": (b"hello", "not a readable pickle"),
    "truncated": (pickle.dumps(objects())[:-20], "not a readable pickle"),
    "stack underflow": (b"\x80\x02\x87.", "more from its stack"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_instructions_end_in_one_sentence(name: str) -> None:
    forged, reason = HOSTILE[name]
    with pytest.raises(HarBenchError, match=reason):
        pickles.load(forged, name="strange.pkl")


def test_calls_that_repeat_a_long_argument_are_stopped() -> None:
    """A few bytes per call would otherwise copy the same text without end."""
    text = b"X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x000"
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R0"
    with pytest.raises(HarBenchError, match="more than the limit"):
        pickles.load(b"\x80\x02" + text + call * 200 + b"N.", limit=100 << 20)


def test_arrays_that_share_their_bytes_are_stopped() -> None:
    content = b"B\x00\x00\x10\x00" + bytes(1 << 20) + b"q\x000"
    array = ARRAY + b"(K\x01J\x00\x00\x02\x00\x85" + FLOAT + b"\x89h\x00tb"
    with pytest.raises(HarBenchError, match="more than the limit"):
        pickles.load(b"\x80\x03" + content + b"](" + array * 200 + b"e.", limit=100 << 20)


def test_random_mutations_never_escape() -> None:
    for protocol in (0, 2, 4, 5):
        honest = pickle.dumps({"a": objects(), "b": ARRAYS}, protocol)
        assert 0 < refused(lambda forged: pickles.load(forged, limit=1 << 24), damaged(honest, 200, seed=7)) < 1


def test_npz_members_are_read_like_numpy_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, allow_pickle=True, objects=objects(), **ARRAYS)
    archive = open_npz(path)
    assert set(archive) == {"objects", *ARRAYS}
    assert len(archive) == len(ARRAYS) + 1
    for name, array in ARRAYS.items():
        assert archive[name].dtype == array.dtype
        assert np.array_equal(archive[name], array)
    assert archive["objects"][0, 0].tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(KeyError):
        archive["absent"]


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["../up.npy", "/etc/x.npy", "a/../../x.npy", "a\\..\\x.npy"])
def test_npz_names_that_leave_the_archive_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="refused"):
        open_npz(zipped(tmp_path / "x.npz", {name: npy(np.zeros(2))}))


def test_npz_that_unfolds_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.npz", {"a.npy": npy(np.zeros(1 << 20)), "b.npy": npy(np.zeros(1 << 20))})
    assert path.stat().st_size < 1 << 17
    with pytest.raises(HarBenchError, match=r"bomb\.npz unfolds into"):
        open_npz(path, limit=12 << 20)
    assert open_npz(path, limit=20 << 20)["a"].shape == (1 << 20,)


def test_npz_whose_header_promises_more_than_it_has_is_refused(tmp_path: Path) -> None:
    forged = npy(np.zeros((10, 10))).replace(b"(10, 10), }", b"(9999999,),}")
    with pytest.raises(HarBenchError, match="another size"):
        open_npz(zipped(tmp_path / "x.npz", {"a.npy": forged}))["a"]


def test_npz_with_a_hostile_object_member_is_refused(tmp_path: Path) -> None:
    array = np.empty((), object)
    array[()] = Calls(os.system, "touch OWNED")
    path = tmp_path / "x.npz"
    np.savez(path, allow_pickle=True, a=array)
    with pytest.raises(HarBenchError, match=r"x.npz \(a\) asks for .*system"):
        open_npz(path)["a"]


@pytest.mark.parametrize("keep", [0, 1, 100, 1000])
def test_npz_that_is_cut_off_is_refused(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(1000))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(HarBenchError, match=r"not an \.npz archive"):
        open_npz(path)


def test_npz_with_random_mutations_never_escapes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, allow_pickle=True, objects=objects(), floats=ARRAYS["floats"])
    honest = path.read_bytes()
    refused = 0
    for _ in range(300):
        forged = bytearray(honest)
        for position in rng.integers(0, len(forged), 3):
            forged[position] = rng.integers(256)
        path.write_bytes(forged)
        try:
            dict(open_npz(path, limit=1 << 24))
        except HarBenchError:
            refused += 1
    assert refused > 200
