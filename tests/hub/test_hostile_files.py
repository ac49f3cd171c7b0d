"""A corpus of hostile files for every reader: each is refused in one sentence, soon, and nothing else happens."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from scipy.io.matlab import MatlabFunction, MatlabObject

from tests.hub.readings import Reading, read_elsewhere

LARGE = 64 << 20
"""What the smallest file may unfold into."""

SECONDS, MEGABYTES = 60.0, 400.0
"""What refusing a file may take, on a busy machine and the first time; most take milliseconds."""


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


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")

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
    "a bomb in a bomb": MAT_HEAD + element(15, zlib.compress(element(15, zlib.compress(bytes(1 << 20))))),
    "a length beyond the file": MAT_HEAD + struct.pack("<2I", 14, 0x7FFFFFF0) + bytes(64),
    "a pickle": CODE["a call"],
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(600),
}


def in_npz(pickled: bytes) -> bytes:
    """The pickle as the content of an object array."""
    return archive(**{"a.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (), }", pickled)})


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def doubling_lists(depth: int) -> bytes:
    """Each list holds the one before it twice."""
    code = b"\x80\x02]q\x000"
    for place in range(depth):
        code += b"(h%ch%clq%c0" % (place, place, place + 1)
    return code + b"h%c." % depth


def text(letters: str) -> bytes:
    raw = letters.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


COSTS: dict[str, bytes] = {
    "a tuple that doubles, in a key": b"\x80\x02}N" + b"2\x86" * 40 + b"Ns.",
    "a tuple that doubles, in a set": b"\x80\x04\x8f(N" + b"2\x86" * 40 + b"\x90.",
    "a tuple that doubles, in a frozenset": b"\x80\x04(N" + b"2\x86" * 40 + b"\x91.",
    "a tuple that doubles, in an OrderedDict": b"\x80\x02ccollections\nOrderedDict\n](N"
    + b"2\x86" * 40
    + b"NNN\x87ta\x85R.",
    "lists that double": doubling_lists(60),
    "a list that holds itself": b"\x80\x02]q\x00h\x00a.",
    "a dict that holds itself": b"\x80\x02}q\x00K\x01h\x00s.",
    "numbers of one hash": b"\x80\x02}(" + b"".join(integer(n * (2**61 - 1)) + b"N" for n in range(1, 30_000)) + b"u.",
    "complex numbers of one hash": b"\x80\x02cbuiltins\ncomplex\nq\x00}("
    + b"".join(
        b"h\x00G" + struct.pack(">d", -1000003.0 * n) + b"G" + struct.pack(">d", n) + b"\x86RN" for n in range(9999)
    )
    + b"u.",
    "a text made into a set again and again": b"\x80\x02"
    + text("".join(map(chr, range(0x4E00, 0x9E00))))
    + b"q\0cbuiltins\nset\nq\x01]("
    + b"h\x01h\0\x85R" * 40_000
    + b"e.",
    "a list made into a set again and again": b"\x80\x02]("
    + b"".join(map(integer, range(5_000)))
    + b"eq\0cbuiltins\nset\nq\x01]("
    + b"h\x01h\0\x85R" * 40_000
    + b"e.",
    "a long text as a key again and again": b"\x80\x02"
    + text("a" * 1_000_000)
    + b"q\0]("
    + b"}h\0Ns" * 100_000
    + b"e.",
    "an array held again and again": b"\x80\x02(" + pickle.dumps(np.zeros(20_000), 2)[2:-1] + b"2" * 200_000 + b"l.",
    "a number of a hundred thousand bytes": b"\x80\x02\x8b" + struct.pack("<I", 100_000) + b"\x01" * 100_000 + b".",
    "lists of nothing": b"\x80\x02(" + b"]" * 3_000_000 + b"l.",
    "a text encoded again and again": b"\x80\x02"
    + text("a" * 1_000_000)
    + b"q\0c_codecs\nencode\nq\x01]("
    + b"h\x01h\0\x85R" * 1_000
    + b"e.",
}


DEEP = b"[" * 100_000 + b"]" * 100_000
JSON: dict[str, bytes] = {
    "a hundred thousand brackets": DEEP,
    "brackets in a field": b'[{"a": ' + DEEP + b"}]",
    "half a number": b"[{}, 1",
    "quotes without end": b'[NaN, "' + b'\\"' * 500_000,
    "no text": b"\xff" * 100,
}

PICKLED = CODE | SHAPES | NESTED | COSTS


def bombs() -> dict[str, dict[str, bytes]]:
    """What unfolds into more than memory should hold, by reader and name; packing it takes seconds."""
    zeros = bytes(LARGE * 2)
    array = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (4194304,), }", zeros[: 32 << 20])
    packed = {
        "blanks in gzip": gzip.compress(b" " * len(zeros)),
        "numbers in gzip": gzip.compress(b"[" + b"0," * (LARGE // 16) + b"0]"),
        "lists in xz": lzma.compress(b"[" + b"[]," * (LARGE // 48) + b"[]]"),
    }
    return {
        "joblib": {
            "a bomb of zlib": zlib.compress(zeros, 9),
            "a bomb of gzip": gzip.compress(zeros),
            "a bomb of bzip2": bz2.compress(zeros),
            "a bomb of xz": lzma.compress(zeros, preset=0),
        },
        "npz": {"a bomb": archive(**{f"{name}.npy": array for name in "abc"})},
        "mat": {"a bomb": MAT_HEAD + element(15, zlib.compress(matrix(6, (1, 1 << 24), element(9, zeros)), 9))},
        "json": packed,
        "records": packed,
    }


def corpus() -> list[tuple[str, str, bytes]]:
    """Readers, names and hostile files."""
    objects_in = {f"objects: {name}": in_npz(data) for name, data in PICKLED.items()}
    plain = {
        "pickle": PICKLED,
        "joblib": PICKLED | JOBLIB,
        "npz": objects_in | NPZ,
        "torch": PICKLED,
        "mat": MAT,
        "json": JSON,
        "records": JSON,
    }
    files = [(reader, cases) for kinds in (plain, bombs()) for reader, cases in kinds.items()]
    return [(reader, name, data) for reader, cases in files for name, data in cases.items()]


def test_hostile_files_are_refused_soon_and_nothing_else_happens(tmp_path: Path) -> None:
    folder, nowhere = tmp_path / "files", tmp_path / "nowhere"
    folder.mkdir()
    nowhere.mkdir()
    files, hostile = [], corpus()
    for number, (reader, _, data) in enumerate(hostile):
        path = folder / f"{number}.bin"
        path.write_bytes(data)
        files.append((reader, path))
    wrong = {}
    for (reader, name, _), reading in zip(hostile, read_elsewhere(files, folder=nowhere, seconds=SECONDS), strict=True):
        text = reading.text
        sentence = text.startswith(reading.path) and "\n" not in text and "; " in text and len(text.encode()) < 700
        cheap = reading.seconds < SECONDS and reading.megabytes < MEGABYTES
        if reading.outcome != "refused" or not sentence or not cheap:
            wrong[f"{reader}: {name}"] = reading
    assert wrong == {}
    assert list(nowhere.iterdir()) == []
    assert sorted(tmp_path.iterdir()) == [folder, nowhere]


READERS = (
    *("pickle", "joblib", "npz", "npy", "mat", "torch", "weights", "hdf5", "json", "records", "packed", "keras"),
    *("lart weights", "lart tracklet", "lart norm", "floor", "boxes", "card", "record", "image", "video", "track"),
    *("result", "coco results", "described"),
)


STRANGE: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "an empty file": Path.touch,
    "nothing": lambda path: None,
    "a link to nothing": lambda path: path.symlink_to(path.with_name("absent")),
}
"""What is no file with something in it, and how it is made."""

IN_A_FOLDER = "a pipe in a folder"


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Reading]:
    """What came of each of these for every reader, which are loaded once; each is alone in its folder."""
    given: list[tuple[str, str, Path]] = []
    for what, make in STRANGE.items():
        path = tmp_path_factory.mktemp("strange") / "strange"
        make(path)
        given += [(what, reader, path) for reader in READERS]
    os.mkfifo(path := tmp_path_factory.mktemp("strange") / "pipe")
    given += [(IN_A_FOLDER, reader, path) for reader in ("label", "separations")]
    files = [(reader, path) for _, reader, path in given]
    found = read_elsewhere(files, folder=tmp_path_factory.mktemp("nowhere"), seconds=SECONDS)
    return {(what, reader): reading for (what, reader, _), reading in zip(given, found, strict=True)}


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_no_file_is_refused_by_every_reader(what: str, readings: dict[tuple[str, str], Reading]) -> None:
    found = [readings[what, reader] for reader in READERS]
    assert [(each.reader, each.outcome) for each in found] == [(reader, "refused") for reader in READERS]
    assert all(each.text.startswith(f"{each.path} ") and "; " in each.text for each in found), found


@pytest.mark.parametrize("reader", ["label", "separations"])
def test_a_pipe_in_a_folder_is_refused_and_not_waited_for(
    reader: str, readings: dict[tuple[str, str], Reading]
) -> None:
    assert readings[IN_A_FOLDER, reader].outcome == "refused"
    assert "is a pipe or a device and no file; " in readings[IN_A_FOLDER, reader].text
