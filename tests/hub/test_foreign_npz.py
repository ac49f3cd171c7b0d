"""npz archives and npy files from strangers: what NumPy reads, bit for bit; forged ones end in one sentence."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import npy as npy_files
from har_bench.foreign.npz import open_npz
from tests.hub.strange_files import ARRAYS, objects


class Calls:
    """Pickles into a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


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
    with pytest.raises(HarBenchError, match=r"has a member called .*; download it again"):
        open_npz(zipped(tmp_path / "x.npz", {name: npy(np.zeros(2))}))


def test_npz_that_unfolds_beyond_its_allowance_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together: what the file's size explains of each member is not what it explains of all."""
    zeros = npy(np.zeros(5 << 20))
    path = zipped(tmp_path / "bomb.npz", {"a.npy": zeros, "b.npy": zeros})
    assert path.stat().st_size < 1 << 18
    with pytest.raises(HarBenchError, match=r"bomb\.npz unfolds into .*; if you trust it, .* HAR_BENCH_UNFOLD_GB"):
        open_npz(path)
    monkeypatch.setenv("HAR_BENCH_UNFOLD_GB", "0.1")
    assert open_npz(path)["a"].shape == (5 << 20,)
    monkeypatch.setenv("HAR_BENCH_UNFOLD_GB", "much")
    with pytest.raises(HarBenchError, match=r"HAR_BENCH_UNFOLD_GB is 'much'; set it to a number"):
        open_npz(path)


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
    with pytest.raises(HarBenchError, match=r"x\.npz is (empty|no zip archive)"):
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
            dict(open_npz(path))
        except HarBenchError:
            refused += 1
    assert refused > 200


def test_members_that_are_stored_can_be_mapped(tmp_path: Path) -> None:
    for name, save in (("stored", np.savez), ("packed", np.savez_compressed)):
        save(tmp_path / f"{name}.npz", allow_pickle=True, objects=objects(), **ARRAYS)
    stored, packed = (open_npz(tmp_path / f"{name}.npz") for name in ("stored", "packed"))
    for name in set(ARRAYS) - {"empty"}:
        mapped = stored.mapped(name)
        assert isinstance(mapped, np.memmap)
        assert (mapped.dtype, mapped.tolist()) == (ARRAYS[name].dtype, ARRAYS[name].tolist())
        assert packed.mapped(name) is None
    assert stored.mapped("objects") is None
    assert stored.mapped("empty") is None


def test_an_archive_of_fifty_thousand_members_is_read_in_one_go(tmp_path: Path) -> None:
    """Each access goes to its member; reading the table of contents anew for each would take an hour."""
    one = npy(np.arange(2.0))
    path = tmp_path / "many.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(50_000):
            archive.writestr(f"{number}.npy", one)
    found = open_npz(path)
    assert len(found) == 50_000
    assert [found[str(number)].tolist() for number in range(0, 50_000, 100)] == [[0.0, 1.0]] * 500


def test_a_member_with_another_checksum_or_method_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, a=np.arange(1000))
    forged = bytearray(path.read_bytes())
    forged[2000] ^= 1
    path.write_bytes(forged)
    with pytest.raises(HarBenchError, match=r"x\.npz \(a\) is damaged at its member 'a\.npy' \(its checksum"):
        open_npz(path)["a"]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
    with pytest.raises(HarBenchError, match="neither stored nor deflated"):
        open_npz(path)["a"]
    with pytest.raises(HarBenchError, match=r"two members of one name"):
        open_npz(zipped(path, {"a.npy": b"", "a": b""}))


def header(text: str, content: bytes = bytes(16), version: bytes = b"\x01\x00") -> bytes:
    raw = text.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(raw)) + raw + content


HEADERS = {
    "numpy": "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }          \n",
    "another order and other quotes": '{"shape": (2,), "descr": "<f8", "fortran_order": False}',
    "Python 2": "{'descr': '<f8', 'fortran_order': False, 'shape': (2L,), }\n",
    "no blanks": "{'descr':'<f8','fortran_order':False,'shape':(2,)}",
}


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
@pytest.mark.parametrize("name", HEADERS)
def test_headers_of_every_writer_are_read(name: str, version: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(header(HEADERS[name], np.array([1.5, -2.0]).tobytes(), version))
    assert npy_files.load(path).tolist() == [1.5, -2.0]


@pytest.mark.parametrize("name", ARRAYS)
def test_an_npy_is_read_like_numpy_reads_it(name: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ARRAYS[name])
    found = npy_files.load(tmp_path / "x.npy")
    assert (found.dtype, found.shape, found.tolist()) == (ARRAYS[name].dtype, ARRAYS[name].shape, ARRAYS[name].tolist())


def test_an_npy_of_objects_is_read_without_running_anything(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", objects())
    assert npy_files.load(tmp_path / "x.npy")[1, 1]["inner"][0] == 2.5
    np.save(tmp_path / "y.npy", np.array(Calls(os.system, "touch OWNED"), object))
    with pytest.raises(HarBenchError, match=r"y\.npy asks for .*system, which is not data"):
        npy_files.load(tmp_path / "y.npy")


FORGED = {
    "code": "__import__('os').system('touch OWNED')",
    "no dictionary": "(2,)",
    "no shape": "{'descr': '<f8', 'fortran_order': False, }",
    "a shape twice": "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'shape': (2,), }",
    "another key": "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), 'a': 1, }",
    "a negative length": "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }",
    "a sum": "{'descr': '<f8', 'fortran_order': False, 'shape': (1+1,), }",
    "a huge shape": f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 40},), }}",
    "a huge number": f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({'9' * 500},), }}",
    "a huge empty shape": f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0, {1 << 40}), }}",
    "a structure": "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,), }",
    "dates": "{'descr': '<M8[s]', 'fortran_order': False, 'shape': (2,), }",
    "no width": "{'descr': '<U0', 'fortran_order': False, 'shape': (2,), }",
    "brackets": "(" * 9_000 + ")" * 9_000,
    "blanks": "{'descr': '<f8'," + " " * 9_000 + "x",
    "too long": "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }" + " " * 20_000,
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_header_is_refused_and_never_evaluated(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.npy"
    path.write_bytes(header(FORGED[name]) if name != "too long" else header(FORGED[name], version=b"\x02\x00"))
    with pytest.raises(HarBenchError, match=r"x\.npy h(as|olds) .*; write it again with numpy\.save"):
        npy_files.load(path)
    assert [found.name for found in tmp_path.iterdir()] == ["x.npy"]


def test_lists_that_double_in_an_object_array_are_refused(tmp_path: Path) -> None:
    """Forty lists, each holding the one before it twice: NumPy would unfold them into a terabyte."""
    doubled: Any = [[0.0, 0.0, 0.0]]
    for _ in range(40):
        doubled = [doubled, doubled]
    array = np.empty((), object)
    array[()] = doubled
    np.savez(tmp_path / "x.npz", allow_pickle=True, a=array)
    assert (tmp_path / "x.npz").stat().st_size < 1000
    with pytest.raises(HarBenchError, match=r"x\.npz \(a\) unfolds into more than"):
        open_npz(tmp_path / "x.npz")["a"]


def test_an_array_that_is_held_many_times_counts_as_often(tmp_path: Path) -> None:
    shared = np.zeros(1 << 14)
    array = np.empty((), object)
    array[()] = [shared] * 10
    np.savez(tmp_path / "x.npz", allow_pickle=True, a=array)
    assert open_npz(tmp_path / "x.npz")["a"].item()[9].nbytes == 1 << 17
    array[()] = [shared] * 1000
    np.savez(tmp_path / "x.npz", allow_pickle=True, a=array)
    with pytest.raises(HarBenchError, match=r"x\.npz \(a\) unfolds into more than"):
        open_npz(tmp_path / "x.npz")["a"]
