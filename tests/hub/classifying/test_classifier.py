"""Training networks on clips: rates, batches, seeds, resumption, streams and their fusion."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import har_bench
from har_bench import HarBenchError, Store
from har_bench.skeletons import skeleton
from tests import motions
from tests.golden import REAL, load
from tests.motions import MotionAccuracy

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench.baselines.temporal_cnn import TemporalConvolutions  # noqa: E402
from har_bench.classifying.classifier import Classifier, cosine, smoothed  # noqa: E402
from har_bench.classifying.feed import Examples, Feed, Recipe  # noqa: E402
from har_bench.classifying.model import Learnt  # noqa: E402
from har_bench.classifying.preparing import preparation  # noqa: E402
from har_bench.classifying.reel import Cutter, Reel  # noqa: E402
from har_bench.training import Share  # noqa: E402

SCHEDULE = load("models/skeleton/schedule_and_fusion.json")
CPU = torch.device("cpu")
TINY: dict[str, Any] = {"channels": 8, "frames": 12, "epochs": 40, "batch": 6, "lr": 1.0, "device": "cpu"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return motions.store(tmp_path_factory.mktemp("motions"))


def weights_of(model: Any) -> list[Any]:
    return [parameter.detach().cpu() for parameter in model.models.parameters()]


def test_a_network_learns_and_the_result_says_how(store: Store) -> None:
    result = har_bench.run(TemporalConvolutions(**TINY), store, protocol=MotionAccuracy())
    assert result["top-1"] == 100
    told = result.environment
    assert (told["view"], told["joints"], told["streams"]) == ("rms", "penn13", "joint")
    assert (told["epochs"], told["frames"], told["smoothing"], told["mirror"]) == ("40", "12", "0.1", "True")
    assert told["seed"] == "0"
    assert result.speed["parameters"] > 0


@pytest.mark.parametrize("batch", [4, 6])
def test_the_learning_rate_is_in_proportion_to_the_batch(batch: int, store: Store) -> None:
    """0.1 for 128 clips, as published, is 0.0125 for 16."""
    model = TemporalConvolutions(**TINY | {"batch": batch, "lr": None, "epochs": 1})
    model.fit(store, MotionAccuracy())
    (group,) = model.optimiser()([torch.nn.Parameter(torch.zeros(1))]).param_groups
    assert group["lr"] == pytest.approx(0.2 * batch / 128)
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 5e-4)
    assert model.history[0]["lr"] == group["lr"]


def test_the_rate_falls_step_by_step_to_nothing(store: Store) -> None:
    assert [cosine(step, 4) for step in range(5)] == pytest.approx([1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4, 0])
    model = TemporalConvolutions(**TINY | {"epochs": 3})  # 18 clips: three steps an epoch
    model.fit(store, MotionAccuracy())
    rate = 1.0 * 6 / 128
    assert [row["lr"] for row in model.history] == pytest.approx([rate * cosine(step, 9) for step in (0, 3, 6)])


@pytest.mark.real
def test_the_rate_is_pyskls_at_every_iteration() -> None:
    for step, rate in SCHEDULE["lr_at"].items():
        assert 0.1 * cosine(int(step), SCHEDULE["total"]) == pytest.approx(rate, abs=1e-12)


def test_the_same_seed_the_same_network_and_a_killed_training_resumes_exactly(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {**TINY, "epochs": 3, "rotate": 0.3, "streams": ("joint", "bone")}
    whole = TemporalConvolutions(**made)
    whole.fit(store, MotionAccuracy())
    other = TemporalConvolutions(**made, seed=1)
    other.fit(store, MotionAccuracy())
    assert not torch.equal(weights_of(whole)[0], weights_of(other)[0])

    batches = Feed.__call__

    def cut(feed: Feed, share: Share) -> Any:
        yield from batches(feed, share)
        if share.epoch == 1 and feed.cutter.stream == "bone":
            raise RuntimeError("a power cut")

    again = TemporalConvolutions(**made, checkpoints=str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(Feed, "__call__", cut)
        with pytest.raises(RuntimeError, match="power cut"):
            again.fit(store, MotionAccuracy())
    again.fit(store, MotionAccuracy())
    assert again.history == whole.history
    assert all(torch.equal(a, b) for a, b in zip(weights_of(whole), weights_of(again), strict=True))
    with pytest.raises(HarBenchError, match=r"another training \(seed 0 -> 3\)"):
        TemporalConvolutions(**made, seed=3, checkpoints=str(tmp_path)).fit(store, MotionAccuracy())


def test_the_last_epoch_is_what_is_scored(store: Store) -> None:
    """Weights after training are those of the last step, whatever an earlier epoch was worth."""
    short, long = (TemporalConvolutions(**TINY | {"epochs": epochs}) for epochs in (1, 2))
    for model in (short, long):
        model.fit(store, MotionAccuracy())
    assert [row["epoch"] for row in long.history] == [1, 2]
    assert not torch.equal(weights_of(short)[0], weights_of(long)[0])


def feed(batch: int, **changes: Any) -> Feed:
    """Of ten clips, each full of its own number."""
    clips = [np.full((1, 6 + number, 13, 3), number, np.float32) for number in range(10)]
    recipe = Recipe(0, 4, batch, mirror=False, rotate=0.0, scale=0.0)._replace(**changes)
    cutter = Cutter(preparation("rms"), skeleton("penn13"), "joint")
    return Feed(Examples(Reel(clips, 1), torch.arange(10)), cutter, recipe)


def test_batches_are_whole_and_every_epoch_has_its_own_order() -> None:
    epochs = [list(feed(4)(Share(epoch, 0, 1, CPU))) for epoch in (0, 0, 1)]
    assert feed(4).steps == len(epochs[0]) == 2
    labels = [torch.cat([each for _, each in batches]).tolist() for batches in epochs]
    assert labels[0] == labels[1] != labels[2]
    assert len(set(labels[0])) == 8
    for clips, classes in epochs[0]:
        assert clips.shape == (4, 1, 4, 13, 3)
        assert (clips[:, 0, 0, 0, 0] == classes).all()
    assert feed(64).steps == 1
    ((clips, _),) = feed(64)(Share(0, 0, 1, CPU))
    assert len(clips) == 10


def test_processes_share_a_batch() -> None:
    alone = [classes.tolist() for _, classes in feed(4)(Share(3, 0, 1, CPU))]
    first, second = ([each.tolist() for _, each in feed(4)(Share(3, rank, 2, CPU))] for rank in range(2))
    assert [[a[0], b[0], a[1], b[1]] for a, b in zip(first, second, strict=True)] == alone


class Linear(torch.nn.Module):
    """One layer, without statistics of the batch."""

    def __init__(self, numbers: int, classes: int) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(numbers, classes)

    def forward(self, clips: Any) -> Any:
        return self.layer(clips.flatten(1))


@dataclasses.dataclass
class Flat(Classifier):
    """Sees all numbers of a clip at once."""

    summary = "one layer"

    def network(self, learnt: Learnt) -> Any:
        return Linear(self.setting("frames") * len(learnt.layout) * 3 * learnt.persons, learnt.classes)


def test_two_processes_learn_what_one_does(store: Store) -> None:
    """Where nothing is drawn and no layer looks at the whole batch; batch norms see a process's share (docs/gpu.md)."""
    longest = max(store.sequences["n_frames"].to_pylist()) + 1  # a shorter clip's frames are not drawn
    plain = {"frames": longest, "epochs": 2, "batch": 6, "mirror": False, "rotate": 0.0, "scale": 0.0, "device": "cpu"}
    alone, together = Flat(**plain), Flat(**plain, devices=2)
    for model in (alone, together):
        model.fit(store, MotionAccuracy())
    assert [row["joint"] for row in together.history] == pytest.approx(
        [row["joint"] for row in alone.history], rel=1e-4
    )
    for one, other in zip(weights_of(alone), weights_of(together), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_mirror_shows_half_of_the_clips() -> None:
    seen = torch.cat([clips for epoch in range(40) for clips, _ in feed(10, mirror=True)(Share(epoch, 0, 1, CPU))])
    shown = (seen[:, 0, 0, 0, 0] < 0).float()[seen[:, 0, 0, 0, 2] > 0]
    assert 0.4 < shown.mean() < 0.6


def test_smoothing_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    losses = smoothed({"joint": lambda _: logits}, (None, torch.tensor([0])), name="joint", smoothing=0.1)  # type: ignore[arg-type]
    sure, unsure = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert float(losses["joint"]) == pytest.approx(0.95 * sure + 0.05 * unsure)


class Sure(torch.nn.Module):
    """A network that believes in a class, the more the larger the numbers that it sees."""

    def __init__(self, of: int) -> None:
        super().__init__()
        self.of = of

    def forward(self, clips: Any) -> Any:
        logits = torch.zeros(len(clips), 3)
        logits[:, self.of] = clips.abs().amax((1, 2, 3, 4))
        return logits


def fused(streams: tuple[str, ...], networks: list[Any], **changes: Any) -> Any:
    model = TemporalConvolutions(streams=streams, **TINY | changes)
    view = changes.get("view", "rms")
    model.learnt = Learnt(layout=skeleton("penn13"), view=view, persons=1, classes=3)
    model.models = torch.nn.ModuleDict(dict(zip(streams, networks, strict=True)))
    return model


def test_streams_are_fused_two_two_one_one() -> None:
    clip = np.random.default_rng(0).normal(size=(1, 30, 13, 3)).astype(np.float32) * 99
    clip[..., 2] = 1
    names = ("joint", "bone", "joint-motion", "bone-motion")
    found = fused(names, [Sure(0), Sure(1), Sure(2), Sure(2)]).probabilities([clip])[0]
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(fused(names[1:3], [Sure(0), Sure(1)]).probabilities([clip])[0], [2 / 3, 1 / 3, 0])


@pytest.mark.real
def test_fusions_are_pyskls() -> None:
    from har_bench.classifying.streams import WEIGHTS

    goldens = dict(np.load(REAL / "models/skeleton/fusion.npz"))
    scores = dict(zip(WEIGHTS, goldens["scores_j_b_jm_bm"], strict=True))
    for name, streams in (("two_1_1", ["joint", "bone"]), ("four_2_2_1_1", list(WEIGHTS))):
        weights = np.array([WEIGHTS[stream] for stream in streams])
        found = sum(WEIGHTS[stream] * scores[stream] for stream in streams)
        scale = goldens[name].sum() / (scores["joint"].sum() * weights.sum())
        np.testing.assert_allclose(scale * found, goldens[name], atol=1e-6)


def test_probabilities_and_not_logits_are_averaged_over_clips_whatever_else_is_in_the_batch() -> None:
    """A clip in which much is seen does not outvote the others."""
    clip = np.zeros((1, 40, 13, 3), np.float32)
    clip[:, :30] = 1
    model = fused(("joint",), [Sure(1)], view="pyskl-2d", clips=10, frames=5)
    (alone,) = model.probabilities([clip])
    places = model.places(40)
    expected = np.mean([torch.tensor([0.0, clip[0, each].max(), 0]).softmax(0).numpy() for each in places], axis=0)
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    np.testing.assert_allclose(model.probabilities([2 * clip, clip])[1], alone, atol=1e-6)


def test_a_network_that_gives_no_numbers_is_blamed_and_not_the_scores() -> None:
    model = fused(("joint",), [Sure(1)])
    with pytest.raises(
        HarBenchError, match=r"scores of TemporalConvolutions are no numbers, .*; lower the learning rate"
    ):
        model.probabilities([np.full((1, 30, 13, 3), np.inf, np.float32)])


def test_mirror_images_are_predicted_too_where_that_is_asked_for() -> None:
    class Left(torch.nn.Module):
        def forward(self, clips: Any) -> Any:
            return torch.stack([clips[..., 0].mean((1, 2, 3)), torch.zeros(len(clips)), torch.zeros(len(clips))], 1)

    clip = np.random.default_rng(0).normal(size=(1, 12, 13, 3)).astype(np.float32) + np.float32([3, 0, 0])
    plain, both = (fused(("joint",), [Left()], flip=flip).probabilities([clip])[0] for flip in (False, True))
    seen = torch.tensor([float(clip[..., 0].mean()), 0, 0])
    mirror = torch.tensor([-float(seen[0]), 0, 0])
    np.testing.assert_allclose(plain, seen.softmax(0), atol=1e-5)
    np.testing.assert_allclose(both, (seen.softmax(0) + mirror.softmax(0)) / 2, atol=1e-5)


def test_weights_say_what_they_need_and_refuse_what_they_are_not(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    made = {**TINY, "epochs": 2, "streams": ("bone", "joint")}
    result = har_bench.run(TemporalConvolutions(**made), store, protocol=MotionAccuracy(), save=path)
    loaded = TemporalConvolutions(device="cpu")
    again = har_bench.run(loaded, store, protocol=MotionAccuracy(), weights=path)
    assert again.metrics == result.metrics
    assert (loaded.streams, loaded.channels, loaded.frames) == (("joint", "bone"), 8, 12)
    with pytest.raises(HarBenchError, match="made with channels=8, not 16; leave the option out"):
        TemporalConvolutions(channels=16).load(path)

    class Other(TemporalConvolutions):
        pass

    with pytest.raises(HarBenchError, match="weights of TemporalConvolutions, not Other"):
        Other().load(path)
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "published.pth")
    with pytest.raises(HarBenchError, match="no file that TemporalConvolutions saved"):
        TemporalConvolutions().load(tmp_path / "published.pth")
    with pytest.raises(HarBenchError, match="learnt nothing yet"):
        next(TemporalConvolutions().predict(store, MotionAccuracy()))


def test_two_persons_are_seen_as_they_are_told_apart(store: Store) -> None:
    """The published networks see two, the absent one too."""
    model = TemporalConvolutions(**TINY | {"epochs": 1, "view": "pyskl-2d", "clips": 2})
    model.fit(store, MotionAccuracy())
    assert dataclasses.asdict(model)["view"] == "pyskl-2d"
    assert model.known().persons == 2
