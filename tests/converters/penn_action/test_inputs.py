"""Penn Action as people have it: folders that are nested, archives, hidden joints by hand, nothing that can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench.converters.penn_action import PennAction
from har_bench.converters.penn_action.sample import SEQUENCES, label, write_label
from har_bench.errors import HarBenchError
from har_bench.store import SequenceView, Store


def convert(raw: Path, out: Path) -> Store:
    return har_bench.convert("penn_action", raw, out / "store", jobs=1, quiet=True)


def only(folder: Path, **changes: Any) -> SequenceView:
    """The one sequence of a label file with some variables changed."""
    write_label(folder / "raw" / "labels" / "0001.mat", label(1, 0, np.random.default_rng(0)) | changes)
    return convert(folder / "raw", folder).sequence("0001")


# ---- hidden joints


def with_joint(frame: int, joint: int, x: float, y: float, flag: int) -> dict[str, Any]:
    written = label(1, 0, np.random.default_rng(0))
    for name, value in (("x", x), ("y", y), ("visibility", flag)):
        written[name][frame, joint] = value
    return written


@pytest.mark.parametrize(
    ("x", "y", "flag", "visibility", "kept"),
    [
        (131.37, 97.61, 0, 1, True),
        (131.37, 97.61, 1, 2, True),
        (0.75, 0.75, 0, 0, False),
        (0.0, 0.0, 0, 0, False),
        (2.99, 2.99, 0, 0, False),
        (2.99, 200.0, 0, 1, True),
        (200.0, 0.5, 0, 1, True),
        (3.0, 2.0, 0, 1, True),
        (0.75, 0.75, 1, 2, True),
        (-40.0, 100.0, 0, 1, True),
    ],
)
def test_a_joint_is_kept_where_it_has_a_place(
    tmp_path: Path, x: float, y: float, flag: int, visibility: int, kept: bool
) -> None:
    found = only(tmp_path, **with_joint(4, 7, x, y, flag))
    assert found.visibility[4, 7] == visibility
    expected = [x - 1, y - 1] if kept else [np.nan, np.nan]
    np.testing.assert_array_equal(found.keypoints[4, 7], expected)


@pytest.mark.parametrize(("flag", "kind"), [(0, "occluded"), (1, "visible")])
def test_a_place_that_is_no_number_is_reported(tmp_path: Path, flag: int, kind: str) -> None:
    written = with_joint(4, 7, np.nan, 5.0, flag)
    write_label(tmp_path / "raw" / "labels" / "0001.mat", written)
    store = convert(tmp_path / "raw", tmp_path)
    (reject,) = store.table("rejects").to_pylist()
    assert reject["reason"] == f"1 {kind} joints without a position; they are absent in the store"
    assert store.sequence("0001").visibility[4, 7] == 0


def test_hidden_joints_do_not_make_defects(tmp_path: Path) -> None:
    """A place outside the box or the picture is a fault of visible joints alone."""
    honest = only(tmp_path / "honest")
    moved = only(tmp_path / "moved", **with_joint(4, 7, 5000.0, 5000.0, 0))
    assert moved.info["defects"] == honest.info["defects"]


# ---- where the files are


@pytest.mark.parametrize("place", [".", "Penn_Action", "Penn_Action/Penn_Action", "data/Penn_Action/Penn_Action"])
def test_the_labels_may_lie_up_to_three_folders_deep(tmp_path: Path, place: str) -> None:
    PennAction.sample(tmp_path / "raw" / place)
    (tmp_path / "raw" / place / "frames" / "0001").mkdir(parents=True)
    store = convert(tmp_path / "raw", tmp_path)
    assert store.sequences.num_rows == len(SEQUENCES)
    assert store.sequences["media"][0].as_py() == (Path(place) / "frames" / "0001").as_posix()
    assert store.manifest.sources[0].path == (Path(place) / "labels" / "0001.mat").as_posix()


def test_the_folder_of_labels_alone_may_be_given(tmp_path: Path) -> None:
    PennAction.sample(tmp_path / "raw")
    store = convert(tmp_path / "raw" / "labels", tmp_path)
    assert store.sequences.num_rows == len(SEQUENCES)
    assert store.sequences["media"].null_count == len(SEQUENCES)
    assert store.manifest.sources[0].path == "0001.mat"


def test_two_copies_are_not_chosen_between(tmp_path: Path) -> None:
    for place in ("new", "old/Penn_Action"):
        PennAction.sample(tmp_path / place)
    with pytest.raises(HarBenchError, match="holds Penn Action 2 times, in new, old/Penn_Action; give one"):
        PennAction().discover(tmp_path)


def test_frames_alone_are_said(tmp_path: Path) -> None:
    (tmp_path / "frames" / "0001").mkdir(parents=True)
    (tmp_path / "frames" / "0001" / "000001.jpg").write_bytes(b"")
    with pytest.raises(HarBenchError, match=r"it holds 1 \.jpg, such as frames/0001/000001\.jpg\); expected labels/"):
        PennAction().discover(tmp_path)


# ---- nothing that can be used


def test_when_no_label_can_be_used_it_says_how_many_and_why(tmp_path: Path) -> None:
    PennAction.sample(tmp_path / "raw")
    for path in (tmp_path / "raw" / "labels").iterdir():
        write_label(path, {"joints": np.zeros((3, 3))})
    with pytest.raises(HarBenchError, match=f"all {len(SEQUENCES)} records of its files were dropped") as caught:
        convert(tmp_path / "raw", tmp_path)
    assert "labels/0001.mat" in str(caught.value)
    assert "x is not a table of numbers with 13 columns" in str(caught.value)
    assert not (tmp_path / "store").exists()


def test_one_label_of_all_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "raw" / "labels" / "0001.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no mat file at all")
    with pytest.raises(HarBenchError, match=r"0001\.mat"):
        convert(tmp_path / "raw", tmp_path)
