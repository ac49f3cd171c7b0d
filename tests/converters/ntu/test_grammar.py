"""The grammar of .skeleton files and every number in them, against the golden readers; damaged files."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har_bench.converter import Reject
from har_bench.converters.ntu import NTU60
from har_bench.converters.ntu.sample import recording
from har_bench.converters.ntu.skeleton_file import parse, read
from har_bench.converters.ntu.tables import POSES, to_metres, to_millimetres
from tests.golden import load
from tests.ntu_data import FUZZ, GOOD, NTU, body, column, mutated, one_file, tables

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


# ---- the grammar, against readers of the real files


@pytest.mark.real
@pytest.mark.parametrize("golden", WHOLE, ids=lambda path: path.stem)
def test_every_field_equals_the_reference_reader(golden: Path) -> None:
    expected, found = np.load(golden), read(raw_file(golden))
    assert not found.problem
    assert found.declared == len(found.frames.bodies)
    for name, values in {
        "ref_bodies_per_frame": found.frames.bodies,
        "ref_frame_slot": np.stack([found.frames.frame, found.frames.slot], axis=1),
        "ref_body_id": found.frames.person,
        "ref_body_flags": found.frames.flags,
        "ref_lean": found.frames.lean,
        "ref_joints12": np.concatenate([found.frames.numbers, found.frames.tracking[..., None]], axis=-1),
    }.items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    assert found.frames.person.dtype == np.int64


@pytest.mark.real
@pytest.mark.parametrize("name", [name for name in SUMMARY if (NTU / "golden/readers" / f"{name}.npz").exists()])
def test_the_counts_of_the_summary(name: str) -> None:
    expected, found = SUMMARY[name]["ref"], read(raw_file(NTU / "golden/readers" / f"{name}.npz"))
    if isinstance(expected, str):  # what every other reader stumbles over
        assert found.problem
        assert len(found.frames.bodies) < found.declared
        return
    frames = found.frames
    assert len(frames.bodies) == expected["frames"]
    assert len(frames.person) == expected["bodies"]
    assert frames.bodies.max() == expected["max_bodies"]
    assert (frames.bodies == 0).sum() == expected["zero_frames"]
    assert sorted(set(frames.person.tolist())) == expected["ids"]


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
    whole = read(NTU / "skeletons/S001C001P001R001A050.skeleton").frames.first(kept)
    np.testing.assert_array_equal(np.sort(column(found, "person")), np.sort(whole.person))


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(NTU.rglob("*.skeleton")), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_token_is_the_double_that_python_makes_of_it(path: Path) -> None:
    found = read(path).frames
    joints = [line.split() for line in path.read_text().splitlines() if line.count(" ") == 11]
    expected = np.array([[float(token) for token in line[:11]] for line in joints[: 25 * len(found.person)]])
    assert found.numbers.reshape(-1, 11).tobytes() == expected.tobytes()


@pytest.mark.real
@pytest.mark.parametrize("path", sorted(NTU.rglob("*.skeleton")), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_store_keeps_every_digit_of_the_real_files(path: Path) -> None:
    found = read(path).frames
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
@settings(max_examples=15)  # of 275 numbers each
def test_any_number_is_correctly_rounded(tokens: list[str]) -> None:
    rows = [f"{' '.join(tokens[11 * joint : 11 * joint + 11])} 2" for joint in range(25)]
    found = parse("\n".join(["1", "1", "7 0 0 0 0 0 0 0 0 2", "25", *rows]).encode(), "text")
    assert not found.problem
    expected = np.array([float(token) for token in tokens])
    numbers = found.frames.numbers.ravel()
    np.testing.assert_array_equal(numbers, expected)
    assert np.array_equal(np.signbit(numbers), np.signbit(expected) & ~np.isnan(expected)) or np.isnan(expected).any()
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


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", None, "\r\n\r\n", " \n"])
def test_line_ends_do_not_matter(end: str, last: str | None) -> None:
    lines = ["2", "0", "1", *body()]
    found = parse((end.join(lines) + (end if last is None else last)).encode(), "text")
    assert not found.problem
    assert found.frames.bodies.tolist() == [0, 1]
    assert found.frames.person.tolist() == [72057594037944738]
    assert found.frames.flags.tolist() == [[0, 1, 1, 1, 1, 0, 2]]
    assert found.frames.lean.tolist() == [[0.5, -1.0]]


@pytest.mark.parametrize("content", [b"", b"\n", b"x", b"-1\n", b"3.5\n", b"1 2\n", b"\x00\xff" * 50])
def test_a_file_without_a_number_of_frames_is_no_skeleton_file(content: bytes, tmp_path: Path) -> None:
    found = tables(one_file(tmp_path, content))
    assert found.sequences.num_rows == 0
    (reject,) = found.rejects
    assert reject.action == "dropped"
    wrong = "does not begin with a number of frames" if content else "is empty"
    assert reject.reason.startswith(f"S001C001P001R001A001.skeleton {wrong}")


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
    assert found.frames.bodies.tolist() == [1]
    assert len(found.frames.person) == 1
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
