"""Reading a store: Parquet and HDF5 behind one API, lossless both ways."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.schema import to_numpy
from tests.toy import write_raw

FRAMES = [30, 7, 12]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("store")
    raw = write_raw(home / "raw", FRAMES)
    har_bench.convert("tests.toy:Toy", raw, home / "parquet", jobs=1, quiet=True)
    har_bench.convert("tests.toy:Toy", home / "parquet", home / "hdf5", format="hdf5", quiet=True)
    har_bench.convert("tests.toy:Toy", home / "hdf5", home / "again", quiet=True)
    return home


@pytest.fixture(scope="module", params=["parquet", "hdf5", "hdf5/arrays.h5"])
def store(request: pytest.FixtureRequest, folder: Path) -> Store:
    return har_bench.open_store(folder / request.param)


def test_parquet_to_hdf5_to_parquet_is_lossless_to_the_byte(folder: Path) -> None:
    for path in sorted((folder / "parquet").rglob("*.*")):
        assert (folder / "again" / path.relative_to(folder / "parquet")).read_bytes() == path.read_bytes()


def test_both_formats_hold_the_same_tables(folder: Path) -> None:
    parquet, hdf5 = (har_bench.open_store(folder / name) for name in ("parquet", "hdf5"))
    for name in parquet.manifest.rows:
        assert parquet.table(name).equals(hdf5.table(name))
        assert parquet.schema(name).equals(hdf5.schema(name), check_metadata=True)
    assert parquet.fingerprint == hdf5.fingerprint == parquet.digest() == hdf5.digest()


def test_a_sequence_is_numpy_arrays(store: Store) -> None:
    view = store.sequence("s001/right")
    assert view.keypoints_3d.shape == (7, 17, 3)
    assert view.keypoints_3d.dtype == np.float32
    assert view.visibility.shape == (7, 17)
    assert view.frame.tolist() == list(range(7))
    assert view.person[0] == 72057594037944738 + 4  # 17 digits survive
    assert (len(view), view.info["action"], view.info["subject"]) == (7, None, "s001")
    whole = to_numpy(store.table("poses")["keypoints_3d"], store.schema("poses").field("keypoints_3d"))
    np.testing.assert_array_equal(view.keypoints_3d, whole[67:74])
    with pytest.raises(AttributeError, match="did you mean 'keypoints'"):
        _ = view.keypoint


def test_a_vector_column_becomes_an_array_without_a_copy(folder: Path) -> None:
    table = har_bench.open_store(folder / "parquet").read("poses", 0, ["keypoints_3d"]).combine_chunks()
    array = to_numpy(table["keypoints_3d"], table.schema.field(0))
    address = table["keypoints_3d"].chunk(0).values.buffers()[1].address
    assert array.__array_interface__["data"][0] == address


def test_poses_by_split_columns_sequences_and_skeleton(store: Store) -> None:
    assert store.poses().num_rows == 2 * sum(FRAMES)
    test = store.poses(split="x/test", columns=["frame", "keypoints"])
    assert (test.num_rows, test.column_names) == (sum(FRAMES), ["frame", "keypoints"])
    assert store.poses(split="train").num_rows == sum(FRAMES)
    one = store.poses(sequences=["s002/left"], skeleton="h36m16")
    points = to_numpy(one["keypoints_3d"], one.schema.field("keypoints_3d"))
    kept = [joint for joint in range(17) if joint != 9]
    np.testing.assert_array_equal(points, store.sequence("s002/left").keypoints_3d[:, kept])
    assert one.schema.field("keypoints_3d").metadata[b"unit"] == b"mm"
    assert store.poses(sequences=[]).num_rows == 0


def test_streaming_equals_reading_at_once(store: Store) -> None:
    batches = list(store.iter_poses(5, split="x/test", columns=["sequence", "keypoints"]))
    assert max(batch.num_rows for batch in batches) == 5
    assert pa.Table.from_batches(batches).equals(store.poses(split="x/test", columns=["sequence", "keypoints"]))


def test_what_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"no sequence of .* is called 'x'; there are s000/left, "):
        store.sequence("x")
    with pytest.raises(HarBenchError, match="several splits 'test'; name one of x/test, y/test"):
        store.poses(split="test")
    with pytest.raises(HarBenchError, match=r"no split of .* is called 'X/Test'; did you mean 'x/test'"):
        store.poses(split="X/Test")
    with pytest.raises(HarBenchError, match=r"no column of poses in .* is called 'Frames'; did you mean 'frame'"):
        store.poses(columns=["Frames"])
    with pytest.raises(HarBenchError, match="no mapping from h36m17 to coco17"):
        store.poses(skeleton="coco17")
    with pytest.raises(HarBenchError, match=r"no camera of .* is called 'right'"):
        store.camera("right")
    with pytest.raises(HarBenchError, match="convert the dataset first"):
        har_bench.open_store(tmp_path)
    (tmp_path / "x.partial").mkdir()
    with pytest.raises(HarBenchError, match="run the same convert command again"):
        har_bench.open_store(tmp_path / "x")


def test_a_part_is_a_dask_partition(store: Store) -> None:
    frame = store.dask(columns=["sequence", "frame"])
    assert frame.npartitions == 3
    assert frame.frame.max().compute() == 29


def test_vectors_stay_vectors_in_dask(store: Store) -> None:
    frame = store.dask(columns=["sequence", "person", "bbox", "keypoints_3d"])
    assert str(frame.dtypes["keypoints_3d"]) == "fixed_size_list<item: float>[51][pyarrow]"
    late = frame[frame.sequence == "s001/right"].compute()
    assert late.bbox.isna().all()
    assert late.person.iloc[0] == 72057594037944738 + 4
    points = to_numpy(pa.array(late.keypoints_3d), store.schema("poses").field("keypoints_3d"))
    np.testing.assert_array_equal(points, store.sequence("s001/right").keypoints_3d)
    first = frame.map_partitions(lambda part: part.keypoints_3d.map(lambda row: row[0]), meta=("x", "f4"))
    assert first.compute().tolist() == store.poses()["keypoints_3d"].combine_chunks().flatten().to_pylist()[::51]


def test_damage_is_found(folder: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(folder / "parquet", tmp_path / "store")
    part = tmp_path / "store" / "poses" / "part-00001.parquet"
    other = folder / "parquet" / "poses" / "part-00002.parquet"
    shutil.copy(other, part)
    with pytest.raises(HarBenchError, match="convert the dataset again"):
        har_bench.open_store(tmp_path / "store").validate()
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(HarBenchError, match=r"part-00001.parquet is damaged .*; convert the dataset again"):
        har_bench.open_store(tmp_path / "store").validate()
    arrays = tmp_path / "arrays.h5"
    arrays.write_bytes((folder / "hdf5" / "arrays.h5").read_bytes()[:5000])
    with pytest.raises(HarBenchError, match=r"arrays.h5 is damaged .*; convert the dataset again"):
        har_bench.open_store(arrays)


def test_a_part_of_many_row_groups_is_streamed_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("har_bench.storing.parquet.ROW_GROUP", 8)
    monkeypatch.setattr("har_bench.store.ROW_GROUP", 8)
    raw = write_raw(tmp_path / "raw", FRAMES)
    store = har_bench.convert("tests.toy:Toy", raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.sequence("s000/right").frame.tolist() == list(range(30))
    whole = store.table("poses")
    for options in ({}, {"split": "x/test"}, {"sequences": ["s002/right", "s000/left"]}):
        streamed = list(store.iter_poses(**options))
        assert max(batch.num_rows for batch in streamed) <= 8
        names = set(store.select(**options)["sequence"].to_pylist())
        wanted = whole.filter(pa.array([name in names for name in whole["sequence"].to_pylist()]))
        assert pa.Table.from_batches(streamed).equals(wanted)


def test_a_store_travels_to_other_processes(store: Store) -> None:
    other = pickle.loads(pickle.dumps(store))
    assert (other.fingerprint, other.sequences) == (store.fingerprint, store.sequences)


def test_a_file_that_is_no_store_is_said(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("sequence,frame\n")
    with pytest.raises(HarBenchError, match=r"predictions\.csv is no store; give the folder"):
        har_bench.open_store(tmp_path / "predictions.csv")


@pytest.mark.parametrize("place", ["", ".", "..", "/"])
def test_a_folder_without_a_name_is_no_store(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HarBenchError, match=r"is not a store \(manifest\.json is missing\)"):
        har_bench.open_store(place)
