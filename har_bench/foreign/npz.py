"""NumPy's ``.npz`` archives from strangers: members are read one by one, none can run code or fill the memory."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError
from har_bench.foreign import pickles

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    SyntaxError,  # NumPy parses an array's header as a Python literal
    tokenize.TokenError,
)


class Npz(Mapping[str, npt.NDArray[Any]]):
    """An archive's arrays by name; each access reads the member anew, so nothing is kept in memory or open."""

    def __init__(self, path: Path, members: dict[str, zipfile.ZipInfo], limit: int) -> None:
        self._path = path
        self._members = members
        self._limit = limit

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Read one array; an array of Python objects goes through :func:`har_bench.foreign.pickles.load`.

        Raises:
            KeyError: no such member.
            HarBenchError: the member is broken, larger than it says, or holds more than data.
        """
        info = self._members[name]
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(info) as stream:
                return _array(stream, info.file_size, self._limit, f"{self._path} ({name})")
        except _BROKEN as error:
            reason = str(error).partition("\n")[0]
            raise HarBenchError(
                f"{self._path} is damaged at its member {name!r} ({reason}); download it again"
            ) from error


def open_npz(path: Path, *, limit: int = pickles.LIMIT) -> Npz:
    """Open an archive; only its table of contents is read.

    Args:
        path: the ``.npz`` file.
        limit: how many bytes its members may unfold into, together.

    Raises:
        HarBenchError: not a zip archive, or its table of contents is not that of an honest one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except _BROKEN as error:
        raise HarBenchError(f"{path} is not an .npz archive ({error}); download it again") from error
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        pure = PurePosixPath(info.filename)
        name = info.filename.removesuffix(".npy")
        if pure.is_absolute() or ".." in pure.parts or "\\" in info.filename or name in members:
            raise HarBenchError(f"{path} has a member called {info.filename!r}, as no .npz archive does; it is refused")
        members[name] = info
    size = sum(info.file_size for info in infos)
    if size > limit:
        raise HarBenchError(
            f"{path} unfolds into {size} bytes where {limit} are allowed; raise the limit if you trust it"
        )
    return Npz(path, members, limit)


def _array(stream: IO[bytes], size: int, limit: int, name: str) -> npt.NDArray[Any]:
    """One ``.npy`` stream of ``size`` bytes as an array; the header is checked before anything is allocated."""
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        loaded = pickles.load(stream, limit=limit, name=name)  # type: ignore[arg-type]
        if not isinstance(loaded, np.ndarray):
            raise HarBenchError(
                f"{name} holds a {type(loaded).__name__} where its header says array; download it again"
            )
        return loaded
    if math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise HarBenchError(f"{name} says shape {str(shape)[:60]} but has another size; download it again")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
