"""Whatever happens to the bytes of a finished store, it gives the values that were converted or one sentence.

``HAR_BENCH_FUZZ=400`` damages each format 400 times; fewer by default.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.errors import HarBenchWarning
from har_bench.schema import one_array
from har_bench.storing import manifest
from tests.toy import write_raw

DAMAGES = int(os.environ.get("HAR_BENCH_FUZZ", "60"))
FRAMES = [700, 30, 311]


def flip_a_bit(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def zero_a_range(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    stop = min(start + chance.choice([1, 4, 64, 512, 4096]), len(content))
    content[start:stop] = bytes(stop - start)


def cut(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(len(content)) :]


def swap_two_blocks(content: bytearray, chance: random.Random) -> None:
    size = min(chance.choice([8, 64, 512, 4096]), len(content) // 2)
    first, second = (chance.randrange(len(content) // size) * size for _ in range(2))
    one, other = content[first : first + size], content[second : second + size]
    content[first : first + size], content[second : second + size] = other, one


def write_garbage(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    stop = min(start + chance.choice([1, 8, 512]), len(content))
    content[start:stop] = chance.randbytes(stop - start)


def damage_the_end(content: bytearray, chance: random.Random) -> None:
    """One byte of the last 300, where Parquet keeps what describes the rest."""
    content[-chance.randrange(1, min(300, len(content)))] = chance.randrange(256)


KINDS = (flip_a_bit, zero_a_range, cut, swap_two_blocks, write_garbage, damage_the_end)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stores")
    har_bench.convert("tests.toy:Toy", write_raw(home / "raw", FRAMES), home / "parquet", jobs=1, quiet=True)
    har_bench.convert("toy", home / "parquet", home / "hdf5", format="hdf5", quiet=True)
    return home


def values(store: Store) -> list[object]:
    """Everything a reader may ask a store for: whole tables, some rows of some columns, one sequence, what it says."""
    tables = [store.table(name) for name in store.manifest.rows]
    some = store.poses(split="x/test", columns=["frame", "keypoints_3d"])
    one = store.sequence("s000/right")
    return [store.manifest, [table.schema.to_string() for table in tables], tables, some, one.poses, one.info]


def outcome(path: Path, expected: list[object]) -> str:
    """What a damaged store gives: ``refused``, ``equal``, or what is wrong with it."""
    try:
        found = values(har_bench.open_store(path))
    except HarBenchError as error:
        folder = path if path.is_dir() else path.parent
        if str(folder) in str(error) and "convert the dataset again" in str(error):
            return "refused"
        return f"a sentence without the file or the remedy: {error}"
    return "equal" if found == expected else "OTHER VALUES, WITHOUT A WORD"


def damaged(path: Path, kind: Callable[[bytearray, random.Random], None], chance: random.Random) -> None:
    """Damage one file, picked without regard to its size: a manifest is hit as often as the poses."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    file = chance.choice(files)
    content = bytearray(file.read_bytes())
    kind(content, chance)
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize("name", ["parquet", "hdf5", "hdf5/arrays.h5"])
def test_no_damage_changes_a_value_without_a_word(name: str, stores: Path, tmp_path: Path) -> None:
    expected = values(har_bench.open_store(stores / name))
    chance = random.Random(name)
    seen = Counter()
    for number in range(DAMAGES):
        copy = tmp_path / "copy" / Path(name).name
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        copy.parent.mkdir()
        (shutil.copytree if (stores / name).is_dir() else shutil.copy)(stores / name, copy)
        kind = KINDS[number % len(KINDS)]
        damaged(copy, kind, chance)
        seen[kind.__name__, outcome(copy, expected)] += 1
    print(*(f"{kind}: {what}: {count}" for (kind, what), count in sorted(seen.items())), sep="\n")
    assert {what for _, what in seen} <= {"refused", "equal"}, seen
    assert sum(count for (_, what), count in seen.items() if what == "refused") > DAMAGES / 2


def test_a_changed_bit_of_a_pose_is_one_sentence_that_names_the_file(stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "store")
    part = tmp_path / "store" / "poses" / "part-00001.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 4
    part.write_bytes(content)
    store = har_bench.open_store(tmp_path / "store")
    assert store.sequence("s000/left").keypoints.shape == (700, 17, 2)  # the other parts can still be read
    with pytest.raises(HarBenchError, match=r"poses/part-00001\.parquet is damaged \(.*\); convert the dataset again"):
        store.sequence("s001/left")


@pytest.mark.parametrize("table", ["poses", "segments"])
def test_files_that_are_whole_but_changed_places_are_noticed(table: str, stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "store")
    shutil.copy(stores / "parquet" / table / "part-00002.parquet", tmp_path / "store" / table / "part-00001.parquet")
    with pytest.raises(HarBenchError, match=r"part-00001\.parquet is damaged \(it is not the file that"):
        har_bench.open_store(tmp_path / "store").table(table)


@pytest.mark.parametrize("name", ["poses/part-00000.parquet", "sequences.parquet", "manifest.json"])
def test_files_of_another_store_of_the_same_shape_are_noticed(name: str, stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "store")
    raw = write_raw(tmp_path / "raw", [700, 31, 311])
    har_bench.convert("tests.toy:Toy", raw, tmp_path / "other", jobs=1, quiet=True, options={"scale": 301.0})
    shutil.copy(tmp_path / "other" / name, tmp_path / "store" / name)
    with pytest.raises(HarBenchError, match="is damaged"):
        values(har_bench.open_store(tmp_path / "store"))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[" * 100_000, b'{"schema": "\xff"}', b'{"schema": 1, "rows": 3}', b"\x00" * 4096]
)
def test_what_is_no_manifest_is_one_sentence(text: bytes, stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "store")
    (tmp_path / "store" / "manifest.json").write_bytes(text)
    with pytest.raises(HarBenchError, match=r"manifest\.json .*; convert the dataset again"):
        har_bench.open_store(tmp_path / "store")


def test_an_edited_manifest_is_refused(stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "store")
    path = tmp_path / "store" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"x/test": 3', b'"x/test": 4'))
    with pytest.raises(HarBenchError, match="the manifest is not the one that was written"):
        har_bench.open_store(tmp_path / "store")


def as_before_seals(store: Path) -> None:
    """Make a store what a har_bench without seals would have written: layout 1."""
    old = msgspec.json.decode((store / "manifest.json").read_bytes()) | {"schema": 1}
    del old["seals"], old["seal"]
    (store / "manifest.json").write_bytes(msgspec.json.encode(old))
    if not (store / "arrays.h5").exists():
        return
    with h5py.File(store / "arrays.h5", "r+") as file:
        del file["manifest"]
        file.attrs["manifest"] = msgspec.json.encode(old).decode()
        texts = []
        for group in file.values():
            del group[".leaves"]
            group.visititems(lambda name, item: texts.append(item) if name.endswith("/values/offsets") else None)
        for offsets in (item for item in texts if "codes" in item.parent.parent):
            values, group = offsets.parent, offsets.parent.parent
            ends, content = offsets[:], values["values"][:].tobytes() if len(values["values"]) else b""
            words = [content[start:stop].decode() for start, stop in itertools.pairwise(ends)]
            del group["values"]
            group.create_dataset("values", data=np.array(words, object), dtype=h5py.string_dtype(), maxshape=(None,))


@pytest.mark.parametrize("name", ["parquet", "hdf5"])
def test_a_store_without_checksums_opens_and_says_so_once(
    name: str, stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from har_bench.cli import main

    shutil.copytree(stores / name, tmp_path / "store")
    as_before_seals(tmp_path / "store")
    with pytest.warns(HarBenchWarning, match="without checksums") as warned:
        old = har_bench.open_store(tmp_path / "store")
    assert len(warned) == 1
    assert values(old)[2:] == values(har_bench.open_store(stores / name))[2:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.filters", [("default", None, HarBenchWarning, None, 0)])
        main(["validate", str(tmp_path / "store")])
    told = capsys.readouterr().err
    assert told.startswith(f"har-bench: {tmp_path / 'store'} was written without checksums")
    assert told.count("\n") == 1


@pytest.mark.filterwarnings("ignore::har_bench.errors.HarBenchWarning")
def test_repacking_a_store_without_checksums_validates_it_and_gives_it_some(stores: Path, tmp_path: Path) -> None:
    shutil.copytree(stores / "parquet", tmp_path / "old")
    as_before_seals(tmp_path / "old")
    har_bench.convert("toy", tmp_path / "old", tmp_path / "fresh", quiet=True)
    assert manifest.read(tmp_path / "fresh") == manifest.read(stores / "parquet")
    shutil.copy(tmp_path / "old" / "poses" / "part-00001.parquet", tmp_path / "old" / "poses" / "part-00002.parquet")
    with pytest.raises(HarBenchError, match="convert the dataset again"):
        har_bench.convert("toy", tmp_path / "old", tmp_path / "worse", quiet=True)
    assert not list(tmp_path.glob("worse*"))


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("manifest", (1 << 29,), r"claims that 'manifest' has the shape"),
        ("poses/.starts", (1 << 28,), r"claims that 'poses/\.starts' has the shape"),
        ("poses/.starts", (1000,), "does not say where the 3 parts of poses begin"),
    ],
)
def test_arrays_that_claim_what_a_file_has_not_are_refused_before_they_are_read(
    name: str, shape: tuple[int, ...], why: str, stores: Path, tmp_path: Path
) -> None:
    shutil.copy(stores / "hdf5" / "arrays.h5", tmp_path)
    with h5py.File(tmp_path / "arrays.h5", "r+") as file:
        kind = file[name].dtype
        del file[name]
        file.create_dataset(name, shape=shape, dtype=kind, chunks=(512,))
    with pytest.raises(HarBenchError, match=rf"arrays\.h5 is damaged \(it {why}.*\); convert the dataset again"):
        values(har_bench.open_store(tmp_path / "arrays.h5"))


def test_ctrl_c_is_heard_where_hdf5_is_not_at_work(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception in what HDF5 calls would end the process."""
    heard: list[int] = []

    def pressed(values: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        heard.append(len(values))
        return one_array(values)

    monkeypatch.setattr("har_bench.storing.hdf5_writer.one_array", pressed)
    with pytest.raises(KeyboardInterrupt):
        har_bench.convert("toy", stores / "parquet", tmp_path / "store", format="hdf5", quiet=True)
    assert len(heard) > 1  # every column of a part, and no further part
    assert len(set(heard)) == 1
    assert list(tmp_path.iterdir()) == []


def test_arrays_that_lie_in_another_file_are_refused(stores: Path, tmp_path: Path) -> None:
    shutil.copy(stores / "hdf5" / "arrays.h5", tmp_path)
    with h5py.File(tmp_path / "arrays.h5", "r+") as file:
        del file["manifest"]
        file["manifest"] = h5py.ExternalLink(str(stores / "hdf5" / "arrays.h5"), "manifest")
    with pytest.raises(HarBenchError, match=r"is a link to something else\); convert the dataset again"):
        har_bench.open_store(tmp_path / "arrays.h5")
