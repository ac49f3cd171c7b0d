"""Windows, normalised images and mirrored averages of lifting models, against VideoPose3D's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from har_bench import HarBenchError, Store, convert, registry  # noqa: E402
from har_bench.keypoints import Track, fill_gaps  # noqa: E402
from har_bench.lifting.clips import (  # noqa: E402
    Clip,
    Source,
    denormalise,
    hashed,
    in_joints,
    intrinsics,
    normalise,
    runs,
)
from har_bench.lifting.lifter import Lifter, Sizes, rooted  # noqa: E402
from har_bench.lifting.windows import Pool, Reel, Span  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402
from har_bench.running import make_baseline  # noqa: E402
from har_bench.skeletons import skeleton  # noqa: E402
from har_bench.training import Share  # noqa: E402
from tests.golden import REAL  # noqa: E402
from tests.sampled import Samples  # noqa: E402

COCO17, H36M17 = skeleton("coco17"), skeleton("h36m17")
HERE = Share(0, 0, 1, torch.device("cpu"))
WINDOWS = {"sym": Span(1, 4, 0), "causal": Span(1, 4, 4), "stride3": Span(3, 4, 0)}
GENERATORS = REAL / "models" / "videopose3d" / "generators.npz"
KINDS = sorted({key.split("_")[1] for key in np.load(GENERATORS).files if "_2d" in key}) if GENERATORS.exists() else []


def clips() -> list[Clip]:
    """Two clips, each followed by its mirror image."""
    with np.load(GENERATORS) as file:
        plain = [Clip(file[f"p2_{n}"], file[f"p3_{n}"], file[f"cam_{n}"]) for n in range(2)]
    return [each for clip in plain for each in (clip, clip.mirrored(COCO17, H36M17))]


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
def test_training_windows_and_their_order_are_the_original_s(kind: str) -> None:
    reel = Reel(clips(), WINDOWS[kind])
    (batch,) = reel.epoch(1234, len(reel))
    with np.load(GENERATORS) as file:
        for name, ours in (("2d", batch.points), ("3d", batch.poses), ("cam", batch.cameras)):
            np.testing.assert_array_equal(ours, file[f"chunk_{kind}_{name}"])


@pytest.mark.real
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [0, 1])
def test_whole_sequences_are_padded_and_mirrored_as_the_original_s(kind: str, number: int) -> None:
    both, span = clips()[2 * number : 2 * number + 2], WINDOWS[kind]
    batch = Reel(both, Span(len(both[0]), span.pad, span.shift)).windows(np.arange(2))
    with np.load(GENERATORS) as file:
        for name, ours in (("2d", batch.points), ("3d", batch.poses), ("cam", batch.cameras)):
            np.testing.assert_array_equal(ours, file[f"unch_{kind}_{number}_{name}"])


@dataclass
class Recorded(Lifter):
    """A network that looks its answer up."""

    summary = "recorded"
    raw: Any = None

    @property
    def span(self) -> Span:
        return Span(1, 13, 0)

    def network(self, sizes: Sizes) -> Any:
        raise NotImplementedError


class Lookup(torch.nn.Module):
    def __init__(self, question: Any, answer: Any) -> None:
        super().__init__()
        self.question, self.answer = question, answer

    def forward(self, points: Any) -> Any:
        np.testing.assert_array_equal(points, self.question)
        return torch.as_tensor(self.answer)


@pytest.mark.real
def test_mirrored_predictions_are_averaged_as_the_original_s() -> None:
    with np.load(REAL / "models" / "videopose3d" / "tta.npz") as file:
        model = Recorded(device="cpu")
        model.models = torch.nn.ModuleDict({"model_pos": Lookup(file["x"], file["raw"])})
        model.joints, model.target = "coco17", "h36m17"
        np.testing.assert_allclose(model.lift(file["seq2d"]), file["y"][0], atol=1e-6)


@pytest.mark.real
def test_images_are_normalised_as_the_original_s() -> None:
    with np.load(REAL / "models" / "videopose3d" / "camera_loss.npz") as file:
        np.testing.assert_allclose(normalise(file["px"], 1000, 1002), file["px_norm"], atol=1e-12)
        np.testing.assert_allclose(normalise(file["px"], 1280, 720), file["px_norm_1280x720"], atol=1e-12)
        np.testing.assert_allclose(denormalise(file["px_norm"], 1000, 1002), file["px_back"], atol=1e-9)


@pytest.mark.real
def test_the_hashed_start_of_a_subset_is_the_original_s() -> None:
    """The golden does not say its arguments; 0 to 1000 with the keys "0" to "9" are the ones that give it."""
    with np.load(REAL / "models" / "videopose3d" / "camera_loss.npz") as file:
        assert [hashed(1000, str(key)) for key in range(10)] == file["det_rand"].tolist()


def a_clip(frames: int, joints: int = 17, seed: int = 0) -> Clip:
    random = np.random.default_rng([frames, seed])
    points = random.normal(size=(frames, joints, 2)).astype(np.float32)
    return Clip(points, random.normal(size=(frames, 17, 3)).astype(np.float32), np.arange(9, dtype=np.float32))


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(0, 5),
    st.integers(1, 7),
    st.integers(1, 3),
)
def test_an_epoch_visits_every_frame_of_every_clip(
    lengths: list[int], chunk: int, pad: int, size: int, ranks: int
) -> None:
    """By any batches, alone or shared between processes: windows hold their frames, and each appears."""
    made = [a_clip(length, seed=number) for number, length in enumerate(lengths)]
    reel = Reel(made, Span(chunk, pad))
    shares = [list(reel.epoch(5, size, rank=rank, ranks=ranks)) for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    seen = torch.cat([batch.poses.flatten(0, 1) for share in shares for batch in share]).numpy()
    centre = torch.cat([batch.points[:, pad : pad + chunk].flatten(0, 1) for share in shares for batch in share])
    for clip in made:
        for pose, points in zip(clip.poses, clip.points, strict=True):
            places = np.flatnonzero((seen == pose).all((1, 2)))
            assert len(places)
            assert (centre.numpy()[places] == points).all()


@given(st.integers(1, 400), st.floats(0.05, 1), st.integers(1, 5))
def test_a_thinned_clip_is_a_run_of_every_nth_frame(frames: int, subset: float, every: int) -> None:
    clip = Clip(np.arange(frames, dtype=np.float32)[:, None, None], np.zeros((frames, 1, 3), np.float32), np.zeros(9))
    kept = clip.thinned(subset, every).points[:, 0, 0]
    assert (np.diff(kept) == every).all()
    assert len(kept) == (-(-frames // every) if subset == 1 else max(round(frames // every * subset), 1))


@pytest.fixture(scope="module")
def store(samples: Samples) -> Store:
    return samples("h36m")


@dataclass(frozen=True)
class Watched(Source):
    """Remembers which parts of the store were read."""

    opened: list[int] = field(default_factory=list)

    def clips(self, part: int, sequences: pa.Table) -> Iterator[tuple[Clip, pa.Table]]:
        self.opened.append(part)
        return super().clips(part, sequences)


def pool(store: Store, memory_mb: int) -> Any:
    source = Watched(store, H36M17, H36M17)
    return Pool(source, store.select("standard/train"), Span(1, 1), augment=True, memory_mb=memory_mb)


def test_training_data_is_read_part_by_part_where_it_does_not_fit(store: Store) -> None:
    """The same windows in another order, and no more than some parts in memory."""
    resident, streamed = pool(store, 8192), pool(store, 0)
    found = [torch.cat([batch.points for batch in each.epoch(3, 64, HERE)]) for each in (resident, streamed)]
    first, second = (np.unique(points.numpy().reshape(len(points), -1), axis=0) for points in found)
    np.testing.assert_array_equal(first, second)
    assert len(list(resident.epoch(4, 64, HERE))) <= len(list(streamed.epoch(4, 64, HERE)))
    once = sorted(resident.source.opened)
    assert len(once) == len(set(once)) > 1
    assert sorted(streamed.source.opened) == sorted(2 * once)


def test_a_clip_holds_the_store_s_poses_in_metres_about_the_root(store: Store) -> None:
    source = Source(store, H36M17, H36M17)
    clip, table = next(source.clips(0, store.sequences))
    view = store.sequence(table["sequence"][0].as_py())
    world = view.keypoints_3d[:, [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]] / 1000
    np.testing.assert_allclose(clip.poses[:, 0], world[:, 0], rtol=1e-6)
    np.testing.assert_allclose(rooted(torch.as_tensor(clip.poses)), world - world[:, :1], atol=1e-6)
    size = view.info["width"], view.info["height"]
    camera = store.camera(view.info["camera"], view.info["subject"])
    np.testing.assert_allclose(clip.camera, intrinsics(camera, *size))
    pixels = denormalise(clip.points, *size)
    np.testing.assert_allclose(pixels, camera.project(world * 1000), atol=0.01)


def test_what_cannot_be_trained_on_is_said(store: Store) -> None:
    protocol = make_protocol("h36m/mpjpe")
    for settings, words in (
        ({"subjects": "S2"}, "no subject of the training sequences is called 'S2'; there are S1"),
        ({"actions": "Dancing"}, "no action of the training sequences is called 'Dancing'"),
        ({"features": 3}, "have no confidences"),
        ({"epochs": 0}, "epochs=0; give 1 or more"),
        ({"stride": 0}, "stride=0; give 1 or more"),
        ({"downsample": 0}, "downsample=0; give 1 or more"),
        ({"devices": 1.5}, "devices=1.5; give a whole number"),
        ({"batch": 3, "devices": 2}, "batch is 3; give 4 or more"),
        ({"subset": 2}, "subset is 2.0; give a fraction"),
        ({"lr": "fast"}, "lr='fast'; give a number"),
        ({"precision": "abc"}, "precision='abc'; give float32 or tf32 or bf16"),
    ):
        with pytest.raises(HarBenchError, match=words):
            make_baseline("martinez", {"channels": 4, "epochs": 1, "device": "cpu"} | settings).fit(store, protocol)


def test_confidences_of_other_joints_are_those_of_a_track() -> None:
    """The same from a dataset's detections, which a model learns from, as from a video's: a midpoint has its worst."""
    random = np.random.default_rng(0)
    found = random.uniform(0, 100, (5, 17, 3)).astype(np.float32)
    found[2, 11, 0] = np.nan
    points, filled = fill_gaps(found[..., :2])
    scores = np.where(np.isfinite(found).all(axis=-1), found[..., 2], np.float32(0))
    track = Track(points, scores, "coco17", (640, 480), 25.0, filled, "a test").in_layout("h36m17")
    ours = in_joints(found, COCO17, H36M17, 3)
    np.testing.assert_array_equal(ours[..., :2], track.points)
    np.testing.assert_array_equal(ours[..., 2], track.scores)
    assert ours[2, 0, 2] == 0  # the hip, between the left one, which was interpolated, and the right one


def test_a_joint_that_no_frame_shows_is_said() -> None:
    found = np.ones((4, 17, 2), np.float32)
    found[:, 3] = np.nan
    with pytest.raises(
        HarBenchError, match="h36m17's right_ankle cannot be made: their h36m17 joints are in none of the 4 frames"
    ):
        in_joints(found, H36M17, H36M17)


def test_sequences_without_a_camera_are_no_obstacle_where_none_is_asked_for() -> None:
    sequences = pa.table({"camera": ["a", None]})
    assert Lifter.narrowed(sequences, "camera", "") is sequences


def test_runs_end_where_frames_are_missing() -> None:
    assert runs(np.array([3])) == [slice(0, 1)]
    assert runs(np.array([0, 5, 10, 30, 35])) == [slice(0, 3), slice(3, 5)]  # one frame in five
    assert runs(np.array([4, 5, 9, 10, 11])) == [slice(0, 2), slice(2, 5)]


def test_clips_that_do_not_fit_into_what_is_free_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sequences = pa.table({"part": [0], "rows": [1_000_000]})
    source = Source(cast(Any, SimpleNamespace(path="store")), H36M17, H36M17)
    monkeypatch.setattr("har_bench.lifting.windows.free_memory_mb", lambda _: 100.0)
    pool = Pool(source, sequences, Span())
    with pytest.raises(HarBenchError, match="cpu has 100 MB free and the clips take 340; give --set memory_mb=50"):
        next(pool.epoch(0, 8, Share(0, 0, 1, torch.device("cpu"))))


def test_an_action_is_wanted_by_its_beginning() -> None:
    sequences = pa.table({"action": ["Walking", "WalkDog", "Sitting", "SittingDown", "Eating"]})
    for wanted, there in {"Walk, Eat": ["Walking", "WalkDog", "Eating"], "Sitting": ["Sitting", "SittingDown"]}.items():
        assert Lifter.narrowed(sequences, "action", wanted)["action"].to_pylist() == there
    with pytest.raises(HarBenchError, match="no action of the training sequences is called 'Run'; there"):
        Lifter.narrowed(sequences, "action", "Run")


def test_long_sequences_are_lifted_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.load("baselines", "videopose3d")(channels=8, device="cpu")
    model.sizes, model.joints, model.target = Sizes(17, 2, 17), "h36m17", "h36m17"
    torch.manual_seed(0)
    model.models = torch.nn.ModuleDict(model.networks(model.sizes))
    points = a_clip(90).points
    whole = model.lift(points)
    assert whole.shape == (90, 17, 3)
    monkeypatch.setattr("har_bench.lifting.lifter.FRAMES_AT_ONCE", 7)
    np.testing.assert_allclose(model.lift(points), whole, atol=1e-5)


@pytest.mark.parametrize(("frames", "ranks", "sizes"), [(21, 1, [10, 11]), (22, 1, [10, 10, 2]), (23, 2, [5, 7])])
def test_no_batch_is_too_small_for_batch_normalisation(frames: int, ranks: int, sizes: list[int]) -> None:
    reel = Reel([a_clip(frames)], Span())
    assert [len(batch.points) for batch in reel.epoch(0, 10, ranks=ranks)] == sizes


def test_an_hdf5_store_has_the_same_clips(store: Store, tmp_path: Path) -> None:
    other = convert("h36m", store.path, tmp_path / "hdf5", format="hdf5", jobs=1, quiet=True)
    for part in store.parts("poses"):
        pairs = zip(*(Source(each, H36M17, H36M17).clips(part, each.sequences) for each in (store, other)), strict=True)
        for (first, _), (second, _) in pairs:
            for name in ("points", "poses", "camera"):
                np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
