"""Every recipe on drawn pictures: its loss falls, it is resumed exactly, and networks go on from others."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import har_bench
from har_bench import HarBenchError
from har_bench.baselines.deephar import Deephar
from har_bench.baselines.deephar.learning import Lesson, recognises
from har_bench.baselines.deephar.recipes import RECIPES, USUAL
from har_bench.cli import main
from har_bench.errors import HarBenchWarning
from har_bench.protocol import make_protocol

from .conftest import Drawn

STORES = {
    "mpii": ["mpii"],
    "mixed": ["mpii", "h36m", "penn_action", "ntu60"],
    "penn": ["mpii", "penn_action"],
    "ntu": ["ntu60"],
    "penn-merge": ["penn_action"],
    "coco": ["coco"],
    "merl": ["merl"],
    "merl-actions": ["merl"],
    "actions": ["merl"],
}
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
def test_a_recipe_lowers_its_loss(drawn: Callable[[str], Drawn], recipe: str) -> None:
    model, stores = learner(drawn, recipe, steps=3, epochs=4, augment=False, lr=RATES.get(recipe))
    model.train(stores, None)
    terms = [name for name in model.history[0] if name not in ("epoch", "lr")]
    assert terms == ["pose"] * (RECIPES[recipe].pose is not None) + ["action"] * RECIPES[recipe].acts
    total = [sum(row[name] for name in terms) for row in model.history[RECIPES[recipe].tiny().frozen :]]
    assert total[-1] < total[0]


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
    for name, tensor in whole.loaded.model.state_dict().items():
        assert torch.equal(tensor, resumed.loaded.model.state_dict()[name]), name
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


def test_a_part_without_a_store_is_done_without(drawn: Callable[[str], Drawn]) -> None:
    model = Deephar(images=str(drawn("mpii").root), recipe="mixed", tiny=True, device="cpu", steps=1, epochs=1)
    with pytest.warns(HarBenchWarning, match="also learns from h36m, penn_action, ntu, of which no store is given"):
        model.train([drawn("mpii").store], None)
    assert model.history
