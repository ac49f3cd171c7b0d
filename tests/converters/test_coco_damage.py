"""COCO: whatever damage a json has, nothing but our own error is raised, and what is read keeps the store's rules."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from har_bench.converter import Tables
from har_bench.converters.coco import COCO
from har_bench.errors import HarBenchError
from tests.coco_data import content, convert, person, read_json, reported, write
from tests.sampled import Samples

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))


@pytest.fixture(scope="module")
def sample(samples: Samples) -> Path:
    return samples.raw("coco")


def damaged(text: bytes, random: np.random.Generator) -> bytes:
    """A json with one to three places changed: a byte, a piece taken out or doubled, a value exchanged."""
    tokens = [
        b"NaN",
        b"null",
        b"-1",
        b"1e999",
        b'"',
        b"{",
        b"]",
        b"[[",
        b"2.5",
        b"true",
        b'"\\ud800"',
        b"\xff",
        b"9" * 30,
    ]
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(len(text)))
        stop = min(len(text), at + int(random.integers(1, 40)))
        what = random.integers(5)
        if what == 0:
            text = text[:at] + bytes([random.integers(256)]) + text[at + 1 :]
        elif what == 1:
            text = text[:at] + text[stop:]
        elif what == 2:
            text = text[:stop] + text[at:]
        elif what == 3:
            text = text[:at] + tokens[random.integers(len(tokens))] + text[at + 1 :]
        else:
            colon = text.find(b":", at) + 1
            ends = [end for end in (text.find(b",", colon), text.find(b"}", colon)) if end > 0]
            text = text[:colon] + tokens[random.integers(len(tokens))] + text[min(ends, default=colon) :]
    return text


@pytest.mark.parametrize("kind", ["official", "wholebody", "own"])
def test_damage_raises_nothing_but_our_own_error(sample: Path, tmp_path: Path, kind: str) -> None:
    plain = read_json(sample / "annotations/person_keypoints_val2017.json")
    if kind == "wholebody":
        for each in plain["annotations"]:
            each |= {"foot_kpts": [1, 2, 0.5] * 6, "face_kpts": [1.5, 2, 1] * 68, "face_box": [1, 2, 3, 4]}
            each |= {"lefthand_kpts": [0, 0, 0] * 21, "righthand_kpts": [1, 1, 1] * 21, "face_valid": True}
    if kind == "own":
        plain["categories"][0] |= {"keypoints": [f"joint {joint}" for joint in range(17)], "sigmas": [0.1] * 17}
        plain["images"] = [{"id": image["id"], "file_name": image["file_name"]} for image in plain["images"]]
    text = json.dumps(plain).encode()
    random = np.random.default_rng(FUZZ)
    outcomes: Counter[str] = Counter()
    path = tmp_path / "person_keypoints_val2017.json"
    for _ in range(FUZZ // 3):
        path.write_bytes(damaged(text, random))
        converter = COCO()
        try:
            tables = [converter.read(shard) for shard in converter.discover(tmp_path)]
        except HarBenchError:
            outcomes["refused"] += 1
        else:
            check_store_rules(tables[0])
            outcomes["rejects" if tables[0].rejects else "read"] += 1
    assert set(outcomes) == {"refused", "rejects", "read"}


def check_store_rules(tables: Tables) -> None:
    """What the engine insists on."""
    assert tables.poses is not None
    names = tables.sequences["sequence"].to_pylist()
    assert len(set(names)) == len(names)
    keys = list(zip(tables.poses["sequence"].to_pylist(), tables.poses["person"].to_pylist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert {sequence for sequence, _ in keys} <= set(names)
    assert tables.rejects_table().num_rows == len(tables.rejects)


# Any value in any field

VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.integers(-3, 3), st.floats(), st.text(max_size=4),
        st.sampled_from(["", "1", "2.0", "NaN", "..\\x", "/y", "person", 10**30, -1, 0.5]),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip
FIELDS = {
    "images": ["id", "file_name", "width", "license", "coco_url", "crowdIndex"],
    "annotations": ["id", "image_id", "category_id", "bbox", "keypoints", "num_keypoints", "area", "iscrowd", "ignore"],
    "categories": ["id", "name", "keypoints", "skeleton", "sigmas"],
}
CHANGES = st.lists(
    st.sampled_from([(where, name) for where, names in FIELDS.items() for name in names]).flatmap(
        lambda place: st.tuples(st.just(place), st.integers(0, 3), VALUES)
    ),
    max_size=4,
)


@given(changes=CHANGES)
def test_whatever_a_field_holds_what_was_found_is_kept_or_reported(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Any]
) -> None:
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(3)]
    file = content([person(number, image=number % 3) for number in range(4)], images)
    touched = set()
    for (where, name), at, value in changes:
        row = at % len(file[where])
        file[where][row][name] = value
        touched.add((where, row))
    try:
        tables = convert(write(tmp_path_factory.mktemp("any"), file))
    except HarBenchError as error:
        assert changes
        assert "people.json" in str(error)  # noqa: PT017 - it may be read, too
        return
    check_store_rules(tables)
    for where, table in (("images", tables.sequences), ("annotations", tables.poses)):
        dropped = [place for place, action in reported(tables) if action == "dropped" and place.startswith(where)]
        assert table is not None
        assert len(table) + len(dropped) == len(set(dropped)) + len(table) == len(file[where])
    if ("categories", 0) in touched:
        return
    whole = {row for row in range(4) if not {("annotations", row), *(("images", at) for at in range(3))} & touched}
    assert whole <= set(tables.poses["annotation_row"].to_pylist() if tables.poses is not None else [])


def test_endless_nesting_is_dropped(tmp_path: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    text = json.dumps(content([person(1), person(2, segmentation="deep")])).replace('"deep"', deep)
    (tmp_path / "people.json").write_text(text)
    tables = convert(tmp_path)
    assert [reject.locator for reject in tables.rejects] == ["annotations[1]"]


@pytest.mark.parametrize("escape", [b"\\\xb6", b"\\u12"])
def test_a_text_with_an_escape_that_json_has_not_is_dropped(escape: bytes, tmp_path: Path) -> None:
    folder = write(tmp_path, content([person(1), person(2, name="escape")]))
    path = folder / "people.json"
    path.write_bytes(path.read_bytes().replace(b'"escape"', b'"' + escape + b'"'))
    tables = convert(tmp_path)
    assert [reject.locator for reject in tables.rejects] == ["annotations[1]"]
    assert tables.poses is not None
    assert tables.poses["annotation_id"].to_pylist() == [1]
