"""Full disks, folders nobody may write, names of any bytes, files nobody can read: a sentence, nothing half-written."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import har_bench
from har_bench import HarBenchError
from har_bench.converting import folders
from har_bench.files import write_whole
from har_bench.storing.fingerprint import of_file
from tests.disks import leave, mounted
from tests.golden import ROOT
from tests.locks import held
from tests.toy import write_raw

TOY = "tests.toy:Toy"
FRAMES = [300, 311, 302, 303]
HAR_BENCH = [sys.executable, "-c", "from har_bench.cli import main; main()"]


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with the hash of its bytes."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "size=600k") as place:
        yield place


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("raw"), FRAMES)


@pytest.fixture(scope="module", params=["parquet", "hdf5", "both"])
def reference(request: pytest.FixtureRequest, raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / request.param
    har_bench.convert(TOY, raw, out, jobs=1, format=request.param, quiet=True)
    return out


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_conversion_on_a_full_disk_says_how_much_is_needed_and_resumes(
    jobs: int, raw: Path, disk: Path, tmp_path: Path
) -> None:
    har_bench.convert(TOY, raw, tmp_path / "reference", jobs=1, quiet=True)
    filler = leave(disk, 450)
    full = r"disk of .*store\.partial is full: about [\d.]+ MB more .* and [\d.]+ MB are free; make room, then resume"
    with pytest.raises(HarBenchError, match=full):
        har_bench.convert(TOY, raw, disk / "store", jobs=jobs, quiet=True)
    assert not list(disk.rglob("*.unfinished"))
    assert list((disk / "store.partial" / "poses").iterdir())  # what was finished is kept
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
    har_bench.convert(TOY, raw, disk / "store", jobs=1, quiet=True)
    assert tree(disk / "store") == tree(tmp_path / "reference")


def test_a_full_disk_on_which_nothing_was_done_is_left_as_it_was(raw: Path, disk: Path) -> None:
    leave(disk, 20)
    with pytest.raises(HarBenchError, match="is full"):
        har_bench.convert(TOY, raw, disk / "store", jobs=1, quiet=True)
    assert [path.name for path in disk.iterdir()] == ["filler"]


HDF5 = """
import sys
import har_bench
try:
    har_bench.convert("tests.toy:Toy", sys.argv[1], sys.argv[2], jobs=1, format=sys.argv[3], quiet=True)
except har_bench.HarBenchError as error:
    print(error)
"""


@pytest.mark.parametrize("kilobytes", [0, 8, 100, 250, 400, 500])
@pytest.mark.parametrize("what", ["repack", "convert"])
def test_a_disk_that_is_full_while_hdf5_is_written_is_one_sentence(
    what: str, kilobytes: int, raw: Path, tmp_path: Path
) -> None:
    """In a process of its own, for HDF5 ends the process that it tells of a full disk."""
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    source = tmp_path / "store" if what == "repack" else raw
    parts = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*.*"))
    with mounted(tmp_path / "disk", f"size={parts // 1000 + 700}k") as disk:
        leave(disk, kilobytes + (parts // 1000 + 60 if what == "convert" else 0))
        words = [sys.executable, "-c", HDF5, str(source), str(disk / "arrays"), "hdf5"]
        run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, "")
        assert "is full: about" in run.stdout
        assert run.stdout.count("\n") == 1
        left = {path.name for path in disk.rglob("*")}
        assert not [name for name in left if "unfinished" in name or name == "arrays.h5"]
        if what == "repack":
            assert left == {"filler"}


def test_any_disk_that_fails_is_one_sentence(
    reference: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no disk can be mounted: the system's answer to every sync."""

    def fsync(handle: int) -> None:
        raise OSError(answer[-1], os.strerror(answer[-1]))

    answer: list[int] = []
    monkeypatch.setattr(os, "fsync", fsync)
    for code, words in ((errno.ENOSPC, "is full: about"), (errno.EIO, "cannot be written .*; then resume with")):
        answer.append(code)
        with pytest.raises(HarBenchError, match=words):
            har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
        with pytest.raises(HarBenchError, match=words):
            har_bench.convert("toy", reference, tmp_path / "other", quiet=True)
        assert not list(tmp_path.iterdir())


def test_a_read_only_disk_is_asked_before_the_work(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.toy.Toy.discover", lambda self, raw: pytest.fail("the work was begun"))
    with mounted(tmp_path / "disk", "size=100k") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(HarBenchError, match=r"cannot be written \(.*disk is read-only\); name a folder"):
            har_bench.convert(TOY, raw, disk / "a" / "store", quiet=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 256, "too long"), ("x" * 250, "too long"), ("é" * 130, "too long"), ("file/store", "is a file")],
)
def test_a_destination_that_cannot_be_is_told_before_the_work(
    name: str, words: str, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.toy.Toy.discover", lambda self, raw: pytest.fail("the work was begun"))
    (tmp_path / "file").touch()
    with pytest.raises(HarBenchError, match=rf"{words}\); name a folder"):
        har_bench.convert(TOY, raw, tmp_path / name, quiet=True)
    with pytest.raises(HarBenchError, match="is a file; name a folder"):
        har_bench.convert(TOY, raw, tmp_path / "file", quiet=True)


def test_a_file_of_the_longest_name_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    write_whole(path, b"whole")
    assert [path.read_bytes()] == [each.read_bytes() for each in tmp_path.iterdir()]


def test_a_folder_that_holds_something_else_is_not_touched_and_an_empty_one_is_used(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").touch()
    with pytest.raises(HarBenchError, match="is not empty and is no store; choose another folder"):
        har_bench.convert(TOY, raw, tmp_path / "thesis", quiet=True)
    (tmp_path / "empty").mkdir()
    har_bench.convert(TOY, raw, tmp_path / "empty", jobs=1, quiet=True).validate()


def test_two_repacks_into_one_folder_are_refused(reference: Path, tmp_path: Path) -> None:
    with held(tmp_path / "store"), pytest.raises(HarBenchError, match="another conversion"):
        har_bench.convert("toy", reference, tmp_path / "store", quiet=True)
    har_bench.convert("toy", reference, tmp_path / "store", quiet=True).validate()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


RACE = """
import sys
import har_bench
try:
    har_bench.convert(sys.argv[1], sys.argv[2], sys.argv[3], jobs=1, format="hdf5", quiet=True)
except har_bench.HarBenchError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["convert", "repack"])
def test_of_several_processes_that_want_one_folder_one_writes_it(what: str, raw: Path, tmp_path: Path) -> None:
    expected = har_bench.convert(TOY, raw, tmp_path / "parquet", jobs=1, quiet=True)
    words = [TOY, str(raw)] if what == "convert" else ["toy", str(tmp_path / "parquet")]
    command = [sys.executable, "-c", RACE, *words, str(tmp_path / "store")]
    runs = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for run, (out, err) in [(run, run.communicate()) for run in runs]:
        assert (run.returncode, err) == (0, b"")
        assert not out or b"another conversion" in out or b"exists" in out
    store = har_bench.open_store(tmp_path / "store")
    store.validate()
    assert store.fingerprint == expected.fingerprint
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["arrays.h5", "manifest.json"]
    assert not (tmp_path / "store.partial").exists()


def test_whoever_comes_at_any_moment_of_another_conversion_leaves_it_alone(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")

    def make(store: Path, number: int) -> str:
        try:
            with folders.partial_of(store, resume=False) as partial, folders.kept(partial, lambda: False, lambda: 0):
                if store.exists():
                    raise HarBenchError("exists")
                for each in "ab":
                    (partial / each).write_text(str(number))
                folders.finish(partial, store)
        except HarBenchError as error:
            return "late" if "exists" in str(error) or "another conversion" in str(error) else str(error)
        return f"made by {number}"

    with ThreadPoolExecutor(6) as pool:
        for turn in range(60):
            store = tmp_path / f"store-{turn}"
            told = set(pool.map(functools.partial(make, store), range(6)))
            assert told - {"late"} == {f"made by {(store / 'a').read_text()}"}
            assert {path.name for path in store.iterdir()} == {"a", "b"}
            assert (store / "a").read_text() == (store / "b").read_text()
            assert [path.name for path in tmp_path.iterdir() if path.name.startswith(f"{store.name}.")] == []


def test_an_arrays_file_alone_is_repacked(reference: Path, tmp_path: Path) -> None:
    if not (reference / "arrays.h5").exists():
        pytest.skip("a store without arrays")
    words = ["convert", "toy", str(reference / "arrays.h5"), str(tmp_path / "store"), "--format", "parquet", "--quiet"]
    subprocess.run([*HAR_BENCH, *words], cwd=ROOT, check=True, capture_output=True)
    store = har_bench.open_store(tmp_path / "store")
    store.validate()
    assert store.fingerprint == har_bench.open_store(reference).fingerprint
    assert (tmp_path / "store" / "sequences.parquet").exists()
    with pytest.raises(HarBenchError, match="is a store of toy and not of mpii"):
        har_bench.convert("mpii", reference / "arrays.h5", tmp_path / "other", quiet=True)


@pytest.mark.parametrize("harm", ["dangling", "loop", "folder", "closed"])
def test_a_raw_file_that_cannot_be_read_is_a_reject_and_the_rest_is_converted(harm: str, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", [5, 6, 8])
    bad = raw / "s001.txt"
    if harm == "closed":
        if os.geteuid() == 0:
            pytest.skip("nothing is closed to root")
        bad.chmod(0)
    else:
        bad.unlink()
        bad.mkdir() if harm == "folder" else bad.symlink_to("/nowhere/at/all" if harm == "dangling" else bad)
    for _ in range(2):  # the second time there is nothing to do
        store = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
        assert store.sequences["sequence"].to_pylist() == ["s000/left", "s000/right", "s002/left", "s002/right"]
        (row,) = store.table("rejects").to_pylist()
        assert (row["source"], row["action"]) == ("s001.txt", "dropped")
        assert row["reason"].startswith("it cannot be read (")
        assert str(tmp_path) not in row["reason"]
    with pytest.raises(HarBenchError, match=r"s001\.txt, s001: it cannot be read \(.*--strict"):
        har_bench.convert(TOY, raw, tmp_path / "strict", jobs=1, strict=True, quiet=True)


def test_what_may_not_be_looked_at_is_one_sentence(reference: Path, raw: Path, tmp_path: Path) -> None:
    """As a user without the rights of root, whom nothing is closed to."""
    folders = {name: tmp_path / name for name in ("raw", "store", "out", "unread")}
    shutil.copytree(raw, folders["raw"])
    shutil.copytree(reference, folders["store"])
    shutil.copytree(reference, folders["unread"])
    for path in folders["unread"].rglob("*.*"):
        path.chmod(0)
    folders["out"].mkdir()
    for name in ("raw", "store", "out"):
        folders[name].chmod(0)
    humble = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if humble and (sys.platform != "linux" or shutil.which("setpriv") is None):
        pytest.skip("needs a way to give root's rights up")
    for words in (
        ["convert", TOY, folders["raw"], tmp_path / "fresh"],
        ["convert", TOY, raw, folders["out"]],
        ["convert", TOY, raw, folders["out"] / "deeper"],
        ["convert", "toy", folders["store"], tmp_path / "fresh"],
        ["validate", folders["store"]],
        ["validate", folders["unread"]],
    ):
        run = subprocess.run(
            [*humble, *HAR_BENCH, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stderr.count("\n")) == (1, 1), run.stderr
        assert any(word in run.stderr for word in ("Permission denied", "read-only"))
    for path in folders.values():
        path.chmod(0o700)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(folders)


def test_a_pipe_among_the_raw_files_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", [5])
    os.mkfifo(raw / "s001.txt")
    with pytest.raises(HarBenchError, match=r"s001\.txt is a pipe or a device and not a file; remove it"):
        har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8_are_rejects_or_escaped(tmp_path: Path) -> None:
    home = tmp_path / os.fsdecode(b"caf\xe9  raw")
    raw = write_raw(home, [5, 6])
    (raw / os.fsdecode(b"s00\xff.txt")).write_text("8")
    store = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.sequences.num_rows == 4
    (row,) = store.table("rejects").to_pylist()
    assert row["source"] == "s00\\udcff.txt"
    assert "not UTF-8; rename the file" in row["reason"]
    assert [source.path for source in store.manifest.sources] == ["s000.txt", "s001.txt", "s00\\udcff.txt"]
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)  # nothing to do

    odd = tmp_path / os.fsdecode(b"st\xff")
    with pytest.raises(HarBenchError, match="not UTF-8"):  # which Arrow cannot write to
        har_bench.convert(TOY, raw, odd, quiet=True)
    store.path.rename(odd)
    with pytest.raises(HarBenchError, match="not UTF-8; rename"):
        har_bench.open_store(odd)
    run = subprocess.run([*HAR_BENCH, "info", os.fsencode(odd)], cwd=ROOT, capture_output=True, check=False)
    assert (run.returncode, run.stderr.count(b"\n")) == (1, 1)
