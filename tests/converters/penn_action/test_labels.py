"""Penn Action: the census of the official label files; the sample and random labels; damaged files."""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Tables
from har_bench.converters.penn_action import PennAction
from har_bench.converters.penn_action.converter import DEFECTS, POSES, PUBLISHED
from har_bench.converters.penn_action.labels import POSES as VIEWPOINTS
from har_bench.converters.penn_action.labels import README_NAMES
from har_bench.converters.penn_action.sample import SEQUENCES, label, write_label
from har_bench.errors import HarBenchError
from har_bench.foreign.mat import load_mat
from har_bench.schema import to_numpy
from har_bench.skeletons import skeleton
from har_bench.store import SequenceView
from tests.golden import REAL, load

DATASET = "har_bench.converters.penn_action:PennAction"
GOLDEN = REAL / "penn_action" / "golden"
CENSUS: dict[str, list[list[Any]]] = load("penn_action/golden/penn_defects.json")
PCK: dict[str, Any] = load("penn_action/golden/penn_pck_golden.json")
MUTATIONS = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


def summary() -> dict[str, list[str]]:
    """The columns of the summary of the official files; none without the research data."""
    path = GOLDEN / "penn_sequences.csv.gz"
    if not path.is_file():
        return {}
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode())))
    return {name: [row[name] for row in rows] for name in rows[0]}


SUMMARY = summary()


class Clip:
    """A sequence of a store, in the numbers of its label file."""

    def __init__(self, view: SequenceView) -> None:
        self.info = view.info
        self.number = int(view.info["sequence"])
        self.places = view.keypoints + 1
        self.visible, self.occluded = view.visibility == 2, view.visibility == 1
        self.points = np.where(self.visible[..., None], self.places, np.nan)
        self.box = view.box + 1
        self.bbox = view.poses["bbox"]


def read(folder: Path) -> Tables:
    """What the converter makes of a folder's only shard."""
    (shard,) = PennAction().discover(folder)
    return PennAction().read(shard)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    """Every official label file, by way of a store."""
    store = har_bench.convert(
        DATASET, REAL / "penn_action", tmp_path_factory.mktemp("penn") / "store", jobs=1, quiet=True
    )
    poses = store.poses()
    ends = np.cumsum(store.sequences["rows"].to_numpy())
    rows = zip(store.sequences.to_pylist(), ends.tolist(), strict=True)
    return [Clip(SequenceView(info, poses.slice(end - info["rows"], info["rows"]))) for info, end in rows]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("penn") / "raw"
    PennAction.sample(out, seed=1)
    return out


# ---- the census of the official files


@pytest.mark.real
def test_the_official_files_convert_without_a_reject_and_with_every_published_count(tmp_path: Path) -> None:
    store = har_bench.convert(DATASET, REAL / "penn_action", tmp_path / "store", jobs=1, strict=True, quiet=True)
    assert store.manifest.rejects == 0
    assert {check.what: check.found for check in store.manifest.published} == PUBLISHED
    store.validate()


def count(clips: list[Clip], of: Callable[[Clip], Any]) -> list[list[int]]:
    found = [[clip.number, int(np.count_nonzero(of(clip)))] for clip in clips]
    return [row for row in found if row[1]]


def beyond(points: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """Points of which a coordinate is out of bounds; false for absent ones."""
    return ((points < low) | (points > high)).any(axis=-1)


def edges(clip: Clip) -> np.ndarray:
    return np.array([clip.info["width"], clip.info["height"]])


FOUND: dict[str, tuple[str, Callable[[list[Clip]], list[Any]]]] = {
    "bbox_rows_ne_nframes": (
        "box-missing",
        lambda clips: [
            [clip.number, len(clip.box) - absent, len(clip.box)]
            for clip in clips
            if (absent := int(np.isnan(clip.box).any(axis=1).sum()))
        ],
    ),
    "bbox_nonpositive": (
        "box-degenerate",
        lambda clips: count(clips, lambda clip: (clip.box[:, 2:] <= clip.box[:, :2]).any(axis=1)),
    ),
    "bbox_out_of_frame": (
        "box-outside",
        lambda clips: count(clips, lambda clip: beyond(clip.box, 1, np.tile(edges(clip), 2))),
    ),
    "joint_never_visible": (
        "joint-never-visible",
        lambda clips: [
            [clip.number, np.flatnonzero(~clip.visible.any(axis=0)).tolist()]
            for clip in clips
            if not clip.visible.any(axis=0).all()
        ],
    ),
    "frames_with_no_visible_joint": (
        "no-joints",
        lambda clips: count(clips, lambda clip: ~clip.visible.any(axis=1)),
    ),
    "visible_joint_outside_bbox": (
        "joint-outside-box",
        lambda clips: count(
            clips, lambda clip: beyond(clip.points, clip.box[:, None, :2] - 1, clip.box[:, None, 2:] + 1)
        ),
    ),
    "visible_out_of_frame": (
        "joint-outside-picture",
        lambda clips: count(clips, lambda clip: beyond(clip.points, 1, edges(clip))),
    ),
}
"""By key of the census: the code in `defects`, and the census of a store."""


@pytest.mark.real
@pytest.mark.parametrize("key", CENSUS)
def test_the_census_of_defects_is_reproduced(clips: list[Clip], key: str) -> None:
    code, census = FOUND[key]
    assert census(clips) == CENSUS[key]
    assert [clip.number for clip in clips if code in clip.info["defects"]] == [row[0] for row in CENSUS[key]]


@pytest.mark.real
def test_the_places_of_occluded_joints_are_kept_and_placeholders_are_not(clips: list[Clip]) -> None:
    """282,149 of the 469,501 invisible joints were labelled where they must be; 220,034 of them lie
    within 1 px of the box of their frame, and two more of the frame before."""
    occluded = [clip.places[clip.occluded] for clip in clips]
    absent = sum(int(np.isnan(clip.places).any(axis=-1).sum()) for clip in clips)
    assert (sum(map(len, occluded)), absent) == (282_149, 187_352)
    assert not (np.concatenate(occluded) < 3).all(axis=-1).any()
    inside = [
        ~beyond(clip.places, clip.box[:, None, :2] - 1, clip.box[:, None, 2:] + 1) & clip.occluded for clip in clips
    ]
    boxed = [np.isfinite(clip.box).all(axis=1, keepdims=True) for clip in clips]
    assert sum(int((within & known).sum()) for within, known in zip(inside, boxed, strict=True)) == 220_034


@pytest.mark.real
def test_a_box_that_is_none_is_null(clips: list[Clip]) -> None:
    expected = dict(CENSUS["bbox_nonpositive"])
    expected |= {number: frames - rows for number, rows, frames in CENSUS["bbox_rows_ne_nframes"]}
    assert {clip.number: clip.bbox.null_count for clip in clips if clip.bbox.null_count} == expected


SUMMED: dict[str, Callable[[Clip], Any]] = {
    "id": lambda clip: clip.number,
    "action": lambda clip: clip.info["action"],
    "pose": lambda clip: clip.info["pose"],
    "train": lambda clip: {"standard/train": 1, "standard/test": -1}[clip.info["splits"][0]],
    "nframes": lambda clip: clip.info["n_frames"],
    "H": lambda clip: clip.info["height"],
    "W": lambda clip: clip.info["width"],
    "dims_nframes": lambda clip: len(clip.points),
    "bbox_rows": lambda clip: np.isfinite(clip.box).all(axis=1).sum(),
    "n_visible": lambda clip: clip.visible.sum(),
    "sum_x_visible": lambda clip: np.nansum(clip.points[..., 0]),
    "sum_y_visible": lambda clip: np.nansum(clip.points[..., 1]),
    "sum_bbox": lambda clip: np.nansum(clip.box),
}


@pytest.mark.real
@pytest.mark.parametrize("name", SUMMARY)
def test_the_summary_of_every_sequence_is_reproduced(clips: list[Clip], name: str) -> None:
    if name.startswith("dtype_"):
        variable = name.removeprefix("dtype_")
        paths = (REAL / "penn_action" / "labels" / f"{int(number):04d}.mat" for number in SUMMARY["id"])
        assert [load_mat(path)[variable].dtype.name for path in paths] == SUMMARY[name]
        return
    found = [SUMMED[name](clip) for clip in clips]
    if name in ("action", "pose"):
        assert found == SUMMARY[name]
    else:
        np.testing.assert_allclose(found, np.array(SUMMARY[name], float), rtol=1e-12)


def hits(clip: Clip, *, plus: int = 0, strict: bool = False, degenerate: bool = True) -> tuple[int, int]:
    """Hits and visible joints of the golden predictor, whose formula is in the golden file."""
    frame, joint = np.ogrid[: len(clip.points), :13]
    last = np.flatnonzero(np.isfinite(clip.box).all(axis=1))[-1]
    box = clip.box[np.minimum(np.arange(len(clip.box)), last)]
    size = (box[:, 2:] - box[:, :2]).max(axis=1)
    reach = 0.3 * size[:, None]
    x = clip.points[..., 0] + reach * np.sin(0.7 * frame + 1.3 * joint + 0.01 * clip.number)
    y = clip.points[..., 1] + reach * np.cos(0.9 * frame + 0.5 * joint + 0.02 * clip.number)
    distance = np.hypot(x - clip.points[..., 0], y - clip.points[..., 1])
    limit = 0.2 * (size + plus)[:, None]
    counted = clip.visible & (degenerate | (box[:, 2:] > box[:, :2]).all(axis=1)[:, None])
    hit = (distance < limit) if strict else (distance <= limit)
    return int((hit & counted).sum()), int(counted.sum())


@pytest.mark.real
@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("bbox", {}),
        ("bbox_plus1", {"plus": 1}),
        ("bbox_lt", {"strict": True}),
        ("bbox_skip_degenerate", {"degenerate": False}),
    ],
)
def test_the_store_keeps_what_pck_needs(clips: list[Clip], key: str, options: dict[str, Any]) -> None:
    test = [clip for clip in clips if clip.info["splits"] == ["standard/test"]]
    found = np.array([hits(clip, **options) for clip in test])
    assert found.sum(axis=0).tolist() == [PCK[key]["n_hit"], PCK[key]["n_visible"]]


# ---- the sample


def test_the_sample_converts_and_shows_every_quirk(raw: Path, tmp_path: Path) -> None:
    store = har_bench.convert(DATASET, raw, tmp_path / "store", jobs=1, strict=True, quiet=True)
    assert store.sequences["sequence"].to_pylist() == [f"{number:04d}" for number in SEQUENCES]
    assert {code for codes in store.sequences["defects"].to_pylist() for code in codes} == set(DEFECTS)
    kinds = {load_mat(path)[name].dtype.kind for path in (raw / "labels").iterdir() for name in ("x", "bbox")}
    assert kinds == {"f", "u"}
    for index, number in enumerate(SEQUENCES):
        clip = Clip(store.sequence(f"{number:04d}"))
        same_as_written(clip, load_mat(raw / "labels" / f"{number:04d}.mat"))
        assert clip.info["media"] == f"frames/{number:04d}"
        assert clip.info["splits"] == [f"standard/{'train' if index % 3 else 'test'}"]
    store.validate()


def same_as_written(clip: Clip, written: dict[str, Any]) -> None:
    """A clip holds a label file's numbers where these are places, and nothing else."""
    visible = written["visibility"] == 1
    x, y, box = (written[name].astype(float) for name in ("x", "y", "bbox"))
    assert (clip.visible == visible).all()
    placed = visible | (x >= 3) | (y >= 3)
    assert (clip.occluded == placed & ~visible).all()
    assert (clip.places[placed] == np.stack([x, y], axis=-1)[placed]).all()
    assert np.isnan(clip.places[~placed]).all()
    assert (clip.box[: len(box)] == box).all()
    assert np.isnan(clip.box[len(box) :]).all()
    sizes = box[:, 2:] - box[:, :2]
    whole = (sizes > 0).all(axis=1)
    bbox = to_numpy(clip.bbox, POSES.field("bbox"))
    assert clip.bbox.null_count == len(clip.box) - whole.sum()
    np.testing.assert_array_equal(bbox[: len(box)][whole], np.hstack([box[:, :2] - 1, sizes])[whole].astype(np.float32))


def test_the_sample_is_the_same_for_the_same_seed(raw: Path, tmp_path: Path) -> None:
    PennAction.sample(tmp_path, seed=1)
    for path in (raw / "labels").iterdir():
        assert (tmp_path / "labels" / path.name).read_bytes() == path.read_bytes()


def test_missing_files_are_named(raw: Path, tmp_path: Path) -> None:
    own = shutil.copytree(raw, tmp_path / "Penn_Action")
    (own / "labels" / "0004.mat").unlink()
    store = har_bench.convert(DATASET, tmp_path, tmp_path / "store", jobs=1, quiet=True)
    first = store.manifest.published[0]
    assert first.what.startswith("sequences; missing: 0004, 0006, 0007, ")
    assert first.what.endswith(" and 2,303 more")
    assert (first.expected, first.found) == (2326, len(SEQUENCES) - 1)
    assert store.sequence("0001").info["media"] == "Penn_Action/frames/0001"


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no Penn Action \(it is empty\); expected labels/0001\.mat"):
        PennAction().discover(tmp_path)


def test_the_skeleton_is_in_the_order_of_the_label_files() -> None:
    joints = skeleton("penn13")
    assert joints.joints[0] == "head"
    assert joints.pairs == tuple((right + 1, right) for right in range(1, 13, 2))


# ---- random labels


@st.composite
def labels(draw: st.DrawFn) -> dict[str, Any]:
    frames = draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    action = draw(st.sampled_from(list(README_NAMES)))
    kinds = {name: draw(st.sampled_from([np.uint8, np.uint16, np.float64])) for name in ("x", "y", "bbox")}
    sizes = {"x": (frames, 13), "y": (frames, 13), "bbox": (frames - draw(st.booleans()), 4)}
    values = {name: (random.integers(0, 640, sizes[name]) * (2 / 3)).astype(kinds[name]) for name in kinds}
    return values | {
        "action": draw(st.sampled_from([action, README_NAMES[action]])),
        "pose": draw(st.sampled_from(VIEWPOINTS)),
        "visibility": random.integers(0, 2, (frames, 13), np.uint8),
        "train": np.array([[draw(st.sampled_from([1, -1]))]], np.int32),
        "dimensions": np.array([[480, 640, frames]], np.uint16),
        "nframes": np.array([[frames]], np.uint8),
    }


@settings(max_examples=30)
@given(written=labels(), number=st.integers(1, 2326))
def test_a_label_comes_back_from_the_store(
    tmp_path_factory: pytest.TempPathFactory, written: dict[str, Any], number: int
) -> None:
    folder = tmp_path_factory.mktemp("label")
    name = f"{number:04d}"
    write_label(folder / "raw" / "labels" / f"{name}.mat", written)
    store = har_bench.convert(DATASET, folder / "raw", folder / "store", jobs=1, strict=True, quiet=True)
    clip = Clip(store.sequence(name))
    same_as_written(clip, written)
    assert written["action"] in (clip.info["action"], clip.info["readme_action"])
    assert README_NAMES[clip.info["action"]] == clip.info["readme_action"]
    assert (clip.info["pose"], clip.info["width"], clip.info["height"]) == (written["pose"], 640, 480)
    assert (clip.info["splits"] == ["standard/train"]) == (written["train"].item() == 1)


# ---- broken files


@pytest.mark.parametrize(
    ("change", "action", "reason"),
    [
        ({"x": None}, "dropped", "x is not a table of numbers with 13 columns"),
        ({"y": "text"}, "dropped", "y is not a table of numbers"),
        ({"bbox": np.zeros((18, 3))}, "repaired", "bbox is not a table of numbers with 4 columns; the boxes are null"),
        ({"bbox": None}, "repaired", "the boxes are null"),
        ({name: np.zeros((0, 13)) for name in ("x", "y", "visibility")}, "dropped", "have no row"),
        ({"visibility": np.ones((2, 13))}, "dropped", "x, y and visibility have 18, 18 and 2 rows"),
        (
            {"visibility": np.full((18, 13), 7)},
            "repaired",
            "234 values that are neither 0 nor 1; these joints",
        ),
        ({"x": np.full((18, 13), np.inf)}, "repaired", "visible joints without a position"),
        ({"bbox": np.full((18, 4), np.nan)}, "repaired", "18 boxes that are not finite"),
        ({"bbox": np.ones((19, 4))}, "repaired", "19 rows for 18 frames"),
        ({"nframes": 5}, "repaired", "is not 18"),
        ({"train": 0}, "repaired", "in no split"),
        ({"action": "yoga"}, "repaired", "'yoga' is none of the 15 actions"),
        ({"pose": np.eye(2)}, "repaired", "'' is none of front, back, left, right"),
        ({"dimensions": np.array([[270, 480, 9]])}, "repaired", "its third number is not 18"),
        ({"dimensions": np.array([[0, 480, 18]])}, "repaired", "width and height are null"),
    ],
)
def test_a_broken_record_is_a_reject(tmp_path: Path, change: dict[str, Any], action: str, reason: str) -> None:
    honest = label(2, 0, np.random.default_rng(0))
    broken = {name: value for name, value in (honest | change).items() if value is not None}
    write_label(tmp_path / "labels" / "0001.mat", honest)
    write_label(tmp_path / "labels" / "0002.mat", broken)
    found = read(tmp_path)
    assert {(reject.source, reject.action) for reject in found.rejects} == {("labels/0002.mat", action)}
    assert reason in found.rejects[0].reason
    assert found.sequences["sequence"].to_pylist() == ["0001"] + ["0002"] * (action == "repaired")


def test_an_unreadable_file_costs_only_its_own_sequence(raw: Path, tmp_path: Path) -> None:
    own = shutil.copytree(raw, tmp_path / "raw")
    (own / "labels" / "0003.mat").write_bytes(b"")
    store = har_bench.convert(DATASET, own, tmp_path / "store", jobs=1, quiet=True)
    (reject,) = store.table("rejects").to_pylist()
    assert (reject["source"], reject["locator"], reject["action"]) == ("labels/0003.mat", "0003", "dropped")
    assert reject["reason"].startswith("0003.mat is empty")
    assert store.sequences.num_rows == len(SEQUENCES) - 1


STRANGE = (
    *(np.zeros(shape) for shape in ((0, 0), (1, 1), (18, 13), (2, 18, 13), (18, 4))),
    *(np.full((18, 13), value) for value in (np.nan, np.inf, -1e300, 1e39, 1 + 2j, True)),
    np.array([["one", "two"]]),
    np.array([[np.zeros((2, 2)), "text"]], object),
    np.array([[(1, "a")]], [("a", object), ("b", object)]),
    np.array([[2**63]], np.uint64),
    "text",
)


def test_mutated_files_raise_nothing_but_our_error(tmp_path: Path) -> None:
    """Bytes of packed and of plain files, and whole variables."""
    random = np.random.default_rng(0)
    honest = label(2, 0, random)
    path = tmp_path / "labels" / "0002.mat"
    write_label(path, honest)
    packed = path.read_bytes()
    plain = io.BytesIO()
    scipy.io.savemat(plain, honest)
    for number in range(MUTATIONS):
        if number % 3 == 2:
            names = random.choice(list(honest), random.integers(1, 4), replace=False)
            write_label(path, honest | {name: STRANGE[random.integers(len(STRANGE))] for name in names})
        else:
            data = bytearray((packed, plain.getvalue())[number % 3])
            for place in random.integers(0, len(data), random.integers(1, 6)):
                data[place] = random.integers(256)
            path.write_bytes(data[: random.integers(len(data))] if number % 8 == 0 else data)
        try:
            found = read(tmp_path)
        except HarBenchError:
            continue
        assert found.sequences.num_rows == 1 or found.rejects[-1].action == "dropped"
