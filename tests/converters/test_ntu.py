"""NTU RGB+D: the grammar and every number against the golden readers, the published names, samples, other forms."""

from __future__ import annotations

import gzip
import os
import pickle
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har_bench
from har_bench.converter import Reject, Tables
from har_bench.converters.ntu import NTU60, NTU120
from har_bench.converters.ntu import archives as ntu_archives
from har_bench.converters.ntu.converter import FILES, SPLITS
from har_bench.converters.ntu.metadata import packaged, published, recorded, sample, setups, splits
from har_bench.converters.ntu.sample import recording, write_file
from har_bench.converters.ntu.skeleton_file import FLAGS, Frames, parse, read
from har_bench.converters.ntu.tables import POSES, to_metres, to_millimetres
from har_bench.errors import HarBenchError
from har_bench.schema import to_numpy
from har_bench.skeletons import mapping, skeleton
from tests.golden import REAL, load

NTU = REAL / "ntu60"
FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
READERS = sorted((NTU / "golden/readers").glob("*.npz"))
WHOLE = [path for path in READERS if path.stat().st_size > 100]
SUMMARY = load("ntu60/golden/ntu_readers_summary.json")


def raw_file(golden: Path) -> Path:
    """The raw file that a golden archive was read from."""
    kind, _, case = golden.stem.rpartition("__")
    if kind:
        (path,) = (NTU / kind / case).glob("*.skeleton")
        return path
    return NTU / "skeletons" / f"{case}.skeleton"


def tables(raw: Path, converter: Any = NTU60) -> Tables:
    (shard,) = converter().discover(raw)
    return converter().read(shard)


def column(found: Tables, name: str) -> np.ndarray:
    assert found.poses is not None
    return to_numpy(found.poses[name], found.poses.schema.field(name))


def one_file(folder: Path, content: bytes | Frames, name: str = "S001C001P001R001A001") -> Path:
    """A raw folder with one file."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.skeleton"
    if isinstance(content, Frames):
        write_file(path, content)
    else:
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ntu") / "raw"
    NTU120.sample(out, seed=1)
    return out


# ---- the grammar, against readers of the real files


@pytest.mark.real
@pytest.mark.parametrize("golden", WHOLE, ids=lambda path: path.stem)
def test_every_field_equals_the_reference_reader(golden: Path) -> None:
    expected, found = np.load(golden), read(raw_file(golden))
    assert not found.problem
    assert found.declared == len(found.bodies)
    for name, values in {
        "ref_bodies_per_frame": found.bodies,
        "ref_frame_slot": np.stack([found.frame, found.slot], axis=1),
        "ref_body_id": found.person,
        "ref_body_flags": found.flags,
        "ref_lean": found.lean,
        "ref_joints12": np.concatenate([found.numbers, found.tracking[..., None]], axis=-1),
    }.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert found.person.dtype == np.int64


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in SUMMARY if (NTU / "golden/readers" / f"{name}.npz").exists()])
def test_the_counts_of_the_summary(name: str) -> None:
    expected, found = SUMMARY[name]["ref"], read(raw_file(NTU / "golden/readers" / f"{name}.npz"))
    if isinstance(expected, str):  # what every other reader stumbles over
        assert found.problem
        assert len(found.bodies) < found.declared
        return
    assert len(found.bodies) == expected["frames"]
    assert len(found.person) == expected["bodies"]
    assert found.bodies.max() == expected["max_bodies"]
    assert (found.bodies == 0).sum() == expected["zero_frames"]
    assert sorted(set(found.person.tolist())) == expected["ids"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("case", "kept", "announced", "line"),
    [("declared_more_frames", 40, 45, 2202), ("truncated_mid_frame", 24, 40, 1325)],
)
def test_a_file_that_ends_early_keeps_its_whole_frames(case: str, kept: int, announced: int, line: int) -> None:
    found = tables(NTU / "derived" / case)
    reason = f"the file ends here; {kept} whole frames of the {announced} announced are kept"
    assert found.rejects == [Reject("S001C001P001R001A050.skeleton", f"line {line}", reason, "repaired")]
    assert found.sequences["n_frames"].to_pylist() == [kept]
    whole = read(NTU / "skeletons/S001C001P001R001A050.skeleton").first(kept)
    np.testing.assert_array_equal(np.sort(column(found, "person")), np.sort(whole.person))


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(NTU.rglob("*.skeleton")), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_token_is_the_double_that_python_makes_of_it(path: Path) -> None:
    found = read(path)
    joints = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.count(" ") == 11]
    expected = np.array([[float(token) for token in line[:11]] for line in joints[: 25 * len(found.person)]])
    assert found.numbers.reshape(-1, 11).tobytes() == expected.tobytes()


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(NTU.rglob("*.skeleton")), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_store_keeps_every_digit_of_the_real_files(path: Path) -> None:
    found = read(path)
    points = found.numbers[:, :, :3]
    np.testing.assert_array_equal(to_metres(to_millimetres(points)), points)
    for kept in (found.numbers[:, :, 3:], found.lean):
        texts = [f"{value:.7g}" for value in kept.astype(np.float32).ravel().tolist()]
        np.testing.assert_array_equal([float(text) for text in texts], kept.ravel())


# ---- numbers


NUMBER = st.one_of(
    st.floats(allow_subnormal=True).map(repr),
    st.floats(width=32).map(lambda value: f"{value:.7g}"),
    st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str),
    st.from_regex(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "-9.999999E-99", "-0", "5.", ".5", "+1.5", "9007199254740993"]),
)


@given(tokens=st.lists(NUMBER, min_size=275, max_size=275))
@settings(max_examples=40)
def test_any_number_is_correctly_rounded(tokens: list[str]) -> None:
    rows = [f"{' '.join(tokens[11 * joint : 11 * joint + 11])} 2" for joint in range(25)]
    found = parse("\n".join(["1", "1", "7 0 0 0 0 0 0 0 0 2", "25", *rows]).encode(), "text")
    assert not found.problem
    expected = np.array([float(token) for token in tokens])
    np.testing.assert_array_equal(found.numbers.ravel(), expected)
    assert (
        np.array_equal(np.signbit(found.numbers.ravel()), np.signbit(expected) & ~np.isnan(expected))
        or np.isnan(expected).any()
    )
    assert found.long == sum(
        len(re.sub("[eE].*", "", token).replace(".", "").lstrip("+-0")) > 7
        for token, value in zip(tokens, expected, strict=True)
        if abs(value) <= np.finfo(np.float32).max
    )
    assert found.finite == bool((np.abs(expected) <= np.finfo(np.float32).max).all())


@given(
    digits=st.lists(st.integers(-9_999_999, 9_999_999), min_size=1, max_size=50),
    places=st.integers(3, 10),
)
def test_millimetres_keep_seven_digits_of_metres(digits: list[int], places: int) -> None:
    metres = np.array([float(f"{value}e-{places}") for value in digits for _ in range(3)]).reshape(-1, 3)
    kept = np.abs(metres) >= 1e-6  # below a nanometre-and-a-bit, floats of millimetres are coarser than seven digits
    np.testing.assert_array_equal(to_metres(to_millimetres(metres))[kept], metres[kept])


def body(lines: list[str] | None = None, head: str = "72057594037944738 0 1 1 1 1 0 0.5 -1 2") -> list[str]:
    return [head, "25", *(lines or ["1 2 3 4 5 6 7 8 9 10 11 2"] * 25)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", None, "\r\n\r\n", " \n"])
def test_line_ends_do_not_matter(end: str, last: str | None) -> None:
    lines = ["2", "0", "1", *body()]
    found = parse((end.join(lines) + (end if last is None else last)).encode(), "text")
    assert not found.problem
    assert found.bodies.tolist() == [0, 1]
    assert found.person.tolist() == [72057594037944738]
    assert found.flags.tolist() == [[0, 1, 1, 1, 1, 0, 2]]
    assert found.lean.tolist() == [[0.5, -1.0]]


@pytest.mark.parametrize("content", [b"", b"\n", b"x", b"-1\n", b"3.5\n", b"1 2\n", b"\x00\xff" * 50])
def test_a_file_without_a_number_of_frames_is_no_skeleton_file(content: bytes, tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, content))
    assert found.sequences.num_rows == 0
    (reject,) = found.rejects
    assert reject.action == "dropped"
    assert reject.reason.startswith("S001C001P001R001A001.skeleton does not begin with a number of frames")


GOOD = "1 2 3 4 5 6 7 8 9 10 11 2"


@pytest.mark.parametrize(
    "lines",
    [
        ["x"],
        ["-1"],
        ["256"],
        ["1", *body(head="1.5 0 1 1 1 1 0 0.5 -1 2")],
        ["1", *body(head="7 0 1 1 1 1 0 0.5 -1")],
        ["1", *body(head="7 0 1 1 1 1 0 0.5 -1 2 3")],
        ["1", *body(head="7 0 1 1 1 999 0 0.5 -1 2")],
        ["1", *body(head="1234567890123456789 0 1 1 1 1 0 0.5 -1 2")],
        ["1", body()[0], "24", *[GOOD] * 25],
        ["1", *body([*[GOOD] * 24, "1 2 3 4 5 6 7 8 9 10 11"])],
        ["1", *body([*[GOOD] * 24, GOOD + " 5"])],
        ["1", *body([*[GOOD] * 24, "1 2 3 4 5 6 7 8 9 1_0 11 2"])],
        ["1", *body([*[GOOD] * 24, "1 2 3 4 5 6 7 8 9 . 11 2"])],
        ["1", *body([*[GOOD] * 24, "1 2 3 4 5 6 7 8 9 1,5 11 2"])],
        ["1", *body([*[GOOD] * 10, "", *[GOOD] * 14])],
    ],
)
def test_what_follows_a_malformed_line_is_left_out(lines: list[str]) -> None:
    found = parse("\n".join(["3", "1", *body(), *lines, "0", ""]).encode(), "text")
    assert "malformed" in found.problem
    assert found.bodies.tolist() == [1]
    assert len(found.person) == 1
    assert 29 < found.line <= 29 + len(lines)


def test_text_after_the_last_frame_is_reported(tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, "\n".join(["1", "1", *body(), "0", "0"]).encode()))
    (reject,) = found.rejects
    assert (reject.locator, reject.action) == ("line 30", "repaired")
    assert reject.reason == "text follows the last frame; 1 whole frames of the 1 announced are kept"


def test_longer_numbers_than_the_sensors_are_reported(tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, "\n".join(["1", "1", *body(["0.12345678 " + GOOD[2:]] * 25)]).encode()))
    (reject,) = found.rejects
    assert reject.reason.startswith("25 numbers have more than the seven digits")


def test_a_body_that_is_twice_in_a_frame_is_kept_once(tmp_path: Path) -> None:
    other = body(["2" + GOOD[1:]] * 25)
    found = tables(one_file(tmp_path, "\n".join(["1", "2", *body(), *other]).encode()))
    assert column(found, "slot").tolist() == [0]
    (reject,) = found.rejects
    assert (reject.locator, reject.action) == ("frame 0, body 1", "dropped")
    assert reject.reason == "body 72057594037944738 is in this frame already"


# ---- published names, splits and counts


@pytest.mark.real
@pytest.mark.parametrize("classes", [60, 120])
def test_the_names_are_all_published_ones(classes: int) -> None:
    with gzip.open(NTU / f"lists/ntu{classes}_skes_available_name.txt.gz", "rt") as lines:
        available = [line.strip() for line in lines]
    names = [of.name for setup in setups(classes) for of in published(setup)]
    assert sorted(set(names) - packaged().missing) == available
    number = "" if classes == 60 else "120"
    text = (NTU / f"lists/NTU_RGBD{number}_samples_with_missing_skeletons.txt").read_text()
    assert set(re.findall(r"^S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}", text, re.MULTILINE)) == packaged().missing & set(names)


@pytest.mark.parametrize("classes", [60, 120])
def test_the_splits_have_their_published_sizes(classes: int) -> None:
    everything = [of for setup in setups(classes) for of in published(setup)]
    assert len(everything) == sum(map(recorded, setups(classes))) == {60: 56_880, 120: 114_480}[classes]
    counts = Counter(split for of in everything for split in splits(of, classes))
    assert SPLITS[classes].items() <= counts.items()
    if classes == 120:
        rest = {split: count for split, count in counts.items() if split.startswith("oneshot")}
        assert rest["oneshot/exemplars"] == 20
        assert sum(rest.values()) == 113_945


@pytest.mark.parametrize("name", ["S001C002P003R002A013", "S032C003P106R002A120"])
def test_a_name_is_read_and_written(name: str) -> None:
    of = sample(name)
    assert of is not None
    assert of.name == name
    assert sample(name + "_rgb") is None


class Counted:
    """A store that has these sequences."""

    def __init__(self, names: list[str], classes: int) -> None:
        samples = [of for name in names if (of := sample(name))]
        self.rows = [{"sequence": of.name, "setup": of.setup, "form": "skeleton"} for of in samples]
        self.manifest = self
        self.splits = Counter(split for of in samples for split in splits(of, classes))

    def table(self, name: str, columns: list[str]) -> pa.Table:
        return pa.Table.from_pylist(self.rows).select(columns)


@pytest.mark.parametrize("converter", [NTU60, NTU120])
def test_the_published_counts_hold_for_the_published_names(converter: Any) -> None:
    classes = converter.classes
    names = [of.name for setup in setups(classes) for of in published(setup)]
    checks = converter().check(Counted(names, classes))
    assert len(checks) == len(setups(classes)) + 4 + 1
    assert [check.what for check in checks if not check.ok] == []
    assert checks[-1].expected == {60: 302, 120: 535}[classes]


def test_a_part_of_the_dataset_reports_what_is_missing() -> None:
    names = [of.name for of in published(1) if of.name not in ("S001C001P002R001A007", "S001C003P008R002A060")]
    first, second, *_ = NTU60().check(Counted(names, 60))  # type: ignore[arg-type]
    assert (first.expected, first.found) == (2880, 2878)
    assert first.what == "S001: sequences; missing: S001C001P002R001A007, S001C003P008R002A060"
    assert (second.what, second.expected, second.found) == ("S002: sequences; all are missing", 3240, 0)


# ---- the sample, through the engine


def written(path: Path) -> Frames:
    """A file's frames with its bodies in the store's order."""
    found = read(path)
    order = np.lexsort((found.frame, found.person))
    return found._replace(**{name: getattr(found, name)[order] for name in Frames._fields[1:8]})


def same(view: Any, path: Path) -> None:
    """A sequence of the store holds what its file does."""
    expected = written(path)
    assert view.info["n_frames"] == len(expected.bodies)
    np.testing.assert_array_equal(view.frame, expected.frame)
    np.testing.assert_array_equal(view.slot, expected.slot)
    np.testing.assert_array_equal(view.person, expected.person)
    numbers = expected.numbers.astype(np.float32)
    np.testing.assert_array_equal(to_metres(view.keypoints_3d), expected.numbers[:, :, :3])
    np.testing.assert_array_equal(view.depth_keypoints, numbers[:, :, 3:5])
    np.testing.assert_array_equal(view.keypoints, numbers[:, :, 5:7])
    np.testing.assert_array_equal(view.orientation, numbers[:, :, 7:])
    np.testing.assert_array_equal(view.lean, expected.lean.astype(np.float32))
    np.testing.assert_array_equal(view.tracking_state, expected.tracking)
    for place, name in enumerate(FLAGS):
        np.testing.assert_array_equal(getattr(view, name), expected.flags[:, place], err_msg=name)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_sample_is_in_the_store(raw: Path, tmp_path: Path, jobs: int) -> None:
    store = har_bench.convert("har_bench.converters.ntu:NTU120", raw, tmp_path / "store", jobs=jobs, quiet=True)
    store.validate()
    assert store.manifest.rejects == 0
    paths = {path.stem: path for path in raw.rglob("*.skeleton")}
    assert store.sequences["sequence"].to_pylist() == sorted(paths)
    for name, path in paths.items():
        same(store.sequence(name), path)
    rows = {row["sequence"]: row for row in store.sequences.to_pylist()}
    row = rows["S001C002P006R001A008"]
    assert (row["listed_missing"], row["splits"], row["defects"]) == (True, [], ["listed-missing", "nobody"])
    assert (row["n_frames"], row["rows"]) == (rows["S001C001P001R001A001"]["n_frames"], 0)
    row = rows["S018C003P008R001A115"]
    assert (row["subject"], row["camera"], row["setup"], row["replication"], row["label"]) == (
        "P008",
        "C003",
        18,
        1,
        115,
    )
    assert row["action"] == "take a photo of other person"
    assert row["splits"] == ["xsub/train", "xset/train", "oneshot/exemplars"]
    assert row["media"] == "nturgb+d_rgb/S018C003P008R001A115_rgb.avi"
    assert {name: row["defects"] for name, row in rows.items() if row["defects"]} == {
        "S001C002P003R001A050": ["colliding-ids"],
        "S001C002P006R001A008": ["listed-missing", "nobody"],
        "S001C003P001R002A055": ["more-than-two"],
        "S002C001P003R001A013": ["empty-frames"],
        "S003C001P002R001A060": ["colliding-ids"],
        "S018C003P008R001A115": ["colliding-ids"],
        "S019C002P049R002A106": ["colliding-ids"],
    }


def test_ntu60_leaves_the_further_classes_alone(raw: Path) -> None:
    names = [path.stem for path in NTU60().discover(raw)[0].sources]
    assert len(names) == 6
    assert max(names) < "S018"


@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(0, 12),
    people=st.lists(
        st.tuples(st.integers(0, 2**57), st.sets(st.integers(0, 11))), max_size=4, unique_by=lambda p: p[0]
    ),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=30)
def test_any_recording_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, frames: int, people: list[tuple[int, set[int]]], end: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = folder / "raw" / "S010C003P007R002A033.skeleton"
    write_file(
        path, recording(np.random.default_rng(seed), [(who, sorted(seen)) for who, seen in people], frames), end=end
    )
    store = har_bench.convert("har_bench.converters.ntu:NTU60", folder / "raw", folder / "store", jobs=1, quiet=True)
    same(store.sequence(path.stem), path)
    assert store.manifest.rejects == 0


@pytest.mark.real
def test_the_real_files_are_in_the_store(tmp_path: Path) -> None:
    store = har_bench.convert(
        "har_bench.converters.ntu:NTU60", NTU, tmp_path / "store", jobs=1, quiet=True, strict=True
    )
    for path in (NTU / "skeletons").glob("*.skeleton"):
        same(store.sequence(path.stem), path)
        listed = path.stem in packaged().missing
        assert store.sequence(path.stem).info["listed_missing"] == listed
        assert (path.stat().st_size < 1000) == listed


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
    with pytest.raises(HarBenchError, match=r"holds no ntu60: expected \.skeleton files"):
        NTU60().discover(tmp_path)


# ---- skeletons


def test_deephars_layouts_swap_the_sides() -> None:
    joints = skeleton("ntu25")
    indices = [0, 20, 2, 3, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18, 1]
    assert [source for (source,) in mapping(joints, skeleton("ntu-pa17")).sources] == indices
    indices = [0, 20, 2, 3, 4, 8, 5, 9, 6, 10, 7, 11, 12, 16, 13, 17, 14, 18, 15, 19]
    assert [source for (source,) in mapping(joints, skeleton("ntu-pa20")).sources] == indices


# ---- other forms


def arrays(raw: Path) -> dict[str, Frames]:
    return {path.stem: read(path) for path in sorted((raw / "nturgb+d_skeletons").glob("*.skeleton"))}


def slots(frames: Frames, count: int) -> np.ndarray:
    """(count, T, 25, 3) metres of the first slots, 0 where nobody is."""
    values = np.zeros((count, len(frames.bodies), 25, 3))
    inside = frames.slot < count
    values[frames.slot[inside], frames.frame[inside]] = frames.numbers[inside, :, :3]
    return values


def test_txt2npy(raw: Path, tmp_path: Path) -> None:
    files = arrays(raw)
    for name, frames in files.items():
        bodies = max(frames.bodies.tolist(), default=0)
        content: dict[str, Any] = {"file_name": name, "nbodys": frames.bodies.tolist(), "njoints": 25}
        for slot, points in enumerate(slots(frames, bodies)):
            pixels = np.zeros((len(frames.bodies), 25, 2))
            pixels[frames.frame[frames.slot == slot]] = frames.numbers[frames.slot == slot, :, 5:7]
            content |= {f"skel_body{slot}": points, f"rgb_body{slot}": pixels}
        np.save(tmp_path / f"{name}.skeleton.npy", np.array(content, object), allow_pickle=True)
    found = tables(tmp_path)
    assert found.rejects == []
    assert found.sequences["sequence"].to_pylist() == list(files)
    assert found.sequences["n_frames"].to_pylist() == [len(frames.bodies) for frames in files.values()]
    for name, frames in files.items():
        rows = found.poses.filter(pa.compute.equal(found.poses["sequence"], name))
        order = np.lexsort((frames.frame, frames.slot))
        points = to_numpy(rows["keypoints_3d"], rows.schema.field("keypoints_3d"))
        np.testing.assert_array_equal(to_metres(points), frames.numbers[order, :, :3])
        pixels = to_numpy(rows["keypoints"], rows.schema.field("keypoints"))
        np.testing.assert_array_equal(pixels, frames.numbers[order, :, 5:7].astype(np.float32))
        assert rows["person"].to_pylist() == frames.slot[order].tolist()


@pytest.mark.parametrize("layout", ["pyskl", "list"])
def test_pyskl(raw: Path, tmp_path: Path, layout: str) -> None:
    files = arrays(raw)
    annotations = [
        {
            "frame_dir": name,
            "label": int(name[-3:]) - 1,
            "keypoint": slots(frames, 2).astype(np.float16),
            "total_frames": len(frames.bodies),
        }
        for name, frames in reversed(files.items())
    ]
    content = {"split": {"xsub_train": [], "xsub_val": []}, "annotations": annotations}
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps(content if layout == "pyskl" else annotations))
    found = tables(tmp_path)
    assert found.rejects == []
    assert found.sequences["sequence"].to_pylist() == list(files)
    expected = np.concatenate(
        [points[(points != 0).any(axis=(2, 3))] for frames in files.values() for points in [slots(frames, 2)]]
    ).astype(np.float16)
    np.testing.assert_array_equal(column(found, "keypoints_3d"), to_millimetres(expected.astype(np.float64)))
    annotations[0]["label"] = 3
    annotations[1]["keypoint"] = np.zeros((1, 5, 17, 3))
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps(annotations))
    reasons = {reject.locator: reject.reason for reject in tables(tmp_path).rejects}
    assert reasons == {
        annotations[0]["frame_dir"]: "label 3 contradicts the name",
        annotations[1]["frame_dir"]: "keypoint is not of the shape (bodies, frames, 25, 3)",
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_ctrgcn_without_names(tmp_path: Path, save: Any) -> None:
    rng = np.random.default_rng(0)
    halves = {half: rng.normal(size=(count, 30, 150)).astype(np.float32) for half, count in (("train", 3), ("test", 2))}
    for values in halves.values():
        values[:, 20:] = 0
        values[1, :, 75:] = 0
    labels = {f"y_{half}": np.eye(60)[rng.integers(0, 60, len(values))] for half, values in halves.items()}
    save(tmp_path / "NTU60_CS.npz", **labels, **{f"x_{half}": values for half, values in halves.items()})
    found = tables(tmp_path)
    assert found.rejects == []
    rows = found.sequences.to_pylist()
    assert [row["sequence"] for row in rows] == [
        *(f"NTU60_CS/test/{row:06}" for row in range(2)),
        *(f"NTU60_CS/train/{row:06}" for row in range(3)),
    ]
    assert [row["splits"] for row in rows] == [["NTU60_CS/test"]] * 2 + [["NTU60_CS/train"]] * 3
    assert [row["label"] for row in rows] == [
        int(label) + 1 for half in ("test", "train") for label in labels[f"y_{half}"].argmax(axis=1)
    ]
    assert {row["n_frames"] for row in rows} == {20}
    expected = [
        values[row, :20].reshape(20, 2, 25, 3)[:, body]
        for values in (halves["test"], halves["train"])
        for row in range(len(values))
        for body in range(2)
        if body == 0 or row != 1
    ]
    np.testing.assert_array_equal(
        column(found, "keypoints_3d"), to_millimetres(np.concatenate(expected).astype(np.float64))
    )


def test_a_whole_ctrgcn_archive_tells_the_names_by_its_order(tmp_path: Path) -> None:
    order = ntu_archives.ctrgcn_order(60, "xview")
    labels = {half: np.eye(60, dtype=np.uint8)[[of.action - 1 for of in order[half]]] for half in order}
    poses = {half: np.ones((len(order[half]), 1, 150), np.float16) for half in order}
    arrays = {f"y_{half}": labels[half] for half in order} | {f"x_{half}": poses[half] for half in order}
    np.savez(tmp_path / "any.npz", **arrays)
    shards = NTU60().discover(tmp_path)
    assert len(shards) == -(-56_578 // ntu_archives.SEQUENCES_OF_SHARD)
    found = NTU60().read(shards[0])
    names = sorted(of.name for half in order.values() for of in half)
    assert found.sequences["sequence"].to_pylist() == names[: found.sequences.num_rows]
    assert found.sequences["splits"].to_pylist()[0] == ["xsub/train", "xview/test"]


@pytest.mark.real
def test_the_order_of_ctrgcn_is_that_of_its_predictions() -> None:
    with gzip.open(NTU / "golden/ntu60_xsub_sttformer_joint_predictions.csv.gz", "rt") as lines:
        rows = [line.split(",") for line in lines.read().splitlines()[1:]]
    assert [of.name for of in ntu_archives.ctrgcn_order(60, "xsub")["test"]] == [row[0] for row in rows]
    assert [of.action - 1 for of in ntu_archives.ctrgcn_order(60, "xsub")["test"]] == [int(row[1]) for row in rows]


def test_deephar(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([[[1], [2], [5]], rng.normal(size=(3, 150))], axis=1)
    folder = tmp_path / "nturgb+d_numpy"
    folder.mkdir()
    np.save(folder / "S001C001P001R001A001.npy", rows)
    found = tables(tmp_path)
    assert found.sequences["n_frames"].to_pylist() == [5]
    assert column(found, "frame").tolist() == [0, 1, 4]
    np.testing.assert_array_equal(column(found, "keypoints_3d"), to_millimetres(rows[:, 1:76].reshape(3, 25, 3)))
    pixels = np.stack([rows[:, 76:101], rows[:, 101:126]], axis=-1).astype(np.float32)
    np.testing.assert_array_equal(column(found, "keypoints"), pixels)
    np.testing.assert_array_equal(column(found, "joint_depth"), rows[:, 126:].astype(np.float32))


@pytest.mark.real
@pytest.mark.parametrize(
    "path", sorted((REAL / "models/deephar_data/fixtures/NTU/nturgb+d_numpy").glob("*.npy")), ids=lambda path: path.stem
)
def test_deephars_own_fixtures(path: Path) -> None:
    rows, found = np.load(path), tables(path)
    assert found.sequences["sequence"].to_pylist() == [path.stem]
    assert column(found, "frame").tolist() == (rows[:, 0] - 1).tolist()
    np.testing.assert_array_equal(column(found, "keypoints")[..., 1], rows[:, 101:126].astype(np.float32))


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((2, 151)),
        np.ones((2, 151)),
        np.full((1, 151), np.nan),
        np.ones((2, 150)),
        np.ones(151),
        np.array(["a"]),
    ],
)
def test_other_npy_files_are_rejected(rows: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "S001C001P001R001A001.npy", rows)
    (reject,) = tables(tmp_path).rejects
    assert reject.action == "dropped"


@pytest.mark.parametrize("content", [{}, {"nbodys": [1]}, {"nbodys": [1], "skel_body0": np.ones((2, 25, 3))}, [1]])
def test_other_dictionaries_are_rejected(content: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "S001C001P001R001A001.skeleton.npy", np.array(content, object), allow_pickle=True)
    (reject,) = tables(tmp_path).rejects
    assert "make it again" in reject.reason


def test_hostile_files_do_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch " + str(tmp_path / "ran"),)

    np.save(tmp_path / "S001C001P001R001A001.skeleton.npy", np.array({"nbodys": Hostile()}, object), allow_pickle=True)
    assert "not data" in tables(tmp_path).rejects[0].reason
    (tmp_path / "S001C001P001R001A001.skeleton.npy").unlink()
    (tmp_path / "ntu60_3d.pkl").write_bytes(pickle.dumps({"annotations": [Hostile()]}))
    with pytest.raises(HarBenchError, match="not data"):
        NTU60().discover(tmp_path)
    assert not (tmp_path / "ran").exists()


# ---- fuzz


def mutated(honest: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes overwritten, a piece removed, or a piece repeated."""
    forged = bytearray(honest)
    first, second = sorted(rng.integers(0, len(forged) + 1, 2).tolist())
    kind = rng.integers(0, 4)
    if kind == 0:
        del forged[first:second]
    elif kind == 1:
        forged[first:first] = forged[first : min(second, first + 2000)]
    else:
        alphabet = b"0123456789 .-\r\nENax\x00\xff"
        for place in rng.integers(0, len(forged), rng.integers(1, 6)):
            forged[place] = alphabet[rng.integers(len(alphabet))] if kind == 2 else rng.integers(256)
    return bytes(forged)


def test_mutated_skeleton_files_are_read_or_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    people = [(72057594037944738, range(3)), (72057594037944734, range(1, 4))]
    path = one_file(tmp_path, recording(rng, people, 4)) / "S001C001P001R001A001.skeleton"
    honest = path.read_bytes()
    (shard,) = NTU60().discover(tmp_path)
    kinds: Counter[str] = Counter()
    for _ in range(FUZZ):
        path.write_bytes(mutated(honest, rng))
        found = NTU60().read(shard)
        kinds["rejected" if found.rejects else "read"] += 1
        assert found.poses is not None
        assert found.poses.schema.equals(POSES)
    assert kinds["read"] > FUZZ // 100
    assert kinds["rejected"] > FUZZ // 4


@pytest.mark.parametrize("form", ["txt2npy", "deephar", "pyskl", "ctrgcn"])
def test_mutated_files_of_other_forms_are_read_or_rejected(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(8)
    name = "S001C001P001R001A001"
    points = rng.normal(size=(2, 4, 25, 3))
    if form == "txt2npy":
        path = tmp_path / f"{name}.skeleton.npy"
        np.save(path, np.array({"nbodys": [1] * 4, "skel_body0": points[0]}, object), allow_pickle=True)
    elif form == "deephar":
        path = tmp_path / f"{name}.npy"
        np.save(path, np.concatenate([np.arange(1, 5)[:, None], rng.normal(size=(4, 150))], axis=1))
    elif form == "pyskl":
        path = tmp_path / "ntu60.pkl"
        annotation = {"frame_dir": name, "label": 0, "keypoint": points, "total_frames": 4}
        path.write_bytes(pickle.dumps({"split": {}, "annotations": [annotation]}))
    else:
        path = tmp_path / "NTU60_CS.npz"
        half = points.swapaxes(0, 1).reshape(1, 4, 150)
        np.savez(path, x_train=half, x_test=half, y_train=np.eye(60)[:1], y_test=np.eye(60)[:1])
    honest = path.read_bytes()
    outcomes: Counter[str] = Counter()
    for _ in range(FUZZ):
        path.write_bytes(mutated(honest, rng))
        try:
            for shard in NTU60().discover(tmp_path):
                found = NTU60().read(shard)
                outcomes["rejected" if found.rejects else "read"] += 1
        except HarBenchError as error:
            outcomes["refused" if str(tmp_path) in str(error) else "nameless"] += 1
    assert outcomes["rejected"] + outcomes["refused"] > FUZZ // 4
    assert not outcomes["nameless"]
    shutil.rmtree(tmp_path)
