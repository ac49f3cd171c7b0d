"""HDF5 files from strangers, opened with one sentence for what is no such file."""

from __future__ import annotations

from pathlib import Path

import h5py

from har_bench.errors import HarBenchError


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file for reading.

    Raises:
        HarBenchError: the file is missing, truncated or not HDF5.
    """
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise HarBenchError(f"{path} cannot be read as HDF5 ({error}); is the download complete?") from error
