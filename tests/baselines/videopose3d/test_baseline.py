"""The baseline around the network: published checkpoints, detections, semi-supervised training, resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import har_bench  # noqa: E402
from har_bench import HarBenchError, Store  # noqa: E402
from har_bench.baselines.videopose3d import VideoPose3D  # noqa: E402
from har_bench.keypoints import Track  # noqa: E402
from har_bench.lifting.clips import Source, denormalise  # noqa: E402
from har_bench.lifting.lifter import PATH, POSE, Sizes  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402
from har_bench.skeletons import mapping, skeleton  # noqa: E402
from tests.golden import REAL, load  # noqa: E402
from tests.sampled import Samples  # noqa: E402

PROTOCOL = "h36m/mpjpe"
OTHERS = {"subjects": "S1", "unlabelled_subjects": "S1"}
"""The sample has no second training subject; its keypoints serve both ways."""

INDEX = load("models/videopose3d/index.json")
NAMES = [name for name, entry in INDEX.items() if entry.get("num_joints_out", 1) > 1]
"""Of the goldens, those of poses and not of the root's path."""

QUICK: dict[str, Any] = dict(VideoPose3D.quick) | {"epochs": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def store(samples: Samples) -> Store:
    return samples("h36m")


def made(arc: str = "3,3,3", sizes: Sizes = Sizes(17, 2, 17), **settings: Any) -> VideoPose3D:  # noqa: B008
    model = VideoPose3D(arc=arc, channels=16, device="cpu", **settings)
    model.sizes = sizes
    model.joints = model.target = "h36m17"
    torch.manual_seed(0)
    model.models = torch.nn.ModuleDict(model.networks(sizes))
    return model


def publish(path: Path, model: VideoPose3D, *, legacy: bool = False) -> Path:
    """A checkpoint as VideoPose3D leaves it, random states and optimiser included."""
    networks = model.models
    optimiser = torch.optim.Adam(networks[POSE].parameters(), amsgrad=True)
    networks[POSE](torch.zeros(2, 27, 17, 2)).sum().backward()
    optimiser.step()
    content = {
        "epoch": 80,
        "lr": 1.7e-5,
        "random_state": np.random.RandomState(1234),
        "optimizer": optimiser.state_dict(),
        "model_pos": networks[POSE].state_dict(),
        "model_traj": networks[PATH].state_dict() if PATH in networks else None,
        "random_state_semi": np.random.RandomState(1234) if PATH in networks else None,
    }
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("trajectory", [True, False])
def test_published_checkpoints_load_unchanged(legacy: bool, trajectory: bool, store: Store, tmp_path: Path) -> None:
    model = made(trajectory=trajectory)
    path = publish(tmp_path / "pretrained.bin", model, legacy=legacy)
    loaded = VideoPose3D(device="cpu")
    loaded.load(path)
    points = np.random.default_rng(0).normal(size=(40, 17, 2)).astype(np.float32)
    for network in model.models:
        np.testing.assert_array_equal(loaded.lift(points, network), model.lift(points, network))
    assert (loaded.arc, loaded.channels, loaded.trajectory) == ("3,3,3", 16, trajectory)
    result = har_bench.run(VideoPose3D(device="cpu"), store, protocol=PROTOCOL, weights=path)
    assert result.speed["parameters"] == sum(p.numel() for p in model.models.parameters())


def test_a_checkpoint_that_does_not_fit_is_said(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    torch.save({"model_pos": {"fc.weight": torch.zeros(3, 3)}}, path)
    with pytest.raises(HarBenchError, match="not those of a VideoPose3D network"):
        VideoPose3D().load(path)
    torch.save({"model_pos": made(sizes=Sizes(9, 2, 9)).network(Sizes(9, 2, 9)).state_dict()}, path)
    with pytest.raises(HarBenchError, match="lifts 9 joints to 9"):
        VideoPose3D().load(path)
    har_bench.run(
        "martinez", store, protocol=PROTOCOL, save=path, settings={"channels": 4, "epochs": 1, "device": "cpu"}
    )
    with pytest.raises(HarBenchError, match="holds weights of Martinez, not VideoPose3D"):
        VideoPose3D().load(path)


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_golden_weights_predict_a_whole_sequence(name: str, tmp_path: Path) -> None:
    """What the original gives frame by frame, the baseline gives for the padded sequence, causal models included."""
    index = INDEX[name]
    from safetensors.numpy import load_file

    state = load_file(REAL / "models" / "videopose3d" / f"{name}.safetensors")
    path = tmp_path / f"{name}.bin"
    torch.save({"model_pos": {key: torch.tensor(value) for key, value in state.items()}}, path)
    model = VideoPose3D(device="cpu", causal=index["causal"], flip=False)
    model.load(path)
    assert (model.channels, model.dense) == (index["channels"], index["dense"])
    with np.load(REAL / "models" / "videopose3d" / f"{name}.io.npz") as file:
        before, width = index["receptive_field"] // 2 * (2 if index["causal"] else 1), len(file["y"][0])
        for points, poses in zip(file["x"], file["y"], strict=True):
            np.testing.assert_allclose(model.lift(points)[before : before + width], poses, atol=1e-5)


def test_a_causal_model_sees_no_future(store: Store) -> None:
    points = np.random.default_rng(0).normal(size=(60, 17, 2)).astype(np.float32)
    changed = points.copy()
    changed[40:] += 1
    model = made(causal=True)
    np.testing.assert_array_equal(model.lift(points)[:40], model.lift(changed)[:40])
    both = made()
    assert not np.array_equal(both.lift(points)[:40], both.lift(changed)[:40])


@pytest.mark.parametrize(
    "settings",
    [
        {"arc": "3,5"},
        {"causal": True},
        {"dense": True},
        {"stride": 3},
        {"optimised": False},
        {"trajectory": True},
        {"augment": False, "flip": False},
        {"subset": 0.3, "downsample": 2},
        {"actions": "Directions", "cameras": 54138969},
        {"memory_mb": 0},
        {"compile": False, "precision": "bf16"},
    ],
    ids=str,
)
def test_every_way_of_training_learns(settings: dict[str, Any], store: Store) -> None:
    model = VideoPose3D(**QUICK | settings)
    result = har_bench.run(model, store, protocol=PROTOCOL)
    assert model.history[-1]["position"] < model.history[0]["position"]
    assert np.isfinite(result["MPJPE"])
    assert result.environment["torch"] == torch.__version__
    for name, value in settings.items():
        if name in VideoPose3D.architecture:
            assert result.environment[name] == str(value)


def test_semi_supervised_training_uses_the_keypoints_of_others(store: Store) -> None:
    model = VideoPose3D(**QUICK | {"epochs": 4}, **OTHERS, subset=0.5, warmup=1)
    model.fit(store, make_protocol(PROTOCOL))
    assert set(model.history[0]) == {"epoch", "lr", "position", "trajectory"}
    assert set(model.history[1]) == {"epoch", "lr", "position", "trajectory", "projection", "bones"}
    assert model.history[-1]["projection"] < model.history[1]["projection"]
    without = VideoPose3D(**QUICK, **OTHERS, warmup=0, projection=False, bone_length=False)
    without.fit(store, make_protocol(PROTOCOL))
    assert set(without.history[0]) == {"epoch", "lr", "position", "trajectory"}
    with pytest.raises(HarBenchError, match="no subject of the training sequences is called 'S9'; there are S1"):
        VideoPose3D(**QUICK, subjects="S1", unlabelled_subjects="S9").fit(store, make_protocol(PROTOCOL))
    with pytest.raises(HarBenchError, match="whose poses it may see; give --set subjects=S1"):
        VideoPose3D(unlabelled_subjects="S5")


def test_the_true_pose_projects_onto_the_true_keypoints(store: Store) -> None:
    """The semi-supervised term is zero for the truth: cameras, lenses and windows fit together, mirrored ones too."""
    from har_bench.baselines.videopose3d.losses import project
    from har_bench.lifting.windows import Reel, Span

    source = Source(store, skeleton("h36m17"), skeleton("h36m17"))
    clips = [clip for part in store.parts("poses") for clip, _ in source.clips(part, store.sequences)]
    reel = Reel([*clips, *(clip.mirrored(source.layout, source.target) for clip in clips)], Span(2, 3))
    batch = reel.windows(np.arange(len(reel)))
    path = batch.poses[:, :, :1]
    absolute = torch.cat([path, batch.poses[:, :, 1:] + path], dim=2)
    seen = batch.points[:, 3:5]
    torch.testing.assert_close(project(absolute, batch.cameras), seen, rtol=0, atol=2e-5)  # 0.01 px


def test_layouts_that_do_not_agree_are_said(store: Store, tmp_path: Path) -> None:
    detections = tmp_path / "coco.npz"
    np.savez(
        detections,
        **{
            name.replace("/", "|"): np.zeros((rows, 17, 2), np.float32)
            for name, rows in zip(
                store.sequences["sequence"].to_pylist(), store.sequences["rows"].to_pylist(), strict=True
            )
        },
    )
    settings = QUICK | {"inputs": str(detections), "inputs_layout": "coco17"} | OTHERS
    with pytest.raises(HarBenchError, match="cannot be compared with coco17 keypoints"):
        VideoPose3D(**settings).fit(store, make_protocol(PROTOCOL))


def test_detections_replace_the_true_keypoints(store: Store, tmp_path: Path) -> None:
    """The same pixels from a file give the same model and poses as from the store; shifted ones do not."""
    from har_bench.schema import to_numpy

    sequences = store.sequences["sequence"].to_pylist()
    exact, noisy = {}, {}
    for name in sequences:
        table = store.poses(sequences=[name], columns=["keypoints"], skeleton="h36m17")
        points = to_numpy(table["keypoints"], table.schema.field(0)).astype(np.float32)
        exact[name.replace("/", "|")] = points
        noisy[name.replace("/", "|")] = points + np.float32(30) * np.sin(np.arange(17, dtype=np.float32))[:, None]
    np.savez(tmp_path / "exact.npz", **exact)
    np.savez(tmp_path / "noisy.npz", **noisy)
    scores = [
        har_bench.run(VideoPose3D(**QUICK, inputs=inputs, inputs_layout="h36m17"), store, protocol=PROTOCOL)["MPJPE"]
        for inputs in ("", str(tmp_path / "exact.npz"), str(tmp_path / "noisy.npz"))
    ]
    assert scores[0] == scores[1] != scores[2]


def test_training_resumes_exactly(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs in one go, or one and one more: the same weights."""
    whole = VideoPose3D(**QUICK)
    whole.fit(store, make_protocol(PROTOCOL))

    class PowerCut(Exception):  # noqa: N818
        pass

    def starting(model: VideoPose3D, models: Any, epoch: int) -> None:
        if epoch == 1:
            raise PowerCut

    killed = VideoPose3D(**QUICK, checkpoints=str(tmp_path / "kept"))
    monkeypatch.setattr(VideoPose3D, "starting", starting)
    with pytest.raises(PowerCut):
        killed.fit(store, make_protocol(PROTOCOL))
    monkeypatch.undo()
    resumed = VideoPose3D(**QUICK, checkpoints=str(tmp_path / "kept"))
    resumed.fit(store, make_protocol(PROTOCOL))
    assert resumed.history == whole.history
    for a, b in zip(whole.models.parameters(), resumed.models.parameters(), strict=True):
        assert torch.equal(a, b)
    other = VideoPose3D(**QUICK | {"lr": 0.01}, checkpoints=str(tmp_path / "kept"))
    with pytest.raises(HarBenchError, match=r"of another training \(lr 0.001 -> 0.01\)"):
        other.fit(store, make_protocol(PROTOCOL))


def test_a_checkpoint_of_other_joints_is_of_another_training(store: Store, tmp_path: Path) -> None:
    """Recipes, and layouts of one file of keypoints, may have as many joints that mean others."""
    rows = zip(store.sequences["sequence"].to_pylist(), store.sequences["rows"].to_pylist(), strict=True)
    np.savez(tmp_path / "k.npz", **{name.replace("/", "|"): np.ones((n, 17, 2), np.float32) for name, n in rows})
    given = QUICK | {"epochs": 1, "inputs": str(tmp_path / "k.npz"), "checkpoints": str(tmp_path / "kept")}
    first = VideoPose3D(**given, inputs_layout="h36m17")
    first.fit(store, make_protocol(PROTOCOL))
    with pytest.raises(HarBenchError, match=r"another training \(target 'h36m17' -> 'h36m-pa17'\)"):
        VideoPose3D(**given, inputs_layout="h36m17").fit(store, make_protocol(PROTOCOL, "deephar"))
    with pytest.raises(HarBenchError, match=r"inputs_layout 'h36m17' -> 'coco17', joints 'h36m17' -> 'coco17'"):
        VideoPose3D(**given, inputs_layout="coco17").fit(store, make_protocol(PROTOCOL))
    first.checkpoints = ""
    first.fit(store, make_protocol(PROTOCOL, "deephar"))  # the same instance learns anew
    assert first.target == "h36m-pa17"


def test_weights_of_ours_know_their_joints(tmp_path: Path) -> None:
    made().save(tmp_path / "new" / "weights")
    with pytest.raises(HarBenchError, match="takes in h36m17, not coco17; leave the joints out"):
        VideoPose3D(layout="coco17").load(tmp_path / "new" / "weights")


def test_what_cannot_be_is_one_sentence(store: Store) -> None:
    for settings, words in (
        ({"arc": "3,4,3"}, "must be odd"),
        ({"arc": "three"}, "arc is odd filter widths such as 3,3,3, and not 'three'"),
    ):
        with pytest.raises(HarBenchError, match=words):
            VideoPose3D(**QUICK | settings).fit(store, make_protocol(PROTOCOL))
    with pytest.raises(HarBenchError, match="has learnt nothing yet"):
        next(VideoPose3D().predict(store, make_protocol(PROTOCOL)))
    trained = made()
    with pytest.raises(HarBenchError, match="the weights give h36m17, and h36m/mpjpe:deephar scores h36m-pa17"):
        next(trained.predict(store, make_protocol("h36m/mpjpe", "deephar")))


def a_track(**changes: Any) -> Track:
    points = np.random.default_rng(1).uniform(100, 500, (30, 17, 2)).astype(np.float32)
    return Track(
        **{
            "points": points,
            "scores": None,
            "layout": "h36m17",
            "size": (640, 480),
            "fps": 25.0,
            "filled": 0,
            "taken_for": "a test",
        }
        | changes
    )


def test_a_video_is_lifted_about_the_root_or_before_the_camera() -> None:
    track = a_track()
    relative = made().lift_track(track)
    assert relative.shape == (30, 17, 3)
    model = made(trajectory=True)
    absolute = model.lift_track(track)
    points = track.points / 640 * 2 - np.float32([1, 480 / 640])
    path, poses = model.lift(points, PATH) * 1000, model.lift(points) * 1000
    np.testing.assert_allclose(absolute[:, 0], path[:, 0], rtol=1e-5)
    np.testing.assert_allclose(absolute[:, 1:], poses[:, 1:] + path, rtol=1e-4, atol=1e-3)
    with pytest.raises(HarBenchError, match="does not say how large the video is"):
        model.lift_track(a_track(size=None))
    with pytest.raises(HarBenchError, match="takes confidences"):
        made(features=3, sizes=Sizes(17, 3, 17)).lift_track(track)
    with_scores = a_track(scores=np.ones((30, 17), np.float32))
    assert made(features=3, sizes=Sizes(17, 3, 17)).lift_track(with_scores).shape == (30, 17, 3)
    coco = made().lift_track(a_track(layout="coco17"))
    assert np.isfinite(coco).all()


def test_keypoints_in_other_joints_are_converted_to_the_model_s(store: Store, tmp_path: Path) -> None:
    """A file of COCO's joints becomes what a model of Human3.6M's joints takes, unless the model takes COCO's."""
    random = np.random.default_rng(0)
    rows = zip(store.sequences["sequence"].to_pylist(), store.sequences["rows"].to_pylist(), strict=True)
    points = {name.replace("/", "|"): random.uniform(0, 1000, (n, 17, 2)).astype(np.float32) for name, n in rows}
    np.savez(tmp_path / "coco.npz", **points)
    given = {"inputs": str(tmp_path / "coco.npz"), "inputs_layout": "coco17", "device": "cpu"}
    protocol = make_protocol(PROTOCOL)
    for layout, joints in (("h36m17", "h36m17"), ("", "coco17")):
        model = VideoPose3D(**given, layout=layout)
        source = model.source(store, protocol)
        clip, table = next(source.clips(0, store.sequences))
        name = table["sequence"][0].as_py().replace("/", "|")
        expected = mapping(skeleton("coco17"), skeleton(joints)).points(points[name])
        assert source.layout.name == joints
        np.testing.assert_allclose(denormalise(clip.points, 1000, 1002), expected, atol=1e-3)


def test_a_model_of_few_frames_per_second_sees_as_few_when_it_predicts(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(61, 17, 2)).astype(np.float32)
    made(downsample=3).save(tmp_path / "w.safetensors")
    model = VideoPose3D(device="cpu")
    model.load(tmp_path / "w.safetensors")
    for phase in range(3):
        np.testing.assert_array_equal(model.lift(points)[phase::3], made().lift(points[phase::3]))
    assert np.isfinite(model.lift(points[:2])).all()


def test_options_that_contradict_the_weights_are_refused(store: Store, tmp_path: Path) -> None:
    made(arc="3,3").save(tmp_path / "w.safetensors")
    with pytest.raises(HarBenchError, match=r"w\.safetensors was made with arc=3,3, not 3,5; leave the option out"):
        VideoPose3D(arc="3,5").load(tmp_path / "w.safetensors")
    (tmp_path / "hello.txt").write_text("hello")
    with pytest.raises(HarBenchError, match=r"hello\.txt is no file of weights; give \.safetensors"):
        VideoPose3D().load(tmp_path / "hello.txt")
    with pytest.raises(HarBenchError, match="no network has these options"):
        VideoPose3D(**QUICK | {"channels": -3}).fit(store, make_protocol(PROTOCOL))
    model = VideoPose3D()
    model.load(tmp_path / "w.safetensors")
    made(arc="3").save(tmp_path / "other.safetensors")
    model.load(tmp_path / "other.safetensors")
    assert model.arc == "3"
