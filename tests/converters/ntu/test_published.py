"""NTU RGB+D: published names, splits and counts; the sample and any recording, through the engine."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converters.ntu import NTU60, NTU120
from har_bench.converters.ntu.converter import SPLITS
from har_bench.converters.ntu.metadata import packaged, published, recorded, sample, setups, splits
from har_bench.converters.ntu.sample import recording, write_file
from har_bench.skeletons import mapping, skeleton
from tests.ntu_data import NTU, same

# ---- published names, splits and counts


@pytest.mark.real
@pytest.mark.parametrize("classes", [60, 120])
def test_the_names_are_all_published_ones(classes: int) -> None:
    with gzip.open(NTU / f"lists/ntu{classes}_skes_available_name.txt.gz", "rt") as lines:
        available = [line.strip() for line in lines]
    names = [of.name for setup in setups(classes) for of in published(setup)]
    assert sorted(set(names) - packaged().missing) == available
    number = "" if classes == 60 else "120"
    text = (NTU / f"lists/NTU_RGBD{number}_samples_with_missing_skeletons.txt").read_text()
    assert set(re.findall(r"^S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}", text, re.MULTILINE)) == packaged().missing & set(names)


@pytest.mark.parametrize("classes", [60, 120])
def test_the_splits_have_their_published_sizes(classes: int) -> None:
    everything = [of for setup in setups(classes) for of in published(setup)]
    assert len(everything) == sum(map(recorded, setups(classes))) == {60: 56_880, 120: 114_480}[classes]
    counts = Counter(split for of in everything for split in splits(of, classes))
    assert SPLITS[classes].items() <= counts.items()
    if classes == 120:
        rest = {split: count for split, count in counts.items() if split.startswith("oneshot")}
        assert rest["oneshot/exemplars"] == 20
        assert sum(rest.values()) == 113_945


@pytest.mark.parametrize("name", ["S001C002P003R002A013", "S032C003P106R002A120"])
def test_a_name_is_read_and_written(name: str) -> None:
    of = sample(name)
    assert of is not None
    assert of.name == name
    assert sample(name + "_rgb") is None


class Counted:
    """A store that has these sequences."""

    def __init__(self, names: list[str], classes: int) -> None:
        samples = [of for name in names if (of := sample(name))]
        self.rows = [{"sequence": of.name, "setup": of.setup, "form": "skeleton"} for of in samples]
        self.manifest = self
        self.splits = Counter(split for of in samples for split in splits(of, classes))

    def table(self, name: str, columns: list[str]) -> pa.Table:
        return pa.Table.from_pylist(self.rows).select(columns)


@pytest.mark.parametrize("converter", [NTU60, NTU120])
def test_the_published_counts_hold_for_the_published_names(converter: Any) -> None:
    classes = converter.classes
    names = [of.name for setup in setups(classes) for of in published(setup)]
    checks = converter().check(Counted(names, classes))
    assert len(checks) == len(setups(classes)) + 4 + 1
    assert [check.what for check in checks if not check.ok] == []
    assert checks[-1].expected == {60: 302, 120: 535}[classes]


def test_a_part_of_the_dataset_reports_what_is_missing() -> None:
    names = [of.name for of in published(1) if of.name not in ("S001C001P002R001A007", "S001C003P008R002A060")]
    first, second, *_ = NTU60().check(Counted(names, 60))  # type: ignore[arg-type]
    assert (first.expected, first.found) == (2880, 2878)
    assert first.what == "S001: sequences; missing: S001C001P002R001A007, S001C003P008R002A060"
    assert (second.what, second.expected, second.found) == ("S002: sequences; all are missing", 3240, 0)


# ---- the sample, through the engine


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_sample_is_in_the_store(raw: Path, tmp_path: Path, jobs: int) -> None:
    store = har_bench.convert("har_bench.converters.ntu:NTU120", raw, tmp_path / "store", jobs=jobs, quiet=True)
    store.validate()
    assert store.manifest.rejects == 0
    paths = {path.stem: path for path in raw.rglob("*.skeleton")}
    assert store.sequences["sequence"].to_pylist() == sorted(paths)
    for name, path in paths.items():
        same(store.sequence(name), path)
    rows = {row["sequence"]: row for row in store.sequences.to_pylist()}
    row = rows["S001C002P006R001A008"]
    assert (row["listed_missing"], row["splits"], row["defects"]) == (True, [], ["listed-missing", "nobody"])
    assert (row["n_frames"], row["rows"]) == (rows["S001C001P001R001A001"]["n_frames"], 0)
    row = rows["S018C003P008R001A115"]
    assert (row["subject"], row["camera"], row["setup"], row["replication"], row["label"]) == (
        "P008",
        "C003",
        18,
        1,
        115,
    )
    assert row["action"] == "take a photo of other person"
    assert row["splits"] == ["xsub/train", "xset/train", "oneshot/exemplars"]
    assert row["media"] == "nturgb+d_rgb/S018C003P008R001A115_rgb.avi"
    assert {name: row["defects"] for name, row in rows.items() if row["defects"]} == {
        "S001C002P003R001A050": ["colliding-ids"],
        "S001C002P006R001A008": ["listed-missing", "nobody"],
        "S001C003P001R002A055": ["more-than-two"],
        "S002C001P003R001A013": ["empty-frames"],
        "S003C001P002R001A060": ["colliding-ids"],
        "S018C003P008R001A115": ["colliding-ids"],
        "S019C002P049R002A106": ["colliding-ids"],
    }


def test_ntu60_leaves_the_further_classes_alone(raw: Path) -> None:
    names = [path.stem for path in NTU60().discover(raw)[0].sources]
    assert len(names) == 6
    assert max(names) < "S018"


@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(1, 12),
    people=st.lists(
        st.tuples(st.integers(0, 2**57), st.sets(st.integers(0, 11))), max_size=4, unique_by=lambda p: p[0]
    ),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=30)
def test_any_recording_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, frames: int, people: list[tuple[int, set[int]]], end: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "raw" / "S010C003P007R002A033.skeleton"
    write_file(
        path, recording(np.random.default_rng(seed), [(who, sorted(seen)) for who, seen in people], frames), end=end
    )
    store = har_bench.convert("har_bench.converters.ntu:NTU60", folder / "raw", folder / "store", jobs=1, quiet=True)
    same(store.sequence(path.stem), path)
    assert store.manifest.rejects == 0


@pytest.mark.real
def test_the_real_files_are_in_the_store(tmp_path: Path) -> None:
    store = har_bench.convert(
        "har_bench.converters.ntu:NTU60", NTU, tmp_path / "store", jobs=1, quiet=True, strict=True
    )
    for path in (NTU / "skeletons").glob("*.skeleton"):
        same(store.sequence(path.stem), path)
        listed = path.stem in packaged().missing
        assert store.sequence(path.stem).info["listed_missing"] == listed
        assert (path.stat().st_size < 1000) == listed


# ---- skeletons


def test_deephars_layouts_swap_the_sides() -> None:
    joints = skeleton("ntu25")
    indices = [0, 20, 2, 3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18, 1]
    assert [source for (source,) in mapping(joints, skeleton("ntu-pa17")).sources] == indices
    indices = [0, 20, 2, 3, 4, 8, 5, 9, 6, 10, 7, 11, 12, 16, 13, 17, 14, 18, 15, 19]
    assert [source for (source,) in mapping(joints, skeleton("ntu-pa20")).sources] == indices
