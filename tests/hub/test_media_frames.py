"""Frames of images, folders, videos and a camera: decoded once, in order, upright; errors are one sentence."""

from __future__ import annotations

import struct
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import har_bench
from har_bench import HarBenchError

av = pytest.importorskip("av")

from har_bench.media import frames as frames_module  # noqa: E402
from har_bench.media.frames import open_source  # noqa: E402
from har_bench.media.images import read_image  # noqa: E402
from har_bench.media.of_store import Pictures, Shot  # noqa: E402
from tests.clips import encode, number_of, packets_of  # noqa: E402
from tests.hub.test_media import row, store_of  # noqa: E402

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_an_image_is_one_picture(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "one.png")
    with open_source(tmp_path / "one.png") as source:
        assert (source.film, source.count, source.fps) == (False, 1, None)
        (frame,) = source.frames()
    assert (frame.sequence, frame.index, frame.seconds) == ("one.png", 0, 0)
    np.testing.assert_array_equal(frame.pixels, GREY[..., None].repeat(3, 2))


def test_a_folder_is_pictures_in_the_order_of_their_numbers_or_a_film(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        Image.fromarray(np.full((2, 2), number, np.uint8)).save(tmp_path / f"f{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    with open_source(tmp_path, workers=2) as source:
        assert [(each.sequence, each.index, each.pixels[0, 0, 0]) for each in source.frames()] == [
            ("f1.png", 0, 1),
            ("f9.png", 0, 9),
            ("f10.png", 0, 10),
        ]
    with open_source(tmp_path, fps=4) as source:
        assert (source.film, source.fps, source.count) == (True, 4, 3)
        found = list(source.frames(slice(1, None, 1)))
    assert [(each.sequence, each.index, each.seconds) for each in found] == [
        (tmp_path.name, 1, 0.25),
        (tmp_path.name, 2, 0.5),
    ]


def test_a_video_is_a_film_with_its_own_times(tmp_path: Path) -> None:
    path = encode(tmp_path / "film.mp4", b_frames=2, times=[100, 140, 150, 400, 700], frames=5)
    with open_source(path) as source:
        assert (source.film, source.count) == (True, 5)
        found = list(source.frames())
        assert [number_of(each.pixels) for each in source.frames(slice(0, None, 2))] == [0, 2, 4]
    assert [number_of(each.pixels) for each in found] == [each.index for each in found] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([each.seconds for each in found], [0, 0.04, 0.05, 0.3, 0.6], atol=2e-3)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_pictures_are_turned_as_their_tags_say(tmp_path: Path) -> None:
    image = Image.fromarray(GREY)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees, clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    with open_source(tmp_path / "turned.png") as source:
        (frame,) = source.frames()
    np.testing.assert_array_equal(frame.pixels[..., 0], np.rot90(GREY, -1))
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png")[..., 0], GREY)


def turned_film(folder: Path) -> Path:
    """A film whose file says that it is to be shown turned by a quarter, as telephones write it."""
    plain = encode(folder / "plain.mp4", frames=3)
    content = bytearray(plain.read_bytes())
    place = (
        content.index(b"tkhd") + 4 + 40
    )  # version, flags, times, layer … then the matrix of nine fixed-point numbers
    one = 1 << 16
    matrix = [0, one, 0, -one & 0xFFFFFFFF, 0, 0, 0, 0, 1 << 30]
    content[place : place + 36] = b"".join(value.to_bytes(4, "big") for value in matrix)
    (folder / "turned.mp4").write_bytes(content)
    return folder / "turned.mp4"


def test_films_of_telephones_are_turned_too(tmp_path: Path) -> None:
    path = turned_film(tmp_path)
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0))
        assert stored.rotation == -90
    with open_source(path) as source, open_source(tmp_path / "plain.mp4") as plain:
        for turned, upright in zip(source.frames(), plain.frames(), strict=True):
            np.testing.assert_array_equal(turned.pixels, np.rot90(upright.pixels, -1))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.fromarray(np.array([[0, 65535, 256]], np.uint16)), [[0, 0, 0], [255, 255, 255], [1, 1, 1]]),
        (Image.fromarray(np.array([[[9, 8, 7, 0]]], np.uint8)), [[9, 8, 7]]),
        (Image.new("CMYK", (1, 1), (0, 255, 255, 0)), [[255, 0, 0]]),
        (Image.new("1", (1, 1), 1), [[255, 255, 255]]),
    ],
    ids=["16 bit", "transparent", "CMYK", "one bit"],
)
def test_every_kind_of_image_becomes_rgb(image: Image.Image, expected: list[list[int]], tmp_path: Path) -> None:
    path = tmp_path / ("image.tif" if image.mode == "CMYK" else "image.png")
    image.save(path)
    assert read_image(path)[0].tolist() == expected


def broken(folder: Path, name: str) -> Path:
    """Files that are not what they are called."""
    folder.mkdir()
    path = folder / name
    if name == "text.mp4":
        path.write_text("this is no film\n" * 100)
    elif name == "text.jpg":
        path.write_text("this is no picture")
    elif name == "cut.png":
        whole = folder / "whole.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(whole)
        path.write_bytes(whole.read_bytes()[:5000])
    elif name == "vast.pgm":
        path.write_bytes(b"P5 60000 60000 255\n")
    elif name == "claims.pgm":
        path.write_bytes(b"P5 6000 6000 255\n")
    elif name == "scans.jpg":
        Image.new("L", (8, 8)).save(path, progressive=True)
        content = path.read_bytes()
        path.write_bytes(content[:-2] + content[content.rfind(b"\xff\xda") : -2] * 100 + content[-2:])
    elif name == "float.tiff":  # a place that is no whole number: type 11 in the one of 4 or 3
        Image.new("RGB", (4, 3)).save(path)
        content = path.read_bytes()
        place = next(at for kind in (3, 4) if (at := content.find(struct.pack("<HH", 273, kind))) >= 0)
        path.write_bytes(content[: place + 2] + struct.pack("<H", 11) + content[place + 4 :])
    elif name == "empty":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("text.mp4", "is not a whole video"),
        ("text.jpg", "is not a whole image that Pillow can read"),
        ("cut.png", "is not a whole image that Pillow can read"),
        ("float.tiff", "is not a whole image that Pillow can read"),
        ("vast.pgm", "has more than the 178 million pixels that are read; make it smaller"),
        ("claims.pgm", "says that its 17 bytes are 6000 x 6000 pixels, more than 12 a byte; save it smaller"),
        ("scans.jpg", "draws its picture 106 times, in as many scans; save it again"),
        ("empty", "holds no image"),
        ("absent.jpg", "is not there; give an image"),
        ("absent.mp4", "is not there; give an image"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=words), open_source(broken(tmp_path / "f", name)) as source:
        list(source.frames())


def test_what_follows_a_photograph_is_no_part_of_it(tmp_path: Path) -> None:
    """Phones append a film, in which the bytes that begin a scan occur by chance."""
    Image.fromarray(GREY).save(tmp_path / "a.jpg", progressive=True)
    alone = read_image(tmp_path / "a.jpg")
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"\xff\xda\0\2" * 100)
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), alone)


def damaged(folder: Path, share: tuple[float, float]) -> Path:
    """A film of 50 frames, of one of which a part is noise."""
    whole = encode(folder / "whole.mp4", b_frames=2)
    packet = packets_of(whole)[20]
    place, size = packet.pos, packet.size
    content = bytearray(whole.read_bytes())
    part = slice(place + 4 + int(size * share[0]), place + int(size * share[1]))
    noise = np.random.default_rng(0).integers(0, 256, part.stop - part.start, np.uint8)
    content[part] = noise.tobytes()
    (folder / "damaged.mp4").write_bytes(content)
    return folder / "damaged.mp4"


@pytest.mark.parametrize("share", [(0.1, 0.6), (0.0, 1.0)], ids=["painted over", "refused"])
def test_a_frame_that_is_broken_is_named(share: tuple[float, float], tmp_path: Path) -> None:
    seen = []
    with open_source(damaged(tmp_path, share)) as source, pytest.raises(HarBenchError, match=r"frame 21 of .*damaged"):
        seen += [number_of(frame.pixels) for frame in source.frames()]
    with open_source(tmp_path / "damaged.mp4") as source:
        assert [number_of(frame.pixels) for frame in source.frames(slice(0, 20))] == list(range(20))


def test_a_camera_gives_frames_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FFmpeg's test picture stands in for a camera."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(frames_module.CAMERAS, sys.platform, ("lavfi", "testsrc=size=64x48:rate=30,setpts=PTS+{}"))
    with open_source("0") as camera:
        assert (camera.name, camera.count, camera.film) == ("webcam 0", None, True)
        found = list(camera.frames(slice(0, 6, 2)))
    assert [frame.index for frame in found] == [0, 2, 4]
    assert found[0].pixels.shape == (48, 64, 3)
    monkeypatch.setitem(frames_module.CAMERAS, sys.platform, ("lavfi", "no such filter {}"))
    with pytest.raises(HarBenchError, match="no webcam 3 can be opened"):
        open_source("3")


def test_a_file_called_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0").mkdir()
    Image.fromarray(GREY).save("0/a.png")
    assert [frame.sequence for frame in open_source("0").frames()] == ["a.png"]


def test_a_store_s_pictures_are_images_folders_and_parts_of_videos(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "frames" / "a").mkdir(parents=True)
    for number in (1, 2, 3):
        Image.fromarray(np.full((2, 2), number, np.uint8)).save(raw / "frames" / "a" / f"{number:06d}.png")
    Image.fromarray(GREY).save(raw / "one.png")
    encode(raw / "film.mp4", frames=20)
    rows: list[dict[str, Any]] = [
        row("frames/a", 2, 2, 3, sequence="folder"),
        row("one.png", 4, 3, 1, sequence="image"),
        row("film.mp4", 128, 96, 5, sequence="part", video_frame=7),
        row("film.mp4", 128, 96, 20, sequence="whole"),
        row("gone.png", 4, 3, 1, sequence="gone"),
        row(None, 4, 3, 1, sequence="nameless"),
    ]
    pictures = Pictures(store_of(tmp_path, rows, "video_frame"), raw, workers=2)
    shots = [
        Shot("folder", 2),
        Shot("image", 0),
        Shot("part", 0),
        Shot("part", 3),
        Shot("whole", 19),
        Shot("folder", 0),
    ]
    found = list(pictures.read(shots))
    assert (found[0][0, 0, 0], found[1].shape, found[5][0, 0, 0]) == (3, (3, 4, 3), 1)
    assert [number_of(image) for image in found[2:5]] == [7, 10, 19]
    for shot, words in (
        (
            Shot("gone", 0),
            "sequence gone: .*gone.png is not there; give the folder of the raw download with --set images",
        ),
        (Shot("nameless", 0), "sequence nameless: the store does not name its image or video"),
        (Shot("folder", 3), "has 3 images and no frame 3"),
    ):
        with pytest.raises(HarBenchError, match=words):
            list(pictures.read([shot]))
    with pytest.raises(HarBenchError, match="is no folder; give the one with the images or videos of listing"):
        Pictures(har_bench.open_store(tmp_path / "store"), tmp_path / "no")
