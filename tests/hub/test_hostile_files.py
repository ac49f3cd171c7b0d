"""A corpus of hostile files, one list for every reader: each is refused with one sentence, and nothing else happens."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from scipy.io.matlab import MatlabFunction, MatlabObject

from har_bench.errors import HarBenchError
from har_bench.foreign import joblib, pickles
from har_bench.foreign.mat import load_mat
from har_bench.foreign.npz import open_npz

LARGE = 64 << 20
"""What the smallest file may unfold into."""

MEMORY = 160 << 20
"""What refusing a small file may cost."""


class Calls:
    """Pickles into a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


class WithState:
    """Pickles into an object of a class that is not data, with a state."""

    def __init__(self) -> None:
        self.path = "OWNED"


OWN = Calls(os.system, "touch OWNED")
GLOBAL = b"c%b\n%b\n"
SYSTEM = GLOBAL % (b"os", b"system") + b"(X\x0b\x00\x00\x00touch OWNEDtR"
NUMBERS = pickle.dumps(np.arange(4.0), 2)
HUGE = 1 << 45


def call(module: bytes, name: bytes, arguments: bytes) -> bytes:
    return b"\x80\x02" + GLOBAL % (module, name) + arguments + b"R."


def wrapper(**changes: Any) -> bytes:
    """joblib's head of an array; its bytes are to follow."""
    state = {"subclass": np.ndarray, "shape": (4,), "order": "C", "dtype": np.dtype("f8"), "allow_mmap": True}
    head = GLOBAL % (b"joblib.numpy_pickle", b"NumpyArrayWrapper")
    return head + b")\x81" + pickle.dumps(state | changes, 2)[2:-1] + b"b"


def nested(depth: int, instruction: bytes) -> bytes:
    return b"N" + instruction * depth


CODE: dict[str, bytes] = {
    "a call": pickle.dumps(OWN),
    "a call in a list of honest values": pickle.dumps([1, np.arange(3), OWN]),
    "a call as a key": pickle.dumps({"a": 1}, 2)[:-1] + b"}" + SYSTEM + b"Ns0.",
    "a call after the array": NUMBERS[:-1] + SYSTEM + b".",
    "a call by INST": b"(S'touch OWNED'\nios\nsystem\n.",
    "a call by OBJ": b"\x80\x02(cos\nsystem\nX\x0b\x00\x00\x00touch OWNEDo.",
    "a call by NEWOBJ": b"\x80\x02csubprocess\nPopen\nX\x0b\x00\x00\x00touch OWNED\x85\x81.",
    "eval": call(b"builtins", b"eval", b"X\x12\x00\x00\x00open('OWNED', 'w')\x85"),
    "exec by its old name": call(b"__builtin__", b"execfile", b"X\x01\x00\x00\x00x\x85"),
    "import": call(b"importlib", b"import_module", b"X\x0b\x00\x00\x00antigravity\x85"),
    "an attribute of NumPy": call(b"numpy", b"f2py.os.system", b"X\x0b\x00\x00\x00touch OWNED\x85"),
    "a memory map": call(b"numpy", b"memmap", b"X\x05\x00\x00\x00OWNEDX\x01\x00\x00\x00f\x86"),
    "a class with a state": pickle.dumps(WithState()),
    "a state for a function": b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00aNsb.",
    "functools": call(b"functools", b"partial", b"cos\nsystem\nX\x0b\x00\x00\x00touch OWNED\x86"),
    "a persistent object": b"Pfile:///etc/passwd\n.",
    "torch's storage": b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000K\x04tQ.",
    "half a character as a name": b"\x80\x04\x8c\x03\xed\xb3\xbf\x8c\x03\xed\xb3\xbf\x93.",
    "a name of two lines": b"\x80\x04\x8c\x04os\n\n\x8c\x06system\x93.",
    "an extension": b"\x80\x02\x82\x01.",
}
SHAPES: dict[str, bytes] = {
    "shape of an array": NUMBERS.replace(b"K\x04\x85", b"\x8a\x06" + struct.pack("<q", HUGE)[:6] + b"\x85"),
    "length of bytes": b"\x80\x04\x8e" + struct.pack("<Q", HUGE) + b".",
    "length of a text": b"\x80\x04\x8d" + struct.pack("<Q", HUGE) + b".",
    "length of a number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "length of a frame": b"\x80\x04\x95" + struct.pack("<Q", HUGE) + b"N.",
    "index of the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "bytes of a number": call(b"builtins", b"bytes", b"\x8a\x06" + struct.pack("<q", HUGE)[:6] + b"\x85"),
    "bytearray of a number": call(b"builtins", b"bytearray", b"\x8a\x06" + struct.pack("<q", HUGE)[:6] + b"\x85"),
    "width of a text type": NUMBERS.replace(b"f8", b"S999999999"[:2]),
}
NESTED: dict[str, bytes] = {
    "lists": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "tuples": b"\x80\x02" + nested(50_000, b"\x85") + b".",
    "tuples in a key": b"\x80\x02}" + nested(50_000, b"\x85") + b"Ns.",
    "tuples in a set": b"\x80\x04\x8f(" + nested(50_000, b"\x85") + b"\x90.",
    "dicts": b"\x80\x02" + b"}N" * 20_000 + b"N" + b"s" * 20_000 + b".",
    "an array in its own key": b"\x80\x03}" + NUMBERS[2:-1] + b"Ns.",
    "doubling tuples": b"\x80\x02N" + b"2\x86" * 2_000 + b".",
}
JOBLIB: dict[str, bytes] = {
    "code beside an array": b"\x80\x02](" + wrapper() + bytes(32) + SYSTEM + b"e.",
    "code in an array's state": b"\x80\x02"
    + wrapper()[:-2]
    + b"X\x01\x00\x00\x00x"
    + SYSTEM
    + b"ub"
    + bytes(32)
    + b".",
    "a huge array": b"\x80\x02" + wrapper(shape=(HUGE,)) + bytes(32) + b".",
    "a huge product": b"\x80\x02" + wrapper(shape=(1 << 31,) * 9) + bytes(32) + b".",
    "objects": b"\x80\x02" + wrapper(dtype=np.dtype(object)) + pickle.dumps(OWN, 2) + b".",
    "another file": call(b"joblib.numpy_pickle", b"NDArrayWrapper", b"X\x0e\x00\x00\x00../../../x.npy\x85"),
    "a memory map": b"\x80\x02" + wrapper(subclass=np.memmap) + bytes(32) + b".",
    "tuples in a state": b"\x80\x02" + wrapper()[:-2] + nested(50_000, b"\x85") + b"Nub" + bytes(32) + b".",
    "code in zlib": zlib.compress(CODE["a call"]),
    "code in gzip": gzip.compress(CODE["a call"]),
    "a bomb of zlib": zlib.compress(bytes(LARGE * 2), 9),
    "a bomb of gzip": gzip.compress(bytes(LARGE * 2)),
    "a bomb of bzip2": bz2.compress(bytes(LARGE * 2)),
    "a bomb of xz": lzma.compress(bytes(LARGE * 2)),
}


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text + content


def objects(value: Any) -> bytes:
    """An ``.npy`` of one Python object."""
    return npy("{'descr': '|O', 'fortran_order': False, 'shape': (), }", pickle.dumps(value))


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


HONEST = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }", bytes(32))
NPZ: dict[str, bytes] = {
    "code in an object": archive(**{"a.npy": objects(OWN)}),
    "code in a header": archive(**{"a.npy": npy("__import__('os').system('touch OWNED')")}),
    "a huge shape": archive(**{"a.npy": HONEST.replace(b"(4,), }", b"(1<<45,)")}),
    "a huge number": archive(**{"a.npy": npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({HUGE},), }}")}),
    "a huge header": archive(**{"a.npy": npy("{" + " " * 200_000 + "}", version=b"\x02\x00")}),
    "nested brackets": archive(**{"a.npy": npy("(" * 9_000 + ")" * 9_000)}),
    "not an array": archive(**{"a.npy": objects([1, 2])}),
    "a bomb": archive(
        **{
            f"{name}.npy": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4194304,), }", bytes(32 << 20))
            for name in "abc"
        }
    ),
    "a way up": archive(**{"../OWNED.npy": HONEST}),
    "a way up inside": archive(**{"a/../../OWNED.npy": HONEST}),
    "from the root": archive(**{"/tmp/OWNED.npy": HONEST}),  # noqa: S108 - the attack
    "a way up in Windows": archive(**{"..\\OWNED.npy": HONEST}),
    "a torch file": archive(**{"archive/data.pkl": CODE["torch's storage"], "archive/data/0": bytes(16)}),
    "a torch file with code": archive(**{"archive/data.pkl": CODE["a call"]}),
    "a pickle": CODE["a call"],
    "cut": archive(**{"a.npy": HONEST})[:60],
}


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<2I", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, dims: tuple[int, ...], content: bytes) -> bytes:
    shape = element(5, struct.pack(f"<{len(dims)}i", *dims))
    return element(14, element(6, struct.pack("<2I", kind, 0)) + shape + element(1, b"x") + content)


def saved(value: Any) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"x": value})
    return stream.getvalue()


def cells(depth: int) -> bytes:
    content = matrix(6, (1, 1), element(9, bytes(8)))
    for _ in range(depth):
        content = matrix(1, (1, 1), content)
    return content


MAT_HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
FUNCTION = np.empty((1,), [("function_handle", object)]).view(MatlabFunction)
MAT: dict[str, bytes] = {
    "a function": MAT_HEAD + matrix(16, (1, 1), matrix(6, (1, 1), element(9, bytes(8)))),
    "an object": saved(MatlabObject(np.zeros((1,), [("a", object)]), "owned")),
    "a huge shape": MAT_HEAD + matrix(6, (1 << 30, 1 << 30), element(9, bytes(8))),
    "huge cells": MAT_HEAD + matrix(1, (1 << 30, 4), b""),
    "a negative shape": MAT_HEAD + matrix(6, (-1, 4), element(9, bytes(8))),
    "nested cells": MAT_HEAD + cells(3_000),
    "a bomb": MAT_HEAD + element(15, zlib.compress(matrix(6, (1, 1 << 24), element(9, bytes(8 << 24))), 9)),
    "a bomb in a bomb": MAT_HEAD + element(15, zlib.compress(element(15, zlib.compress(bytes(1 << 20))))),
    "a length beyond the file": MAT_HEAD + struct.pack("<2I", 14, 0x7FFFFFF0) + bytes(64),
    "a pickle": CODE["a call"],
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(600),
}


def by_npz(path: Path) -> None:
    dict(open_npz(path))


def by_mat(path: Path) -> None:
    load_mat(path)


def by_pickle(path: Path) -> None:
    pickles.load(path)


def by_joblib(path: Path) -> None:
    joblib.load(path)


def in_npz(pickled: bytes) -> bytes:
    """The pickle as the content of an object array."""
    return archive(**{"a.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (), }", pickled)})


PICKLED = CODE | SHAPES | NESTED
CORPUS: list[tuple[str, str, Callable[[Path], None], bytes]] = [
    *(("pickle", name, by_pickle, data) for name, data in PICKLED.items()),
    *(("joblib", name, by_joblib, data) for name, data in (PICKLED | JOBLIB).items()),
    *(("npz of objects", name, by_npz, in_npz(data)) for name, data in PICKLED.items()),
    *(("npz", name, by_npz, data) for name, data in NPZ.items()),
    *(("mat", name, by_mat, data) for name, data in MAT.items()),
]


@pytest.mark.parametrize(
    ("reader", "data"), [case[2:] for case in CORPUS], ids=[" - ".join(case[:2]) for case in CORPUS]
)
def test_a_hostile_file_is_refused_and_nothing_else_happens(
    reader: Callable[[Path], None], data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder" / "hostile.bin"
    path.parent.mkdir()
    path.write_bytes(data)
    monkeypatch.chdir(path.parent)
    tracemalloc.start()
    try:
        with pytest.raises(HarBenchError) as caught:
            reader(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert str(caught.value).encode()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(path))
    assert peak < MEMORY
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["folder", "hostile.bin"]
