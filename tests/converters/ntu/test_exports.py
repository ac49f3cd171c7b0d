"""NTU RGB+D in pyskl's, mmaction2's and CTR-GCN's files: our views, read back by our own converter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import har_bench
from har_bench.converters.ntu.exports import moved
from har_bench.foreign import pickles
from har_bench.store import Store
from tests.ntu_data import NTU


@pytest.fixture(scope="module", params=["sample", pytest.param("real", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    source, name = (NTU / "skeletons", "ntu60") if request.param == "real" else (raw, "ntu120")
    return har_bench.convert(name, source, tmp_path_factory.mktemp("ntu") / "store", jobs=1, quiet=True)


@pytest.mark.parametrize(("name", "view"), [("pyskl", "ctrgcn"), ("mmaction2", "mmaction2")])
def test_the_pickle_holds_the_view_and_is_read_back(store: Store, tmp_path: Path, name: str, view: str) -> None:
    written = store.export(name, tmp_path / "out", quiet=True)
    assert written.files == [tmp_path / "out" / f"{store.dataset}_3danno.pkl"]
    content = pickles.load(written.files[0])
    splits = {row["sequence"]: row["splits"] for row in store.sequences.to_pylist()}
    listed = {each["frame_dir"] for each in content["annotations"]}
    assert listed
    for split, names in content["split"].items():
        ours = split.replace("_val", "_test").replace("_", "/")
        assert names == [each for each in sorted(listed) if ours in splits[each]]
    again = har_bench.convert(store.dataset, tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    assert again.sequences["sequence"].to_pylist() == sorted(listed)
    for each in content["annotations"]:
        bodies = store.sequence(each["frame_dir"]).view(view)
        assert each["keypoint"].dtype == np.float16
        assert np.array_equal(each["keypoint"], bodies.astype(np.float16))
        assert each["total_frames"] == bodies.shape[1]
        assert each["label"] + 1 == int(each["frame_dir"][-3:])
        # what was chosen once is chosen again, so the same numbers come out of the read store
        points = again.sequence(each["frame_dir"]).view("first-two")
        assert np.array_equal(points[: len(bodies)].astype(np.float16), each["keypoint"])


def test_full_numbers_come_back_to_the_last_digit(store: Store, tmp_path: Path) -> None:
    (first,) = store.export("pyskl", tmp_path / "out", options={"float32": "yes"}, quiet=True).files
    again = har_bench.convert(store.dataset, tmp_path / "out", tmp_path / "again", jobs=1, quiet=True)
    for each in pickles.load(first)["annotations"]:
        points = again.sequence(each["frame_dir"]).view("first-two")[: len(each["keypoint"])]
        assert points == pytest.approx(each["keypoint"], rel=2e-7)


def test_ctrgcn_s_archives_are_in_its_order_and_read_back(store: Store, tmp_path: Path) -> None:
    written = store.export("ctrgcn", tmp_path / "out", quiet=True)
    classes = int(store.dataset[3:])
    assert len(written.files) == 2
    rows = {row["sequence"]: row for row in store.sequences.to_pylist()}
    path = next(each for each in written.files if each.stem in ("NTU60_CS", "NTU120_CSub"))
    listed = [name for name, row in rows.items() if row["splits"] and row["rows"]]
    with np.load(path) as archive:
        for half in ("train", "test"):
            names = sorted(
                (name for name in listed if f"xsub/{half}" in rows[name]["splits"]), key=lambda n: (n[8:12], n)
            )
            assert archive[f"x_{half}"].shape == (len(names), 300, 150)
            assert archive[f"y_{half}"].shape == (len(names), classes)
            assert (archive[f"y_{half}"].argmax(axis=1) + 1).tolist() == [rows[name]["label"] for name in names]
            for clip, name in zip(archive[f"x_{half}"], names, strict=True):
                bodies = store.sequence(name).view("ctrgcn")
                both = clip.reshape(300, 2, 25, 3).swapaxes(0, 1)[: len(bodies), : bodies.shape[1]]
                there = (bodies != 0).any(axis=(2, 3))
                origin = bodies[0, np.flatnonzero(there[0])[0], 1]
                assert both[there] == pytest.approx((bodies - origin)[there], abs=1e-6)
                assert not both[~there].any()
                assert not clip[bodies.shape[1] :].any()
    again = har_bench.convert(store.dataset, path, tmp_path / "again", jobs=1, quiet=True)
    assert len(again.sequences) == len(listed)
    assert not again.manifest.rejects


def test_a_body_that_is_not_there_stays_at_zero() -> None:
    bodies = np.ones((2, 4, 25, 3), np.float32)
    bodies[0, :, 1] = [1, 2, 3]
    bodies[0, 0] = bodies[1, 2:] = 0
    clip = moved(bodies).reshape(300, 2, 25, 3)
    assert not clip[0, 0].any()
    assert not clip[2:, 1].any()
    assert clip[1, 0, 0].tolist() == [0, -1, -2]
    assert clip[0, 1, 5].tolist() == [0, -1, -2]
