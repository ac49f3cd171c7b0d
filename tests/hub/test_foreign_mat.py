"""har_bench.foreign.mat: plain values come through, everything else is one HarBenchError."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from scipy.io.matlab import MatlabFunction, MatlabObject

from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat, variable_names
from tests.damage import damaged, refused
from tests.golden import REAL

REAL_FOLDERS = sorted({path.parent for path in REAL.rglob("*.mat")})


def save(path: Path, compressed: bool = False, format: str = "5", **variables: Any) -> Path:  # noqa: A002 - SciPy's name
    scipy.io.savemat(path, variables, do_compression=compressed, format=format)
    return path


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}2I", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind: int, content: bytes, dims: tuple[int, ...] = (1, 1), name: bytes = b"", order: str = "<") -> bytes:
    flags = element(6, struct.pack(f"{order}2I", kind, 0), order)
    shape = element(5, struct.pack(f"{order}{len(dims)}i", *dims), order)
    return element(14, flags + shape + element(1, name, order) + content, order)


def file(*variables: bytes, order: str = "<") -> bytes:
    mark = b"MI" if order == ">" else b"IM"
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark + b"".join(variables)


VARIABLES = {
    "numbers": np.arange(6, dtype=np.uint16).reshape(2, 3),
    "complex": np.array([[1 + 2j]]),
    "flag": np.array([[True, False]]),
    "text": "h\u00e9llo",
    "nothing": np.zeros((0, 0)),
    "cell": np.array([["a", np.int8([[-1]])]], object),
    "record": {"inner": {"value": 1.5}, "name": "x"},
}


@pytest.mark.parametrize("compressed", [False, True])
def test_plain_values_are_what_scipy_reads(tmp_path: Path, compressed: bool) -> None:
    path = save(tmp_path / "a.mat", compressed, **VARIABLES)
    found = load_mat(path)
    assert variable_names(path) == list(found) == list(VARIABLES)
    np.testing.assert_array_equal(found["numbers"], VARIABLES["numbers"])
    assert found["numbers"].dtype == np.uint16
    assert found["complex"].item() == 1 + 2j
    assert found["text"].tolist() == ["h\u00e9llo"]
    assert found["nothing"].shape == (0, 0)
    assert found["cell"][0, 1].item() == -1
    assert found["record"][0, 0]["inner"][0, 0]["value"].item() == 1.5


def test_version_4(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", format="4", numbers=np.arange(6.0).reshape(2, 3), text="abc")
    found = load_mat(path)
    assert variable_names(path) == list(found) == ["numbers", "text"]
    np.testing.assert_array_equal(found["numbers"], np.arange(6.0).reshape(2, 3))
    assert found["text"].tolist() == ["abc"]


def test_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(file(matrix(6, element(9, struct.pack(">d", 2.5), ">"), name=b"x", order=">"), order=">"))
    assert load_mat(path)["x"].item() == 2.5
    assert variable_names(path) == ["x"]


def test_a_stream_without_its_end_mark_is_whole_when_its_content_is(tmp_path: Path) -> None:
    """MATLAB writes such streams when the content fills 16 KiB blocks (Penn Action's labels have some)."""
    packer = zlib.compressobj()
    body = matrix(6, element(9, np.arange(9.0).tobytes()), (1, 9), b"x")
    packed = packer.compress(body) + packer.flush(zlib.Z_SYNC_FLUSH)
    path = tmp_path / "a.mat"
    path.write_bytes(file(struct.pack("<2I", 15, len(packed)) + packed))
    np.testing.assert_array_equal(load_mat(path)["x"], [np.arange(9.0)])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"P", "is not a .mat file"),
        (b'{"a": 1}' * 40, "is not a .mat file"),
        (b"\x80\x04\x95" + b"\x00" * 200, "is not a .mat file"),
        (bytes(64), "is damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "version 7.3"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + bytes(500), "version 7.3"),
        (file(b"\x01\x02"), "ends in the middle"),
        (file(element(9, bytes(8))), "is damaged at byte 128"),
        (file(struct.pack("<2I", 15, 4) + b"abcd"), "is damaged at byte 128"),
        (file(matrix(6, element(9, bytes(8)), (2, 2), b"x")), "damaged .mat file"),
        (file(matrix(6, element(99, bytes(8)), name=b"x")), "variable 'x' that is damaged"),
        (file(matrix(1, b"", (1 << 20, 1 << 10), b"x")), "unfolds into more than"),
        (file(matrix(1, b"", (1 << 20, 1), b"x")), "variable 'x' that ends too early"),
        (file(matrix(1, b"", (-1, 5), b"x")), "variable 'x' that is damaged"),
        (file(matrix(4, element(4, b"a\0"), (), b"x")), "variable 'x' that is damaged"),
        (file(matrix(17, b"", name=b"x")), "variable 'x' that holds a MATLAB object"),
    ],
)
def test_what_is_no_plain_mat_file_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=words) as caught:
        load_mat(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        MatlabObject(np.array([[(1,)]], [("field", object)]), "someclass"),
        MatlabFunction(np.array([["f"]], object)),
        scipy.sparse.csc_array(np.eye(3)),
        np.array([[scipy.sparse.csc_array(np.eye(3))]], object),
    ],
    ids=["object", "function", "sparse", "sparse in a cell"],
)
def test_objects_functions_and_sparse_matrices_are_refused(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "a.mat"
    if isinstance(value, MatlabFunction):  # SciPy writes none
        path.write_bytes(file(matrix(16, matrix(6, element(9, bytes(8))), name=b"strange")))
    else:
        save(path, strange=value)
    with pytest.raises(HarBenchError, match="'strange' that holds a MATLAB object, function handle or sparse matrix"):
        load_mat(path)


def test_a_sparse_matrix_of_version_4_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", format="4", strange=scipy.sparse.coo_array(np.eye(3)))
    with pytest.raises(HarBenchError, match="sparse matrix"):
        load_mat(path)


@pytest.mark.parametrize(("depth", "fits"), [(60, True), (70, False), (20_000, False)])
def test_nesting_is_bounded(tmp_path: Path, depth: int, fits: bool) -> None:
    head = matrix(1, b"")[8:]
    body = b""
    for _ in range(depth):  # sizes of the inner tags are not read, so that 20,000 levels are quickly made
        body += struct.pack("<2I", 14, 8) + head
    body += struct.pack("<2I", 14, 0)
    path = tmp_path / "a.mat"
    path.write_bytes(file(matrix(1, body, name=b"deep")))
    if fits:
        assert variable_names(path) == list(load_mat(path)) == ["deep"]
    else:
        with pytest.raises(HarBenchError, match="'deep' that is nested more than 64 deep"):
            load_mat(path)


BOMBS: dict[str, bytes] = {
    "zeros": matrix(6, element(9, bytes(80 << 20)), (1, 10 << 20), b"x"),
    "fields of nothing": matrix(2, element(5, struct.pack("<i", 1)) + element(1, b"a" * 1_000_000), (0, 0), b"x"),
    "fields by the thousand": matrix(
        2,
        element(5, struct.pack("<i", 8)) + element(1, b"".join(b"a%07d" % n for n in range(5000))),
        (0, 0),
        b"x",
    ),
    "small cells": matrix(1, struct.pack("<2I", 14, 0) * 400_000, (1, 400_000), b"x"),
    "an empty array of great length": matrix(6, element(9, b""), (0, 1 << 30), b"x"),
    "complex bytes": matrix(6 | 0x0800, element(2, bytes(1 << 20)) * 2, (1, 1 << 20), b"x"),
    "letters": matrix(4, element(16, b"a" * (9 << 20)), (1, 9 << 20), b"x"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_a_small_file_unfolds_into_is_bounded(name: str, tmp_path: Path) -> None:
    """Content, and what SciPy makes of it, are known before either is made."""
    packed = zlib.compress(BOMBS[name], 9)
    path = tmp_path / "a.mat"
    path.write_bytes(file(struct.pack("<2I", 15, len(packed)) + packed))
    assert path.stat().st_size < 100_000
    with pytest.raises(
        HarBenchError, match=r"a\.mat unfolds into more than .*; if you trust it, .*HAR_BENCH_UNFOLD_GB"
    ):
        load_mat(path)


@pytest.mark.parametrize("format", ["4", "5"])
def test_the_allowance_grows_with_the_file_and_with_trust(
    format: str,  # noqa: A002 - SciPy's name
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = save(tmp_path / "a.mat", format=format, zeros=np.zeros(9 << 20))
    assert load_mat(path)["zeros"].size == 9 << 20
    if format == "5":
        path = save(tmp_path / "b.mat", compressed=True, zeros=np.zeros(9 << 20))
        with pytest.raises(HarBenchError, match="unfolds into more than"):
            load_mat(path)
        monkeypatch.setenv("HAR_BENCH_UNFOLD_GB", "0.2")
        assert load_mat(path)["zeros"].size == 9 << 20


def test_two_hundred_thousand_variables_cost_too_much(tmp_path: Path) -> None:
    packed = zlib.compress(matrix(6, element(9, bytes(8)), name=b"x"), 9)
    path = tmp_path / "a.mat"
    path.write_bytes(file((struct.pack("<2I", 15, len(packed)) + packed) * 200_000))
    with pytest.raises(HarBenchError, match="unfolds into more than"):
        load_mat(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_cut_file_is_refused_at_every_length(tmp_path: Path, compressed: bool) -> None:
    whole = save(tmp_path / "a.mat", compressed, record=VARIABLES["record"]).read_bytes()
    path = tmp_path / "cut.mat"
    for length in [*range(128), *range(129, len(whole))]:
        path.write_bytes(whole[:length])
        with pytest.raises(HarBenchError):
            load_mat(path)


@pytest.mark.parametrize("format", ["4", "5"])
def test_damage_is_a_har_bench_error_or_another_value(tmp_path: Path, format: str) -> None:  # noqa: A002
    plain = {"numbers": np.arange(6.0), "text": "abc"}
    whole = save(tmp_path / "a.mat", format=format, **(VARIABLES if format == "5" else plain)).read_bytes()
    path = tmp_path / "b.mat"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        load_mat(path)
        variable_names(path)

    assert 0.07 < refused(read, damaged(whole, 1500, most=3)) < 0.93


def test_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"none\.mat cannot be read \(No such file or directory\); give a file"):
        load_mat(tmp_path / "none.mat")


def same(one: Any, other: Any) -> bool:
    """Whether two loaded values are equal down to the types of the smallest cell."""
    if not isinstance(one, np.ndarray):
        return type(one) is type(other) and bool(one == other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.names:
        return all(same(one[name], other[name]) for name in one.dtype.names)
    if one.dtype.kind == "O":
        return all(map(same, one.flat, other.flat))
    return one.tobytes() == other.tobytes()


@pytest.mark.real
@pytest.mark.parametrize("folder", REAL_FOLDERS, ids=lambda folder: folder.relative_to(REAL).as_posix())
def test_every_real_file_opens_as_scipy_opens_it(folder: Path) -> None:
    for path in folder.glob("*.mat"):
        found = load_mat(path)
        expected = scipy.io.loadmat(path)
        assert variable_names(path) == list(found) == [name for name in expected if not name.startswith("__")], path
        for name, value in found.items():
            assert same(value, expected[name]), (path, name)
