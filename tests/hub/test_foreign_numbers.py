"""Lists of foreign files become arrays of numbers, or one sentence; and a track of few frames is not made of many."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench.errors import HarBenchError, Malformed
from har_bench.foreign.numbers import numbers
from har_bench.keypoints import open_track

EVEN: dict[str, Any] = {
    "an array": np.arange(3, dtype="f4"),
    "whole numbers": [[1, 2], [3, 4]],
    "numbers of both kinds": [(1, 2.5), (3, 4)],
    "truths": [True, False],
    "arrays": [np.ones((2, 3), "f4"), np.zeros((2, 3), "f2")],
    "numbers of NumPy": [np.float32(1.5), np.float32(2)],
    "numbers of NumPy and of Python": [np.float32(1.5), 2],
    "one number": 2.5,
    "one number of NumPy": np.float64(2.5),
    "no numbers": [],
    "lists of nothing": [[], []],
}


@pytest.mark.parametrize("name", EVEN)
def test_what_is_even_is_what_numpy_makes_of_it(name: str) -> None:
    found, expected = numbers(EVEN[name]), np.asarray(EVEN[name])
    assert (found.dtype, found.shape, found.tolist()) == (expected.dtype, expected.shape, expected.tolist())


UNEVEN: dict[str, tuple[Any, str]] = {
    "text": ("abc", "has a str where"),
    "text of NumPy": ([np.str_("a" * 1_000_000), *[np.str_("b")] * 1000], "has a str_ where"),
    "text among numbers": ([1, "2"], "has a str where"),
    "one long text": (["a" * 1_000_000, *["b"] * 100_000], "has a str where"),
    "nothing": (None, "has a NoneType where"),
    "uneven lists": ([[1, 2], [3]], "has lists of 1 and of 2 where"),
    "an array among numbers": ([np.ones(2), 3], "has arrays of several shapes where"),
    "a list among numbers": ([[1, 2], 3], "has a list where"),
    "uneven arrays": ([np.ones(2), np.ones(3)], "has arrays of several shapes where"),
    "an array of objects": (np.array([None]), "has an array of object where"),
    "an array of text": ([np.array(["a"])], "has an array of <U1 where"),
    "complex numbers": (np.array([1j]), "has an array of complex128 where"),
    "a huge number": ([1 << 70], "has an array of object where"),
    "a number beyond all": ([1 << 1500, 0.5], "has (an array of object|numbers that do not fit)"),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_what_is_no_array_of_numbers_is_refused_before_anything_is_made_of_it(name: str) -> None:
    value, reason = UNEVEN[name]
    tracemalloc.start()
    try:
        with pytest.raises(Malformed, match=reason):
            numbers(value)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_frame_of_a_high_number_does_not_fill_the_memory(tmp_path: Path) -> None:
    """The highest number that a video may have, in a file of 60 bytes: it is the track's first frame."""
    path = tmp_path / "far.json"
    path.write_text(json.dumps([{"image_id": (1 << 24) - 1, "keypoints": [150, 20, 1] * 17, "score": 1}]))
    assert len(open_track(path).points) == 1


ODD: dict[str, tuple[dict[str, Any], str | None]] = {
    "no facts": ({}, None),
    "a list of videos' facts": ({"video_metadata": [1]}, None),
    "facts that are none": ({"video_metadata": {"a": 5}}, None),
    "a size of text": ({"video_metadata": {"a": {"w": "wide", "h": 4}}}, "w, h or fps that are no numbers"),
    "frames per list": ({"video_metadata": {"a": {"fps": []}}}, "w, h or fps that are no numbers"),
    "a layout that is no word": ({"layout_name": np.zeros(2)}, None),
    "sides of arrays": ({"keypoints_symmetry": [[np.zeros(2)], [1]]}, None),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_metadata_are_left_out_or_named(name: str, tmp_path: Path) -> None:
    metadata, reason = ODD[name]
    path = tmp_path / "a.npz"
    videos = (
        {7: {"custom": [np.full((3, 17, 2), 50.0)]}}
        if name == "no facts"
        else {"a": {"custom": [np.full((3, 17, 2), 50.0)]}}
    )
    np.savez(path, positions_2d=np.array(videos, object), metadata=np.array(metadata, object))
    if reason is None:
        assert open_track(path, layout="coco17").points.shape == (3, 17, 2)
    else:
        with pytest.raises(HarBenchError, match=rf"a\.npz has {reason} .*; write numbers"):
            open_track(path, layout="coco17")


@pytest.mark.parametrize("name", ["boxes", "keypoints"])
def test_frames_that_are_no_list_are_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    frames = {"boxes": np.zeros((2, 1, 5)), "keypoints": np.zeros((2, 1, 4, 17))} | {name: np.array(3)}
    np.savez(path, **frames)
    with pytest.raises(HarBenchError, match=r"a\.npz has no list of frames in boxes or keypoints; infer again"):
        open_track(path)
