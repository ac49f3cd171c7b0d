"""Store tables as Parquet: how they are written, and the reader that a store uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from har_bench.errors import HarBenchError
from har_bench.files import whole
from har_bench.schema import PARTITIONED

ROW_GROUP = 16_384

OPEN_FILES = 8
"""At a time, per store: an open file stays mapped to memory."""


def table_path(folder: Path, table: str, part: int = 0) -> Path:
    """Where a table, or a part of a partitioned one, lives."""
    return folder / table / f"part-{part:05d}.parquet" if table in PARTITIONED else folder / f"{table}.parquet"


def write(table: pa.Table, path: Path) -> None:
    """Write a table, whole or not at all; the same rows always give the same bytes.

    Floating-point columns are split by byte before zstd, which packs coordinates about a third tighter.
    """
    floats: list[str] = []
    texts: list[str] = []
    for field in table.schema:
        inner = field.type.value_type if pa.types.is_nested(field.type) else field.type
        leaf = field.name if inner is field.type else f"{field.name}.list.item"
        (floats if pa.types.is_floating(inner) else texts).append(leaf)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        pq.write_table(
            table.combine_chunks(),
            temporary,
            row_group_size=ROW_GROUP,
            compression="zstd",
            compression_level=2,
            use_dictionary=texts,
            use_byte_stream_split=floats,
            write_statistics=False,
            use_compliant_nested_type=False,  # else lists come back as another Arrow type than they went in
        )


class ParquetTables:
    """The Parquet files of a store."""

    def __init__(self, folder: Path, parts: Mapping[str, Sequence[int]]) -> None:
        self.folder = folder
        self._parts = parts
        self._open: dict[Path, pq.ParquetFile] = {}

    def parts(self, table: str) -> Sequence[int]:
        """The numbers of a table's parts; an absent table has none."""
        return self._parts.get(table, ())

    def schema(self, table: str) -> pa.Schema:
        """A table's schema, with units and shapes."""
        return self._file(table, self._parts[table][0]).schema_arrow

    def read(self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """One part of a table: all rows, or the rows of a slice (only their row groups are read)."""
        file = self._file(table, part)
        names = None if columns is None else list(columns)
        if rows is None:
            return file.read(columns=names)
        size = max(file.metadata.row_group(0).num_rows, 1) if file.num_row_groups else ROW_GROUP
        first, last = rows.start // size, max(rows.start, rows.stop - 1) // size
        groups = range(first, min(last + 1, file.num_row_groups))
        found = file.read_row_groups(list(groups), columns=names)
        return found.slice(rows.start - first * size, rows.stop - rows.start)

    def _file(self, table: str, part: int) -> pq.ParquetFile:
        path = table_path(self.folder, table, part)
        if path not in self._open:
            if len(self._open) == OPEN_FILES:
                del self._open[next(iter(self._open))]
            self._open[path] = _open(path)
        return self._open[path]


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise HarBenchError(f"{path} is damaged or missing ({error}); convert the dataset again") from error
