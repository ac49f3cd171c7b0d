"""The rules by which the field picks persons: bit for bit the golden arrays, and the log of the whole NTU RGB+D 60."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench.converters.ntu import views
from har_bench.converters.ntu.sample import recording, write_file
from har_bench.converters.ntu.skeleton_file import SkeletonFile
from har_bench.converters.ntu.views import Body, assigned, bodies, without_short
from har_bench.store import SequenceView
from tests.golden import REAL, load

NTU = REAL / "ntu60"
SUMMARY = load("ntu60/golden/ntu_readers_summary.json")
CASES = [path for path in sorted((NTU / "golden/readers").glob("*.npz")) if path.stat().st_size > 100]
LOG = NTU / "golden/ntu60_full_denoise_log.csv.gz"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], SequenceView]:
    """The sequence of a golden case, through a store."""
    stores: dict[str, Any] = {}

    def sequence(golden: Path) -> SequenceView:
        kind, _, case = golden.stem.rpartition("__")
        raw = NTU / kind / case if kind else NTU / "skeletons"
        if str(raw) not in stores:
            out = tmp_path_factory.mktemp("store") / "ntu60"
            stores[str(raw)] = har_bench.convert("har_bench.converters.ntu:NTU60", raw, out, jobs=1, quiet=True)
        store = stores[str(raw)]
        return store.sequence(store.sequences["sequence"][0].as_py() if kind else case)

    return sequence


@pytest.mark.real
@pytest.mark.parametrize("golden", CASES, ids=lambda path: path.stem)
def test_mmaction2_equals_its_golden_arrays(golden: Path, opened: Callable[[Path], SequenceView]) -> None:
    expected, found = np.load(golden), views.mmaction2(opened(golden))
    np.testing.assert_array_equal(found, expected["mmaction2_xyz_f64"])
    np.testing.assert_array_equal(found.astype(np.float16), expected["mmaction2_keypoint_f16"])


@pytest.mark.real
@pytest.mark.parametrize(
    "golden", [path for path in CASES if "ctrgcn_denoised_joints" in np.load(path)], ids=lambda path: path.stem
)
def test_ctrgcn_and_pyskl_equal_their_golden_arrays(golden: Path, opened: Callable[[Path], SequenceView]) -> None:
    expected, sequence = np.load(golden), opened(golden)
    found = views.ctrgcn(sequence)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected["pyskl_keypoint_f32"])
    rows = np.swapaxes(found, 0, 1).reshape(found.shape[1], -1)
    np.testing.assert_array_equal(rows, expected["ctrgcn_denoised_joints"])
    colors = views.taken(sequence.keypoints, views.ctrgcn_rows(sequence), np.nan)
    np.testing.assert_array_equal(np.swapaxes(colors, 0, 1), expected["ctrgcn_denoised_colors"])


@pytest.mark.real
@pytest.mark.parametrize(
    "golden", [path for path in CASES if "ctrgcn_denoised_joints" in np.load(path)], ids=lambda path: path.stem
)
def test_the_bodies_equal_ctrgcns(golden: Path, opened: Callable[[Path], SequenceView]) -> None:
    expected, sequence = np.load(golden), opened(golden)
    found = bodies(sequence)
    names = [name.rpartition("_")[2] for name in expected if name.startswith("ctrgcn_joints_")]
    assert [str(body.person) for body in found] == names
    points, summary = views.metres(sequence).astype(np.float32), SUMMARY[golden.stem]
    for body in found:
        np.testing.assert_array_equal(points[body.rows], expected[f"ctrgcn_joints_{body.person}"])
        np.testing.assert_array_equal(sequence.keypoints[body.rows], expected[f"ctrgcn_colors_{body.person}"])
        np.testing.assert_array_equal(np.arange(body.start, body.end + 1), expected[f"ctrgcn_interval_{body.person}"])
        np.testing.assert_equal(body.motion, summary["pyskl"]["bodies"][str(body.person)]["motion"])


def log() -> list[dict[str, Any]]:
    """The multi-body sequences of the log; ``bodies``, ``actor1`` and ``actor2`` are (id, start, end, motion)."""
    with gzip.open(LOG, "rt") as lines:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(lines) if row["bodies(id:start:end:motion)"]]
    for row in rows:
        row["bodies"] = row.pop("bodies(id:start:end:motion)")
        for name in ("bodies", "actor1", "actor2"):
            spans = [text.split(":") for text in row[name].split(";") if text]
            row[name] = [(int(who), int(start), int(end), float(motion)) for who, start, end, motion in spans]
        row["filtered"] = dict(text.split(":") for text in row.pop("filtered(id:rule)").split(";") if text)
    return rows


@pytest.mark.real
def test_all_of_ntu60_is_filtered_and_assigned_as_in_the_log() -> None:
    """Whatever needs no joints: short bodies, who is which actor, and how many frames remain."""
    rows = log()
    assert len(rows) == 11_796
    for row in rows:
        final = {who: motion for who, *_, motion in row["actor1"] + row["actor2"]}  # after the wide frames are out
        found = [
            Body(who, np.arange(end - start + 1), start, final.get(who, m)) for who, start, end, m in row["bodies"]
        ]
        short = {who for who, rule in row["filtered"].items() if rule == "length"}
        assert {str(body.person) for body in found} - {str(body.person) for body in without_short(found)} == short
        left = [body for body in found if str(body.person) not in row["filtered"]]
        if row["main_actor"]:
            assert [str(body.person) for body in left] == [row["main_actor"]]
            assert len(left[0].rows) == int(row["frames_denoised"])
            continue
        left.sort(key=lambda body: body.motion, reverse=True)
        actors = assigned(left)
        covered = np.zeros(int(row["valid_frames_raw"]), bool)
        for actor, name in enumerate(("actor1", "actor2")):
            mine = [body for body, its in zip(left, actors, strict=True) if its == actor]
            assert [body.person for body in mine] == [who for who, *_ in row[name]], row["name"]
            for body in mine:
                covered[body.start : body.end + 1] = True
        assert covered.sum() == int(row["frames_denoised"])


@pytest.mark.real
@pytest.mark.parametrize("path", sorted((NTU / "skeletons").glob("*.skeleton")), ids=lambda path: path.stem)
def test_the_real_files_agree_with_the_log(path: Path, opened: Callable[[Path], SequenceView]) -> None:
    row = next((row for row in log() if row["name"] == path.stem), None)
    sequence = opened(NTU / "golden/readers" / f"{path.stem}.npz")
    found = bodies(sequence)
    if row is None:
        assert len(found) < 2
        return
    assert [(body.person, body.start, body.end) for body in found] == [tuple(span[:3]) for span in row["bodies"]]
    np.testing.assert_allclose([body.motion for body in found], [span[3] for span in row["bodies"]], atol=5e-7)
    rows = views.ctrgcn_rows(sequence)
    for actor, name in enumerate(("actor1", "actor2")):
        people = sequence.person[rows[actor][rows[actor] >= 0]]
        assert list(dict.fromkeys(people.tolist())) == [who for who, *_ in row[name]]


# ---- without the research data


def view(folder: Path, content: SkeletonFile) -> SequenceView:
    write_file(folder / "raw" / "S001C001P001R001A001.skeleton", content)
    store = har_bench.convert("har_bench.converters.ntu:NTU60", folder / "raw", folder / "store", jobs=1, quiet=True)
    return store.sequence("S001C001P001R001A001")


def test_one_person(tmp_path: Path) -> None:
    content = recording(np.random.default_rng(0), [(7, range(20))], 20)
    sequence = view(tmp_path, content)
    points = content.frames.numbers[:, :, :3]
    np.testing.assert_array_equal(views.ctrgcn(sequence), points[None].astype(np.float32))
    np.testing.assert_array_equal(views.mmaction2(sequence), points[None])
    first = views.first_two(sequence)
    np.testing.assert_array_equal(first, np.stack([points, np.zeros_like(points)]).astype(np.float32))


def test_nobody(tmp_path: Path) -> None:
    sequence = view(tmp_path, recording(np.random.default_rng(0), [], 9))
    assert views.ctrgcn(sequence).shape == (0, 0, 25, 3)
    assert views.mmaction2(sequence).shape == (0, 9, 25, 3)
    assert views.first_two(sequence).shape == (2, 9, 25, 3)
    assert not views.first_two(sequence).any()


def test_two_people_who_change_places(tmp_path: Path) -> None:
    sequence = view(tmp_path, recording(np.random.default_rng(1), [(7, range(20)), (5, range(20))], 20, swap=10))
    rows = views.ctrgcn_rows(sequence)
    assert [set(sequence.person[actor].tolist()) for actor in rows] in ([{5}, {7}], [{7}, {5}])
    first = views.first_two_rows(sequence)
    assert sequence.person[first[0]].tolist() == [7] * 10 + [5] * 10
    assert sequence.person[first[1]].tolist() == [5] * 10 + [7] * 10


def test_only_short_bodies_leave_nobody(tmp_path: Path) -> None:
    sequence = view(tmp_path, recording(np.random.default_rng(2), [(7, range(5)), (8, range(5, 12))], 12))
    assert views.ctrgcn(sequence).shape == (0, 0, 25, 3)


def test_the_last_of_several_phantoms_stays(tmp_path: Path) -> None:
    content = recording(np.random.default_rng(3), [(7, range(20)), (8, range(20))], 20)
    content.frames.numbers[:, :, 0] *= 10  # wider than high
    sequence = view(tmp_path, content)
    rows = views.ctrgcn_rows(sequence)
    assert rows.shape == (1, 20)
    assert set(sequence.person[rows[0]].tolist()) == {8}


def test_a_gap_is_closed_as_these_programs_do(tmp_path: Path) -> None:
    seen = [*range(3, 10), *range(15, 25)]
    sequence = view(tmp_path, recording(np.random.default_rng(4), [(7, range(30)), (8, seen)], 30))
    (body,) = [body for body in bodies(sequence) if body.person == 8]
    assert (body.start, body.end) == (3, 19)
    rows = views.ctrgcn_rows(sequence)
    actor = next(actor for actor in rows if 8 in sequence.person[actor[actor >= 0]])
    assert np.flatnonzero(actor >= 0).tolist() == list(range(3, 20))
    assert sequence.frame[actor[actor >= 0]].tolist() == seen
