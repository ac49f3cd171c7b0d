"""Raw downloads and stores at URLs: the same bytes as beside this machine, copied once, and again when they changed."""

from __future__ import annotations

import pickle
from pathlib import Path

import fsspec
import pytest

import har_bench
from har_bench import HarBenchError, remote
from har_bench.cli.describing import describe
from har_bench.storing.fingerprint import of_file
from tests.toy import write_raw

pytestmark = pytest.mark.usefixtures("cache")

TOY = "tests.toy:Toy"
FRAMES = [5, 11, 14]


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with the hash of its bytes."""
    return {path.relative_to(folder).as_posix(): of_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw", FRAMES)


def put(raw: Path, url: str) -> None:
    """A raw download at a URL, as somebody's upload left it."""
    files, path = fsspec.core.url_to_fs(url)
    files.makedirs(path, exist_ok=True)
    for each in raw.iterdir():
        files.put_file(str(each), f"{path}/{each.name}")


def test_what_is_a_url() -> None:
    assert remote.as_url("s3://b/x y/") == "s3://b/x y"
    assert remote.as_url(Path("memory://b/x")) == "memory://b/x"
    assert remote.as_url(Path("s3://")) == "s3://"
    assert remote.as_url(Path("file:///a/b")) == "file:///a/b"
    assert remote.local("file:///a/b") == Path("/a/b")
    assert [remote.as_url(path) for path in ("stores/h36m", "/a/b", r"c:\stores", "mpii:x", "")] == [None] * 5
    with pytest.raises(HarBenchError, match=r"without '\.\.'"):
        remote.local("s3://bucket/../../etc")


@pytest.mark.parametrize("layout", ["parquet", "hdf5"])
def test_a_conversion_from_a_url_to_a_url_gives_the_same_bytes(
    layout: str, place: str, raw: Path, tmp_path: Path
) -> None:
    expected = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, format=layout, quiet=True)
    put(raw, f"{place}/raw")
    url = Path(f"{place}/stores/toy")  # as the command line gives it
    store = har_bench.convert(TOY, Path(f"{place}/raw"), url, jobs=1, format=layout, quiet=True)
    assert store.fingerprint == expected.fingerprint
    files, path = fsspec.core.url_to_fs(f"{place}/stores/toy")
    names = {name[len(path) :].strip("/"): files.cat_file(name) for name in files.find(path)}
    assert names == {name: (tmp_path / "store" / name).read_bytes() for name in tree(tmp_path / "store")}
    again = har_bench.convert(TOY, f"{place}/raw", f"{place}/stores/toy", jobs=1, format=layout, quiet=True)
    assert again.fingerprint == expected.fingerprint


@pytest.mark.parametrize("layout", ["parquet", "hdf5"])
def test_a_store_at_a_url_is_opened_and_only_what_is_read_is_copied(
    layout: str, place: str, raw: Path, cache: Path, tmp_path: Path
) -> None:
    store = har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, format=layout, quiet=True)
    put_store(tmp_path / "store", f"{place}/toy")
    far = har_bench.open_store(f"{place}/toy")
    assert far.sequence("s001/left").frame.tolist() == list(range(11))
    copied = [path.name for path in cache.rglob("part-*.parquet")]
    assert copied == (["part-00001.parquet"] if layout == "parquet" and not place.startswith("file:") else [])
    other = pickle.loads(pickle.dumps(far))
    assert other.poses() == store.poses()
    assert far.dask(columns=["frame"]).frame.max().compute() == 13
    far.validate()
    if layout == "hdf5":
        assert har_bench.open_store(f"{place}/toy/arrays.h5").poses() == store.poses()


def test_a_model_is_run_and_scored_on_a_store_at_a_url(place: str, raw: Path, tmp_path: Path) -> None:
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    put_store(tmp_path / "store", f"{place}/toy")
    options = {"protocol": "tests.toy:ToyError", "quiet": True}
    results = [har_bench.run("tests.toy:Zero", at, **options) for at in (tmp_path / "store", f"{place}/toy")]
    assert results[0].metrics == results[1].metrics
    assert describe(f"{place}/toy").splitlines()[1:] == describe(str(tmp_path / "store")).splitlines()[1:]


def put_store(store: Path, url: str) -> None:
    files, path = fsspec.core.url_to_fs(url)
    for each in (each for each in store.rglob("*") if each.is_file()):
        name = f"{path}/{each.relative_to(store).as_posix()}"
        files.makedirs(name.rpartition("/")[0], exist_ok=True)
        files.put_file(str(each), name)


def test_a_copy_is_made_again_when_the_original_changed_and_forgotten_when_it_is_gone(
    bucket: str, raw: Path, tmp_path: Path
) -> None:
    url = f"{bucket}/{tmp_path.name}/raw"
    put(raw, url)
    copy = remote.fetch(url)
    assert tree_without_origins(copy) == tree(raw)
    before = (copy / "s000.txt").stat().st_mtime_ns
    remote.fetch(url)
    assert (copy / "s000.txt").stat().st_mtime_ns == before
    (raw / "s000.txt").write_text("6")
    put(raw, url)
    files, path = fsspec.core.url_to_fs(url)
    files.rm_file(f"{path}/s002.txt")
    (raw / "s002.txt").unlink()
    assert tree_without_origins(remote.fetch(url)) == tree(raw)


def tree_without_origins(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree(folder).items() if not name.endswith(".origin")}


def test_damage_at_a_url_is_noticed(bucket: str, raw: Path, tmp_path: Path) -> None:
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True)
    part = tmp_path / "store" / "poses" / "part-00001.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    url = f"{bucket}/{tmp_path.name}/toy"
    put_store(tmp_path / "store", url)
    with pytest.raises(HarBenchError, match=r"part-00001\.parquet is damaged"):
        har_bench.open_store(url).poses()


def test_a_store_that_others_made_there_is_not_overwritten(place: str, raw: Path, tmp_path: Path) -> None:
    har_bench.convert(TOY, raw, tmp_path / "store", jobs=1, quiet=True, options={"scale": 2.0})
    put_store(tmp_path / "store", f"{place}/toy")
    with pytest.raises(HarBenchError, match=r"not made here; remove it|was made from other files"):
        har_bench.convert(TOY, raw, f"{place}/toy", jobs=1, quiet=True)


def test_one_file_is_fetched_and_published(bucket: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    url = f"{bucket}/{tmp_path.name}/results/mine.json"
    assert not remote.is_there(url)
    remote.publish(tmp_path / "result.json", url)
    assert remote.is_there(url)
    assert remote.fetch(url).read_text() == "{}"
    assert remote.fetch(tmp_path / "result.json") == tmp_path / "result.json"


def test_a_colon_in_a_name_is_no_url(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    har_bench.convert(TOY, raw, "s3:store", quiet=True).validate()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("s3")] == ["s3:store"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://poses/nothing/here", "nothing is at s3://poses/nothing/here"),
        ("memory://nothing", "nothing is at memory://nothing"),
        ("nonsense://x/y", r"nonsense://x/y\S* cannot be reached"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/x"),
    ],
)
def test_what_cannot_be_had_is_one_sentence(url: str, words: str, bucket: str, tmp_path: Path) -> None:
    for work in (
        lambda: har_bench.open_store(url),
        lambda: har_bench.convert(TOY, url, tmp_path / "store", quiet=True),
    ):
        with pytest.raises(HarBenchError, match=words) as told:
            work()
        assert "; " in str(told.value)
    assert not (tmp_path / "store").exists()


def test_a_library_that_is_not_installed_is_named() -> None:
    fsspec.register_implementation("far", "nowhere.at.All", clobber=True, errtxt="Install far")
    with pytest.raises(HarBenchError, match=r"far://a/b needs another library .*har-bench\[remote\]"):
        remote.fetch("far://a/b")


def test_what_a_bucket_holds_that_no_folder_does(bucket: str, raw: Path, tmp_path: Path) -> None:
    """Consoles make empty files that stand for folders; a file and a folder may have one name, of any length."""
    place = f"{bucket}/{tmp_path.name}"
    put(raw, place)
    files, path = fsspec.core.url_to_fs(place)
    home, _, key = path.partition("/")
    for name in ("", "more/"):
        files.call_s3("put_object", Bucket=home, Key=f"{key}/{name}", Body=b"")
    assert remote.files_at(place) == [f"{place}/{each.name}" for each in sorted(raw.iterdir())]
    assert har_bench.convert(TOY, place, tmp_path / "store", jobs=1, quiet=True).sequences.num_rows == 2 * len(FRAMES)
    files.pipe_file(f"{path}/{'x' * 300}", b"")
    with pytest.raises(HarBenchError, match="x has a name that is too long for a file here; rename it there"):
        remote.fetch(place)
    for name in ("a", "a/b"):
        files.pipe_file(f"{path}/{name}", b"")
    with pytest.raises(HarBenchError, match="a is both a file and a folder there, which cannot be here; rename one"):
        remote.fetch(place)
