"""AVA as people have it: other writers of csv, other folders, other names, archives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from har_bench.converter import Tables
from har_bench.converters.ava import AVA
from har_bench.errors import HarBenchError
from tests.ava_data import read
from tests.text_files import WRITERS

CSV = "ava_val_v2.2.csv"
EXCLUDED = "ava_val_excluded_timestamps_v2.2.csv"


def header(text: str) -> str:
    names = ["video_id", "middle_frame_timestamp", "x1", "y1", "x2", "y2", "action_id", "person_id"]
    return ",".join(names[: text.split("\n", 1)[0].count(",") + 1]) + "\n" + text


def padded(text: str) -> str:
    """As many columns in every row as in the widest, and two more."""
    rows = [line.split(",") for line in text.splitlines()]
    width = max(map(len, rows)) + 2
    return "".join(",".join(row + [""] * (width - len(row))) + "\n" for row in rows)


def quoted(text: str) -> str:
    return "".join(",".join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in text.splitlines())


DIALECTS: dict[str, Callable[[str], bytes]] = {
    **WRITERS,
    "quotation marks": lambda text: quoted(text).encode(),
    "apostrophes": lambda text: quoted(text).replace('"', "'").encode(),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "semicolons and decimal commas": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "blanks": lambda text: text.replace(",", " ,  ").replace("\n", " \n").encode(),
    "a header": lambda text: header(text).encode(),
    "a spreadsheet": lambda text: quoted(header(text)).replace(",", ";").replace("\n", "\r\n").encode("utf-8-sig"),
    "blank lines": lambda text: text.replace("\n", "\n\n").encode(),
    "separators behind the last column": lambda text: padded(text).encode(),
}


def rewritten(own: Path, name: str, writer: str) -> tuple[Tables, Tables]:
    """What is read before and after a file is written in another dialect, which is no reason to complain."""
    before = read(own)
    (own / name).write_bytes(DIALECTS[writer]((own / name).read_text()))
    after = read(own)
    assert after.rejects == before.rejects == []
    return before, after


@pytest.mark.parametrize("writer", DIALECTS)
@pytest.mark.parametrize("name", [CSV, "kinetics_val_v1.0.csv", EXCLUDED])
def test_a_csv_does_not_depend_on_who_wrote_it(own: Path, name: str, writer: str) -> None:
    before, after = rewritten(own, name, writer)
    assert after.segments == before.segments
    assert after.sequences == before.sequences


@pytest.mark.parametrize("writer", ["a mark", "UTF-16", "CRLF", "no last line end", "quotation marks", "blank lines"])
@pytest.mark.parametrize(
    "name", ["ava_test_v2.2.txt", "ava_included_timestamps_v2.2.txt", "ava_file_names_trainval_v2.1.txt"]
)
def test_a_list_does_not_depend_on_who_wrote_it(own: Path, name: str, writer: str) -> None:
    before, after = rewritten(own, name, writer)
    assert after.sequences == before.sequences


@pytest.mark.parametrize("writer", ["a mark", "UTF-16", "CRLF", "no last line end"])
@pytest.mark.parametrize("name", ["ava_action_list_v2.2.pbtxt", "ava_action_list_v2.2_for_activitynet_2019.pbtxt"])
def test_an_action_list_does_not_depend_on_who_wrote_it(own: Path, name: str, writer: str) -> None:
    before, after = rewritten(own, name, writer)
    assert after.segments == before.segments


def test_whole_numbers_may_have_a_point(own: Path) -> None:
    before = read(own).segments
    rows = [line.split(",") for line in (own / CSV).read_text().splitlines()]
    pointed = [[*row[:6], *(f"{cell}.0" for cell in row[6:])] for row in rows]
    (own / CSV).write_text("".join(",".join(row) + "\n" for row in pointed))
    assert read(own).segments == before


@pytest.mark.parametrize("path", ["videos/{}.mp4", "C:\\videos\\{}.mkv", "../{}.webm", "/data/{}"])
def test_a_path_for_a_video_becomes_its_name_and_is_reported(own: Path, path: str) -> None:
    before = read(own)
    first, _, rest = (own / CSV).read_text().partition("\n")
    video, _, cells = first.partition(",")
    (own / CSV).write_text(f"{path.format(video)},{cells}\n{rest}")
    after = read(own)
    assert after.segments == before.segments
    assert [(reject.locator, reject.action) for reject in after.rejects] == [("line 1", "repaired")]


@pytest.mark.parametrize("folder", ["videos/", "C:\\videos\\", "../"])
def test_a_path_in_the_list_of_files_becomes_a_name_and_is_reported(own: Path, folder: str) -> None:
    before = read(own)
    path = own / "ava_file_names_trainval_v2.1.txt"
    path.write_text(folder + path.read_text())
    after = read(own)
    assert after.sequences == before.sequences
    assert [(reject.source, reject.locator, reject.action) for reject in after.rejects] == [
        (path.name, "line 1", "repaired")
    ]


# ---- where the files are


@pytest.mark.parametrize("place", ["a", "a/b", "a/b/c"])
def test_the_download_may_lie_up_to_three_folders_deep(own: Path, tmp_path: Path, place: str) -> None:
    before = read(own)
    root = tmp_path / "root"
    shutil.copytree(own, root / place)
    after = read(root)
    assert after.segments == before.segments
    assert after.sequences == before.sequences
    assert after.poses == before.poses


def test_lists_above_and_proposals_beside_a_deep_folder_are_found(own: Path, tmp_path: Path) -> None:
    before = read(own)
    root = tmp_path / "root"
    for path in own.iterdir():
        place = "ava/proposals" if path.suffix == ".pkl" else "ava/annotations" if path.suffix == ".csv" else "."
        if path.is_file():
            (root / place).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / place)
    (root / "ava_test_v2.2.txt").rename(root / "ava" / "annotations" / "ava_test_v2.2.txt")
    (root / "ava_included_timestamps_v2.2.txt").rename(root / "ava" / "ava_included_timestamps_v2.2.txt")
    after = read(root)
    assert after.segments == before.segments
    assert after.sequences == before.sequences
    assert after.poses == before.poses


def test_two_deep_downloads_are_not_chosen_between(own: Path, tmp_path: Path) -> None:
    for place in ("a/b", "c/d"):
        shutil.copytree(own, tmp_path / "root" / place)
    with pytest.raises(HarBenchError, match="holds AVA 2 times, in a/b, c/d; give one of these folders"):
        AVA().discover(tmp_path / "root")


@pytest.mark.parametrize(("name", "remedy"), [("val.csv", "ava_val_v2.2.csv"), ("my_train.csv", "ava_train_v2.2.csv")])
@pytest.mark.parametrize("alone", [False, True])
def test_a_csv_of_another_name_is_to_be_renamed(own: Path, tmp_path: Path, name: str, remedy: str, alone: bool) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(own / CSV, root / name)
    with pytest.raises(HarBenchError, match=f"{name} is not called as AVA's annotations are.*call it {remedy}"):
        AVA().discover(root / name if alone else root)


def test_capital_letters_in_a_name_make_no_difference(own: Path) -> None:
    before = read(own)
    (own / CSV).rename(own / "AVA_val_V2.2.CSV")
    assert read(own).segments == before.segments


def test_another_kind_of_file_is_not_read_as_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(HarBenchError, match=r"notes\.txt is no file of AVA; expected ava_"):
        AVA().discover(tmp_path / "notes.txt")
