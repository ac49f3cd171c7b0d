"""Pictures of poses: joints stand where they are, forms and fills say what they mean, the viewer holds every number."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import har_bench
from har_bench import HarBenchError, cameras, cli, registry
from har_bench.drawing.poses import LEFT, RIGHT
from har_bench.drawing.scenes import render
from har_bench.keypoints import write_joints
from har_bench.keypoints.bvh import with_constant_bones
from har_bench.keypoints.motion import CAMERA, WORLD, Axes, turned
from har_bench.media import video
from har_bench.media.pose_files import Sight, part_of, pose_schema, writer
from har_bench.media.poses import Poses
from har_bench.showing import motion_files, of_store, show, show_worst, viewer
from har_bench.showing.painting import DARK_MIDDLE, PAPER, Painter
from har_bench.showing.space import view_of
from har_bench.showing.stage import Cast, Points, Stage, with_error
from har_bench.skeletons import skeleton
from har_bench.store import Store, open_store
from har_bench.studying.explaining import explain
from tests import chromium
from tests.golden import REAL

WALK = "S11/Greeting 2/54138969"
COLOURS = {"left": LEFT, "right": RIGHT}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of two samples, one with its pictures, and predictions of the other."""
    home = tmp_path_factory.mktemp("showing")
    for dataset in ("h36m", "mpii"):
        registry.load("converters", dataset).sample(home / "raw" / dataset)
        store = har_bench.convert(dataset, home / "raw" / dataset, home / dataset, jobs=1, quiet=True)
    render(store, home / "raw" / "mpii", store.sequences["sequence"].to_pylist()[:6])
    har_bench.run("oracle-noise", home / "h36m", protocol="h36m/mpjpe", out=home / "noise.parquet")
    return home


def colours_at(picture: Any, places: np.ndarray) -> list[tuple[int, ...]]:
    pixels = np.asarray(picture)
    return [tuple(pixels[round(y), round(x)].tolist()) for x, y in places]


def expected(bones: Any) -> list[tuple[int, ...]]:
    return [COLOURS.get(name.partition("_")[0], DARK_MIDDLE) for name in bones.joints]


def on_media(store: Store, raw: Path) -> int:
    """How many visible joints of the first persons were found in their colour, in the pixel that they are in."""
    found = 0
    for row in store.sequences.to_pylist():
        if not (raw / (row["media"] or "nowhere")).is_file():
            continue
        view = store.sequence(row["sequence"])
        if len(view) != 1:
            continue  # others may stand before a joint
        stage = of_store.stage_of(store, row["sequence"], {}, media=raw)
        (picture,) = Painter(stage).frames()
        with Image.open(raw / row["media"]) as opened:
            width, height = opened.size
        points = view.keypoints[0]
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
        alone = np.where(np.isfinite(apart), apart, 1e9).min(axis=1) > 12
        inside = (points >= 0).all(axis=1) & (points < [width - 1, height - 1]).all(axis=1)
        seen = np.isfinite(points).all(axis=1) & (view.visibility[0] == 2) & inside & alone
        wanted = [colour for colour, there in zip(expected(store.skeleton()), seen, strict=True) if there]
        assert colours_at(picture, points[seen]) == wanted
        found += len(wanted)
    return found


def test_a_joint_s_colour_stands_at_its_pixel(home: Path) -> None:
    assert on_media(open_store(home / "mpii"), home / "raw" / "mpii") > 10


@pytest.mark.real
def test_on_real_pictures_too(tmp_path: Path) -> None:
    store = har_bench.convert("mpii", REAL / "mpii" / "release_like", tmp_path / "store", jobs=1, quiet=True)
    assert on_media(store, REAL / "mpii") > 5


def a_stage(**fields: Any) -> Stage:
    """One upright person of 17 joints in two frames, the second one's left wrist absent."""
    bones = skeleton("h36m17")
    heights = np.linspace(-600, 900, 17)
    joints = np.stack([np.zeros(17), heights, np.full(17, 3000.0)], axis=-1)
    places = np.stack([joints, joints])[:, None]
    places[1, 0, bones.index("left_wrist")] = np.nan
    truth = Cast("truth", None, Points(places, bones))
    moved = places.copy()
    moved[:, :, 1] += [3.0, 4.0, 0.0]
    other = with_error(Cast("mine", None, Points(moved, bones)), truth)
    return Stage(**{"title": "s", "frames": np.arange(2), "casts": (truth, other), "fps": 25.0} | fields)


def test_the_error_of_a_frame_is_the_mean_distance_about_the_root() -> None:
    mine = a_stage().casts[1]
    assert mine.error == pytest.approx([5 / 17, 5 / 16])
    assert mine.unit == "mm"


def test_occluded_joints_are_hollow_and_absent_ones_are_not_drawn() -> None:
    bones = skeleton("mpii16")
    where = np.stack([np.arange(16) * 20.0 + 20, np.full(16, 50.0)], axis=-1)
    where[5] = [300, 300]
    visibility = np.full((1, 1, 16), 2)
    visibility[0, 0, 3], visibility[0, 0, 5] = 1, 0
    places = np.where((visibility == 0)[..., None], np.nan, where)
    stage = Stage("s", np.arange(1), (Cast("truth", Points(places, bones, visibility)),), size=(360, 480))
    (picture,) = Painter(stage).frames()
    wanted = [PAPER if joint in (3, 5) else colour for joint, colour in enumerate(expected(bones))]
    assert colours_at(picture, where) == wanted


def test_left_and_right_differ_by_more_than_colour() -> None:
    """A square fills its corner, a disc does not."""
    bones = skeleton("mpii16")
    places = np.full((1, 1, 16, 2), np.nan)
    for joint, x in (("left_wrist", 100.0), ("right_wrist", 200.0)):
        places[0, 0, bones.index(joint)] = [x, 100]
    stage = Stage("s", np.arange(1), (Cast("truth", Points(places, bones)),), size=(480, 480))
    (picture,) = Painter(stage).frames()
    reach = next(step for step in range(1, 20) if tuple(picture[100, 100 + step]) == PAPER) - 1
    assert tuple(picture[100 - reach, 100 - reach]) == LEFT
    assert tuple(picture[100 - reach, 200 - reach]) == PAPER


@pytest.mark.parametrize("as_recorded", [False, True])
def test_up_is_up_and_the_root_stands_in_the_middle(as_recorded: bool) -> None:
    tilt = np.radians(20)  # a camera that looks down, in a room whose z is up
    R = np.array([[1, 0, 0], [0, -np.sin(tilt), -np.cos(tilt)], [0, np.cos(tilt), -np.sin(tilt)]])
    camera = cameras.Camera(np.ones(2), np.zeros(2), R, np.zeros(3), np.zeros(5))
    view = view_of(camera, 400, as_recorded=as_recorded)
    origin, above = view.project(np.stack([np.zeros(3), R @ [0, 0, 500.0]]))
    assert origin == pytest.approx([200, 200])
    assert above[1] < 150
    assert above[0] == pytest.approx(200, abs=1e-6)


@pytest.mark.parametrize("ending", [".png", ".gif", ".mp4"])
def test_a_sequence_is_drawn_by_what_the_name_ends_in(home: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".mp4" and not video.installed():
        pytest.skip(video.INSTALL)
    given = {"noise": home / "noise.parquet"}
    path = show(home / "h36m", WALK, tmp_path / f"walk{ending}", predictions=given, span=(2, 7))
    if ending == ".mp4":
        with video.open_video(path) as film:
            assert sum(1 for _ in film.frames()) == 5
    else:
        with Image.open(path) as opened:
            assert getattr(opened, "n_frames", 1) == (5 if ending == ".gif" else 1)


@chromium.needed
def test_a_browser_plays_the_film(browser: Any, home: Path, tmp_path: Path) -> None:
    if not video.installed():
        pytest.skip(video.INSTALL)
    show(home / "h36m", WALK, tmp_path / "walk.mp4", predictions={"noise": home / "noise.parquet"}, span=(0, 25))
    (tmp_path / "film.html").write_text("<!doctype html><title>film</title><video src=walk.mp4 muted></video>")
    with chromium.opened(browser, tmp_path / "film.html") as (page, complaints):
        if not page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.64001F\"')"):
            pytest.skip("this Chromium has no H.264")
        film = page.locator("video")
        page.wait_for_timeout(100)
        film.evaluate("(film) => film.play()")
        page.wait_for_timeout(300)
        state, duration, at, width = film.evaluate(
            "(film) => [film.readyState, film.duration, film.currentTime, film.videoWidth]"
        )
        assert complaints == []
    assert state >= 2  # it has the picture of where it is
    assert duration == pytest.approx(0.5, abs=0.05)
    assert at > 0
    assert width > 480


def unpacked(part: dict[str, Any]) -> np.ndarray:
    """What the viewer's script makes of its data, in plain NumPy."""
    frames, *others = part["shape"]
    raw = np.frombuffer(zlib.decompress(base64.b64decode(part["data"])), np.uint8).reshape(2, -1)
    unsigned = raw[0].astype(np.int64) | raw[1].astype(np.int64) << 8
    tracks = (unsigned // 2 ^ -(unsigned % 2)).reshape(-1, frames).astype(np.int16)
    for _ in range(part["order"]):
        tracks = np.cumsum(tracks, axis=1, dtype=np.int16)
    return np.moveaxis(tracks.reshape(*others, frames), -1, 0)


def test_the_viewer_holds_whole_millimetres_of_every_frame() -> None:
    stage = a_stage()
    page = viewer.page(stage)
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    found = unpacked(content["casts"][0]["space"])
    turned = (stage.casts[0].space.places - stage.casts[0].space.places[:, :, :1]) @ view_of(None, 2).turn.T
    known = np.isfinite(turned)
    assert np.abs(found - turned)[known].max() <= 0.5
    assert (found[~known] == viewer.ABSENT).all()
    assert content["casts"][1]["error"] == [0.3, 0.3]
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize(("order", "name"), [(1, "mpii16"), (2, "h36m32")])
def test_a_thousand_frames_of_two_skeletons_are_small(order: int, name: str) -> None:
    """Those of a shaky detector, and a smooth walk of all 32 joints, in the picture and in space."""
    random, bones = np.random.default_rng(0), skeleton(name)
    time = np.arange(1000)[:, None, None, None] / 50
    shape = (1, 1, len(bones), 3)
    smooth = 200 * np.sin(2 * np.pi * (0.7 * time + random.random(shape))) + random.normal(0, 300, shape)
    noise = 10.0 if order == 1 else 0.5
    walks = [smooth + random.normal(0, noise, smooth.shape) for _ in range(2)]
    casts = [
        Cast(each, Points(walk[..., :2] / 4 + 300, bones), Points(walk, bones))
        for each, walk in zip(("truth", "mine"), walks, strict=True)
    ]
    page = viewer.page(Stage("s", np.arange(1000), (casts[0], with_error(casts[1], casts[0])), 50.0))
    assert len(page) <= 250_000
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    assert {part["order"] for cast in content["casts"] for part in (cast["image"], cast["space"])} == {order}
    assert np.abs(unpacked(content["casts"][0]["image"]) / 4 - casts[0].image.places).max() <= 0.125


@pytest.fixture(scope="module")
def walk(home: Path) -> Path:
    """A viewer of the truth and of a system, in the picture and in space."""
    return show(home / "h36m", WALK, home / "walk.html", predictions={"noise": home / "noise.parquet"})


@chromium.needed
@pytest.mark.parametrize(("width", "scheme"), chromium.VIEWS)
def test_the_viewer_draws_and_everybody_can_read_it(browser: Any, walk: Path, width: int, scheme: str) -> None:
    with chromium.opened(browser, walk, width=width, scheme=scheme) as (page, complaints):
        page.locator("body[data-ready=yes]").wait_for()
        assert re.fullmatch(r"noise: [\d.]+ mm off", page.inner_text("#said"))
        drawn = page.evaluate(
            "[...document.querySelectorAll('canvas')].map((each) => new Set(each.getContext('2d')"
            ".getImageData(0, 0, each.width, each.height).data).size)"
        )
        assert len(drawn) == 2
        assert min(drawn) > 20
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert chromium.violations(page) == []
        assert complaints == []


@chromium.needed
def test_the_viewer_is_driven_by_keys_alone(browser: Any, walk: Path) -> None:
    with chromium.opened(browser, walk) as (page, _):
        page.locator("body[data-ready=yes]").wait_for()

        def pressed(key: str) -> tuple[str, str]:
            """The frame, and what stands in the panel in space, after a key."""
            page.keyboard.press(key)
            return page.inner_text("#frame"), page.locator("canvas").nth(1).evaluate("(each) => each.toDataURL()")

        first = pressed("Home")
        last = int(pressed("End")[0].split()[1])
        assert [first[0], pressed("ArrowLeft")[0]] == ["frame 0", f"frame {last - 1}"]
        assert [pressed("Home"), pressed("Shift+ArrowRight")[0]] == [first, "frame 10"]
        pressed("Home")
        for there, back in ("+-", "ad", "ws"):
            assert pressed(there)[1] != first[1]
            assert pressed(back) == first
        for key in ("+", "a", "w"):
            pressed(key)
        assert pressed("r") == first
        page.keyboard.press("Tab")  # to "Play"
        page.keyboard.press("Enter")
        page.wait_for_timeout(300)
        assert pressed("Space") != first
        assert page.inner_text("#play") == "Play"
        for _ in range(4):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.type") == "checkbox":
                break
        shown = pressed("Home")
        assert pressed("Space")[1] != shown[1]  # the truth is gone


def test_a_stranger_s_name_runs_nothing() -> None:
    page = viewer.page(a_stage(title="</script><script>alert(1)</script>"))
    assert page.count("<script") == 2
    named = viewer.page(Stage("s", np.arange(2), (Cast("</script><b>", None, a_stage().casts[0].space),)))
    assert "</script><b>" not in named


@pytest.mark.parametrize("axes", [CAMERA, WORLD])
@pytest.mark.parametrize("ending", [".npy", ".parquet", ".json", ".csv", ".trc", ".bvh"])
def test_what_lift_writes_is_shown(tmp_path: Path, ending: str, axes: Axes) -> None:
    """People stand upright, whichever axes the file says; an array says none, and has the camera's."""
    joints = np.random.default_rng(0).normal(0, 300, (4, 17, 3)).astype(np.float32)
    path = tmp_path / f"joints{ending}"
    write_joints(path, joints if ending == ".npy" else turned(joints, CAMERA, axes), "h36m17", fps=25, axes=axes)
    page = show(path, None, tmp_path / "out.html").read_text()
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    assert content["frames"] == [0, 1, 2, 3]
    space = content["casts"][0]["space"]
    assert space["shape"] == [4, 1, 17, 3]
    assert space["joints"] == list(skeleton("h36m17").joints)
    if ending != ".bvh":  # which keeps the lengths of bones
        seen = (joints - joints[:, :1]) @ view_of(None, 2).turn.T
        assert np.abs(unpacked(space)[:, 0] - seen).max() <= 0.51
    with Image.open(show(path, None, tmp_path / "out.gif", span=(1, 3))) as opened:
        assert opened.n_frames == 2


def test_a_file_of_an_animation_is_turned_back_into_the_motion_it_was_made_of(tmp_path: Path) -> None:
    """A person whose bones do not stretch comes back as it was."""
    random, bones = np.random.default_rng(1), skeleton("h36m17")
    joints = np.cumsum(random.normal(0, 20, (5, 17, 3)), axis=0) + random.normal(0, 300, (1, 17, 3))
    rigid = with_constant_bones(joints, bones) + np.array([100.0, 200.0, 3000.0])
    write_joints(tmp_path / "a.bvh", rigid.astype(np.float32), "h36m17", fps=25)
    found = motion_files.read(tmp_path / "a.bvh")
    assert np.abs(found.joints - rigid).max() < 0.1
    assert (found.fps, found.frame.tolist(), found.bones.name) == (25, [0, 1, 2, 3, 4], "h36m17")


@pytest.mark.parametrize("ending", [".csv", ".trc", ".bvh"])
@pytest.mark.parametrize("rest", [0.0, 0.3, 0.9])
def test_a_file_that_was_cut_is_a_sentence(tmp_path: Path, ending: str, rest: float) -> None:
    joints = np.random.default_rng(0).normal(0, 300, (4, 17, 3)).astype(np.float32)
    path = tmp_path / f"cut{ending}"
    write_joints(path, joints, "h36m17", fps=25)
    text = path.read_text()
    path.write_text(text[: int(rest * len(text))] + "\n1,2\n")
    with pytest.raises(HarBenchError, match=f"cut{ending}.*; "):
        show(path, None, tmp_path / "out.html")


@pytest.mark.parametrize("ending", [".npz", ".json", ".parquet"])
def test_what_pose_writes_is_shown(tmp_path: Path, ending: str) -> None:
    bones = skeleton("coco17")
    points = np.random.default_rng(0).uniform(50, 300, (2, 17, 2))
    box = np.array([[50, 50, 250, 250]])
    poses = [Poses(points[at : at + 1], np.ones((1, 17)), np.ones(1), box) for at in range(2)]
    seen = [Sight("film", at, at / 25, (640, 480), each) for at, each in enumerate(poses)]
    facts = {"layout": "coco17", "fps": "25", "width": "640", "height": "480", "film": "true"}
    parts = [part_of(seen, pose_schema(bones, in_space=False))]
    writer(tmp_path / f"a{ending}")(tmp_path / f"a{ending}", parts, bones, facts)
    page = show(tmp_path / f"a{ending}", None, tmp_path / "out.html").read_text()
    content = json.loads(re.search(r'id="content">(.*?)</script>', page)[1])
    assert content["size"] == [640, 480] or ending != ".parquet"
    assert np.abs(unpacked(content["casts"][0]["image"])[:, 0] / 4 - points).max() <= 0.13


def test_the_worst_are_those_that_explain_names(home: Path, tmp_path: Path) -> None:
    noise, store = home / "noise.parquet", home / "h36m"
    paths = show_worst(store, tmp_path / "w.html", 2, predictions={"noise": noise}, protocol="h36m/mpjpe")
    assert [path.name for path in paths] == ["w-1.html", "w-2.html"]
    wanted = [each.name for each in explain("h36m/mpjpe", store, noise, worst=2).worst]
    assert [re.search(r"<title>(.*?)</title>", path.read_text())[1] for path in paths] == wanted


REFUSED = {
    "a.png WALK --frames 900:901": "no frame from 900 to before 901",
    "a.png WALK --frames x": "is no span; write it as A:B",
    "a.bmp WALK": "pictures are written as .mp4, .gif, .png, .html",
    "a.png nobody": "no sequence of",
    "a.png": "name one, or give --worst",
    "a.png --worst 2 --protocol h36m/mpjpe": "give its --predictions",
    "a.png --worst 2 --predictions a={noise}": "give --protocol",
    "a.png WALK --media {out}": "is not there",
}
"""What is drawn of Human3.6M, after ``--out``, and what is said of it."""


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_drawn_is_a_sentence(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    places = {"noise": home / "noise.parquet", "out": tmp_path}
    words = [WALK if word == "WALK" else word.format(**places) for word in f"{{out}}/{line}".split()]
    with pytest.raises(SystemExit):
        cli.main(["show", str(home / "h36m"), "--out", *words])
    assert REFUSED[line] in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_predictions_of_another_sequence_are_told(home: Path, tmp_path: Path) -> None:
    with pytest.raises(HarBenchError, match="does not score S1"):
        show(home / "h36m", "S1/Directions 1/54138969", tmp_path / "a.png", predictions={"a": home / "noise.parquet"})
