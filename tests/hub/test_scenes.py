"""Pictures of people as stick figures, where a store says that they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.cli import main
from har_bench.drawing.scenes import render
from har_bench.media.checking import check_media
from har_bench.media.images import read_image
from tests.sampled import sampled


def made(dataset: str, home: Path) -> Store:
    return sampled(dataset, home)


def test_people_are_drawn_where_they_are_and_files_are_what_the_store_says(tmp_path: Path) -> None:
    """A joint's pixel in its picture is of a colour that the ground has not; what is there stays."""
    store, media = made("penn_action", tmp_path), tmp_path / "media"
    kept = media / "frames/0002/000001.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"somebody's")
    assert render(store, media, ["0001", "0002"]) == 1
    assert kept.read_bytes() == b"somebody's"
    report = check_media(store, media, jobs=1)
    assert (report.checked, len(report.differences)) == (2, 1), "only the file that stayed differs"
    sequence = store.sequence("0001")
    frame = int(sequence.frame[3])
    picture = read_image(media / f"frames/0001/{frame + 1:06d}.jpg").astype(int)
    x, y = np.rint(sequence.keypoints[3, np.flatnonzero(np.isfinite(sequence.keypoints[3, :, 0]))[0]]).astype(int)
    assert picture[y, x].max() > 150 > picture[2:8, 2:8].max()


def test_a_video_has_the_frames_of_its_sequence(tmp_path: Path) -> None:
    pytest.importorskip("av")
    store, media = made("ntu60", tmp_path), tmp_path / "media"
    assert render(store, media, ["S002C001P003R001A013"]) == 1
    report = check_media(store, media, jobs=1)
    assert (report.checked, report.ok) == (1, True)


def test_pictures_that_rows_name(tmp_path: Path) -> None:
    store, media = made("merl", tmp_path), tmp_path / "media"
    name = "17_2_crop_1132_1162_RetractFromShelf"
    assert render(store, media, [name]) == 6
    assert read_image(media / f"{name}-0001.jpg").shape == (680, 920, 3)
    assert render(store, media, [name]) == 0


def test_a_sample_with_pictures(tmp_path: Path) -> None:
    main(["sample", "coco", str(tmp_path / "raw"), "--pictures"])
    store = har_bench.convert("coco", tmp_path / "raw", tmp_path / "store", jobs=1, quiet=True)
    assert check_media(store, tmp_path / "raw", jobs=1).checked == 13


def test_nobody_can_be_drawn_without_keypoints(tmp_path: Path) -> None:
    store = made("ava", tmp_path)
    with pytest.raises(HarBenchError, match=r"ava has no keypoints .*; leave the pictures out"):
        render(store, tmp_path)
