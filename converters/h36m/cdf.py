"""The official CDF files: one float variable ``Pose``, (1, frames, numbers), read without trusting their lengths.

cdflib follows whatever counts and offsets a file holds, so a few damaged bytes can keep it busy for hours. Here it
reads through a file that runs dry, and the counts that size its loops and buffers are looked at first.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from har_bench.errors import HarBenchError

_LARGEST = 1 << 24  # numbers in one file; the longest sequence has 6343 frames of 96
_DIMENSIONS = 16
_READ_COST = 256  # bytes that a read counts besides its own


def read_pose(path: Path) -> npt.NDArray[Any]:
    """The variable ``Pose`` as the file shapes it.

    Raises:
        HarBenchError: the file is damaged, or holds something else.
    """
    try:
        file = _reader()(path)
        facts = file.varinq("Pose")
        sizes = [facts.Last_Rec + 1, *facts.Dim_Sizes, facts.Num_Elements]
        if min(sizes) < 0 or math.prod(sizes) > _LARGEST or sizes[0] > _LARGEST:
            raise ValueError(f"Pose claims {sizes[0]} records of {facts.Dim_Sizes}")
        return np.asarray(file.varget("Pose"))
    except Exception as error:  # cdflib has no exception of its own: garbage raises whatever its bytes lead to
        text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise HarBenchError(f"{path} is not a readable CDF file ({text}); unpack or download it again") from error


class _BoundedFile:
    """A file that can be read only so often: each of its bytes a few times."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = (32 << 20) + 16 * file.seek(0, 2)
        file.seek(0)
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        content = self.file.read(size)
        self.left -= len(content) + _READ_COST
        if self.left < 0:
            raise ValueError("its records point at each other without end")
        return content


@cache
def _reader() -> Any:
    """A bounded ``cdflib.CDF``; imported here because that is slow and h5 and npz archives do without."""
    import cdflib

    class BoundedCDF(cdflib.CDF):  # type: ignore[misc]
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, _BoundedFile(value) if name == "_f" else value)

        def _read_gdr(self, byte_loc: int) -> Any:
            self._refuse_many(byte_loc + 56)  # rNumDims
            return super()._read_gdr(byte_loc)

        def _read_gdr2(self, byte_loc: int) -> Any:
            self._refuse_many(byte_loc + 36)
            return super()._read_gdr2(byte_loc)

        def _read_vdr3(self, byte_loc: int) -> Any:
            self._refuse_many(byte_loc + 64)  # NumElems
            self._refuse_many(byte_loc + 340)  # zNumDims
            return super()._read_vdr3(byte_loc)

        def _read_vdr2(self, byte_loc: int) -> Any:
            shift = 0 if self._post25 else 128
            self._refuse_many(byte_loc + shift + 48)
            self._refuse_many(byte_loc + shift + 128)
            return super()._read_vdr2(byte_loc)

        def _refuse_many(self, place: int) -> None:
            self._f.seek(place)
            count = int.from_bytes(self._f.read(4), "big", signed=True)
            if not 0 <= count <= _DIMENSIONS:
                raise ValueError(f"{count} dimensions or elements at byte {place}")

    return BoundedCDF
