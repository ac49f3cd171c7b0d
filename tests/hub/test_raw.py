"""Raw downloads as people have them: where a layout begins, what is said when it is not there, names and splits."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from har_bench.errors import HarBenchError
from har_bench.raw import (
    file_name,
    files,
    folders,
    home,
    homes,
    in_any_case,
    nothing_found,
    refuse_archive,
    split_word,
)


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    return root


def has_labels(folder: Path) -> bool:
    return (folder / "labels").is_dir()


@pytest.mark.parametrize("place", ["", "a/", "a/b/", "a/b/c/"])
def test_a_layout_is_found_up_to_three_folders_below(tmp_path: Path, place: str) -> None:
    write(tmp_path, f"{place}labels/1.mat", "beside/1.txt", "__MACOSX/labels/1.mat", ".hidden/labels/1.mat")
    assert home(tmp_path, has_labels, "Labels") == tmp_path / place


def test_a_layout_farther_below_is_not_found(tmp_path: Path) -> None:
    assert home(write(tmp_path, "a/b/c/d/labels/1.mat"), has_labels, "Labels") is None


def test_a_layout_inside_another_is_part_of_it(tmp_path: Path) -> None:
    write(tmp_path, "a/labels/1.mat", "a/old/labels/1.mat")
    assert homes(tmp_path, has_labels) == [tmp_path / "a"]
    write(tmp_path, "labels/1.mat")
    assert homes(tmp_path, has_labels) == [tmp_path]


def test_a_layout_that_is_there_twice_is_not_chosen(tmp_path: Path) -> None:
    write(tmp_path, "first/labels/1.mat", "second/copy/labels/1.mat")
    assert homes(tmp_path, has_labels) == [tmp_path / "first", tmp_path / "second" / "copy"]
    with pytest.raises(HarBenchError, match="holds Labels 2 times, in first, second/copy; give one of these folders"):
        home(tmp_path, has_labels, "Labels")


def test_folders_and_files_come_nearest_first(tmp_path: Path) -> None:
    write(tmp_path, "b/1", "a/c/2", "3", ".hidden/4", ".5")
    assert [path.relative_to(tmp_path).as_posix() for path in folders(tmp_path)] == [".", "a", "b", "a/c"]
    assert [path.name for path in files(tmp_path)] == ["3", "1", "2"]
    assert list(files(tmp_path / "3")) == [tmp_path / "3"]


# ---- what is said when there is nothing


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "it is empty"),
        (["a.jpg", "b/c.jpg", "b/list.csv"], "it holds 2 .jpg, 1 .csv, such as b/list.csv"),
        (["a.1", "a.2", "a.3", "b", "c.4", "d.4"], "it holds 2 .4, 1 .1, 1 .2 and others"),
    ],
)
def test_what_is_there_is_said(tmp_path: Path, names: list[str], said: str) -> None:
    text = str(nothing_found(write(tmp_path, *names), "Labels", "labels/*.mat"))
    assert said in text
    assert text.endswith("; expected labels/*.mat")


def test_folders_alone_are_said(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert "only folders such as a, a/b" in str(nothing_found(tmp_path, "Labels", "x"))


@pytest.mark.parametrize(
    "name", ["all.zip", "all.tar", "all.tar.gz", "all.tgz", "ALL.ZIP", "all.rar", "all.7z", "a.gz"]
)
def test_an_archive_in_the_folder_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    text = str(nothing_found(write(tmp_path, f"data/{name}", "README.txt"), "Labels", "labels/*.mat"))
    assert f"data/{name}; unpack" in text


@pytest.mark.parametrize("name", ["all.zip", "all.tar", "all.tar.gz", "all.tgz", "all.rar", "all.7z", "all.TAR.XZ"])
def test_an_archive_given_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    with pytest.raises(HarBenchError, match=rf"{name} is an archive; unpack it"):
        refuse_archive(tmp_path / name)


def test_an_archive_is_told_by_its_content_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.mat", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(HarBenchError, match="is an archive; unpack it"):
        refuse_archive(tmp_path / "data.mat")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.json.xz", "a.npz"])
def test_what_a_converter_may_read_is_no_archive(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a", "b")
    if name != "a.npz":
        write(tmp_path, name)
    refuse_archive(tmp_path / name)
    refuse_archive(tmp_path)


def test_a_tar_inside_another_name_is_still_no_dataset(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(__file__, "a")
    assert "unpack it" in str(nothing_found(tmp_path / "x.tar", "Labels", "labels"))
    assert "is no file of Labels" in str(nothing_found(write(tmp_path, "x.dat") / "x.dat", "Labels", "labels"))


# ---- names


@pytest.mark.parametrize(
    "path",
    ["a.jpg", "images/a.jpg", "/data/images/a.jpg", r"images\a.jpg", r"C:\images\a.jpg", "../a.jpg", r"..\a.jpg"],
)
def test_the_name_of_a_file_of_any_system(path: str) -> None:
    assert file_name(path) == "a.jpg"


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train_2.json", "train"),
        ("Test.JSON", "test"),
        ("poses_train.pkl", "train"),
        ("prepare_train_merl.pkl", "train"),
        ("val/003418_merl_test.json", "val"),
        ("003418_test_merl/a.json", "test"),
        ("test_of_new_camera.json", None),
        ("trained.json", None),
        ("latest.json", None),
        ("a.json", None),
    ],
)
def test_a_split_is_a_folder_or_the_last_word(path: str, split: str | None) -> None:
    assert split_word(Path(path), ["train", "val", "test"], ignoring=["merl"]) == split


def test_a_path_is_found_in_any_case(tmp_path: Path) -> None:
    (tmp_path / "LABELS").mkdir()
    (tmp_path / "LABELS/A.TXT").touch()
    assert in_any_case(tmp_path, "labels/a.txt").samefile(tmp_path / "LABELS/A.TXT")
    assert in_any_case(tmp_path, "labels/b.txt").name == "b.txt"
    assert not in_any_case(tmp_path, "none/b.txt").exists()
