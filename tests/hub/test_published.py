"""Published weights: the list, fetching them without a network and with pip, and whether they are whole."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from har_bench import HarBenchError
from har_bench.cli import main
from har_bench.published import cache, catalogue, content, fetching, folder
from har_bench.published.fetching import fetch
from har_bench.published.listing import Published

SMALL = {"one": b"first file" * 100, "two": b"second file" * 99}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Published]:
    """A catalogue of two files of one package, one of another, and one that no package holds."""

    def made(name: str, **more: Any) -> Published:
        known = SMALL.get(name, b"third")
        told = {"bytes": len(known), "sha256": hashlib.sha256(known).hexdigest()} | more
        return Published(name=name, file=f"{name}.bin", about="a test", licence="MIT", model="tiny", **told)

    files = {
        "one": made("one", sets=("both",), pip="tiny==1", member="tiny/one.bin", licence_text="*.dist-info/LICENSE"),
        "two": made("two", sets=("both",), pip="tiny==1", member="tiny/two.bin"),
        "web": made(
            "web",
            url="https://example.org/web.bin",
            bytes=0,
            sha256="",
            md5=hashlib.md5(b"third", usedforsecurity=False).hexdigest(),
        ),
        "bare": made("bare", url="https://example.org/bare.bin", bytes=0, sha256=""),
    }
    for module in ("listing", "cache"):
        monkeypatch.setattr(f"har_bench.published.{module}.catalogue", lambda: files)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "kept"))
    return files


def wheel(path: Path, *, names: tuple[str, ...] = ("one", "two"), damage: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"tiny/{name}.bin", SMALL[name] + damage)
        archive.writestr("tiny-1.dist-info/LICENSE", "do what you like")
    return path


def tgz(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in SMALL.items():
            info = tarfile.TarInfo(f"tiny/{name}.bin")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_blazepose_s_files_are_listed_with_their_checksums_without_importing_torch() -> None:
    code = "from har_bench.published import catalogue; import sys; print(*catalogue(), 'torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pose_landmark_full" in said
    assert said.rstrip().endswith("False")
    full = catalogue()["pose_landmark_full"]
    assert (full.bytes, full.sha256[:8], full.licence, full.model) == (6_440_512, "e9a5c5cb", "Apache-2.0", "blazepose")
    for each in catalogue().values():
        assert each.about
        assert each.licence
        assert bool(each.url) != bool(each.pip or each.npm)
        assert bool(each.member) == bool(each.pip or each.npm)
        assert len(each.sha256) in (0, 64)
        assert len(each.md5) in (0, 32)


@pytest.mark.parametrize("source", ["wheel", "package", "folder of files", "folder of wheels", "renamed file"])
def test_files_come_out_of_whatever_somebody_has(source: str, small: dict[str, Published], tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    if source == "wheel":
        place = wheel(given / "tiny-1-py3-none-any.whl")
    elif source == "package":
        place = tgz(given / "tiny.tgz")
    elif source == "renamed file":
        place = given / "download (3)"
        place.write_bytes(SMALL["one"])
    else:
        place = given
        (given / "notes.txt").write_text("something else")
        if source == "folder of wheels":
            wheel(given / "tiny.whl")
        else:
            for name, data in SMALL.items():
                (given / f"any {name}").write_bytes(data)
    said: list[str] = []
    name = "one" if source == "renamed file" else "both"
    found = fetch(name, place, say=said.append)
    assert [path.read_bytes() for path in found] == ([SMALL["one"]] if name == "one" else [*SMALL.values()])
    assert content(small["one"]) == content(small["one"], place) == SMALL["one"]
    assert f"{found[0]}: 1,000 bytes, checksum compared; licence: MIT" in said
    licence = folder() / "LICENSE-tiny.txt"
    assert licence.is_file() == ("wheel" in source)
    said.clear()
    assert fetch(name, say=said.append) == found
    assert said[0] == f"one.bin is here already: {found[0]}"


def test_pip_fetches_a_wheel_once_for_all_its_files(
    small: dict[str, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run(words: Any, **_: Any) -> Any:
        asked.append(words)
        wheel(Path(words[words.index("--dest") + 1]) / "tiny-1-py3-none-any.whl")
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", run)
    assert [path.name for path in fetch("both")] == ["one.bin", "two.bin"]
    (words,) = asked
    assert words[1:5] == ("-m", "pip", "download", "tiny==1")
    assert {"--no-deps", "--only-binary=:all:", "--python-version"} <= set(words)
    assert (folder() / "LICENSE-tiny.txt").read_text() == "do what you like"


def test_a_download_that_fails_says_pip_s_last_line(
    small: dict[str, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess(
        (), 1, "", "WARNING: retrying\nERROR: No matching distribution found for tiny==1\n"
    )
    monkeypatch.setattr(fetching.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(
        HarBenchError, match=r"tiny==1 could not be fetched \(ERROR: No matching .*\); try again, or give"
    ):
        fetch("both")
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(HarBenchError, match=r"this Python has no pip; .*, or give the files with --from"):
        fetch("both")
    assert not folder().exists()


def test_other_files_are_opened_by_the_user_and_then_checked(small: dict[str, Published], tmp_path: Path) -> None:
    with pytest.raises(
        HarBenchError, match=r"open https://example.org/web.bin, save it, and give it: `har-bench weights f"
    ):
        fetch("web")
    (tmp_path / "web").write_bytes(b"third")
    assert fetch("web", tmp_path / "web")[0].read_bytes() == b"third"
    (tmp_path / "bare").write_bytes(b"anything")
    said: list[str] = []
    fetch("bare", tmp_path / "bare", say=said.append)
    assert "8 bytes, there is no checksum to compare it with; licence: MIT" in said[0]


def test_what_is_not_the_file_is_refused_and_not_kept(small: dict[str, Published], tmp_path: Path) -> None:
    for place, words in (
        (wheel(tmp_path / "bad.whl", damage=b"!"), "what was found as one.bin has 1,001 bytes and not 1,000"),
        (wheel(tmp_path / "half.whl", names=("two",)), "half.whl does not hold one.bin"),
        (tmp_path / "nothing", "nothing does not exist; give one.bin"),
    ):
        with pytest.raises(HarBenchError, match=words):
            fetch("both", place)
    (tmp_path / "text.whl").write_text("no archive")
    with pytest.raises(HarBenchError, match=r"text.whl is no archive that can be read"):
        fetch("both", tmp_path / "text.whl")
    (tmp_path / "other").write_bytes(b"x" * 1000)
    with pytest.raises(HarBenchError, match=r"has the sha256 .* and not .*; get it from where it is published"):
        fetch("one", tmp_path / "other")
    assert not folder().exists()


def test_damaged_absent_and_exchanged_files_are_one_sentence(small: dict[str, Published], tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"one.bin is not in .*; `har-bench weights fetch both` gets it"):
        content(small["one"], fetch="both")
    fetch("both", wheel(tmp_path / "tiny.whl"))
    place = folder() / "one.bin"
    place.write_bytes(SMALL["one"][:-1] + b"?")
    with pytest.raises(
        HarBenchError, match=r"one.bin as it was published: it has the sha256 .*; `har-bench weights fetch"
    ):
        content(small["one"])
    place.write_bytes(SMALL["two"])
    with pytest.raises(HarBenchError, match="it has 1,089 bytes and not 1,000"):
        content(small["one"])
    assert [(each.path.name, each.state) for each in cache.kept()] == [
        ("one.bin", "damaged"),
        ("two.bin", "as published"),
    ]
    fetch("one", wheel(tmp_path / "tiny.whl"))
    assert content(small["one"]) == SMALL["one"]


@pytest.mark.parametrize("what", ["unfolds into more than", "it has more than 3 members"])
def test_an_archive_that_is_made_to_harm_is_refused(
    what: str, small: dict[str, Published], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.tgz"
    if what.startswith("unfolds"):
        path.write_bytes(gzip.compress(bytes(80 << 20), 1))
    else:
        monkeypatch.setattr("har_bench.published.sources._MEMBERS", 3)
        with tarfile.open(path, "w:gz") as archive:
            for number in range(4):
                archive.addfile(tarfile.TarInfo(f"{number}"))
    with pytest.raises(HarBenchError, match=rf"tiny\.tgz is no archive that can be read \({what}.*; fetch it again"):
        fetch("one", path)


def test_an_unknown_name_has_a_suggestion(small: dict[str, Published]) -> None:
    with pytest.raises(HarBenchError, match="published weights is called 'bth'; did you mean 'both'"):
        fetch("bth")


def test_the_folder_is_the_user_s_cache_or_what_the_variable_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    assert folder() == tmp_path
    monkeypatch.delenv(cache.VARIABLE)
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert folder() == tmp_path / "cache" / "har_bench" / "weights"
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert folder() == Path.home() / "Library" / "Caches" / "har_bench" / "weights"


def refused(*words: str) -> bool:
    """Whether the command ends with status 1."""
    with pytest.raises(SystemExit) as stopped:
        main(["weights", *words])
    return stopped.value.code == 1


def test_the_commands(small: dict[str, Published], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "verify"])
    assert "nothing was fetched into" in capsys.readouterr().out
    main(["weights", "fetch", "both", "--from", str(wheel(tmp_path / "tiny.whl"))])
    main(["weights", "verify"])
    assert capsys.readouterr().out.splitlines()[-1] == f"2 files in {folder()}"
    (folder() / "two.bin").write_bytes(b"")
    assert refused("verify")
    assert "two.bin in " in capsys.readouterr().err
    assert refused("fetch", "nobody")


def test_the_list_command_names_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    main(["weights", "list"])
    said = capsys.readouterr().out.splitlines()
    for name, each in catalogue().items():
        (line,) = (line for line in said if line.startswith(f"  {name} "))
        assert each.about in line
        assert each.licence in line
