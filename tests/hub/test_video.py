"""Frame-exact video: every frame, asked for in any order, is the one that decoding the whole file gives."""

from __future__ import annotations

import os
import random
import sys
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from har_bench import HarBenchError

av = pytest.importorskip("av")

from har_bench.media import video as video_module  # noqa: E402
from har_bench.media.video import Video, open_video  # noqa: E402
from tests.clips import HEIGHT, WIDTH, decoded, encode, number_of, packets_of, remux  # noqa: E402

FUZZ = int(os.environ.get("HAR_BENCH_FUZZ", "200"))
VFR = np.cumsum(np.random.default_rng(0).integers(10, 200, 50)).tolist()
OPEN_GOP = {"x264-params": "open-gop=1:b-adapt=0:scenecut=0"}
HEVC = {"x265-params": "log-level=none:open-gop=1"}

CLIPS: dict[str, tuple[str, dict[str, Any]]] = {
    "b-frames.mp4": ("libx264", {"b_frames": 3}),
    "b-frames.mkv": ("libx264", {"b_frames": 3}),
    "b-frames.ts": ("libx264", {"b_frames": 3}),
    "b-frames.avi": ("libx264", {"b_frames": 3}),
    "b-frames.asf": ("libx264", {"b_frames": 3}),
    "b-frames.h264": ("libx264", {"b_frames": 3}),
    "no-b-frames.mp4": ("libx264", {}),
    "open-gop.mp4": ("libx264", {"b_frames": 3, "options": OPEN_GOP}),
    "open-gop.ts": ("libx264", {"b_frames": 3, "options": OPEN_GOP}),
    "open-gop.avi": ("libx264", {"b_frames": 3, "options": OPEN_GOP}),
    "intra-refresh.ts": ("libx264", {"options": {"x264-params": "intra-refresh=1"}}),
    "intra-refresh.mp4": ("libx264", {"options": {"x264-params": "intra-refresh=1"}}),
    "hevc.mp4": ("libx265", {"b_frames": 3, "options": HEVC}),
    "hevc.mkv": ("libx265", {"b_frames": 3, "options": HEVC}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4-b-frames.avi": ("mpeg4", {"b_frames": 2}),
    "mpeg4-b-frames.mp4": ("mpeg4", {"b_frames": 2}),
    "mpeg2.mpg": ("mpeg2video", {"b_frames": 2, "options": {"flags": "+ildct+ilme"}}),
    "vp8.webm": ("libvpx", {"options": {"cpu-used": "8"}}),
    "vp9.webm": ("libvpx-vp9", {"options": {"cpu-used": "8", "lag-in-frames": "20"}}),
    "mjpeg.avi": ("mjpeg", {"options": {"strict": "unofficial"}}),
    "vfr.mp4": ("libx264", {"b_frames": 3, "times": VFR}),
    "vfr.mkv": ("mpeg4", {"b_frames": 2, "times": VFR}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


def clip(folder: Path, name: str) -> Path:
    """One of the clips, encoded when it is first wanted."""
    codec, settings = CLIPS[name]
    return folder / name if (folder / name).exists() else encode(folder / name, codec, **settings)


def every_frame_is_exact(path: Path, *, seed: int = 0) -> list[int]:
    """Compare random access and iteration with plain decoding; the numbers that the frames carry."""
    truth = decoded(path)
    order = list(range(len(truth)))
    random.Random(seed).shuffle(order)
    with open_video(path) as video:
        assert len(video) == video.n_frames == len(truth)
        for index in order:
            np.testing.assert_array_equal(video.frame(index), truth[index], err_msg=f"frame {index}")
        for index, image in enumerate(video):
            np.testing.assert_array_equal(image, truth[index], err_msg=f"frame {index} of the iteration")
        assert index == len(truth) - 1
        assert video.timestamps.shape == (len(truth),)
        assert (np.diff(video.timestamps) > 0).all()
    return [number_of(image) for image in truth]


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_in_any_order_equals_sequential_decoding(folder: Path, name: str) -> None:
    assert every_frame_is_exact(clip(folder, name)) == list(range(50))


def test_opening_tells_count_size_and_rate(folder: Path) -> None:
    with open_video(clip(folder, "b-frames.mp4")) as video:
        assert (video.n_frames, video.width, video.height, video.fps) == (50, WIDTH, HEIGHT, Fraction(30))
        np.testing.assert_allclose(video.timestamps, np.arange(50) / 30)
        image = video.frame(np.int64(7))
        assert (image.shape, image.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        assert "128 x 96" in repr(video)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_a_variable_frame_rate_has_its_own_times_and_its_average(folder: Path, name: str) -> None:
    with open_video(clip(folder, name)) as video:
        np.testing.assert_allclose(video.timestamps, np.array(VFR) / 1000, atol=5e-4)
        assert float(video.fps or 0) == pytest.approx(49_000 / (VFR[-1] - VFR[0]), rel=0.01)


def test_a_stream_that_begins_later_keeps_its_clock(folder: Path) -> None:
    with open_video(clip(folder, "b-frames.ts")) as video:
        assert video.timestamps[0] > 0.01
        np.testing.assert_allclose(np.diff(video.timestamps), 1 / 30, atol=1e-4)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The packets from which videos were decoded."""
    first_ones: list[int] = []
    decode = Video.decode
    monkeypatch.setattr(Video, "decode", lambda self, first: (first_ones.append(first), decode(self, first))[1])
    return first_ones


@pytest.mark.parametrize("name", ["b-frames.avi", "b-frames.asf", "b-frames.h264"])
def test_a_file_without_presentation_times_is_decoded_twice_only_to_go_back(
    folder: Path, name: str, begun: list[int]
) -> None:
    with open_video(clip(folder, name)) as video:
        assert [number_of(image) for image in video] == list(range(50))
        assert begun == [0]
        assert number_of(video.frame(30)) == 30
        assert begun[1] == 0, "the order is learnt"
        assert number_of(video.frame(29)) == 29
        assert len(begun) >= 3


@pytest.mark.parametrize("name", ["b-frames.mp4", "mpeg4-b-frames.mp4", "hevc.mkv"])
def test_iteration_never_seeks_and_neighbours_are_read_on(folder: Path, name: str, begun: list[int]) -> None:
    with open_video(clip(folder, name)) as video:
        assert [number_of(image) for image in video.frames()] == list(range(50))
        assert len(begun) == 1
        assert [number_of(image) for image in video.frames(range(30, 40))] == list(range(30, 40))
        assert len(begun) == 2


def test_frames_by_slice_and_by_indices(folder: Path) -> None:
    with open_video(clip(folder, "b-frames.mkv")) as video:
        for which in (slice(5, 40, 7), slice(None, None, -9), slice(-3, None), [3, 3, 49, 0], np.array([8, 2])):
            expected = range(50)[which] if isinstance(which, slice) else which
            assert [number_of(image) for image in video.frames(which)] == list(expected)


def test_several_threads_decode_the_same(folder: Path) -> None:
    path = clip(folder, "open-gop.mp4")
    with open_video(path) as one, open_video(path, threads=3) as several:
        for index in (41, 3, 26, 25, 49, 0):
            np.testing.assert_array_equal(one.frame(index), several.frame(index))


@pytest.mark.parametrize("first", [5, 17, 24])
def test_what_an_edit_list_cuts_off_is_not_a_frame(folder: Path, tmp_path: Path, first: int) -> None:
    source = clip(folder, "b-frames.mp4")
    packets = packets_of(source)
    for packet in packets:
        packet.pts -= 512 * first
        packet.dts -= 512 * first
    path = remux(source, tmp_path / "edited.mp4", packets, options={"avoid_negative_ts": "disabled"})
    assert every_frame_is_exact(path) == list(range(first, 50))


@pytest.mark.parametrize(("name", "suffix"), [("open-gop.mp4", "mkv"), ("hevc.mkv", "mkv"), ("hevc.mkv", "mp4")])
def test_pictures_whose_references_were_cut_off_are_not_frames(
    folder: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    source = clip(folder, name)
    packets = packets_of(source)
    first = [number for number, packet in enumerate(packets) if packet.is_keyframe][-2]
    kept = packets[first:]
    assert any(packet.pts < kept[0].pts for packet in kept), "the GOP is open"
    for packet in kept:
        packet.dts = packet.pts - 200_000 if packet.dts is None else packet.dts
    with open_video(remux(source, tmp_path / f"cut.{suffix}", _with_times(kept))) as video:
        assert video.n_frames < len(kept)
    numbers = every_frame_is_exact(tmp_path / f"cut.{suffix}")
    assert numbers == list(range(50 - len(numbers), 50))


def _with_times(packets: list[Any]) -> list[Any]:
    """Decoding times for packets that lack them, ascending and not after the presentation."""
    times = sorted(packet.pts for packet in packets)
    delay = max(time - packet.pts for time, packet in zip(times, packets, strict=True))
    for packet, time in zip(packets, times, strict=True):
        packet.dts = time - delay
    return packets


def test_a_hidden_vp8_frame_is_not_a_frame(folder: Path, tmp_path: Path) -> None:
    source = clip(folder, "vp8.webm")
    packets = packets_of(source)
    hidden = 17
    data = bytearray(bytes(packets[hidden]))
    data[0] &= ~0x10
    packet = av.Packet(bytes(data))
    packet.pts, packet.dts, packet.time_base = packets[hidden].pts, packets[hidden].dts, packets[hidden].time_base
    path = remux(source, tmp_path / "hidden.webm", [*packets[:hidden], packet, *packets[hidden + 1 :]])
    assert every_frame_is_exact(path) == [number for number in range(50) if number != hidden]


def test_a_packed_xvid_avi(tmp_path: Path) -> None:
    """Two pictures in a packet, then an empty one: how DivX and XviD put B-frames into AVI."""
    source = encode(tmp_path / "plain.avi", "mpeg4", b_frames=1)
    start, note, nothing = b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p", b"\0\0\1\xb6\x51\x00\x7f"
    plain = [(bytes(packet), packet.is_keyframe) for packet in packets_of(source)]
    is_b = [data[data.index(start) + 4] >> 6 == 2 for data, _ in plain]
    packed: list[tuple[bytes, bool]] = []
    for number, (data, key) in enumerate(plain):
        if is_b[number]:
            packed[-1] = (packed[-1][0] + data, packed[-1][1])
            packed.append((nothing, False))
        else:
            packed.append((data, key))
    head = packed[0][0]
    packed[0] = (head[: head.index(start)] + note + head[head.index(start) :], True)
    packets = []
    for number, (data, key) in enumerate(packed):
        packet = av.Packet(data)
        packet.pts = packet.dts = number
        packet.time_base, packet.is_keyframe = Fraction(1, 30), key
        packets.append(packet)
    assert every_frame_is_exact(remux(source, tmp_path / "packed.avi", packets)) == list(range(50))


@pytest.mark.parametrize("name", ["b-frames.mp4", "b-frames.mkv", "b-frames.avi", "mpeg4-b-frames.mp4", "vp9.webm"])
@pytest.mark.parametrize("part", [0.01, 0.3, 0.77, 0.98])
def test_a_file_that_was_cut_short_is_refused(folder: Path, tmp_path: Path, name: str, part: float) -> None:
    data = clip(folder, name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(HarBenchError, match=f"{name} (holds|is not).* fetch it again"):
        open_video(path)


def test_a_stream_that_breaks_off_in_a_frame_is_refused(tmp_path: Path) -> None:
    data = encode(tmp_path / "whole.flv", "flv").read_bytes()
    (tmp_path / "cut.flv").write_bytes(data[: len(data) // 2])
    with pytest.raises(HarBenchError, match=r"cut.flv breaks off after \d+ frames; fetch it again"):
        open_video(tmp_path / "cut.flv")


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match=r"none.mp4 is not there"):
        open_video(tmp_path / "none.mp4")
    with pytest.raises(HarBenchError, match=r"is a folder; name a file"):
        open_video(tmp_path)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(HarBenchError, match=r"empty.mp4 is empty"):
        open_video(tmp_path / "empty.mp4")
    (tmp_path / "text.avi").write_text("not a video\n" * 100)
    with pytest.raises(HarBenchError, match=r"text.avi is not a whole video"):
        open_video(tmp_path / "text.avi")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:1/1.ts\n")
    with pytest.raises(HarBenchError, match=r"list.mp4 (is not a whole video|holds no)"):
        open_video(tmp_path / "list.mp4")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    with pytest.raises(HarBenchError, match=r"sound.wav holds no video"):
        open_video(tmp_path / "sound.wav")


def test_a_codec_that_ffmpeg_does_not_know_is_refused(folder: Path, tmp_path: Path) -> None:
    data = clip(folder, "mpeg4.avi").read_bytes()
    (tmp_path / "odd.avi").write_bytes(data.replace(b"FMP4", b"ODDE"))
    with pytest.raises(HarBenchError, match=r"odd.avi holds a video of an unknown codec"):
        open_video(tmp_path / "odd.avi")


def test_a_title_in_another_encoding_is_no_hindrance(folder: Path, tmp_path: Path) -> None:
    data = clip(folder, "mpeg4.avi").read_bytes()
    assert data.count(b"Lavf") == 1
    (tmp_path / "title.avi").write_bytes(data.replace(b"Lavf", b"Caf\xe9"))
    with open_video(tmp_path / "title.avi") as video:
        assert number_of(video.frame(33)) == 33


def test_frames_that_are_not_there(folder: Path) -> None:
    with open_video(clip(folder, "b-frames.mp4")) as video:
        for index in (-1, 50):
            with pytest.raises(HarBenchError, match=rf"has no frame {index}; its 50 frames count from 0"):
                video.frame(index)
    assert (video.n_frames, len(video.timestamps)) == (50, 50)
    with pytest.raises(HarBenchError, match=r"b-frames.mp4 was closed"):
        video.frame(0)


def test_a_damaged_frame_is_named(folder: Path, tmp_path: Path) -> None:
    source = clip(folder, "no-b-frames.mp4")
    data, packet = bytearray(source.read_bytes()), packets_of(source)[20]
    assert packet.pos is not None
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (tmp_path / "damaged.mp4").write_bytes(data)
    with open_video(tmp_path / "damaged.mp4") as video:
        with pytest.raises(HarBenchError, match=r"frame 20 of .*damaged.mp4 cannot be decoded"):
            video.frame(20)
        assert number_of(video.frame(19)) == 19
        assert number_of(video.frame(40)) == 40


def test_without_pyav_the_remedy_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip(folder, "no-b-frames.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    assert not video_module.installed()
    with pytest.raises(HarBenchError, match=r"needs PyAV: pip install 'har-bench\[video\]'"):
        open_video(path)


@pytest.mark.parametrize("name", ["b-frames.mp4", "b-frames.avi", "b-frames.ts", "vfr.mkv", "mpeg4-b-frames.avi"])
def test_mutated_files_raise_nothing_but_our_error(folder: Path, tmp_path: Path, name: str) -> None:
    data = np.frombuffer(clip(folder, name).read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / name
    for _ in range(FUZZ // 5):
        mutated = data.copy()
        # the head of a file decides most
        reach = len(data) if rng.random() < 0.5 else min(1000, len(data))
        where = rng.integers(0, reach, rng.integers(1, 9))
        mutated[where] = rng.integers(0, 256, len(where))
        start = rng.integers(0, len(data))
        kind = rng.integers(4)
        cut = {0: mutated, 1: mutated[:start], 2: mutated[start:], 3: np.delete(mutated, slice(start, start + 50))}
        path.write_bytes(cut[int(kind)].tobytes())
        try:
            with open_video(path) as video:
                count = video.n_frames
                assert video.timestamps.shape == (count,)
                for index in rng.integers(0, count, 3).tolist():
                    assert video.frame(index).ndim == 3
        except HarBenchError:
            pass


@pytest.mark.real
def test_a_real_ntu_video_has_a_frame_for_each_frame_of_its_skeleton(real: Path) -> None:
    name = "S001C001P001R001A001"
    frames = int((real / "ntu60" / "skeletons" / f"{name}.skeleton").read_text().split(maxsplit=1)[0])
    path = real / "ntu60" / "rgb" / f"{name}_rgb.avi"
    with open_video(path) as video:
        assert (video.n_frames, video.width, video.height, video.fps) == (frames, 1920, 1080, 30)
        np.testing.assert_allclose(video.timestamps, np.arange(frames) / 30)
        with av.open(str(path)) as container:
            truth = {
                index: frame.to_ndarray(format="rgb24")
                for index, frame in enumerate(container.decode(video=0))
                if index % 20 in (2, 3)
            }
        for index in sorted(truth, reverse=True):  # B-frames in an AVI: packets are in another order than pictures
            np.testing.assert_array_equal(video.frame(index), truth[index], err_msg=f"frame {index}")
