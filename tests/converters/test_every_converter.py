"""Every registered converter: its sample converts by one command, the same each time, in both formats and any order."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import har_bench
from har_bench import HarBenchError, registry
from har_bench.storing.fingerprint import of_path

NAMES = list(registry.available("converters"))


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_converts_validates_and_survives_hdf5(name: str, tmp_path: Path) -> None:
    registry.load("converters", name).sample(tmp_path / "raw")
    one = har_bench.convert(name, tmp_path / "raw", tmp_path / "one", jobs=1, quiet=True)
    har_bench.convert(name, tmp_path / "raw", tmp_path / "two", jobs=2, quiet=True)
    assert of_path(tmp_path / "one") == of_path(tmp_path / "two")
    dense = har_bench.convert(name, tmp_path / "one", tmp_path / "dense", format="hdf5", quiet=True)
    dense.validate()
    har_bench.convert(name, tmp_path / "dense", tmp_path / "back", quiet=True)
    assert of_path(tmp_path / "back") == of_path(tmp_path / "one")
    assert one.dataset == dense.dataset == registry.load("converters", name).dataset
    assert one.manifest.published, "no published count is checked"
    assert one.manifest.splits


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_depends_on_the_seed_alone(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not on the time: archives and compressed records like to hold it."""
    converter, now = registry.load("converters", name), time.time()
    for folder, seed, later in (("a", 0, 0), ("b", 0, 1000), ("c", 1, 0)):
        monkeypatch.setattr(time, "time", lambda later=later: now + later)
        converter.sample(tmp_path / folder, seed=seed)
    assert of_path(tmp_path / "a") == of_path(tmp_path / "b") != of_path(tmp_path / "c")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_something_else_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "holiday.txt").write_text("not a dataset\n")
    with pytest.raises(HarBenchError) as caught:
        har_bench.convert(name, tmp_path / "raw", tmp_path / "store", quiet=True)
    assert "raw" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize("archive", ["mpii_human_pose_v1.tar.gz", "nturgbd_skeletons.zip", "S1.tgz", "a.7z"])
@pytest.mark.parametrize("name", NAMES)
def test_an_archive_is_to_be_unpacked_whether_it_is_given_or_lies_there(
    name: str, archive: str, tmp_path: Path
) -> None:
    path = tmp_path / "raw" / archive
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04")
    for raw in (path.parent, path):
        with pytest.raises(HarBenchError, match=rf"{re.escape(archive)}.* unpack"):
            registry.load("converters", name)().discover(raw)


@pytest.mark.parametrize("spelled", [str.upper, str.lower])
@pytest.mark.parametrize("name", NAMES)
def test_capital_or_small_letters_in_the_names_of_files_lose_nothing(
    name: str, spelled: Callable[[str], str], tmp_path: Path
) -> None:
    registry.load("converters", name).sample(tmp_path / "raw")
    kept = har_bench.convert(name, tmp_path / "raw", tmp_path / "one", jobs=1, quiet=True)
    for path in sorted((tmp_path / "raw").rglob("*"), reverse=True):
        path.rename(path.with_name(spelled(path.name)))
    found = har_bench.convert(name, tmp_path / "raw", tmp_path / "two", jobs=1, quiet=True)
    assert found.manifest.rows == kept.manifest.rows


TEXTS = (".txt", ".csv", ".pbtxt", ".cal", ".ofs", ".mp", ".skeleton", ".xml")


@pytest.mark.parametrize("name", NAMES)
def test_texts_that_stayed_compressed_are_the_same_texts(name: str, tmp_path: Path) -> None:
    registry.load("converters", name).sample(tmp_path / "raw")
    texts = [path for path in (tmp_path / "raw").rglob("*") if path.suffix in TEXTS]
    if not texts:
        pytest.skip("it has no texts")
    kept = har_bench.convert(name, tmp_path / "raw", tmp_path / "one", jobs=1, quiet=True)
    for path in texts:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    found = har_bench.convert(name, tmp_path / "raw", tmp_path / "two", jobs=1, quiet=True)
    assert found.manifest.rows == kept.manifest.rows


PLACES = {
    "humaneva": ["*.cal", "S*.mp", "Static.c3d", "*.ofs"],
    "merl": ["*_label.mat"],
    "ntu60": ["*.skeleton"],
    "penn_action": ["*.mat"],
}
"""One file of many, each of which is a record or more."""


@pytest.mark.parametrize(("name", "pattern"), [(name, each) for name, places in PLACES.items() for each in places])
def test_a_folder_in_the_place_of_a_file_is_a_reject_and_not_passed_over(
    name: str, pattern: str, tmp_path: Path
) -> None:
    registry.load("converters", name).sample(tmp_path / "raw")
    place = max((tmp_path / "raw").rglob(pattern))
    place.unlink()
    place.mkdir()
    store = har_bench.convert(name, tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    source = place.relative_to(tmp_path / "raw").as_posix()
    assert source in {row["source"] for row in store.table("rejects").to_pylist()}


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("ava", "ava_included_timestamps_*"), ("ava", "ava_val_excluded_timestamps_*"), ("merl", "frame_names.txt")],
)
def test_a_folder_in_the_place_of_a_list_is_no_missing_list(name: str, pattern: str, tmp_path: Path) -> None:
    """Without it other frames would be scored, and nothing would be said."""
    registry.load("converters", name).sample(tmp_path / "raw")
    (place,) = (tmp_path / "raw").rglob(pattern)
    place.unlink()
    place.mkdir()
    with pytest.raises(HarBenchError, match=f"{place.name} is a folder; name a file"):
        har_bench.convert(name, tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
