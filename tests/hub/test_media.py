"""Images, folders of frames and videos beside a raw download, compared with what the store says of them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import har_bench
from har_bench import HarBenchError, Store
from har_bench.converter import Converter, Shard, Tables
from har_bench.media.checking import Difference, check_media
from har_bench.schema import column, sequences_schema, table
from tests.golden import REAL, load

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
H36M = "h36m/h36m_mmpose_sample"


@dataclass
class Listing(Converter):
    """``listing.json`` holds the rows of ``sequences`` as they are."""

    dataset = "listing"
    version = "1"
    summary = raw = citation = licence = "listing"

    extras: list[str] = field(default_factory=list)

    def discover(self, raw: Path) -> Sequence[Shard]:
        return [Shard("all", (raw / "listing.json",))]

    def read(self, shard: Shard) -> Tables:
        rows = sorted(json.loads(shard.sources[0].read_text()), key=lambda row: row["sequence"])
        schema = sequences_schema(column(name, pa.int32()) for name in self.extras)
        return Tables(table({name: [row.get(name) for row in rows] for name in schema.names}, schema))


def store_of(folder: Path, rows: Sequence[dict[str, Any]], *extras: str) -> Store:
    """A store with these rows of ``sequences``."""
    (folder / "listing").mkdir()
    (folder / "listing" / "listing.json").write_text(json.dumps(rows))
    name = "tests.hub.test_media:Listing"
    return har_bench.convert(
        name, folder / "listing", folder / "store", jobs=1, quiet=True, options={"extras": list(extras)}
    )


def row(media: str | None, width: int | None, height: int | None, n_frames: int | None, **more: Any) -> dict[str, Any]:
    name = more.pop("sequence", f"of {media}")
    return {"sequence": name, "media": media, "width": width, "height": height, "n_frames": n_frames, **more}


def image(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


def test_images_are_compared_by_their_heads(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    image(raw / "images" / "right.jpg", 40, 30)
    image(raw / "images" / "turned.PNG", 30, 40)
    (raw / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    half = (raw / "images" / "right.jpg").read_bytes()
    (raw / "images" / "half.jpg").write_bytes(half[: len(half) - 20])  # the pixels are cut, the head is whole
    rows = [
        row(f"images/{name}", 40, 30, 1) for name in ("right.jpg", "turned.PNG", "broken.jpg", "half.jpg", "no.jpg")
    ]
    report = check_media(store_of(tmp_path, [*rows, row(None, 40, 30, 1)]), raw)
    assert (report.checked, report.present, report.absent, report.unread, report.ok) == (4, 0, 1, 0, False)
    broken, turned = report.differences
    assert turned == Difference("of images/turned.PNG", "images/turned.PNG", "size", "40 x 30", "30 x 40")
    assert (broken.path, broken.what) == ("images/broken.jpg", "content")
    lines = list(report.lines())
    assert lines[0] == f"4 of 5 sequences have their image or video under {raw}"
    assert lines[1] == "checked for size and number of frames: 4; 2 of them differ from what the store says"
    assert lines[2].startswith("images/broken.jpg (sequence of images/broken.jpg) cannot be read: ")
    assert lines[3] == "images/turned.PNG (sequence of images/turned.PNG): size 30 x 40, expected 40 x 30"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "ppm"])
def test_a_mutated_image_is_a_difference_and_no_error(tmp_path: Path, suffix: str) -> None:
    image(tmp_path / f"whole.{suffix}", 40, 30)
    data = np.frombuffer((tmp_path / f"whole.{suffix}").read_bytes(), np.uint8)
    store = store_of(tmp_path, [row(f"mutated.{suffix}", 40, 30, 1)])
    rng = np.random.default_rng(0)
    whats = set()
    for _ in range(FUZZ // 6):
        mutated = data.copy()
        where = rng.integers(0, min(len(data), 100), rng.integers(1, 9))
        mutated[where] = rng.integers(0, 256, len(where))
        stop = rng.integers(1, len(data)) if rng.random() < 0.3 else len(data)
        (tmp_path / f"mutated.{suffix}").write_bytes(mutated[:stop].tobytes())
        whats |= {one.what for one in check_media(store, tmp_path).differences}
    assert "content" in whats


def test_a_folder_of_frames_is_counted(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number in range(1, 6):
        image(raw / "frames" / "0001" / f"{number:06d}.jpg", 48, 27)
    (raw / "frames" / "0001" / "Thumbs.db").touch()
    (raw / "frames" / "0002").mkdir()
    rows = [
        row("frames/0001", 48, 27, 5, sequence="as it is"),
        row("frames/0001", 48, 27, 6, sequence="one missing"),
        row("frames/0001", None, 27, None, sequence="not known"),
        row("frames/0002", 48, 27, 3, sequence="void"),
    ]
    report = check_media(store_of(tmp_path, rows), raw)
    assert (report.checked, report.present, report.absent) == (3, 1, 0)
    assert report.differences[0] == Difference("one missing", "frames/0001", "frames", "6", "5")
    assert (report.differences[1].sequence, report.differences[1].what) == ("void", "content")
    assert "only found, since the store knows neither their size nor their number of frames: 1" in list(report.lines())


def test_what_is_not_known_is_not_opened(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "no video.mp4").write_text("no video")
    report = check_media(store_of(tmp_path, [row("no video.mp4", None, None, None)]), raw)
    assert (report.checked, report.present, report.ok) == (0, 1, True)


def test_videos_are_counted_to_the_frame(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.clips import HEIGHT, WIDTH, encode

    raw = tmp_path / "raw"
    raw.mkdir()
    encode(raw / "a.mp4", "mpeg4", 20, b_frames=2)
    encode(raw / "b.avi", "mpeg4", 7)
    data = (raw / "a.mp4").read_bytes()
    (raw / "cut.mp4").write_bytes(data[: len(data) // 2])
    rows = [
        row("a.mp4", WIDTH, HEIGHT, 20, sequence="1"),
        row("a.mp4", HEIGHT, WIDTH, 21, sequence="2"),
        row("b.avi", None, None, 7, sequence="3"),
        row("b.avi", WIDTH, HEIGHT, None, sequence="4"),
        row("cut.mp4", WIDTH, HEIGHT, 20, sequence="5"),
    ]
    store = store_of(tmp_path, rows)
    report = check_media(store, raw)
    assert (report.checked, report.absent) == (5, 0)
    told = [(one.sequence, one.what, one.expected, one.found) for one in report.differences]
    size, turned = f"{WIDTH} x {HEIGHT}", f"{HEIGHT} x {WIDTH}"
    assert told[:2] == [("2", "size", turned, size), ("2", "frames", "21", "20")]
    assert told[2][:2] == ("5", "content")
    assert "bytes it announces" in told[2][3]
    assert check_media(store, raw, jobs=2).differences == report.differences


def test_poses_may_be_shorter_than_their_video_or_a_part_of_it(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from tests.clips import HEIGHT, WIDTH, encode

    raw = tmp_path / "raw"
    raw.mkdir()
    encode(raw / "a.mp4", "mpeg4", 20)
    part = {"width": WIDTH, "height": HEIGHT, "media": "a.mp4"}
    whole = [{**part, "sequence": str(length), "n_frames": 9, "video_frames": length} for length in (20, 21)]
    folder = tmp_path / "whole"
    folder.mkdir()
    (late,) = check_media(store_of(folder, whole, "video_frames"), raw).differences
    assert (late.sequence, late.expected, late.found) == ("21", "21", "20")
    parts = [{**part, "sequence": str(start), "n_frames": 9, "video_frame": start} for start in (0, 11, 12, None)]
    (late,) = check_media(store_of(tmp_path, parts, "video_frame"), raw).differences
    assert (late.sequence, late.expected, late.found) == ("12", "at least 21", "20")


def test_without_pyav_videos_are_said_to_be_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.mp4").write_bytes(b"a video")
    image(raw / "b.png", 4, 3)
    report = check_media(store_of(tmp_path, [row("a.mp4", 4, 3, 9), row("b.png", 4, 3, 1)]), raw)
    assert (report.checked, report.unread, report.ok) == (1, 1, True)
    assert list(report.lines())[1:] == [
        "checked for size and number of frames: 1; all agree with the store",
        "videos not opened, since PyAV is not installed: 1; pip install 'har-bench[video]'",
    ]


def test_many_images_in_several_processes_give_the_same_report(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number in range(40):
        image(raw / f"{number:02d}.png", 8 + number % 2, 6)
    store = store_of(tmp_path, [row(f"{number:02d}.png", 8, 6, 1) for number in range(45)])
    alone, together = (check_media(store, raw, jobs=jobs) for jobs in (1, 2))
    assert alone == together
    assert (alone.checked, alone.absent, len(alone.differences)) == (40, 5, 20)
    assert list(alone.lines(most=5))[-1] == "and 15 more differences"


def test_a_store_without_media_and_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = store_of(tmp_path, [row(None, 40, 30, 1)])
    assert list(check_media(store, tmp_path).lines()) == ["the store names no images or videos"]
    with pytest.raises(HarBenchError, match="does not exist; give the folder with the images or videos of listing"):
        check_media(store, tmp_path / "none")


@pytest.mark.real
def test_real_h36m_images_tell_that_s7_is_1002_high_in_camera_55011271(tmp_path: Path) -> None:
    listed = load(f"{H36M}/h36m_coco.json")["images"]
    rows = [row(one["file_name"], one["width"], one["height"], 1) for one in listed]
    usual = {"54138969": (1000, 1002), "55011271": (1000, 1000)}
    for one in rows[:]:
        width, height = usual[one["media"].split(".")[1].split("_")[0]]
        rows.append({**one, "sequence": f"usual {one['media']}", "width": width, "height": height})
    report = check_media(store_of(tmp_path, rows), REAL / H36M)
    assert report.checked == 2 * len(listed)
    (s7,) = report.differences
    assert (s7.sequence, s7.expected, s7.found) == (
        "usual S7_Greeting.55011271_000396.jpg",
        "1000 x 1000",
        "1000 x 1002",
    )


@pytest.mark.real
def test_real_coco_images_have_the_sizes_of_their_annotations(tmp_path: Path) -> None:
    listed = load("coco/coco_mini/annotations/person_keypoints_val2017.json")["images"]
    rows = [row(f"val2017/{one['file_name']}", one["width"], one["height"], 1) for one in listed]
    report = check_media(store_of(tmp_path, rows), REAL / "coco" / "coco_mini")
    assert report.ok
    assert (report.checked, report.absent) == (len(listed), 0)


@pytest.mark.real
def test_a_real_ntu_video_is_as_long_as_its_skeleton(tmp_path: Path) -> None:
    pytest.importorskip("av")
    name = "S001C001P001R001A001"
    frames = int((REAL / "ntu60" / "skeletons" / f"{name}.skeleton").read_text().split(maxsplit=1)[0])
    report = check_media(store_of(tmp_path, [row(f"rgb/{name}_rgb.avi", 1920, 1080, frames)]), REAL / "ntu60")
    assert (report.checked, report.ok) == (1, True)
