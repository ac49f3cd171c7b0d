"""joblib files: what joblib itself reads, bit for bit, without joblib; anything else ends in one sentence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError
from har_bench.foreign import compressed, joblib, pickles
from tests.damage import damaged, refused
from tests.golden import REAL

FILES = sorted([*(REAL / "ava").glob("phalp*.pkl"), *(REAL / "lart").rglob("*.pkl")])
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}
VALUE: dict[Any, Any] = {
    "floats": np.arange(12, dtype="f4").reshape(3, 4),
    "nested": [np.arange(3), {"deep": (np.ones((2, 0, 3)), "text")}],
    7: np.array(2.5),
    "big-endian": np.arange(4, dtype=">i2"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "text": np.array(["ab", "ç"]),
    "booleans": np.array([True, False]),
    "scalar": np.float32(1.5),
    "plain": [1, None, "x", b"\x00", 1 << 70],
}

Load = Callable[[bytes], Any]


@pytest.fixture
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Reads bytes as a file called ``strange.pkl``."""
    path = tmp_path_factory.mktemp("strange") / "strange.pkl"

    def loaded(data: bytes) -> Any:
        path.write_bytes(data)
        return joblib.load(path)

    return loaded


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def wrapped(array: np.ndarray, padding: int | None = None, **changes: Any) -> bytes:
    """An array as joblib writes it into protocol 2; ``padding`` as uncompressed files have it."""
    state = {"subclass": np.ndarray, "shape": array.shape, "order": "C", "dtype": array.dtype, "allow_mmap": True}
    if padding is not None:
        state["numpy_array_alignment_bytes"] = 16
    header = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + pickle.dumps(state | changes, 2)[2:-1] + b"b"
    return header + (b"" if padding is None else bytes([padding]) + b"\xff" * padding) + array.tobytes()


def listed(*items: bytes) -> bytes:
    return b"\x80\x02](" + b"".join(items) + b"e."


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_what_joblib_writes_comes_back(compress: Any, protocol: int, load: Load) -> None:
    real = pytest.importorskip("joblib")
    stream = io.BytesIO()
    real.dump(VALUE, stream, compress=compress, protocol=protocol)
    loaded = load(stream.getvalue())
    assert_same(loaded, VALUE)
    assert loaded["floats"].flags.writeable


def test_an_array_that_occurs_twice_is_read_twice(load: Load) -> None:
    real = pytest.importorskip("joblib")
    stream = io.BytesIO()
    shared = np.arange(5)
    real.dump([shared, shared, "after"], stream)
    assert_same(load(stream.getvalue()), [shared, shared, "after"])


@pytest.mark.parametrize("padding", [None, 0, 7, 15])
@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
def test_padding_and_compression_make_no_difference(padding: int | None, compression: str | None, load: Load) -> None:
    one, other = np.arange(6.0).reshape(2, 3), np.array([b"b.b.", b"."])  # bytes that look like instructions
    data = listed(wrapped(one, padding), b"K\x05", wrapped(other, padding))
    found = load(COMPRESSIONS[compression](data) if compression else data)
    assert_same(found, [one, 5, other])


def test_a_plain_pickle_is_read_too(load: Load) -> None:
    assert load(pickle.dumps([1, np.arange(3)]))[1].tolist() == [0, 1, 2]


@pytest.mark.real
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_files_are_what_joblib_reads(path: Path, load: Load) -> None:
    real = pytest.importorskip("joblib")
    assert_same(load(path.read_bytes()), real.load(path))


ONE = np.arange(4.0)
REFUSED = {
    "objects": (listed(wrapped(ONE, dtype=np.dtype(object))), "an array of Python objects"),
    "structured type": (listed(wrapped(ONE, dtype=np.dtype([("a", "f4")]))), "not a plain number or text"),
    "no type": (listed(wrapped(ONE, dtype="f8")), "without a plain element type"),
    "beyond the end": (listed(wrapped(ONE, shape=(1 << 40,))), "too large for the file"),
    "negative": (listed(wrapped(ONE, shape=(-4,))), "malformed"),
    "shape of floats": (listed(wrapped(ONE, shape=(4.0,))), "malformed"),
    "another order": (listed(wrapped(ONE, order="X")), "state is malformed"),
    "another class": (listed(wrapped(ONE, subclass=np.memmap)), "asks for numpy.memmap"),
    "old wrapper": (b"\x80\x02cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81.", "asks for joblib.numpy_pickle.NDArrayW"),
    "wrapper alone": (b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81.", "an array without its content"),
    "wrapper itself": (b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n.", "holds a function"),
    "bytes first": (b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81C\x01ab.", "without a plain element type"),
    "cut in the array": (listed(wrapped(ONE))[:-20], "is cut off"),
    "cut in the state": (listed(wrapped(ONE))[:90], "is cut off|ends early"),
    "lz4": (b"\x04\x22\x4d\x18" + bytes(20), "lz4, which is not read here"),
    "something after the stream": (gzip.compress(b"N.") + b"more", "goes on after its compressed content"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_data_is_refused(name: str, load: Load) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(HarBenchError, match=reason) as caught:
        load(data)
    assert "strange.pkl " in str(caught.value)


@pytest.fixture
def unfolded(tmp_path: Path) -> Callable[[bytes], bytes]:
    """Reads bytes as a file called ``packed``."""

    def read(data: bytes) -> bytes:
        (tmp_path / "packed").write_bytes(data)
        return compressed.read(tmp_path / "packed")

    return read


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_content_beyond_the_allowance_of_the_file_is_refused(
    compression: str, unfolded: Callable[[bytes], bytes]
) -> None:
    bomb = COMPRESSIONS[compression](bytes(80 << 20))
    assert len(bomb) < 1 << 17
    with pytest.raises(HarBenchError, match=r"packed unfolds into more than .* bytes may become; if you trust it"):
        unfolded(bomb)
    assert len(unfolded(COMPRESSIONS[compression](bytes(1 << 22)))) == 1 << 22


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_content_that_is_cut_or_damaged_is_refused(compression: str, unfolded: Callable[[bytes], bytes]) -> None:
    data = COMPRESSIONS[compression](np.random.default_rng(0).bytes(5000))
    for broken in (data[: len(data) // 2], data[:14] + bytes(200)):
        with pytest.raises(HarBenchError, match=r"packed (is cut off|is damaged .*|goes on .*); "):
            unfolded(broken)


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz"])
def test_files_of_several_streams_are_read_whole(compression: str, unfolded: Callable[[bytes], bytes]) -> None:
    """As ``cat`` makes them of two files, and parallel compressors of one."""
    pieces = [np.random.default_rng(seed).bytes(9000) for seed in range(3)]
    packed = b"".join(map(COMPRESSIONS[compression], pieces))
    assert unfolded(packed) == b"".join(pieces)
    assert unfolded(packed + bytes(64)) == b"".join(pieces)


def test_a_hundred_thousand_streams_are_too_many(unfolded: Callable[[bytes], bytes]) -> None:
    with pytest.raises(HarBenchError, match="unfolds into more than"):
        unfolded(gzip.compress(b"") * 100_000)


def test_other_bytes_stay_as_they_are(unfolded: Callable[[bytes], bytes]) -> None:
    for data in (b"hello", b"x,y,frame\n1,2,3\n", b"BZ", pickle.dumps(1)):
        assert unfolded(data) == data


def test_random_mutations_never_escape(load: Load) -> None:
    honest = listed(wrapped(ONE, 3), pickle.dumps({"a": 1, "b": "text"}, 2)[2:-1], wrapped(np.arange(3, dtype="i2")))
    assert 0 < refused(load, damaged(honest, 2000, seed=11)) < 1


def test_a_plain_pickle_has_no_wrapper_of_joblib(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(listed(wrapped(ONE)))
    with pytest.raises(HarBenchError, match=r"asks for joblib\.numpy_pickle\.NumpyArrayWrapper"):
        pickles.load(tmp_path / "x.pkl")
