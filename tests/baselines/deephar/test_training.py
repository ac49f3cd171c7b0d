"""Every recipe on drawn pictures: its loss falls, it is resumed exactly, and networks go on from others."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import har_bench
from har_bench import HarBenchError
from har_bench.baselines.deephar import Deephar
from har_bench.baselines.deephar.architecture import Architecture
from har_bench.baselines.deephar.data.layouts import layout_of
from har_bench.baselines.deephar.data.stores import Wanted
from har_bench.baselines.deephar.given import Annotated, Given, annotated, classes_of, people
from har_bench.baselines.deephar.judging import measures
from har_bench.baselines.deephar.learning import Lesson, action_loss, carry_on, recognises
from har_bench.baselines.deephar.recipes import RECIPES, USUAL
from har_bench.baselines.deephar.spnet_parts import REPLICA, replicate
from har_bench.cli import main
from har_bench.errors import HarBenchWarning
from har_bench.media.of_store import Shot
from har_bench.protocol import make_protocol
from har_bench.training.checkpoints import BEST, LATEST
from tests.golden import REAL
from tests.pictures import save

from .conftest import Drawn
from .networks import SPNET
from .networks import drawn as drawn_network

STORES = {
    "mpii": ["mpii"],
    "mixed": ["mpii", "h36m", "penn_action", "ntu60"],
    "penn": ["mpii", "penn_action"],
    "ntu": ["ntu60"],
    "penn-ntu": ["mpii", "penn_action", "ntu60"],
    "penn-merge": ["penn_action"],
    "coco": ["coco"],
    "merl": ["merl"],
    "merl-actions": ["merl"],
    "actions": ["merl"],
}
FIXTURES = {"mpii": "MPII", "h36m": "Human3.6M", "penn_action": "PennAction", "ntu": "NTU"}
RATES = {"penn-merge": 1e-4}
"""Where two clips a step are too few for the recipe's own rate."""

pytestmark = pytest.mark.filterwarnings("ignore:.*have no pictures there:har_bench.errors.HarBenchWarning")


def learner(drawn: Callable[[str], Drawn], recipe: str, **options: Any) -> tuple[Deephar, list[har_bench.Store]]:
    places = [drawn(dataset) for dataset in STORES[recipe]]
    images = ",".join(str(place.root) for place in places)
    made = Deephar(images=images, recipe=recipe, tiny=True, device="cpu", workers=1, **options)
    return made, [place.store for place in places]


def test_every_recipe_is_tried_below() -> None:
    assert set(STORES) == set(RECIPES)
    assert set(USUAL.values()) <= set(RECIPES)


@pytest.mark.parametrize("recipe", STORES)
def test_a_recipe_lowers_its_loss_and_resumes_exactly(
    drawn: Callable[[str], Drawn], recipe: str, tmp_path: Path
) -> None:
    """Killed while its last checkpoint was written, it goes on from the one before it: same curves, same weights."""
    options = {"steps": 2, "epochs": 3, "augment": False, "lr": RATES.get(recipe), "checkpoints": str(tmp_path)}
    model, stores = learner(drawn, recipe, **options)
    model.train(stores, None)
    terms = [name for name in model.history[0] if name not in ("epoch", "lr")]
    assert terms == ["pose"] * (RECIPES[recipe].pose is not None) + ["action"] * RECIPES[recipe].acts
    total = [sum(row[name] for name in terms) for row in model.history[RECIPES[recipe].tiny().frozen :]]
    assert total[-1] < total[0]

    (tmp_path / LATEST).unlink()
    resumed, _ = learner(drawn, recipe, **options)
    resumed.train(stores, None)
    assert resumed.history == model.history
    assert same(model, resumed)


def same(one: Deephar, other: Deephar) -> bool:
    """Whether two models have the same weights and statistics."""
    state = other.loaded.model.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.loaded.model.state_dict().items())


def test_the_rate_falls_and_the_poses_are_frozen_at_first(drawn: Callable[[str], Drawn]) -> None:
    """Penn Action's recipe in four epochs: one of actions alone, a tenth of the rate from the second and third on."""
    model, stores = learner(drawn, "penn", steps=2, epochs=4)
    states = []

    class Watching(Lesson):
        def starting(self, models: Any, epoch: int) -> None:
            super().starting(models, epoch)
            states.append({name: tensor.clone() for name, tensor in models["network"].state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("har_bench.baselines.deephar.learner.Lesson", Watching)
        model.train(stores, None)
    assert [row["lr"] for row in model.history] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    changed = [{name for name in one if not torch.equal(one[name], two[name])} for one, two in pairwise(states)]
    assert changed[0]
    assert all(recognises(name) for name in changed[0])
    assert not all(recognises(name) for name in changed[1])
    assert model.history[0]["pose"] > 0, "it is told, though nothing learns from it"


def test_training_resumes_exactly(drawn: Callable[[str], Drawn], tmp_path: Path) -> None:
    """In one go or killed between stages: the same curves and weights."""
    options = {"steps": 2, "epochs": 3}
    whole, stores = learner(drawn, "penn", **options)
    whole.train(stores, None)

    class PowerCut(Exception):  # noqa: N818
        pass

    class Killed(Lesson):
        def starting(self, models: Any, epoch: int) -> None:
            super().starting(models, epoch)
            if epoch == 1:
                raise PowerCut

    killed, _ = learner(drawn, "penn", **options, checkpoints=str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("har_bench.baselines.deephar.learner.Lesson", Killed)
        with pytest.raises(PowerCut):
            killed.train(stores, None)
    resumed, _ = learner(drawn, "penn", **options, checkpoints=str(tmp_path))
    resumed.train(stores, None)
    assert resumed.history == whole.history
    assert same(whole, resumed)
    other, _ = learner(drawn, "penn", **options, checkpoints=str(tmp_path), lr=0.1)
    with pytest.raises(HarBenchError, match=r"of another training \(lr None -> 0.1\)"):
        other.train(stores, None)


def test_from_the_command_line_poses_then_actions_of_another_number_of_classes(
    drawn: Callable[[str], Drawn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MPII's poses; with them Penn Action's 15 actions; with both the actions of NTU: the body is kept each time."""
    mpii, penn, ntu = (drawn(dataset) for dataset in ("mpii", "penn_action", "ntu60"))
    common = ["--set", "tiny=true", "--set", "steps=1", "--set", "epochs=1", "--set", "lr=1e-30", "--device", "cpu"]
    train = ["train", "deephar"]
    poses, actions, others = (str(tmp_path / f"{name}.safetensors") for name in ("poses", "actions", "others"))
    of_mpii = [str(mpii.store.path), "--protocol", "mpii/pckh", "--set", f"images={mpii.root}"]
    main([*train, *of_mpii, *common, "--save", poses])
    assert "poses.safetensors: 1 epochs, pose 0." in capsys.readouterr().out
    of_penn = [str(penn.store.path), "--protocol", "penn_action/accuracy", "--set", f"images={penn.root}"]
    main([*train, *of_penn, *common, "--init", poses, "--save", actions])
    of_ntu = [str(ntu.store.path), "--protocol", "ntu60/xsub", "--set", f"images={ntu.root}", "--set", "recipe=actions"]
    main([*train, *of_ntu, *common, "--init", actions, "--save", others])
    states = []
    for path, classes in ((poses, ()), (actions, (15,)), (others, (60,))):
        model = Deephar()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("har_bench.baselines.deephar.weighing.check", lambda *_: None)
            model.load(Path(path))
        assert model.loaded.architecture.actions == classes
        states.append(dict(model.loaded.model.named_parameters()))
    for name, tensor in states[0].items():
        assert all(torch.allclose(tensor, state[name], rtol=0, atol=1e-20) for state in states[1:]), name
    kept = [name for name, tensor in states[1].items() if recognises(name) and states[2][name].shape == tensor.shape]
    assert all(torch.allclose(states[1][name], states[2][name], rtol=0, atol=1e-20) for name in kept)
    assert 0 < len(kept) < sum(map(recognises, states[1]))


def test_weights_of_another_body_are_refused(drawn: Callable[[str], Drawn], tmp_path: Path) -> None:
    small, stores = learner(drawn, "mpii", steps=1, epochs=1)
    small.train(stores, None)
    small.save(tmp_path / "small.safetensors")
    other, _ = learner(drawn, "mpii", init=str(tmp_path / "small.safetensors"), architecture="spnet_pose2d")
    with pytest.raises(
        HarBenchError, match=r"of another network, which has no .* of this shape; give the architecture"
    ):
        other.train(stores, None)


def test_after_every_epoch_a_protocol_s_number_is_told_and_the_best_checkpoint_is_a_model(
    drawn: Callable[[str], Drawn], tmp_path: Path
) -> None:
    """The last one is what ``run`` scores with these weights; measuring changes no weight."""
    options: dict[str, Any] = {"steps": 2, "epochs": 2, "augment": False}
    plain, stores = learner(drawn, "mpii", **options)
    plain.train(stores, None)
    watched = {"measured": ("mpii/pckh",), "held_out": "tompson/valid", "checkpoints": str(tmp_path)}
    told, _ = learner(drawn, "mpii", **options, **watched)
    told.train(stores, None)
    assert same(plain, told)
    assert list(told.history[0]) == ["epoch", "lr", "pose", "mpii/pckh", "held_out"]
    told.save(tmp_path / "last.safetensors")
    numbers = {}
    for name in ("last.safetensors", BEST):
        again = Deephar(images=told.images, device="cpu")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("har_bench.baselines.deephar.weighing.check", lambda *_: None)
            numbers[name] = har_bench.run(again, stores[0], protocol="mpii/pckh", weights=tmp_path / name)["PCKh@0.5"]
    assert numbers["last.safetensors"] == told.history[-1]["mpii/pckh"]
    assert numbers[BEST] == max(row["mpii/pckh"] for row in told.history)


def test_poses_of_mixed_datasets_are_measured_in_the_image_and_in_space(drawn: Callable[[str], Drawn]) -> None:
    """The network's seventeen joints begin with MPII's sixteen; options in a protocol's name have commas too."""
    places, in_space = [drawn("mpii"), drawn("h36m")], "h36m/mpjpe:deephar,subjects=S9,cameras=54138969"
    for info in make_protocol(in_space).select(places[1].store.sequences).to_pylist():
        save(places[1].root / info["media"] / "0.png", [(400, 300, 150, 400)], (info["width"], info["height"]))
    names = ("mpii/pckh", *in_space.split(","))
    images = ",".join(str(place.root) for place in places)
    model = Deephar(images=images, recipe="mixed", tiny=True, device="cpu", steps=1, epochs=1, measured=names)
    with pytest.warns(HarBenchWarning, match="also learns from penn_action, ntu"):
        model.train([place.store for place in places], None)
    (row,) = model.history
    assert [name for name in row if "/" in name] == ["mpii/pckh", in_space]
    assert 0 <= row["mpii/pckh"] <= 100 < row[in_space] < 2000
    with pytest.raises(
        HarBenchError, match=r"ntu60/xsub measures ntu60, and the stores are of mpii; give one of it too"
    ):
        measures(["ntu60/xsub"], [Given(places[0].store, places[0].root, "", None)])


def test_actions_are_told_by_their_hits_and_end_when_these_become_no_more(drawn: Callable[[str], Drawn]) -> None:
    """With a rate of nothing no epoch is better than the first; it ends after the seed's ten, here after two."""
    model, stores = learner(drawn, "merl-actions", steps=1, epochs=9, lr=1e-30, held_out="clips/train", patience=2)
    assert RECIPES["merl-actions"].patience == 10
    model.train(stores, None)
    assert [row["epoch"] for row in model.history] == [1, 2, 3]
    assert 0 <= model.history[0]["accuracy"] <= 100
    slower, _ = learner(drawn, "merl-actions", steps=1, epochs=3, lr=1e-30, held_out="clips/train", plateau=1)
    slower.train(stores, None)
    assert [row["lr"] / 1e-30 for row in slower.history] == pytest.approx([1, 1, 0.1])
    for options in ({"patience": 2}, {"plateau": 1}):
        blind, _ = learner(drawn, "merl-actions", **options)
        with pytest.raises(HarBenchError, match="could become better; give --set measured=PROTOCOL or held_out=SPLIT"):
            blind.train(stores, None)


def test_several_sets_of_actions_learn_from_their_own_clips_alone(drawn: Callable[[str], Drawn]) -> None:
    """Penn Action's 15 and NTU's 60, with heads of their own behind one body, and every head learns."""
    model, stores = learner(drawn, "penn-ntu", steps=3, epochs=2)
    model.train(stores, None)
    assert model.loaded.architecture.actions == (15, 60)
    assert model.loaded.labels_of == "penn_action/accuracy", (
        "numbered as the usual protocol does, though none was named"
    )
    logits = [torch.randn(3, 15, requires_grad=True), torch.randn(3, 60, requires_grad=True)]
    classes = torch.tensor([[3, -1], [-1, 59], [-1, -1]])
    losses = [action_loss(each, column) for each, column in zip(logits, classes.T, strict=True)]
    torch.stack(losses).sum().backward()
    assert [each.grad.abs().sum(dim=1).gt(0).tolist() for each in logits if each.grad is not None] == [
        [True, False, False],
        [False, True, False],
    ]
    assert not action_loss(logits[0], torch.full((3,), -1)).any()
    one = RECIPES["penn-ntu"].architecture(name="penn_merge", classes=[15])
    assert one.actions == (15,)
    with pytest.raises(HarBenchError, match=r"tells one set of actions, and there are 2; .*spnet_penn_train"):
        RECIPES["penn-ntu"].architecture(name="penn_merge", classes=[15, 60])


def test_replica_heads_begin_as_the_poses_own_unless_weights_have_some(drawn: Callable[[str], Drawn]) -> None:
    """Drawn at random or taken from a network without them; those of weights that have some are kept."""
    replicated = with_replica(SPNET)
    pairs = [(None, True), (drawn_network(SPNET), True), (drawn_network(replicated), False)]
    for other, alike in pairs:
        model = replicated.build()
        if other is None:
            replicate(model)
        else:
            carry_on(model, other, "weights")
        state = model.state_dict()
        heads = [name for name in state if REPLICA in name]
        assert len(heads) == 4
        for name in heads:
            assert torch.equal(state[name], state[name.replace(REPLICA, "heatmaps_conv1")]) == alike, name
            assert other is None or alike or torch.equal(state[name], other.state_dict()[name])
    learnt, stores = learner(drawn, "penn", steps=1, epochs=1, lr=1e-30, architecture="spnet_penn")
    learnt.train(stores, None)
    state = learnt.loaded.model.state_dict()
    heads = [name for name in state if REPLICA in name]
    assert heads
    assert all(torch.equal(state[name], state[name.replace(REPLICA, "heatmaps_conv1")]) for name in heads)


def with_replica(of: Architecture) -> Architecture:
    assert of.spnet is not None
    return replace(of, spnet=replace(of.spnet, replica=True))


def test_a_held_out_split_is_told_and_the_seed_s_joints_stay(drawn: Callable[[str], Drawn]) -> None:
    model, stores = learner(drawn, "coco", steps=1, epochs=1, joints="coco16", held_out="2017/val")
    model.train(stores, None)
    assert model.history[0]["held_out"] > 0
    assert model.layout == model.loaded.layout == "coco16"


def test_what_cannot_be_trained_is_said(drawn: Callable[[str], Drawn], tmp_path: Path) -> None:
    mpii = drawn("mpii").store
    cases: list[tuple[dict[str, Any], list[Any], Any, str]] = [
        ({"recipe": "mpii"}, [mpii], None, r"needs the folders of 1 raw downloads.*give --set images=FOLDER"),
        ({"images": "a", "recipe": "mpi"}, [mpii], None, r"mpi"),
        (
            {"images": "a", "recipe": "coco"},
            [mpii],
            None,
            r"learns from coco, and the stores are of mpii; give a store",
        ),
        ({"images": str(tmp_path)}, [mpii], make_protocol("mpii/pckh"), r"holds no picture of the \d+ people of mpii"),
        ({"images": "a"}, [drawn("merl").store], make_protocol("merl/frame-map"), r"which recipe merl is learnt by"),
        ({"images": str(drawn("mpii").root), "joints": "h36m-pa17", "recipe": "mpii"}, [mpii], None, r"17 joints, and"),
    ]
    for options, stores, protocol, words in cases:
        with pytest.raises(HarBenchError, match=words):
            Deephar(**options).train(stores, protocol)


def test_who_has_no_pictures_is_left_out_and_counted(drawn: Callable[[str], Drawn]) -> None:
    """One film of NTU's training split is there."""
    store, root = drawn("ntu60")
    (part,) = (part for part in RECIPES["ntu"].parts if not part.clips)
    given, wanted = Given(store, root, "xsub/train", None), Wanted(layout_of(17), 3, part.every)
    there = store.select("xsub/train").num_rows
    with pytest.warns(HarBenchWarning, match=r"\d+ of \d+ people of ntu60 have no pictures there, and are left out"):
        found = people(part, given, wanted)
    assert (
        0 < len({shot.sequence for sample in found for shot in sample.pictures if isinstance(shot, Shot)}) == 1 < there
    )


@pytest.mark.real
def test_the_original_s_own_annotations_are_learnt_from_in_the_place_of_stores(
    drawn: Callable[[str], Drawn], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Human3.6M, Penn Action and NTU as the original converted them, with MPII from a store; from the command line."""
    place, own = drawn("mpii"), REAL / "models/deephar_data/fixtures"
    folders = f"h36m={own / 'Human3.6M'},penn_action={own / 'PennAction'},ntu={own / 'NTU'}"
    given = ["recipe=mixed", f"images={place.root}", f"annotations={folders}", "tiny=true", "steps=1", "epochs=1"]
    settings, weights = [part for each in given for part in ("--set", each)], tmp_path / "weights.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("error", HarBenchWarning)
        main(["train", "deephar", str(place.store.path), *settings, "--device", "cpu", "--save", str(weights)])
    assert "1 epochs, pose 0." in capsys.readouterr().out
    assert all(Annotated(name, own / folder).samples(layout_of(17)) for name, folder in FIXTURES.items())
    assert classes_of(Annotated("ntu", own / "NTU")).classes == 60
    with pytest.raises(HarBenchError, match=r"own annotations of mpii have no joints of ntu-pa20; leave them out"):
        Annotated("mpii", own / "MPII").samples(layout_of(20))
    with pytest.raises(HarBenchError, match=r"own annotations of mpii have no actions; give a store that has"):
        classes_of(Annotated("mpii", own / "MPII"))


def test_annotations_are_a_dataset_and_its_folder(tmp_path: Path) -> None:
    assert annotated([f"ntu={tmp_path}"]) == [Annotated("ntu", tmp_path)]
    with pytest.raises(HarBenchError, match=r"'h36'; did you mean 'h36m'"):
        annotated([f"h36={tmp_path}"])
    with pytest.raises(HarBenchError, match=r"annotations=mpii=nowhere names no folder; give mpii=FOLDER"):
        annotated(["mpii=nowhere"])


def test_a_part_without_a_store_is_done_without(drawn: Callable[[str], Drawn]) -> None:
    model = Deephar(images=str(drawn("mpii").root), recipe="mixed", tiny=True, device="cpu", steps=1, epochs=1)
    with pytest.warns(HarBenchWarning, match="also learns from h36m, penn_action, ntu, of which no store is given"):
        model.train([drawn("mpii").store], None)
    assert model.history
