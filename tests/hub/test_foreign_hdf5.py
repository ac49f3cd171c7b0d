"""HDF5 from strangers: its own numbers and text are read; what lies elsewhere, or is not there, is refused at once."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign.hdf5 import open_file, open_hdf5
from tests.golden import REAL

FILES = sorted(REAL.rglob("*.h5"))
TEXT = ["", "a", "ç" * 9, "S9/Walking 1"]


def test_numbers_and_text_are_read_by_their_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(6, dtype="f4").reshape(2, 3)
        file["deep/er/flags"] = np.array([True, False])
        file["one"] = "text"
        file["fixed"] = np.array([b"ab", "ç".encode()])
        file["none"] = np.empty((0, 3))
    found = open_hdf5(path)
    assert sorted(found) == ["deep/er/flags", "fixed", "none", "numbers", "one"]
    assert len(found) == 5
    assert found["numbers"].dtype == np.float32
    assert found["numbers"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["deep/er/flags"].tolist() == [True, False]
    assert found["one"].item() == "text"
    assert found["fixed"].tolist() == ["ab", "ç"]
    assert found["none"].shape == (0, 3)
    assert "deep" not in found
    with pytest.raises(KeyError):
        found["deep"]


WAYS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (3,)},
    "gzip": {"chunks": (3,), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (3,), "compression": "gzip", "shuffle": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_text_of_varying_length_is_read_however_it_is_stored(way: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("text", data=TEXT, dtype=h5py.string_dtype(), **WAYS[way])
    assert open_hdf5(tmp_path / "a.h5")["text"].tolist() == TEXT


@pytest.mark.real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_are_what_h5py_reads(path: Path) -> None:
    found = open_hdf5(path)
    with h5py.File(path) as file:
        for name in found:
            expected = file[name].asstr()[()] if file[name].dtype.kind == "O" else file[name][()]
            assert (found[name].dtype, found[name].tobytes()) == (expected.dtype, expected.tobytes()) or (
                found[name].tolist() == expected.astype(str).tolist()
            )


def external_link(file: h5py.File, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["x"] = np.arange(3)
    file["poses"] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file: h5py.File, _: Path) -> None:
    file["poses"] = h5py.SoftLink("/poses")


def external_storage(file: h5py.File, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(24))
    file.create_dataset("a/poses", (3,), "<f8", external=[(str(folder / "secret"), 0, 24)])


def virtual(file: h5py.File, _: Path) -> None:
    file.create_virtual_dataset("poses", h5py.VirtualLayout((96, 3_000_000), "f8"))


def huge(file: h5py.File, _: Path) -> None:
    file.create_dataset("poses", (1 << 40, 17, 3), "f4", chunks=(1, 17, 3))


def tiny_chunks(file: h5py.File, _: Path) -> None:
    file.create_dataset("poses", (30_000,), "f8", chunks=(1,))


def huge_chunk(file: h5py.File, _: Path) -> None:
    file.create_dataset("poses", (10,), "f8", maxshape=(None,), chunks=(20 << 20,))


def zeros(file: h5py.File, _: Path) -> None:
    file.create_dataset("poses", data=np.zeros(10 << 20), chunks=(1 << 20,), compression="gzip")


def bomb_in_a_chunk(file: h5py.File, _: Path) -> None:
    """One chunk that says 100 kB, and that HDF5 would go on unfolding to its end."""
    made = file.create_dataset("poses", (12_500,), "f8", chunks=(12_500,), compression="gzip")
    made.id.write_direct_chunk((0,), zlib.compress(bytes(90 << 20), 9))


def large_chunk(file: h5py.File, _: Path) -> None:
    made = file.create_dataset("poses", (10,), "f8", chunks=(10,), compression="gzip")
    made.id.write_direct_chunk((0,), zlib.compress(bytes(9 << 20), 9))


def structure_of_texts(file: h5py.File, _: Path) -> None:
    file.create_dataset("poses", (3,), np.dtype([("a", h5py.string_dtype())]))


REFUSED: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    "an external link": (external_link, r"'poses', which is a link to something else; write the numbers themselves"),
    "a link to itself": (soft_link, r"'poses', which is a link to something else; write the numbers themselves"),
    "external storage": (external_storage, r"'a/poses', which lies outside, in another file .*; write the numbers"),
    "a virtual dataset": (virtual, r"'poses', a virtual dataset, .*; write the numbers themselves"),
    "a huge shape": (huge, r"claims that 'poses' has the shape \(1099511627776, 17, 3\), but has 0 bytes of it"),
    "tiny chunks": (tiny_chunks, r"unfolds into more than"),
    "a huge chunk": (huge_chunk, r"unfolds into more than"),
    "zeros": (zeros, r"unfolds into more than .*; if you trust it, allow it more with HAR_BENCH_UNFOLD_GB"),
    "a bomb in a chunk": (bomb_in_a_chunk, r"has a chunk that unfolds into more than its size"),
    "a chunk too large for its content": (large_chunk, r"has a chunk that is larger than what it holds"),
    "a structure of texts": (structure_of_texts, r"has a structure with parts of varying length; write plain arrays"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_in_the_file_is_refused_when_it_is_opened(name: str, tmp_path: Path) -> None:
    make, reason = REFUSED[name]
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        make(file, tmp_path)
    for reader in (open_hdf5, open_file):
        with pytest.raises(HarBenchError, match=rf"a\.h5 .*{reason}"):
            reader(path)


@pytest.mark.parametrize(
    "name", ["an external link", "external storage", "a virtual dataset", "a huge shape", "tiny chunks"]
)
def test_a_store_is_refused_for_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        REFUSED[name][0](file, tmp_path)
    with pytest.raises(HarBenchError, match=rf"a\.h5 .*{REFUSED[name][1]}"):
        open_file(path, whole=False)


def test_a_store_may_be_packed_more_tightly_than_what_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        zeros(file, tmp_path)
    with open_file(path, whole=False) as file:
        assert file["poses"][5] == 0


def test_one_text_that_is_held_a_thousand_times_counts_as_often(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("text", data=["x" * 100_000] + ["y"] * 999, dtype=h5py.string_dtype())
        offset = file["text"].id.get_offset()
    assert len(open_hdf5(path)["text"]) == 1000
    content = bytearray(path.read_bytes())
    content[offset : offset + 16_000] = content[offset : offset + 16] * 1000
    path.write_bytes(content)
    with pytest.raises(HarBenchError, match=r"a\.h5 unfolds into more than"):
        open_hdf5(path)


def test_a_group_that_holds_itself_is_gone_through_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/x"] = np.arange(2)
        file["a/again"] = file["/"]
    assert open_hdf5(tmp_path / "a.h5")["a/x"].tolist() == [0, 1]


def test_other_types_are_refused_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(2)
        file["pairs"] = np.zeros(2, [("a", "f4"), ("b", "f4")])
        file["nothing"] = h5py.Empty("f4")
        file["refers"] = np.array([file["x"].ref], h5py.ref_dtype)
        file.create_dataset("uneven", data=np.array([np.arange(2), np.arange(3)], object), dtype=h5py.vlen_dtype("i4"))
    found = open_hdf5(path)
    assert found["x"].tolist() == [0, 1]
    for name in ("pairs", "nothing", "refers", "uneven"):
        with pytest.raises(HarBenchError, match=rf"a\.h5 \({name}\) holds .* where numbers or text should be; write"):
            found[name]


def test_damage_is_one_sentence_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.random.default_rng(0).random(4000), chunks=(1000,), compression="gzip")
        place = file["x"].id.get_chunk_info(1).byte_offset
    honest = path.read_bytes()
    path.write_bytes(honest[:place] + bytes(2000) + honest[place + 2000 :])
    with pytest.raises(HarBenchError, match=r"a\.h5 \(x\) is damaged .*; is the download complete"):
        open_hdf5(path)["x"]
    for content in (honest[: len(honest) // 2], b"no hdf5 at all", honest[:8] + bytes(2000)):
        path.write_bytes(content)
        with pytest.raises(HarBenchError, match=r"a\.h5 .*; is the download complete"):
            open_hdf5(path)
    with pytest.raises(HarBenchError, match=r"none\.h5 cannot be read \(No such file"):
        open_hdf5(tmp_path / "none.h5")


def test_a_heap_with_free_space_of_no_size_is_refused(tmp_path: Path) -> None:
    """HDF5 would stay there for ever."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["text"] = ["abc", "de"]
    content = path.read_bytes()
    assert open_hdf5(path)["text"].tolist() == ["abc", "de"]
    heap = content.index(b"GCOL")
    free = heap + 16 + 2 * 24  # behind the head and two texts of 16 bytes and eight
    assert content[free : free + 2] == b"\0\0"
    path.write_bytes(content[: free + 8] + bytes(8) + content[free + 16 :])
    with pytest.raises(HarBenchError, match=r"a\.h5 is damaged \(the heap at byte \d+\); "):
        open_hdf5(path)


def test_names_of_one_dataset_count_as_so_many(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "strange.h5", "w", libver="latest") as file:
        file["x"] = np.arange(3)
        for number in range(6000):
            file[f"{number}"] = file["x"]
    with pytest.raises(HarBenchError, match=r"strange\.h5 unfolds into more than the [\d,]+ bytes"):
        open_hdf5(tmp_path / "strange.h5")
