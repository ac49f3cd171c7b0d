"""The convert engine: identical bytes whatever happens, and one clear line for bad input."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import har_bench
from har_bench import HarBenchError
from har_bench.converter import Shard, Tables
from har_bench.errors import HarBenchWarning
from har_bench.storing.fingerprint import of_file
from tests.golden import REAL, ROOT
from tests.locks import held
from tests.toy import Toy, write_raw

TOY = "tests.toy:Toy"
FRAMES = [5, 11, 14, 3, 8, 50, 21, 9, 10, 6]


def interrupt(raw: Path, out: Path) -> Path:
    """Begin a conversion that fails at its fifth shard, as a bug would make it; the partial folder."""

    def read(self: Toy, shard: Shard) -> Tables:
        if shard.key == "s004":
            raise RuntimeError("a bug")
        return whole(self, shard)

    whole = Toy.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Toy, "read", read)
        with pytest.raises(RuntimeError):
            har_bench.convert(TOY, raw, out, jobs=1, quiet=True)
    return out.with_name(f"{out.name}.partial")


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with the hash of its bytes."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_raw(tmp_path_factory.mktemp("raw"), FRAMES)


@pytest.fixture(scope="module")
def reference(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stores") / "reference"
    har_bench.convert(TOY, raw, out, jobs=1, quiet=True)
    return out


def test_a_store_holds_what_the_converter_read(reference: Path) -> None:
    store = har_bench.open_store(reference)
    assert store.manifest.rows == {
        "segments": 20,
        "poses": 2 * sum(FRAMES),
        "sequences": 20,
        "cameras": 10,
        "rejects": 2,
    }
    assert store.manifest.splits == {"x/test": 10, "x/train": 10, "y/test": 10}
    assert [source.path for source in store.manifest.sources] == [f"s{number:03d}.txt" for number in range(10)]
    published = store.manifest.published[0]
    assert (published.expected, published.found) == (4, 20)
    assert store.table("rejects")["locator"].to_pylist() == ["line 1", "line 1"]
    store.validate()


@pytest.mark.parametrize("jobs", [2, 4])
def test_the_number_of_workers_does_not_change_a_byte(jobs: int, raw: Path, reference: Path, tmp_path: Path) -> None:
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=jobs, quiet=True)
    assert tree(tmp_path / "store") == tree(reference)


def test_the_longest_shards_are_begun_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, whole, begun = write_raw(tmp_path / "raw", ["05", "6", "0007"]), Toy.read, []
    monkeypatch.setattr(Toy, "read", lambda self, shard: (begun.append(shard.key), whole(self, shard))[1])
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert begun == ["s002", "s000", "s001"]


def test_a_dask_cluster_gives_the_same_bytes(raw: Path, reference: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
    ) as cluster:
        har_bench.convert(TOY, raw, tmp_path / "store", scheduler=cluster.scheduler_address, quiet=True)
    assert tree(tmp_path / "store") == tree(reference)


def test_an_absent_scheduler_is_one_sentence(raw: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(HarBenchError, match="no Dask scheduler answers at nonsense"):
        har_bench.convert(TOY, raw, tmp_path / "store", scheduler="nonsense://x", quiet=True)


SLOWLY = """
import sys, time
sys.path.insert(0, {root!r})
import har_bench, har_bench.converting.journal as journal
add = journal.add
def slow(*args):
    time.sleep({pause})
    add(*args)
journal.add = slow
if __name__ == "__main__":
    har_bench.convert({dataset!r}, {raw!r}, {out!r}, jobs={jobs}, quiet=True)
"""


def finished_shards(partial: Path) -> int:
    """How many whole lines the journal has."""
    journal = partial / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def kill_and_resume(dataset: str, raw: Path, reference: Path, out: Path, *, jobs: int, pause: float) -> None:
    """SIGKILL a conversion at eight random moments; what the ninth run finishes is the reference.

    Every other kill waits until the run has finished a shard, so that the machine's load cannot spoil the test.
    """
    code = SLOWLY.format(root=str(ROOT), dataset=dataset, raw=str(raw), out=str(out), jobs=jobs, pause=pause)
    partial = out.with_name(f"{out.name}.partial")
    moments = random.Random(jobs)
    reached = set()
    for kill in range(8):
        before = finished_shards(partial)
        run = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        while kill % 2 and finished_shards(partial) <= max(before, 1) and run.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3 if kill % 2 else 1.5))
        run.send_signal(signal.SIGKILL)
        run.wait()
        if out.exists():  # it was faster than the kill: that store must be right, and the next run begins again
            assert tree(out) == tree(reference)
            shutil.rmtree(out)
        reached.add(finished_shards(partial))
    assert len(reached) > 2  # the kills did meet the conversion at different places
    har_bench.convert(dataset, raw, out, jobs=jobs, quiet=True)
    assert tree(out) == tree(reference)
    assert not partial.exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_conversion_killed_anywhere_resumes_to_the_identical_store(jobs: int, tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", range(3, 63))
    har_bench.convert(TOY, raw, tmp_path / "reference", jobs=1, quiet=True)
    kill_and_resume(TOY, raw, tmp_path / "reference", tmp_path / "store", jobs=jobs, pause=0.05 * jobs)


@pytest.mark.real
def test_real_files_give_the_same_bytes_for_any_number_of_workers_and_after_any_kill(tmp_path: Path) -> None:
    raw = REAL / "h36m" / "h36m_raw_mini"
    stores = {jobs: tmp_path / f"store{jobs}" for jobs in (1, 2, 4)}
    for jobs, out in stores.items():
        har_bench.convert("h36m", raw, out, jobs=jobs, quiet=True)
    assert tree(stores[1]) == tree(stores[2]) == tree(stores[4])
    kill_and_resume("h36m", raw, stores[1], tmp_path / "killed", jobs=2, pause=0.02)


@pytest.mark.parametrize("cut", [0, 1, 40, -1, -30])
def test_a_journal_cut_off_anywhere_is_resumed(cut: int, raw: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    partial = interrupt(raw, out)
    journal = partial / "journal.jsonl"
    text = journal.read_bytes()
    journal.write_bytes(text[:cut] if cut else text)
    (partial / "poses" / ".part-00099.parquet.1.unfinished").touch()
    har_bench.convert(TOY, raw, out, jobs=1, quiet=True)
    assert tree(out) == tree(reference)


@pytest.mark.parametrize("fate", ["cut", "exchanged", "exchanged with its time", "a bit", "gone"])
@pytest.mark.parametrize("name", ["poses/part-00001.parquet", "shards/00001-sequences.arrow"])
def test_a_part_that_is_not_what_was_written_is_made_again(
    name: str, fate: str, raw: Path, reference: Path, tmp_path: Path
) -> None:
    partial = interrupt(raw, tmp_path / "store")
    part, other = partial / name, partial / name.replace("00001", "00002")
    content = bytearray(part.read_bytes())
    if fate.startswith("exchanged"):
        (shutil.copy2 if fate.endswith("time") else shutil.copy)(other, part)
    elif fate == "gone":
        part.unlink()
    else:
        content[len(content) // 2] ^= 1
        part.write_bytes(content[:-20] if fate == "cut" else content)
    with pytest.warns(HarBenchWarning, match="1 finished shards of .* are converted again"):
        har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert tree(tmp_path / "store") == tree(reference)


@pytest.mark.parametrize("line", [0, 1, 3])
@pytest.mark.parametrize("harm", [b"\xff\xfe", b"{", b"[" * 100_000, b"0"])
def test_a_damaged_line_of_a_journal_is_work_done_again(
    line: int, harm: bytes, raw: Path, reference: Path, tmp_path: Path
) -> None:
    partial = interrupt(raw, tmp_path / "store")
    lines = (partial / "journal.jsonl").read_bytes().splitlines(keepends=True)
    middle = len(lines[line]) // 2
    lines[line] = lines[line][:middle] + harm + lines[line][middle + len(harm) :]
    (partial / "journal.jsonl").write_bytes(b"".join(lines))
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert tree(tmp_path / "store") == tree(reference)


def change(path: Path, text: str, *, keep_time: bool) -> None:
    """Change a raw file in place to one of the same size."""
    before = path.stat()
    assert before.st_size == len(text)
    path.write_text(text)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_raw_file_changed_in_place_is_noticed_by_a_resumed_and_by_a_finished_conversion(
    keep_time: bool, tmp_path: Path
) -> None:
    raw, out = write_raw(tmp_path / "raw", FRAMES), tmp_path / "store"
    interrupt(raw, out)
    change(raw / "s001.txt", "12", keep_time=keep_time)
    with pytest.warns(HarBenchWarning, match="1 finished shards"):
        har_bench.convert(TOY, raw, out, jobs=1, quiet=True)
    har_bench.convert(TOY, raw, tmp_path / "afresh", jobs=1, quiet=True)
    assert tree(out) == tree(tmp_path / "afresh")

    (raw / "s002.txt").touch()
    har_bench.convert(TOY, raw, out, quiet=True)  # of another time, but the same: nothing to do
    har_bench.convert(TOY, out, tmp_path / "hdf5", format="hdf5", quiet=True)
    change(raw / "s002.txt", "15", keep_time=keep_time)
    for folder, layout in ((out, "parquet"), (tmp_path / "hdf5", "hdf5")):
        with pytest.raises(HarBenchError, match=r"made from other files.*\(s002.txt has changed\)"):
            har_bench.convert(TOY, raw, folder, format=layout, quiet=True)


def test_a_raw_file_changed_while_it_is_converted_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, whole = write_raw(tmp_path / "raw", FRAMES), Toy.read
    harmed = raw / "s003.txt"

    moment = {"at": ""}

    def read(self: Toy, shard: Shard) -> Tables:
        if shard.key == moment["at"]:
            change(harmed, "4", keep_time=False)
        return whole(self, shard)

    monkeypatch.setattr(Toy, "read", read)
    for at, words in (("s003", r"s003\.txt changed while it was read"), ("s007", r"s003\.txt changed while .*again")):
        moment["at"] = at
        harmed.write_text("3")
        with pytest.raises(HarBenchError, match=words):
            har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    monkeypatch.undo()
    with pytest.warns(HarBenchWarning, match="1 finished shards"):
        store = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert len(store.sequence("s003/left")) == 4


def test_a_finished_conversion_does_nothing_again(raw: Path, reference: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reference.rglob("*")}
    store = har_bench.convert(TOY, raw, reference, quiet=True)
    assert store.fingerprint == har_bench.open_store(reference).fingerprint
    assert {path: path.stat().st_mtime_ns for path in reference.rglob("*")} == before


def test_a_store_of_other_files_is_not_overwritten(raw: Path, reference: Path, tmp_path: Path) -> None:
    other = write_raw(tmp_path / "raw", [1, 2])
    with pytest.raises(HarBenchError, match="made from other files"):
        har_bench.convert(TOY, other, reference, quiet=True)
    with pytest.raises(HarBenchError, match="made from other files"):
        har_bench.convert(TOY, raw, reference, quiet=True, options={"scale": 2.0})


def test_an_interrupted_conversion_of_other_files_is_not_mixed_in(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    interrupt(write_raw(tmp_path / "raw", [1, 2, 3, 4, 5]), out)
    with pytest.raises(HarBenchError, match="--no-resume"):
        har_bench.convert(TOY, raw, out, jobs=1, quiet=True)
    har_bench.convert(TOY, raw, out, jobs=1, resume=False, quiet=True)
    assert out.exists()


def test_a_broken_file_is_a_reject_and_the_rest_is_converted(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", [5, "oops", 6, ""])
    store = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    assert store.sequences["sequence"].to_pylist() == ["s000/left", "s000/right", "s002/left", "s002/right"]
    rejects = store.table("rejects").to_pylist()
    assert [(row["source"], row["action"]) for row in rejects] == [("s001.txt", "dropped"), ("s003.txt", "dropped")]
    assert rejects[0]["reason"] == "s001.txt holds 'oops' and not a number of frames"  # no path of this machine
    assert store.parts("poses") == [0, 2]
    assert store.sequence("s002/right").frame.tolist() == list(range(6))
    store.validate()


def test_strict_stops_at_the_first_reject_and_leaves_nothing_when_nothing_was_done(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", ["oops"])
    with pytest.raises(HarBenchError, match=r"s000\.txt holds 'oops'"):
        har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, strict=True, quiet=True)
    odd = write_raw(tmp_path / "odd", [7])
    with pytest.raises(HarBenchError, match=r"s000\.txt, line 1: divisible by 7"):
        har_bench.convert(TOY, odd, tmp_path / "store", jobs=1, strict=True, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd", "raw"]


def test_nothing_usable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    raw = write_raw(tmp_path / "raw", ["oops"])
    with pytest.raises(HarBenchError, match="not a number of frames"):
        har_bench.convert(TOY, raw, tmp_path / "store", quiet=True)
    with pytest.raises(HarBenchError, match=r"no \.txt file"):
        har_bench.convert(TOY, write_raw(tmp_path / "empty", []), tmp_path / "store", quiet=True)
    with pytest.raises(HarBenchError, match="does not exist"):
        har_bench.convert(TOY, tmp_path / "nowhere", tmp_path / "store", quiet=True)
    with pytest.raises(HarBenchError, match="called 'colour'; there are scale"):
        har_bench.convert(TOY, raw, tmp_path / "store", quiet=True, options={"colour": "red"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "raw"]


def test_two_conversions_into_one_store_are_refused(raw: Path, tmp_path: Path) -> None:
    with held(tmp_path / "store"), pytest.raises(HarBenchError, match="another conversion"):
        har_bench.convert(TOY, raw, tmp_path / "store", quiet=True)


@pytest.mark.parametrize(
    ("names", "message"),
    [(("b", "a"), "in the order of their sequences' names"), (("a", "a"), "in the order of their sequences' names")],
)
def test_shards_out_of_order_are_the_converters_fault(
    names: tuple[str, str], message: str, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(raw.glob("*.txt"))[:2]
    shards = [Shard(name, (path,)) for name, path in zip(names, files, strict=True)]
    monkeypatch.setattr(Toy, "discover", lambda self, raw: shards)
    with pytest.raises(HarBenchError, match=message):
        har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)


def test_a_relative_path_is_the_same_raw_folder(
    raw: Path, reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(raw.parent)
    har_bench.convert(TOY, raw.name, tmp_path / "store", jobs=1, quiet=True)
    assert tree(tmp_path / "store") == tree(reference)
    har_bench.convert(TOY, raw.name, reference, quiet=True)


def test_a_store_killed_before_its_renaming_is_finished_only_for_the_same_files(
    raw: Path, reference: Path, tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / "store.partial")
    other = write_raw(tmp_path / "raw", [1, 2])
    with pytest.raises(HarBenchError, match="--no-resume"):
        har_bench.convert(TOY, other, tmp_path / "store", quiet=True)
    har_bench.convert(TOY, raw, tmp_path / "store", quiet=True)
    assert tree(tmp_path / "store") == tree(reference)


@pytest.mark.parametrize("layout", ["parquet", "hdf5", "both"])
def test_a_store_damaged_before_its_renaming_is_converted_again(layout: str, raw: Path, tmp_path: Path) -> None:
    har_bench.convert(TOY, raw, tmp_path / "reference", jobs=1, format=layout, quiet=True)
    shutil.copytree(tmp_path / "reference", tmp_path / "store.partial")
    part = tmp_path / "store.partial" / ("poses/part-00001.parquet" if layout == "parquet" else "arrays.h5")
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.warns(HarBenchWarning, match=rf"is converted again, for .*{part.name}"):
        har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, format=layout, quiet=True)
    assert tree(tmp_path / "store") == tree(tmp_path / "reference")


@pytest.mark.parametrize("moment", ["remove_parquet", "folders.finish"])
def test_an_hdf5_store_killed_before_its_renaming_is_not_made_again(
    moment: str, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    har_bench.convert(TOY, raw, tmp_path / "reference", jobs=1, format="hdf5", quiet=True)

    def kill(*paths: Path) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(f"har_bench.converting.engine.{moment}", kill)
        with pytest.raises(RuntimeError):
            har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, format="hdf5", quiet=True)
    monkeypatch.setattr(Toy, "read", lambda self, shard: pytest.fail("the work was begun again"))
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, format="hdf5", quiet=True)
    assert tree(tmp_path / "store") == tree(tmp_path / "reference")


def test_a_finished_store_in_another_format_says_how_to_repack(raw: Path, reference: Path) -> None:
    with pytest.raises(HarBenchError, match="repack it into another folder"):
        har_bench.convert(TOY, raw, reference, format="hdf5", quiet=True)
