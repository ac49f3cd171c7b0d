"""Keypoint AP of a store is that of its files."""

from __future__ import annotations

import copy
import gzip
import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from har_bench import convert, open_store, score
from har_bench.errors import HarBenchError
from har_bench.protocols.oks import OKS, evaluate
from har_bench.protocols.oks import files as coco_files
from har_bench.registry import load as load_plugin
from tests.oks_cases import (
    STATS,
    annotations,
    found,
    person,
    written,
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The converter's sample: its raw folder, its store, and results for its validation images."""
    folder = tmp_path_factory.mktemp("coco")
    load_plugin("converters", "coco").sample(folder / "raw")
    convert("coco", folder / "raw", folder / "store")
    truth = json.loads((folder / "raw/annotations/person_keypoints_val2017.json").read_text())
    random, results = np.random.default_rng(0), []
    for one in truth["annotations"]:
        for _ in range(2):
            joints = np.reshape(one["keypoints"], (17, 3)) + random.normal(0, 6, (17, 3))
            results.append(found(one["image_id"], score=random.random(), keypoints=joints.ravel().tolist()))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "raw", folder / "store", folder / "results.json"


def test_a_store_gives_what_the_files_give(sample: tuple[Path, Path, Path]) -> None:
    raw, store, results = sample
    scored = score(OKS(), store, results, resamples=20)
    direct = evaluate(raw / "annotations/person_keypoints_val2017.json", results)
    assert scored.metrics == direct.metrics
    assert scored.tables == direct.tables
    assert 0 < scored["AP"] < 100
    assert scored.environment["predictions"] == "COCO keypoint results, without boxes"
    assert set(scored.intervals) == set(STATS)
    assert scored.intervals["AP"].low <= scored["AP"] <= scored.intervals["AP"].high


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed_results_and_our_own_columns(sample: tuple[Path, Path, Path], suffix: str, tmp_path: Path) -> None:
    _, store, results = sample
    packed = tmp_path / f"results.json{suffix}"
    packed.write_bytes({".gz": gzip, ".xz": lzma}[suffix].compress(results.read_bytes()))
    foreign = OKS().read_foreign(packed, open_store(store))
    assert foreign is not None
    expected = score(OKS(), store, results, resamples=0).metrics
    assert score(OKS(), store, packed, resamples=0).metrics == expected
    assert score(OKS(), store, foreign.values.to_pandas(), resamples=0).metrics == expected


def test_the_splits_and_first_images_of_a_store(sample: tuple[Path, Path, Path]) -> None:
    _, store, results = sample
    with pytest.raises(HarBenchError, match="none of the 12 images"):
        score(OKS(options={"split": "train"}), store, results)
    with pytest.raises(HarBenchError, match="there are 2017/train, 2017/val"):
        score(OKS(options={"split": "test"}), store, results)
    first = score(OKS(options={"first": 3}), store, results, resamples=0)
    assert first.counts["images"] == 3
    ids = open_store(store).select("2017/val")["image_id"].to_numpy()
    chosen = OKS(options={"first": 3}).select(open_store(store).sequences)["image_id"].to_numpy()
    assert sorted(chosen) == sorted(ids)[:3]


def test_a_store_brings_the_sigmas_of_its_joints(tmp_path: Path) -> None:
    truth = annotations(person()) | {"categories": [{"id": 1, "name": "robot", "keypoints": list("abcdefghijklmnopq")}]}
    with_sigmas, without = copy.deepcopy(truth), tmp_path / "without"
    with_sigmas["categories"][0]["sigmas"] = [0.107] * 17
    for folder, content in ((tmp_path / "with", with_sigmas), (without, truth)):
        folder.mkdir()
        convert("coco", written(folder, content, [])[0], folder / "store")
    protocol = OKS()
    protocol.prepare(open_store(tmp_path / "with/store"))
    assert protocol.sigmas.tolist() == [1.07 / 10] * 17
    with pytest.raises(HarBenchError, match=r"robot-17 .* have no sigmas; give the option sigmas"):
        protocol.prepare(open_store(without / "store"))
    given = OKS(options={"sigmas": [0.5] * 17})
    given.prepare(open_store(without / "store"))
    assert given.sigmas.tolist() == [0.5] * 17


def test_a_person_without_a_list_of_joints_is_named(tmp_path: Path) -> None:
    absent = {name: value for name, value in person(at=(900, 100)).items() if name != "keypoints"}
    truth, results = written(tmp_path, annotations(person(), absent), [found()])
    convert("coco", truth, tmp_path / "store")
    with pytest.raises(HarBenchError, match="annotation 2 has no keypoints"):
        score(OKS(), tmp_path / "store", results)


@pytest.mark.parametrize("name", ["truth.json", "table.json", "list.json", "damaged.json.xz", "results.txt"])
def test_other_files_are_not_taken_for_results(name: str, tmp_path: Path) -> None:
    content = {"truth.json": annotations(person()), "table.json": {"a": 1}, "list.json": [{"image_id": 1, "score": 1}]}
    text = json.dumps(content.get(name, [found()])).encode()
    (tmp_path / name).write_bytes(b"\xfd7zXZ\x00" + text if name == "damaged.json.xz" else text)
    assert not coco_files.is_results(tmp_path / name)
