"""What a file of predictions is, in words: its kind, rows, sequences and columns, as far as it says so itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from har_bench.arrays import Anything
from har_bench.errors import HarBenchError, completing, listed
from har_bench.foreign import opening
from har_bench.foreign.hdf5 import open_hdf5
from har_bench.foreign.mat import load_mat
from har_bench.foreign.npz import open_npz
from har_bench.scoring.column_files import read_columns
from har_bench.scoring.predictions import Predictions

FOREIGN = "a protocol may know it as one of its field's own files: see `har-bench info PROTOCOL`"


def described(path: Path) -> str:
    """A description of a file of predictions.

    Raises:
        HarBenchError: it is damaged, or of no kind that anybody here reads.
    """
    if path.suffix.lower() in (".h5", ".hdf5") and "sequence" not in (datasets := open_hdf5(path)):
        return _arrays(path, "HDF5", datasets)
    if path.suffix == ".npz":
        return _arrays(path, ".npz", open_npz(path))
    if path.suffix == ".mat":
        return _arrays(path, ".mat", load_mat(path))
    if path.suffix == ".json":
        return _json(path)
    found = read_columns(path)
    if found is None:
        raise HarBenchError(
            f"{path} is no store, result or file of predictions in our columns (.parquet, .csv, .h5); {FOREIGN}"
        )
    return _columns(path, found)


def is_result(path: Path) -> bool:
    """Whether a json file is a result, perhaps a damaged one, and no list or table of predictions."""
    if path.suffix != ".json":
        return False
    with completing(path, "name a file"), opening.opened(path) as stream:
        head = stream.read(1 << 12).lstrip()
    return not head.startswith(b"[") and (b'"protocol"' in head or not head.startswith(b"{"))


def _columns(path: Path, found: Predictions) -> str:
    names = list(found.names())
    columns = (found.of(names[0]) if names else None) or {}
    lines = [f"{path}: predictions, {found.taken_for}", f"{len(found):,} rows of {len(names):,} sequences"]
    lines.append(f"sequences: {listed(names, 3)}")
    lines += [f"  {name} {_shape(values)}" for name, values in columns.items()]
    return "\n".join(lines)


def _shape(values: Anything) -> str:
    shape = " x ".join(map(str, values.shape[1:]))
    kind = "text" if values.dtype.kind in "OUS" else str(values.dtype)
    return f"({shape}) {kind}" if shape else kind


def _arrays(path: Path, kind: str, arrays: Mapping[str, Any]) -> str:
    shown = [f"  {name} {getattr(value, 'shape', '')} {getattr(value, 'dtype', '')}" for name, value in arrays.items()]
    more = [f"  and {len(shown) - 12:,} more"] if len(shown) > 12 else []
    return "\n".join([f"{path}: {kind} of {len(shown):,} arrays; {FOREIGN}", *shown[:12], *more])


def _json(path: Path) -> str:
    try:
        found = msgspec.json.decode(opening.read(path, "name a file"))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise HarBenchError(f"{path} is no json ({error}); write it again") from error
    if isinstance(found, list):
        first = f", the first with {listed(found[0])}" if found and isinstance(found[0], dict) else ""
        return f"{path}: a json list of {len(found):,} records{first}; {FOREIGN}"
    names = listed(found) if isinstance(found, dict) else ""
    return f"{path}: a json {type(found).__name__} {names}; {FOREIGN}"
