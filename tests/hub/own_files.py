"""Small honest files of our own formats, predictions, results and what a conversion keeps, to be damaged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

import har_bench
from har_bench.converting import journal, shards
from har_bench.schema import vector
from tests.coco_data import content, person
from tests.hub.damages import Change, in_lines, plainly, saved
from tests.hub.honest_files import Kind
from tests.mpii_data import hourglass_row, hrnet_row
from tests.toy import write_raw

PROTOCOL = "tests.toy:ToyError"


def store(folder: Path) -> har_bench.Store:
    """A toy store, made once in a folder."""
    raw = write_raw(folder / "raw", [4, 7])
    return har_bench.convert("tests.toy:Toy", raw, folder / "store", jobs=1, quiet=True)


def predictions(of: har_bench.Store) -> pa.Table:
    """What a model might say of the scored sequences."""
    keys = of.poses(split="x/test", columns=["sequence", "frame", "person"])
    numbers = np.arange(keys.num_rows * 51, dtype="f4").reshape(-1, 17, 3)
    return keys.append_column("keypoints_3d", vector(numbers)).append_column("label", pa.array(["x"] * len(keys)))


def parquet(table: pa.Table, **how: Any) -> bytes:
    return saved(lambda stream: pq.write_table(table, stream, **how))


def spread(table: pa.Table) -> bytes:
    """As CSV."""
    points = np.array(table["keypoints_3d"].to_pylist())
    columns = {name: table[name] for name in table.column_names if name != "keypoints_3d"}
    flat = {f"keypoints_3d_{number}": points[:, number] for number in range(51)}
    return saved(lambda stream: pa.csv.write_csv(pa.table(columns | flat), stream))


def hdf5_columns(table: pa.Table) -> bytes:
    def write(stream: io.BytesIO) -> None:
        with h5py.File(stream, "w") as file:
            for name in table.column_names:
                file[name] = table[name].to_pylist()

    return saved(write)


def track() -> np.ndarray[Any, Any]:
    """(T, 17, 2) px of somebody."""
    return np.arange(12 * 34, dtype="f4").reshape(12, 17, 2) % 97


def track_of_csv() -> bytes:
    flat = {f"keypoints_{number}": values for number, values in enumerate(track().reshape(12, 34).T)}
    return saved(lambda stream: pa.csv.write_csv(pa.table({"sequence": ["a"] * 12, "frame": range(12)} | flat), stream))


ODD: tuple[Callable[[int], pa.Array], ...] = (
    lambda rows: pa.array([{"a": n} for n in range(rows)]),
    lambda rows: pa.array([[n] * (n % 3) for n in range(rows)]),
    lambda rows: pa.array([[[1.0, 2.0]] * (n % 2 + 1) for n in range(rows)]),
    lambda rows: pa.nulls(rows),
    lambda rows: pa.nulls(rows, pa.list_(pa.float32(), 51)),
    lambda rows: pa.array([[None, "a"]] * rows),
    lambda rows: pa.array(range(rows), pa.timestamp("us")),
    lambda rows: pa.array(range(rows), pa.decimal128(20, 3)),
    lambda rows: pa.array([b"\xff"] * rows),
    lambda rows: pa.array(["\N{LATIN SMALL LETTER E WITH ACUTE}", None, "x"] * rows)[:rows].dictionary_encode(),
    lambda rows: pa.array([[("a", 1)]] * rows, pa.map_(pa.string(), pa.int8())),
    lambda rows: pa.array([float("nan"), -1.5, 1e300] * rows)[:rows],
    lambda rows: pa.array([2**63 + n for n in range(rows)], pa.uint64()),
    lambda rows: pa.array([True, None] * rows)[:rows],
    lambda rows: pa.array([[float(n)] * 51 for n in range(rows)], pa.list_(pa.float16(), 51)),
    lambda rows: pa.array([""] * rows),
)
"""Columns that Parquet may have, and predictions may not, or seldom."""


def with_odd_columns(data: bytes, _: Change, rng: np.random.Generator) -> bytes:
    """A file whose columns are whole, but are not what they should be, stand twice, or have no row."""
    table = pq.read_table(io.BytesIO(data))
    names = list(table.column_names)
    for _ in range(rng.integers(1, 3)):
        at = int(rng.integers(len(names)))
        table = table.set_column(at, names[at], ODD[rng.integers(len(ODD))](table.num_rows))
    if not rng.integers(6):
        names[rng.integers(len(names))] = names[rng.integers(len(names))]
    return parquet(table.rename_columns(names).slice(0, rng.choice([0, 1, table.num_rows])))


def results_of_coco() -> bytes:
    people = [{"image_id": n, "category_id": 1, "keypoints": [1.5, 2, 1] * 17, "score": 0.5} for n in range(4)]
    return json.dumps(people).encode()


def own_kinds(of: har_bench.Store) -> dict[str, Kind]:
    """Every kind of our own files, and of what is scored, by name."""
    table = predictions(of)
    result = har_bench.score(PROTOCOL, of, table, resamples=10)
    begun = journal.Header(har_bench="1", converter="toy", version="1", options={}, shards="x")
    done = [shards.Record(index=at, key=f"s{at:03d}", sources=[], tables={}, first="a", last="b") for at in range(2)]
    lines = b"".join(
        in_lines(b" " + msgspec.json.encode(each), lambda body, _: body, np.random.default_rng(0))
        for each in (begun, *done)
    )
    plain = parquet(table, use_dictionary=False, compression="none")
    return {
        "csv": Kind("columns", spread(table), plainly, ".csv"),
        "csv, scored": Kind("scored", spread(table), plainly, ".csv"),
        "parquet": Kind("columns", parquet(table), plainly, ".parquet"),
        "parquet, plain pages": Kind("columns", plain, plainly, ".parquet"),
        "parquet, scored": Kind("scored", parquet(table, row_group_size=4), plainly, ".parquet"),
        "parquet of odd columns": Kind("scored", parquet(table), with_odd_columns, ".parquet"),
        "hdf5 of columns": Kind("columns", hdf5_columns(table), plainly, ".h5"),
        "hdf5, scored": Kind("scored", hdf5_columns(table), plainly, ".h5"),
        "track of csv": Kind("track", track_of_csv(), plainly, ".csv"),
        "track of npy": Kind("track", saved(lambda stream: np.save(stream, track())), plainly, ".npy"),
        "track of json": Kind("track", results_of_coco(), plainly, ".json"),
        "result": Kind("result", result.to_json()),
        "manifest": Kind("manifest", of.manifest.to_json()),
        "journal": Kind("journal", lines),
        "journal, in its lines": Kind("journal", lines, in_lines),
        "coco results": Kind("coco results", results_of_coco(), plainly, ".json"),
        "coco": Kind("coco", json.dumps(content([person(1), person(2)])).encode(), plainly, ".json"),
        "hourglass": Kind("hourglass", json.dumps([hourglass_row()]).encode(), plainly, ".json"),
        "hrnet": Kind("hrnet", json.dumps([hrnet_row()]).encode(), plainly, ".json"),
    }
