"""Store tables as Parquet: how they are written, and the reader that a store uses."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from har_bench.files import whole
from har_bench.foreign import opening
from har_bench.schema import PARTITIONED
from har_bench.storing import seals

ROW_GROUP = 16_384

LEAVES = "har_bench/leaves"
"""The key, in a file's footer, of the leaves of its columns: base64 of 64-bit numbers, column after column."""

OPEN_FILES = 8
"""At a time, per store."""


def table_path(folder: Path, table: str, part: int = 0) -> Path:
    """Where a table, or a part of a partitioned one, lives."""
    return folder / table / f"part-{part:05d}.parquet" if table in PARTITIONED else folder / f"{table}.parquet"


def write(table: pa.Table, path: Path) -> str:
    """Write a table, whole or not at all, and return its seal; the same rows always give the same bytes.

    Floating-point columns are split by byte before zstd, which packs coordinates about a third tighter.
    """
    floats: list[str] = []
    texts: list[str] = []
    for field in table.schema:
        inner = field.type.value_type if pa.types.is_nested(field.type) else field.type
        leaf = field.name if inner is field.type else f"{field.name}.list.item"
        (floats if pa.types.is_floating(inner) else texts).append(leaf)
    path.parent.mkdir(parents=True, exist_ok=True)
    leaves = seals.leaves(table)
    with (
        whole(path) as temporary,
        pq.ParquetWriter(
            temporary.absolute(),  # a folder may be called s3:, which Arrow takes for another machine
            table.schema,
            compression="zstd",
            compression_level=2,
            use_dictionary=texts,
            use_byte_stream_split=floats,
            write_statistics=False,
            write_page_checksum=True,
            use_compliant_nested_type=False,  # else lists come back as another Arrow type than they went in
        ) as writer,
    ):
        writer.write_table(table.combine_chunks(), row_group_size=ROW_GROUP)
        writer.add_key_value_metadata({LEAVES: base64.b64encode(leaves.tobytes()).decode()})
    return seals.seal(table.schema, table.num_rows, leaves)


class ParquetTables:
    """The Parquet files of a store.

    Args:
        folder: the store's.
        parts: the numbers of every table's parts.
        sealed: the parts' seals, in the same order; none for a store of an older har_bench, which is read unchecked.
        fetch: makes sure that a file is in the folder; for a store that lies elsewhere.
    """

    def __init__(
        self,
        folder: Path,
        parts: Mapping[str, Sequence[int]],
        sealed: Mapping[str, Sequence[str]] | None = None,
        fetch: Callable[[Path], object] | None = None,
    ) -> None:
        self.folder = folder
        self._fetch = fetch
        self._parts = parts
        self._seals = {
            table_path(folder, table, part): seal
            for table, found in (sealed or {}).items()
            for part, seal in zip(parts[table], found, strict=True)
        }
        self._open: dict[Path, Part] = {}

    def parts(self, table: str) -> Sequence[int]:
        """The numbers of a table's parts; an absent table has none."""
        return self._parts.get(table, ())

    def schema(self, table: str) -> pa.Schema:
        """A table's schema, with units and shapes."""
        return self._file(table, self._parts[table][0]).schema

    def read(self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """One part of a table: all rows, or the rows of a slice (only their row groups are read)."""
        return self._file(table, part).read(columns, rows)

    def _file(self, table: str, part: int) -> Part:
        path = table_path(self.folder, table, part)
        if path not in self._open:
            if len(self._open) == OPEN_FILES:
                del self._open[next(iter(self._open))]
            if self._fetch is not None:
                self._fetch(path)
            self._open[path] = Part(path, self._seals.get(path))
        return self._open[path]


class Part:
    """One Parquet file, whose values are compared with their seal as they are read.

    Raises:
        HarBenchError: the file is missing, damaged, or not the one that was sealed.
    """

    def __init__(self, path: Path, seal: str | None) -> None:
        self.path = path
        with seals.undamaged(path):
            opening.require_file(path)
            # not mapped to memory: a disk that fails would end the process. Its values are compared with the seal, and
            # nothing is compared twice: a page's checksum only where there is none
            self._file = pq.ParquetFile(path.absolute(), memory_map=False, page_checksum_verification=seal is None)
            self.schema: pa.Schema = self._file.schema_arrow
            self.rows: int = self._file.metadata.num_rows
            kept = (self._file.metadata.metadata or {}).get(LEAVES.encode(), b"")
            self._sealed = (
                seals.opened(path, self.schema, self.rows, base64.b64decode(kept), seal) if seal is not None else None
            )

    def read(self, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """All rows, or those of a slice, of some columns."""
        with seals.undamaged(self.path):
            wanted = slice(0, self.rows) if rows is None else rows
            leaves = wanted if self._sealed is None else self._sealed.span(wanted)
            groups, start = self._covering(leaves)
            found = self._file.read_row_groups(groups, None if columns is None else list(columns))
            found = found.slice(leaves.start - start, leaves.stop - leaves.start)
            if self._sealed is not None:
                self._sealed.check(found, leaves)
        found = found.slice(wanted.start - leaves.start, wanted.stop - wanted.start)
        return found.replace_schema_metadata(self.schema.metadata)

    def _covering(self, rows: slice) -> tuple[list[int], int]:
        """The row groups that hold some rows, and the number of their first row."""
        every = range(self._file.num_row_groups)
        if not every:
            return [], 0
        size = max(self._file.metadata.row_group(0).num_rows, 1)
        groups = every[rows.start // size : max(rows.start, rows.stop - 1) // size + 1]
        return list(groups), rows.start // size * size
