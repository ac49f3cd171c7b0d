"""Reading a store: one converted dataset, in Parquet or HDF5, behind one API."""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from har_bench import remote
from har_bench.cameras import Camera
from har_bench.errors import HarBenchError, HarBenchWarning, listed, unknown
from har_bench.files import is_utf8, readable
from har_bench.schema import TABLES
from har_bench.skeletons import Mapping as JointMapping
from har_bench.skeletons import Skeleton, mapping, skeleton
from har_bench.storing import fingerprint, frames, manifest
from har_bench.storing.hdf5 import ARRAYS, Hdf5Tables, manifest_in
from har_bench.storing.joints import POINTS as POINTS
from har_bench.storing.joints import in_layout as in_layout
from har_bench.storing.parquet import ROW_GROUP, ParquetTables
from har_bench.storing.rows import by_number as by_number
from har_bench.storing.rows import containing, spanned
from har_bench.storing.sequence import SequenceView as SequenceView

if TYPE_CHECKING:
    import dask.dataframe
    import pandas as pd

    from har_bench.exporting import Exported
    from har_bench.storing.windows import Windows


class Tables(Protocol):
    """What a file format offers a store."""

    def parts(self, table: str) -> Sequence[int]: ...  # noqa: D102
    def schema(self, table: str) -> pa.Schema: ...  # noqa: D102
    def read(  # noqa: D102
        self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None
    ) -> pa.Table: ...


def open_store(path: str | Path) -> Store:
    """Open a finished store: a folder, or an ``arrays.h5`` alone; a path, or a URL such as ``s3://bucket/stores/h36m``.

    Of a store at a URL the files are copied to the cache of :mod:`har_bench.remote` when they are first read.

    Raises:
        HarBenchError: there is no finished store at ``path``.

    Example:
        >>> store = open_store("stores/h36m")                                  # doctest: +SKIP
        >>> store.sequence("S9/Directions 1/54138969").keypoints_3d.shape      # doctest: +SKIP
        (2356, 32, 3)
    """
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        raise HarBenchError(f"a store cannot be a {type(path).__name__}; give the path of a converted dataset")
    store = _opened(path)
    if not store.manifest.seals:
        warnings.warn(
            f"{path} was written without checksums, so damage to it would go unnoticed; convert the dataset again",
            HarBenchWarning,
            stacklevel=2,
        )
    return store


def _opened(place: str | Path) -> Store:
    url, path = remote.as_url(place), remote.local(place)
    if url is not None and not url.startswith("file:"):
        return _far(url)
    if not is_utf8(path):
        raise HarBenchError(f"{path} cannot be read, for its name is not UTF-8; rename it")
    with readable(path):
        if path.is_file():
            return _alone(path)
        found = manifest.read(path)
        if (path / "sequences.parquet").exists():
            return Store(path, found, ParquetTables(path, found.parts, found.seals))
        return Store(path, found, Hdf5Tables(path / ARRAYS, found.parts, found.seals))


def _far(url: str) -> Store:
    """A store at a URL: what is needed of it is copied when it is read."""
    if url.endswith(".h5"):
        store = _alone(remote.fetch(url))
    else:
        folder = remote.fetch(f"{url}/{manifest.MANIFEST}").parent
        found = manifest.read(folder)
        if remote.is_there(f"{url}/sequences.parquet"):

            def fetch(path: Path) -> Path:
                return remote.fetch(f"{url}/{path.relative_to(folder).as_posix()}")

            store = Store(folder, found, ParquetTables(folder, found.parts, found.seals, fetch))
        else:
            store = Store(folder, found, Hdf5Tables(remote.fetch(f"{url}/{ARRAYS}"), found.parts, found.seals))
    store.place = url
    return store


def _alone(path: Path) -> Store:
    """The store in an ``arrays.h5`` alone."""
    if not h5py.is_hdf5(path) and path.name != ARRAYS:
        raise HarBenchError(f"{path} is no store; give the folder, or the arrays.h5, that `har-bench convert` wrote")
    found = manifest_in(path)
    return Store(path, found, Hdf5Tables(path, found.parts, found.seals))


class Store:
    """A converted dataset, read-only.

    Attributes:
        path: the folder, or the HDF5 file.
        place: where another process finds it: the path in full, or a URL.
        manifest: what it holds and what it was made from.
    """

    def __init__(self, path: Path, found: manifest.Manifest, tables: Tables) -> None:
        self.path = path
        self.place: str | Path = path.absolute()
        self.manifest = found
        self._tables = tables

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process opens the store for itself."""
        return _opened, (self.place,)

    def __repr__(self) -> str:
        rows = self.manifest.rows
        return f"<{self.dataset} store {self.path}: {rows['sequences']} sequences, {rows.get('poses', 0)} poses>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the dataset, its splits and tables."""
        from har_bench.drawing.notebook import of_store

        return of_store(self)

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return self.manifest.dataset

    @property
    def fingerprint(self) -> str:
        """blake3 of the content."""
        return self.manifest.fingerprint

    @cached_property
    def sequences(self) -> pa.Table:
        """The ``sequences`` table, sorted by name."""
        return self.table("sequences")

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.sequences["sequence"].to_pylist())}

    def skeleton(self, name: str | None = None) -> Skeleton:
        """The store's own joint layout, or another one of its layouts or of har_bench, by name."""
        for found in self.manifest.skeletons:
            if name in (None, found.name):
                return found
        if name is None:
            raise HarBenchError(f"the {self.dataset} store {self.path} has no joints; convert annotations of keypoints")
        return skeleton(name)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """A whole table; an absent one is an error that names those present."""
        parts = self.parts(name)
        if not parts:
            raise self._no_table(name)
        return pa.concat_tables(self.read(name, part, columns) for part in parts)

    def parts(self, table: str) -> Sequence[int]:
        """The numbers of a table's parts; no sequence straddles two parts."""
        return self._tables.parts(table)

    def _no_table(self, name: str) -> HarBenchError:
        return unknown(f"table of {self.path}", name, filter(self.parts, TABLES))

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table, with units and shapes."""
        if not self.parts(table):
            raise self._no_table(table)
        return self._tables.schema(table)

    def read(self, table: str, part: int, columns: Sequence[str] | None = None, rows: slice | None = None) -> pa.Table:
        """One part of a table, or a slice of its rows."""
        if columns is not None:
            known = self.schema(table).names
            if absent := sorted(set(columns) - set(known)):
                raise unknown(f"column of {table} in {self.path}", absent[0], known)
        return self._tables.read(table, part, columns, rows)

    def split_names(self, split: str) -> set[str]:
        """The full split names that ``split`` stands for: itself, or the one name that ends in ``/split``.

        Raises:
            HarBenchError: no such split, or several families have one of that name.
        """
        known = self.manifest.splits
        if split in known:
            return {split}
        ending = [name for name in known if name.endswith("/" + split)]
        if len(ending) == 1:
            return set(ending)
        if ending:
            raise HarBenchError(f"{self.path} has several splits {split!r}; name one of {listed(ending)}")
        raise unknown(f"split of {self.path}", split, known)

    def select(self, split: str | None = None, sequences: Sequence[str] | None = None) -> pa.Table:
        """Rows of ``sequences`` of a split and/or with given names, in the order of the table.

        Raises:
            HarBenchError: an unknown split or sequence.
        """
        chosen = self.sequences
        if sequences is not None:
            chosen = chosen.take(pa.array(sorted(self._row(name) for name in sequences), pa.int64()))
        if split is not None:
            chosen = chosen.filter(containing(chosen["splits"], self.split_names(split)))
        return chosen

    def _row(self, name: str) -> int:
        if name not in self._row_of:
            raise unknown(f"sequence of {self.path}", name, self._row_of)
        return self._row_of[name]

    def sequence(self, name: str) -> SequenceView:
        """One sequence's poses as NumPy arrays; only its rows are read."""
        info = self.sequences.slice(self._row(name), 1).to_pylist()[0]
        rows = slice(info["first_row"], info["first_row"] + info["rows"])
        return SequenceView(info, self.read("poses", info["part"], rows=rows))

    def each(self, chosen: pa.Table, columns: Sequence[str] | None = None) -> Iterator[SequenceView]:
        """One sequence after the other, for work on many: consecutive ones of a part are read together.

        Args:
            chosen: rows of ``sequences``, most quickly in its order.
            columns: of ``poses``; all by default.
        """
        for part, run in itertools.groupby(chosen.to_pylist(), key=lambda row: row["part"] if row["rows"] else None):
            rows = list(run)
            if part is None:
                yield from (
                    SequenceView(row, self.read("poses", self.parts("poses")[0], columns, slice(0, 0))) for row in rows
                )
                continue
            begin, end = min(row["first_row"] for row in rows), max(row["first_row"] + row["rows"] for row in rows)
            poses = self.read("poses", part, columns, slice(begin, end))
            yield from (SequenceView(row, poses.slice(row["first_row"] - begin, row["rows"])) for row in rows)

    def poses(
        self,
        split: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        skeleton: str | None = None,
        sequences: Sequence[str] | None = None,
    ) -> pa.Table:
        """Poses as one Arrow table (``.to_pandas()``, or :meth:`to_pandas`, for pandas).

        Args:
            split: such as ``test`` or ``tompson/valid``; where the split is a matter of persons, only those persons.
            columns: columns to read; all by default.
            skeleton: map ``keypoints``, ``visibility`` and ``keypoints_3d`` to this layout.
            sequences: names of sequences.
        """
        parts = list(self._pose_parts(split, columns, skeleton, sequences))
        if not parts:
            chosen = self.read("poses", self.parts("poses")[0], columns, slice(0, 0))
            return in_layout(chosen, self._mapping(skeleton)) if skeleton else chosen
        return pa.concat_tables(parts).combine_chunks()

    def iter_poses(
        self,
        batch_rows: int = 65_536,
        *,
        split: str | None = None,
        columns: Sequence[str] | None = None,
        skeleton: str | None = None,
        sequences: Sequence[str] | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The same as :meth:`poses`, as a stream of record batches: one row group is in memory at a time."""
        for part in self._pose_parts(split, columns, skeleton, sequences):
            yield from part.combine_chunks().to_batches(max_chunksize=batch_rows)

    def _pose_parts(
        self, split: str | None, columns: Sequence[str] | None, skeleton: str | None, sequences: Sequence[str] | None
    ) -> Iterator[pa.Table]:
        chosen = self.select(split, sequences)
        joints = self._mapping(skeleton) if skeleton else None
        personal = split is not None and "splits" in self.schema("poses").names
        reading = [*columns, "splits"] if columns is not None and personal and "splits" not in columns else columns
        for part, rows in self._row_groups(chosen):
            found = self.take(part, rows, reading)
            if personal and split is not None:
                found = found.filter(containing(found["splits"], self.split_names(split)))
            if reading is not columns:
                found = found.drop_columns("splits")
            yield in_layout(found, joints) if joints else found

    def rows_by_part(self, chosen: pa.Table) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """For each part that holds poses of the chosen sequences: its number and their sorted row numbers in it."""
        held = chosen["rows"].to_numpy() > 0
        part, first, count = (chosen[name].to_numpy()[held] for name in ("part", "first_row", "rows"))
        for number, places in by_number(part):
            yield number, spanned(first[places], count[places])

    def _row_groups(self, chosen: pa.Table) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """The same in pieces of one row group, so that memory does not grow with the size of a part."""
        for part, rows in self.rows_by_part(chosen):
            edges = np.searchsorted(rows, np.arange(ROW_GROUP, rows[-1] + 1, ROW_GROUP))
            for piece in np.split(rows, edges):
                if len(piece):
                    yield part, piece

    def take(self, part: int, rows: npt.NDArray[np.int64], columns: Sequence[str] | None = None) -> pa.Table:
        """Some rows of a part of ``poses``, by their sorted numbers; no more than their span is read."""
        found = self.read("poses", part, columns, slice(int(rows[0]), int(rows[-1]) + 1))
        return found if found.num_rows == len(rows) else found.take(rows - rows[0])

    def _mapping(self, name: str) -> JointMapping:
        return mapping(self.skeleton(), self.skeleton(name))

    def camera(self, camera: str, subject: str | None = None) -> Camera:
        """A calibrated camera, by its name and, where cameras move between subjects, the subject."""
        there = [row for row in self.table("cameras").to_pylist() if subject in (None, row["subject"])]
        for row in there:
            if row["camera"] == camera:
                return Camera.from_row(row)
        whose = f"of subject {subject!r} in" if subject else "of"
        raise unknown(f"camera {whose} {self.path}", camera, dict.fromkeys(row["camera"] for row in there))

    def dask(self, table: str = "poses", columns: Sequence[str] | None = None) -> dask.dataframe.DataFrame:
        """A partitioned table as a Dask dataframe, one part a partition.

        Columns stay Arrow's (``pandas.ArrowDtype``): vectors are vectors, and whole numbers stay whole beside nulls. A
        partition's column becomes an array of its shape by
        ``har_bench.schema.to_numpy(pa.array(frame.keypoints), store.schema("poses").field("keypoints"))``.
        """
        import dask.dataframe as dd

        return dd.from_map(
            functools.partial(_part_of, self.place, table, columns),
            list(self.parts(table)),
            meta=frames.pandas_of(self.read(table, self.parts(table)[0], columns, slice(0, 0))),
        )

    def to_pandas(
        self,
        split: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        skeleton: str | None = None,
        wide: bool = False,
    ) -> pd.DataFrame:
        """Poses as a pandas dataframe; vectors are one column each, or with ``wide`` a column a number.

        The columns of ``wide`` are called ``keypoints_left_hip_x``, ``visibility_left_hip``, ``bbox_w`` and so on.
        """
        found = self.poses(split, columns, skeleton=skeleton)
        if not wide:
            return frames.pandas_of(found)
        return frames.wide(found, self.skeleton(skeleton) if self.manifest.skeletons else None)

    def windows(
        self,
        length: int,
        *,
        split: str | None = None,
        columns: Sequence[str] | None = None,
        skeleton: str | None = None,
        sequences: Sequence[str] | None = None,
        stride: int = 1,
        padded: bool = True,
    ) -> Windows:
        """Windows of consecutive frames of one person, for training loops; they are held in memory.

        Args:
            length: frames of a window.
            split: as of :meth:`poses`.
            columns: of ``poses`` (an array a window) or of ``sequences`` (a value a window, such as ``label``); the
                joints' coordinates by default.
            skeleton: as of :meth:`poses`.
            sequences: as of :meth:`poses`.
            stride: take one window in so many of a run of frames.
            padded: one window about every frame, the first or last frame being repeated where a run ends; else only
                those that lie in a run.
        """
        from har_bench.storing.windows import windows

        chosen = {"split": split, "skeleton": skeleton, "sequences": sequences}
        return windows(self, length, stride=stride, padded=padded, columns=columns, **chosen)

    def targets(self, protocol: str, recipe: str | None = None, options: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows that a protocol scores, in the order in which an array of predictions has them.

        Returns:
            ``sequence, frame, person`` of poses; ``sequence`` alone for what is not scored pose by pose.
        """
        from har_bench.protocol.targets import keys

        return keys(self, protocol, recipe, options)

    def export(
        self,
        format: str,  # noqa: A002 - the field's word
        out: str | Path,
        *,
        options: Mapping[str, Any] | None = None,
        quiet: bool = False,
    ) -> Exported:
        """Write the store as other people's code reads it; see :func:`har_bench.exporting.export`."""
        from har_bench.exporting import export

        return export(self, format, out, options=options, quiet=quiet)

    def validate(self) -> None:
        """Read everything and compare it with the manifest.

        Raises:
            HarBenchError: a table has other rows or values than were converted.
        """
        for name, rows in self.manifest.rows.items():
            found = sum(self.read(name, part, self.schema(name).names[:1]).num_rows for part in self.parts(name))
            if found != rows:
                raise HarBenchError(f"{name} of {self.path} has {found} rows and not {rows}; convert the dataset again")
        if self.digest() != self.fingerprint:
            raise HarBenchError(f"{self.path} does not hold what was converted; a file was damaged, convert it again")

    def digest(self) -> str:
        """The fingerprint of what the files hold now; equal to :attr:`fingerprint` unless they were damaged."""
        tables = [table for table in TABLES if self.parts(table)]
        parts = ((table, part) for table in tables for part in self.parts(table))
        return fingerprint.combined(f"{table} {fingerprint.of_table(self.read(table, part))}" for table, part in parts)


def _part_of(place: str | Path, table: str, columns: Sequence[str] | None, part: int) -> pd.DataFrame:
    """One part of a table in a Dask worker, which opens the store for itself."""
    return frames.pandas_of(_opened(place).read(table, part, columns))
