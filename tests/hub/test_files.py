"""Files appear whole or not at all, wherever they are and whatever stands in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from har_bench import HarBenchError
from har_bench.files import destination, destination_folder, relative, whole, whole_folder, write_whole


class PowerCut(Exception):  # noqa: N818 - it is none of ours
    pass


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def test_what_is_written_replaces_what_was_there(tmp_path: Path) -> None:
    for content in (b"one", b"", b"three"):
        assert write_whole(tmp_path / "f", content).read_bytes() == content
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("error", [PowerCut, KeyboardInterrupt])
def test_work_that_is_cut_short_leaves_the_old_file_and_no_other(error: type[BaseException], tmp_path: Path) -> None:
    write_whole(tmp_path / "f", b"old")

    def cut() -> None:
        with whole(tmp_path / "f") as temporary:
            temporary.write_bytes(b"half of the n")
            raise error

    with pytest.raises(error):
        cut()
    assert (tmp_path / "f").read_bytes() == b"old"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("name", ["n" * 251 + ".npy", "Gehen üben " * 20, "."])
def test_the_longest_name_that_a_folder_takes_is_not_too_long(name: str, tmp_path: Path) -> None:
    if name == ".":
        with pytest.raises(HarBenchError, match="is a folder; name the file"):
            destination(tmp_path / name)
        return
    write_whole(destination(tmp_path / "new" / name), b"content")
    assert names(tmp_path / "new") == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of this kind")
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """Here a process may write no more than ten bytes into a file."""
    program = (
        "import resource, sys; from pathlib import Path; from har_bench.files import write_whole\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "write_whole(Path(sys.argv[1]), b'1234567890'); write_whole(Path(sys.argv[1]), b'12345678901')"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "f"], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"har_bench.errors.HarBenchError: {tmp_path / 'f'} cannot be written (File too large); ")
    assert (tmp_path / "f").read_bytes() == b"1234567890"
    assert names(tmp_path) == ["f"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"gone.f cannot be written"):
        write_whole(tmp_path / "gone" / "f", b"")


def test_another_file_s_error_stays_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"), whole(tmp_path / "f"):
        (tmp_path / "absent").read_bytes()


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HarBenchError, match=r"f cannot be written .*; name a file somewhere else"):
        destination(tmp_path / "file" / "deep" / "f")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names are bytes there")
def test_a_file_may_have_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = write_whole(tmp_path / os.fsdecode(b"caf\xe9.json"), b"{}")
    assert [os.fsencode(each.name) for each in tmp_path.iterdir()] == [b"caf\xe9.json"]
    assert path.read_bytes() == b"{}"


@pytest.mark.parametrize("url", ["s3://", "s3://bucket/a", "memory://a/b?c", "ftp://127.0.0.1:1/x"])
def test_a_url_is_no_folder_of_this_machine(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for asked in (destination, destination_folder):
        with pytest.raises(HarBenchError, match="is a URL, and this is written on this machine only; name a path"):
            asked(Path(url))
    assert not list(tmp_path.iterdir())


def test_a_raw_file_is_named_from_the_raw_root_on(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (path := tmp_path / "deep" / "f.mat").touch()
    assert relative(tmp_path, path) == "deep/f.mat"
    (tmp_path / "other").mkdir()
    assert relative(path, path) == relative(tmp_path / "other", path) == "f.mat"


def test_of_two_who_fill_one_folder_the_second_leaves_it_alone_and_says_so(tmp_path: Path) -> None:
    place = tmp_path / "site"

    def write(text: str) -> None:
        with whole_folder(place) as growing:
            (growing / "index.html").write_text(text)
            if text == "mine":
                write("theirs")

    with pytest.raises(HarBenchError, match="site was made by another command meanwhile; use what it holds, or name"):
        write("mine")
    assert (place / "index.html").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [place]
