"""NumPy's ``.npz`` archives from strangers: members are read one by one, none can run code or fill the memory."""

from __future__ import annotations

import zipfile
from pathlib import Path

from har_bench.arrays import Anything
from har_bench.errors import Malformed, completing
from har_bench.foreign import npy, opening
from har_bench.foreign.archive import Archive
from har_bench.foreign.budget import Budget
from har_bench.foreign.members import Members

_REMEDY = "download it again"
_MEMBER = 512
"""What each member costs besides its content."""


class Npz(Members):
    """An archive's arrays by name."""

    def __init__(self, archive: Archive) -> None:
        super().__init__({name.removesuffix(".npy"): name for name in archive.members})
        self._archive = archive

    def __getitem__(self, name: str) -> Anything:
        """Read one array; one of Python objects goes through :mod:`har_bench.foreign.pickles`.

        Raises:
            KeyError: no such member.
            HarBenchError: the member is broken, of another size than it says, or holds more than data.
        """
        file, path = self._names[name], self._archive.path
        with completing(f"{path} ({name})", _REMEDY):
            budget = Budget(self._archive.size)
            budget.charge(self._archive.members[file].file_size)
            return npy.array(self._archive.read(file), budget)

    def mapped(self, name: str) -> Anything | None:
        """An array of numbers on disk, read as it is looked at; None where the member is compressed.

        Raises:
            KeyError: no such member.
            HarBenchError: the member is broken, or of another size than it says.
        """
        file, path = self._names[name], self._archive.path
        info = self._archive.members[file]
        with completing(f"{path} ({name})", _REMEDY), opening.opened(path) as stream:
            start = self._archive.start(stream, file)
            if info.compress_type != zipfile.ZIP_STORED or start + info.file_size > self._archive.size:
                return None
            found = npy.header(stream.read(npy.LONGEST), info.file_size, Budget(self._archive.size))
        if found.dtype.hasobject or not found.size:
            return None
        return found.mapped(path, start)


def open_npz(path: Path) -> Npz:
    """Open an archive; only its table of contents is read.

    Raises:
        HarBenchError: it is no zip archive, one that no honest tool writes, or its members unfold into more than a
            file of its size may, see :mod:`har_bench.foreign.budget`.
    """
    with completing(path, _REMEDY):
        archive = Archive(path)
        Budget(archive.size).charge(sum(info.file_size + _MEMBER for info in archive.members.values()))
        found = Npz(archive)
        if len(found) < len(archive.members):
            raise Malformed("has two members of one name")
        return found
