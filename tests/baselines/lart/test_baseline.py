"""LART learns from tracklets, resumes exactly, is fine-tuned, saved and read, and says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import har_bench  # noqa: E402
from har_bench.baselines.lart import LART  # noqa: E402
from har_bench.baselines.lart.kinetics import classes_of  # noqa: E402
from har_bench.baselines.lart.training import Feed  # noqa: E402
from har_bench.errors import HarBenchError, HarBenchWarning  # noqa: E402
from har_bench.protocol import make_protocol  # noqa: E402
from har_bench.store import Store  # noqa: E402
from tests.walking_tracklets import ACTIONS, converted, datasets, tracklet, written  # noqa: E402

PROTOCOL = "ava/frame-map:lart"
CHANCE = 100 / len(ACTIONS)
TINY: dict[str, Any] = {
    "widths": "16,8,8", "between": "32,8,8", "depth": 1, "heads": 2, "head": 8, "hidden": 16, "frames": 20, "people": 2,
    "epochs": 12, "batch": 4, "lr": 0.01, "warm": 1, "ema": 0.5, "drop_path": 0.1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    return datasets(tmp_path_factory.mktemp("lart"))


def model(stores: tuple[Store, Store], **options: Any) -> LART:
    return LART(tracklets=str(stores[1].path), **TINY | options)


def predicted(model: LART, store: Store) -> list[dict[str, Any]]:
    return [row for table in model.predict(store, make_protocol(PROTOCOL)) for row in table.to_pylist()]


@pytest.fixture(scope="module")
def trained(stores: tuple[Store, Store], tmp_path_factory: pytest.TempPathFactory) -> tuple[LART, Path, Any]:
    """A model that has learnt, its weights, and its result."""
    path = tmp_path_factory.mktemp("weights") / "lart.safetensors"
    machine = model(stores)
    result = har_bench.run(machine, stores[0], protocol=PROTOCOL, save=path)
    return machine, path, result


def test_it_learns_what_people_do_from_their_bodies(trained: tuple[LART, Path, Any]) -> None:
    machine, _, result = trained
    assert result["mAP@0.5"] > 90 > 2 * CHANCE
    assert result.counts["detections"] == 12 * 50  # a keyframe's best
    assert machine.history[-1]["actions"] < machine.history[0]["actions"]
    assert result.environment["test"] == "track.fullframe@avg.6"
    assert result.environment["sees"] == "pose+joints+appearance"
    assert int(result.environment["parameters"]) > 10_000


@pytest.mark.parametrize("test", ["track.fullframe@", "track.fullframe@avg.3"])
def test_its_weights_are_read_and_tested_in_other_ways(
    test: str, trained: tuple[LART, Path, Any], stores: tuple[Store, Store]
) -> None:
    machine, path, _ = trained
    with pytest.raises(HarBenchError, match="was made with people=2, not 3; leave it out"):
        LART(people=3).load(path)
    again = LART(tracklets=str(stores[1].path), test=test, device="cpu")
    found = har_bench.run(again, stores[0], protocol=PROTOCOL, weights=path)
    assert found["mAP@0.5"] > 90
    assert predicted(again, stores[0]) != predicted(machine, stores[0])
    assert found.environment["weights"] == path.name


def test_the_truth_is_scored_without_a_model(stores: tuple[Store, Store]) -> None:
    machine = LART(tracklets=str(stores[1].path), test="track.fullframe@GT")
    result = har_bench.run(machine, stores[0], protocol=PROTOCOL)
    assert result["mAP@0.5"] == 100
    assert machine.model is None
    assert {row["score"] for row in predicted(machine, stores[0])} == {0, 1}


def test_a_training_that_was_cut_short_goes_on_to_the_same_weights(stores: tuple[Store, Store], tmp_path: Path) -> None:
    protocol = make_protocol(PROTOCOL)
    options = {"epochs": 3, "dropout": 0.2}
    whole = model(stores, **options, checkpoints=str(tmp_path / "whole"))
    whole.fit(stores[0], protocol)

    cut = model(stores, **options, checkpoints=str(tmp_path / "cut"))

    def stopping(self: Feed, share: Any, inner: Any = Feed.__call__) -> Any:
        if share.epoch == 2:
            raise KeyboardInterrupt
        return inner(self, share)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Feed, "__call__", stopping)
        with pytest.raises(KeyboardInterrupt):
            cut.fit(stores[0], protocol)
    resumed = model(stores, **options, checkpoints=str(tmp_path / "cut"))
    resumed.fit(stores[0], protocol)
    assert resumed.history == whole.history
    assert whole.model is not None
    assert resumed.model is not None
    pairs = zip(whole.model.state_dict().values(), resumed.model.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_two_processes_learn_what_one_does(stores: tuple[Store, Store]) -> None:
    """Every window has as many labelled tokens here, so the mean of the shares' losses is that of the whole batch.

    LART's learning rate is told for one device as it is, and for several for 256 windows a step.
    """
    still_ = {"epochs": 1, "batch": 4, "dropout": 0.0, "drop_path": 0.0, "ratio": 0.0, "warm": 0, "people": 1}
    alone = model(stores, **still_, lr=0.01 * 4 / 256)
    together = model(stores, **still_, lr=0.01, devices=2)
    for each in (alone, together):
        each.fit(stores[0], make_protocol(PROTOCOL))
    assert together.history[0]["actions"] == pytest.approx(alone.history[0]["actions"], rel=1e-4)
    assert alone.model is not None
    assert together.model is not None
    pairs = zip(alone.model.state_dict().values(), together.model.state_dict().values(), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_moving_average_is_what_predicts(stores: tuple[Store, Store]) -> None:
    """With a share of 1 nothing is averaged in: what is used is where the training began."""
    protocol = make_protocol(PROTOCOL)
    found = {}
    for ema in (0.0, 1 - 1e-9, 1e-9):
        machine = model(stores, epochs=1, ema=ema)
        machine.fit(stores[0], protocol)
        found[ema] = np.array([row["score"] for row in predicted(machine, stores[0])])
    np.testing.assert_allclose(found[0.0], found[1e-9], atol=1e-5)
    assert np.abs(found[0.0] - found[1 - 1e-9]).max() > 1e-3


def test_fine_tuning_begins_at_the_weights_it_is_given(
    trained: tuple[LART, Path, Any], stores: tuple[Store, Store]
) -> None:
    tuned = model(stores, epochs=1, init=str(trained[1]), ratio=0.0, labels="true", layer_decay=0.95, lr=1e-6, ema=0.0)
    tuned.fit(stores[0], make_protocol(PROTOCOL))
    mine, theirs = (np.array([row["score"] for row in predicted(each, stores[0])]) for each in (tuned, trained[0]))
    np.testing.assert_allclose(mine, theirs, atol=1e-3)


def test_fine_tuning_to_other_actions_keeps_those_that_are_known(
    trained: tuple[LART, Path, Any], stores: tuple[Store, Store]
) -> None:
    """The head's rows go by the actions' numbers, not by their places; what is new begins anew."""
    protocol = make_protocol(PROTOCOL, options={"actions": "2,12,80"})
    tuned = model(stores, epochs=1, init=str(trained[1]), lr=1e-9, ema=0.0, ratio=0.0, dropout=0.0, drop_path=0.0)
    with pytest.warns(HarBenchWarning, match="does not know 1 of the 3 actions"):
        tuned.fit(stores[0], protocol)
    assert tuned.model is not None
    assert trained[0].model is not None
    new, old = (each.action_head_ava[0][0].weight.detach() for each in (tuned.model, trained[0].model))
    known = [trained[0].actions.index(action) for action in (12, 80)]
    np.testing.assert_allclose(new[1:], old[known], atol=1e-6)
    assert float((new[0] - old).abs().amin(dim=0).max()) > 1e-3


def test_poses_alone_are_enough(stores: tuple[Store, Store]) -> None:
    result = har_bench.run(model(stores, parts="none"), stores[0], protocol=PROTOCOL)
    assert result.environment["sees"] == "pose"
    assert result["mAP@0.5"] > 90


def test_bodies_and_places_are_learnt_with_smpls_mean(stores: tuple[Store, Store], tmp_path: Path) -> None:
    np.savez(tmp_path / "mean.npz", pose=np.tile([1.0, 0, 0, 0, 1, 0], 24), shape=np.zeros(10), cam=np.zeros(3))
    machine = model(stores, epochs=2, terms="actions,pose-l1,place-l2", smpl=str(tmp_path / "mean.npz"))
    machine.fit(stores[0], make_protocol(PROTOCOL))
    assert {"actions", "pose-l1", "place-l2"} <= machine.history[0].keys()
    assert machine.history[1]["pose-l1"] < machine.history[0]["pose-l1"]


def test_the_classes_of_films_are_learnt_from_kinetics_own_csv(stores: tuple[Store, Store], tmp_path: Path) -> None:
    """Classes are in the order of the alphabet; the films of the tracklets without one count nothing."""
    rows = [
        "label,youtube_id,time_start,time_end,split",
        '"zumba",filmtrain00,0,10,train',
        "abseiling,elsewhere00,0,10,train",
    ]
    (tmp_path / "kinetics.csv").write_text("\n".join(rows))
    csv = str(tmp_path / "kinetics.csv")
    assert classes_of(csv) == {"filmtrain00": 1, "elsewhere00": 0}
    machine = model(stores, epochs=4, terms="actions,kinetics", kinetics=csv, ema=0.0)
    machine.fit(stores[0], make_protocol(PROTOCOL))
    assert machine.history[-1]["kinetics"] < machine.history[0]["kinetics"]
    assert machine.model is not None
    tokens = machine.model.class_token.detach().expand(1, 2, -1)
    assert int(machine.model.kinetics(tokens, 2)[0, 0].argmax()) == 1
    for text, words in (
        ("film,class\n", "no columns label and youtube_id"),
        (rows[0] + "\nzumba\n", "a row of 1 columns"),
    ):
        (tmp_path / "other.csv").write_text(text)
        with pytest.raises(HarBenchError, match=words):
            classes_of(str(tmp_path / "other.csv"))


@pytest.fixture(scope="module")
def clips_of_kinetics(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    """Two clips of AVA-Kinetics, each annotated at one second, and their tracklets."""
    folder = tmp_path_factory.mktemp("kinetics")
    for number, (action, confidence) in enumerate(zip(ACTIONS, (0.95, 0.85), strict=False)):
        made = tracklet(0, 20, action, has_gt=[9], name=300)
        made["frame_conf"] = [confidence] * 20
        written(folder / "tracks", f"AK-val_clip{number:07d}_000309", 0, made)
    (folder / "ava").mkdir()
    rows = [f"clip{number:07d},{4.25 + number},0.100,0.100,0.300,0.600,{ACTIONS[number]}\n" for number in range(2)]
    (folder / "ava/kinetics_val_v1.0.csv").write_text("".join(rows))
    return converted(folder / "ava", folder / "truth"), converted(folder / "tracks", folder / "tracklets")


def test_clips_of_kinetics_are_scored_at_the_second_that_is_annotated(clips_of_kinetics: tuple[Store, Store]) -> None:
    """AK-val: seconds are fractions, and LART scores who was detected with 0.9."""
    truth, tracklets = clips_of_kinetics
    split, found = {"split": "kinetics-v1.0/val"}, {}
    for confidence in (None, 0.9):
        options = split | ({} if confidence is None else {"confidence": confidence})
        machine = LART(tracklets=str(tracklets.path), test="track.fullframe@GT")
        found[confidence] = har_bench.run(machine, truth, protocol=PROTOCOL, options=options)["mAP@0.5"]
    assert found == {None: 100, 0.9: 50}
    machine = LART(tracklets=str(tracklets.path), test="track.fullframe@GT")
    tables = machine.predict(truth, make_protocol(PROTOCOL, options=split))
    assert {row["timestamp"] for table in tables for row in table.to_pylist()} == {4.25, 5.25}


def test_actions_of_ones_own_are_another_label_space(stores: tuple[Store, Store], tmp_path: Path) -> None:
    """The protocol says which numbers are scored; the model tells these, whether AVA scores them or not."""
    own = {"actions": f"{ACTIONS[0]},{ACTIONS[1]},2"}
    machine = model(stores, epochs=6)
    result = har_bench.run(machine, stores[0], protocol=PROTOCOL, options=own, save=tmp_path / "own.safetensors")
    assert machine.actions == tuple(sorted({2, *ACTIONS[:2]}))
    assert result.options["actions"] == ",".join(sorted(map(str, machine.actions)))
    assert result["mAP@0.5"] > 90
    again = LART(tracklets=str(stores[1].path), device="cpu")
    with pytest.raises(
        HarBenchError, match="tells 3 actions, and 58 that ava/frame-map:lart scores are not among them"
    ):
        har_bench.run(again, stores[0], protocol=PROTOCOL, weights=tmp_path / "own.safetensors")
    with pytest.raises(HarBenchError, match="scores action 81, and the labels of tracklets are of 1 to 80"):
        model(stores).fit(stores[0], make_protocol(PROTOCOL, options={"actions": "81"}))


def test_what_is_missing_is_said_in_a_sentence(stores: tuple[Store, Store], tmp_path: Path) -> None:
    protocol = make_protocol(PROTOCOL)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"tracklets": ""}, "needs a store of tracklets; convert LART's or PHALP's"),
        ({"tracklets": str(stores[0].path)}, r"truth holds no tracklets \(no frame_name\)"),
        ({"learn_from": "ava-test"}, "called 'ava-test'"),
        ({"parts": "hands"}, "has no hands; give parts=joints"),
        ({"widths": "8,8"}, "widths is '8,8'; give three whole numbers"),
        ({"terms": "pose-l1"}, "give smpl_mean_params.npz with --set smpl="),
        ({"terms": "actions,kinetics"}, "needs the classes of the tracklets' films.*--set kinetics="),
        ({"terms": "poses"}, "term of lart's loss is called 'poses'"),
        ({"batch": 1, "devices": 2}, "batch is 1; give 2 or more"),
        ({"frames": 251}, "lart has positions for 250 and 10; give fewer"),
        ({"people": 11}, "lart has positions for 250 and 10; give fewer"),
        ({"widths": "7,8,8"}, r"give 7\+8\+8, 23 numbers a token; .* a multiple of 4"),
        ({"between": "0,8,8"}, "give widths and between of 1 or more"),
        ({"drop_path": 1.0}, "drop_path is 1, and is a share; give less than 1"),
    ]
    for options, words in cases:
        with pytest.raises(HarBenchError, match=words):
            LART(**TINY | {"tracklets": str(stores[1].path)} | options).fit(stores[0], protocol)
    with pytest.raises(HarBenchError, match="lart has learnt nothing yet"):
        predicted(model(stores), stores[0])
    with pytest.raises(HarBenchError, match=r"test is 'avg'; give track\.fullframe@avg\.6"):
        predicted(model(stores, test="avg"), stores[0])


def test_tracklets_of_no_split_are_no_lesson(stores: tuple[Store, Store], tmp_path: Path) -> None:
    written(tmp_path / "raw", "ava-val_abcdefghijk_000060", 0, tracklet(52, 20))
    store = converted(tmp_path / "raw", tmp_path / "store")
    machine = model((stores[0], store))
    with pytest.raises(HarBenchError, match=r"no split for training .*this has lart/ava-val"):
        machine.fit(stores[0], make_protocol(PROTOCOL))
    with pytest.raises(HarBenchError, match="has no tracklet of a video that ava/frame-map:lart scores"):
        predicted(LART(tracklets=str(store.path), test="track.fullframe@GT"), stores[0])
