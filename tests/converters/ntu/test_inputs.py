"""NTU RGB+D as people have it: folders, archives, 2D pickles, files that break off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import har_bench
from har_bench.converters.ntu import NTU60, NTU120
from har_bench.converters.ntu.converter import FILES
from har_bench.converters.ntu.metadata import published
from har_bench.converters.ntu.sample import recording, write_file
from har_bench.errors import HarBenchError
from tests.ntu_data import body, one_file, tables

PEOPLE = [(72057594037944738, range(3)), (72057594037944734, range(1, 4))]


# ---- discovery


def test_the_official_folders_are_found_together(tmp_path: Path) -> None:
    names = ["S017C001P003R001A001", "S002C001P003R001A001", "S018C001P008R001A061", "S032C001P008R001A120"]
    folders = ["", "nturgb+d_skeletons", "nturgbd_skeletons_s018_to_s032", "s018/nturgb+d_skeletons"]
    for name, folder in zip(names, folders, strict=True):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / f"{name}.skeleton").write_text("0\n")
    (tmp_path / "S001C001P001R001A001_rgb.avi").touch()
    (tmp_path / "other" / "deep").mkdir(parents=True)
    (tmp_path / "other" / "deep" / "S001C001P001R001A001.skeleton").touch()
    (shard,) = NTU120().discover(tmp_path)
    assert [path.stem for path in shard.sources] == sorted(names)
    assert NTU60().discover(tmp_path / f"{names[0]}.skeleton")[0].sources == (tmp_path / f"{names[0]}.skeleton",)


def test_many_files_become_shards_in_order(tmp_path: Path) -> None:
    names = sorted(of.name for of in published(1)[: 2 * FILES + 3])
    for name in names:
        (tmp_path / f"{name}.skeleton").touch()
    shards = NTU60().discover(tmp_path)
    assert [len(shard.sources) for shard in shards] == [FILES, FILES, 3]
    assert [path.stem for shard in shards for path in shard.sources] == names


def test_the_same_sequence_twice_is_named(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        one_file(tmp_path / folder, b"0\n")
    with pytest.raises(HarBenchError, match="are the same sequence; remove one of them"):
        NTU60().discover(tmp_path)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"holds no ntu60 .*; expected \.skeleton files"):
        NTU60().discover(tmp_path)


NAME = "S001C001P001R001A001"


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c", "data/raw/nturgb+d_skeletons"])
def test_the_files_may_lie_up_to_three_folders_deep(tmp_path: Path, place: str) -> None:
    write_file(tmp_path / place / f"{NAME}.skeleton", recording(np.random.default_rng(0), PEOPLE, 4))
    (tmp_path / "rgb" / "S001C001P001R001A002").mkdir(parents=True)
    found = tables(tmp_path)
    assert found.sequences["sequence"].to_pylist() == [NAME]
    assert found.rejects == []


def test_the_folder_of_one_sequences_images_is_not_entered(tmp_path: Path) -> None:
    deep = tmp_path / "depth" / NAME
    deep.mkdir(parents=True)
    (deep / f"{NAME}.skeleton").write_text("1\n0\n")
    with pytest.raises(HarBenchError, match="holds no ntu60"):
        NTU60().discover(tmp_path)


def test_deep_folders_are_read_together(tmp_path: Path) -> None:
    for place, name in (("a/b", NAME), ("a/b/c", "S002C001P003R001A001")):
        write_file(tmp_path / place / f"{name}.skeleton", recording(np.random.default_rng(0), PEOPLE, 4))
    assert tables(tmp_path).sequences.num_rows == 2


def test_the_further_classes_alone_belong_to_the_other_dataset(tmp_path: Path) -> None:
    path = one_file(tmp_path, b"1\n0\n", "S018C001P008R001A061") / "S018C001P008R001A061.skeleton"
    for raw in (tmp_path, path):
        with pytest.raises(HarBenchError, match=r"such as S018C001P008R001A061\.skeleton; convert it as ntu120"):
            NTU60().discover(raw)
    assert NTU120().discover(path)[0].sources == (path,)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_does_not_depend_on_who_wrote_it(tmp_path: Path, encoding: str) -> None:
    write_file(tmp_path / f"{NAME}.skeleton", recording(np.random.default_rng(0), PEOPLE, 4))
    before = tables(tmp_path)
    path = tmp_path / f"{NAME}.skeleton"
    path.write_bytes(path.read_bytes().decode().encode(encoding))
    after = tables(tmp_path)
    assert after.rejects == []
    assert after.poses == before.poses


# ---- files that break off


def honest(frames: int = 5) -> list[str]:
    """The lines of a file in which one person is seen all the time."""
    return [str(frames), *(line for _ in range(frames) for line in ["1", *body()])]


def content(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


LINES = 28  # of a frame with one body
CUTS = {
    "the first line alone": (1, 0),
    "inside the first frame": (20, 0),
    "inside the second": (LINES + 10, 1),
    "after the third": (1 + 3 * LINES, 3),
}


@pytest.mark.parametrize("kind", CUTS)
def test_what_is_left_of_a_cut_file(tmp_path: Path, kind: str) -> None:
    kept, frames = CUTS[kind]
    found = tables(one_file(tmp_path, content(honest()[:kept])))
    (reject,) = found.rejects
    assert reject.source == f"{NAME}.skeleton"
    if frames:
        assert reject.action == "repaired"
        assert found.sequences.select(["n_frames", "defects"]).to_pylist() == [
            {"n_frames": frames, "defects": ["truncated"]}
        ]
    else:
        assert reject.action == "dropped"
        assert "before the first whole frame of the 5 announced" in reject.reason
        assert found.sequences.num_rows == 0


def test_bodies_of_another_camera_leave_nothing(tmp_path: Path) -> None:
    other = [line.replace("25", "32") if line == "25" else line for line in honest()]
    found = tables(one_file(tmp_path, content(other)))
    (reject,) = found.rejects
    assert (reject.action, found.sequences.num_rows) == ("dropped", 0)
    assert "line 4: the line is malformed" in reject.reason


def test_a_file_that_announces_no_frame_is_dropped(tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, b"0\n"))
    (reject,) = found.rejects
    assert (reject.action, found.sequences.num_rows) == ("dropped", 0)
    assert reject.reason == f"{NAME}.skeleton announces no frame; download it again"


def test_more_frames_than_announced_are_a_defect_too(tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, content(["3", *honest()[1:]])))
    assert found.sequences.select(["n_frames", "defects"]).to_pylist() == [{"n_frames": 3, "defects": ["truncated"]}]
    assert [reject.action for reject in found.rejects] == ["repaired"]


def test_a_whole_file_has_no_such_defect_even_without_its_last_line_end(tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, content(honest()).rstrip()))
    assert found.sequences["defects"].to_pylist() == [[]]
    assert found.rejects == []


def test_a_name_that_is_no_sequences_is_reported(tmp_path: Path) -> None:
    for name in (NAME, f"{NAME} (1)", "notes"):
        (tmp_path / f"{name}.skeleton").write_bytes(content(honest()))
    found = tables(tmp_path)
    assert found.sequences["sequence"].to_pylist() == [NAME]
    assert {(reject.source, reject.action) for reject in found.rejects} == {
        (f"{NAME} (1).skeleton", "dropped"), ("notes.skeleton", "dropped")
    }  # fmt: skip


def test_when_every_file_is_dropped_it_says_how_many_and_why(tmp_path: Path) -> None:
    for name in (NAME, "S001C001P001R001A002"):
        one_file(tmp_path / "raw", b"hello", name)
    with pytest.raises(HarBenchError, match="nothing is left of ntu60: all 2 records") as caught:
        har_bench.convert("ntu60", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    assert f"{NAME}.skeleton does not begin with a number of frames" in str(caught.value)
