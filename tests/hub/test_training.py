"""Training: seeded, resumed exactly, refused on other checkpoints, the same on several processes."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

torch = pytest.importorskip("torch")
lightning = pytest.importorskip("lightning")

import har_bench.training.loop  # noqa: E402
from har_bench import HarBenchError  # noqa: E402
from har_bench.errors import HarBenchWarning  # noqa: E402
from har_bench.progress import progress  # noqa: E402
from har_bench.training import Plan, Plateau, Share, train  # noqa: E402
from har_bench.training.checkpoints import BEFORE, BEST, LATEST  # noqa: E402
from har_bench.training.curves import CURVES, PICTURE, read_curves  # noqa: E402
from har_bench.training.loop import devices_of  # noqa: E402

SGD = partial(torch.optim.SGD, lr=0.05, momentum=0.9)
PLAN = Plan(4, 7, SGD, decay=0.9, device="cpu", identity={"rate": 0.05, "words": "a"})


def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))


def batches(share: Share) -> Iterator[Any]:
    """Ten batches a epoch, each shared between the processes."""
    random = torch.Generator().manual_seed(share.epoch)
    for _ in range(10):
        points = torch.randn(16, 3, generator=random)
        mine = points.chunk(share.ranks)[share.rank]
        yield mine, mine.sum(1, keepdim=True)


def losses(model: Any, batch: Any) -> dict[str, Any]:
    points, truth = batch
    return {"square": (model(points) - truth).square().mean(), "nothing": torch.zeros(())}


class KilledError(Exception):
    """Stands for a power cut."""


def test_training_lowers_the_loss_and_tells_every_epoch(tmp_path: Path) -> None:
    history = train(model(), batches, losses, dataclasses.replace(PLAN, folder=tmp_path))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["square"] < history[0]["square"]
    assert [row["lr"] for row in history] == pytest.approx([0.05 * 0.9**epoch for epoch in range(4)])
    assert all(row["nothing"] == 0 for row in history)
    assert (tmp_path / CURVES).read_text().startswith("epoch,lr,square,nothing")


def test_a_seed_fixes_everything() -> None:
    first, second, third = model(), model(), model()
    train(first, batches, losses, PLAN)
    torch.rand(5)  # somebody else's draws
    train(second, batches, losses, PLAN)
    train(third, batches, losses, dataclasses.replace(PLAN, seed=8))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first[0].weight, third[0].weight)


def test_training_leaves_the_caller_s_random_state_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    trained = torch.nn.Linear(3, 1)
    torch.manual_seed(3)
    train(trained, batches, losses, PLAN)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_killed_training_resumes_exactly(at: int, tmp_path: Path) -> None:
    """Killed in the middle of an epoch, it goes on from the one before and ends with the same weights and curves."""
    whole = model()
    expected = train(whole, batches, losses, PLAN)

    def cut(share: Share) -> Iterator[Any]:
        for number, batch in enumerate(batches(share)):
            if share.epoch == at and number == 5:
                raise KilledError
            yield batch

    plan = dataclasses.replace(PLAN, folder=tmp_path)
    with pytest.raises(KilledError):
        train(model(), cut, losses, plan)
    resumed = model()
    assert train(resumed, batches, losses, plan) == expected
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert {path.name for path in tmp_path.iterdir()} == {BEFORE, CURVES, PICTURE, LATEST}


@pytest.mark.parametrize("place", ["har_bench.training.loop.write_curves", "lightning.Trainer.save_checkpoint"])
def test_a_training_killed_while_it_writes_resumes_exactly(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last epoch: the curves are as whole as the checkpoint says."""
    plan = dataclasses.replace(PLAN, folder=tmp_path)
    expected = train(model(), batches, losses, PLAN)

    written = []
    *_, name = place.rpartition(".")
    original = getattr(lightning.Trainer if "Trainer" in place else har_bench.training.loop, name)

    def killed(*given: Any) -> None:
        written.append(given)
        if len(written) == PLAN.epochs:
            raise KilledError
        original(*given)

    with monkeypatch.context() as patched:
        patched.setattr(place, killed)
        with pytest.raises(KilledError):
            train(model(), batches, losses, plan)
    assert train(model(), batches, losses, plan) == read_curves(tmp_path / CURVES) == expected


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is empty"),
        (b"epoch,loss\n0,x\n", "is no table of numbers"),
        (b"epoch,loss\n0,1,2\n", "is no table of numbers"),
        (b"epoch,loss\n0,\xff\n", "is no table of numbers"),
    ],
)
def test_damaged_curves_are_a_sentence(content: bytes, wrong: str, tmp_path: Path) -> None:
    (tmp_path / CURVES).write_bytes(content)
    with pytest.raises(HarBenchError, match=rf"curves\.csv {wrong}.*; "):
        read_curves(tmp_path / CURVES)


def test_a_finished_training_is_known_without_its_curves(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, folder=tmp_path)
    history = train(model(), batches, losses, plan)
    (tmp_path / CURVES).unlink()
    assert train(model(), batches, losses, plan) == history


def test_an_interrupt_stays_one() -> None:
    """Lightning would make a silent exit of it, and ignore the next one."""

    def interrupted(share: Share) -> Iterator[Any]:
        yield from list(batches(share))[:3]
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(model(), interrupted, losses, PLAN)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, folder=tmp_path)
    first, again = model(), model()
    history = train(first, batches, losses, plan)
    assert train(again, lambda share: pytest.fail(f"{share} was trained"), losses, plan) == history
    assert torch.equal(first[0].weight, again[0].weight)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(model(), batches, losses, dataclasses.replace(PLAN, folder=tmp_path))
    other = dataclasses.replace(PLAN, folder=tmp_path, identity={"rate": 0.05, "words": "b"})
    with pytest.raises(HarBenchError, match=r"another training \(words 'a' -> 'b'\); name another folder"):
        train(model(), batches, losses, other)


def test_a_loss_that_explodes_is_said() -> None:
    factors = iter([1.0, 1.0, torch.inf, *[1.0] * 7])
    with pytest.raises(
        HarBenchError, match="the loss of epoch 1 is not finite, from its step 3 on; lower the learning"
    ):
        train(model(), batches, lambda model, batch: {"x": model(batch[0]).sum() * next(factors)}, PLAN)


def test_an_absent_device_is_said() -> None:
    with pytest.raises(HarBenchError, match="torch cannot compute on the device 'moon'"):
        train(model(), batches, losses, dataclasses.replace(PLAN, device="moon"))


def told(folder: Path, share: Share) -> Iterator[Any]:
    (folder / f"{share.rank}.json").write_text(
        json.dumps([share.rank, share.ranks, torch.get_float32_matmul_precision()])
    )
    yield from batches(share)


def plain(model: Any, batch: Any) -> dict[str, Any]:
    points, truth = batch
    return {"square": (model[2].forward(model[0].forward(points)) - truth).square().mean()}


def compiled(model: Any, batch: Any) -> dict[str, Any]:
    for layer in model:
        assert layer._compiled_call_impl
    return plain(model, batch)


def endless(model: Any, batch: Any) -> dict[str, Any]:
    return {"square": plain(model, batch)["square"] * torch.inf}


def test_several_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Without dropout and with equal shares, the mean of the gradients is the gradient of the mean."""
    alone, together = model(), model()
    expected = train(alone, batches, plain, PLAN)
    plan = dataclasses.replace(PLAN, devices=2, precision="tf32", compiled=True)
    history = train(together, partial(told, tmp_path), compiled, plan)
    told_by = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert told_by == [[0, 2, "high"], [1, 2, "high"]]
    assert [row["square"] for row in history] == pytest.approx([row["square"] for row in expected], rel=1e-4)
    for a, b in zip(alone.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_what_goes_wrong_in_another_process_is_one_sentence_too() -> None:
    with pytest.raises(HarBenchError, match=r"^the loss of epoch 1 is not finite, from its step 1 on; lower the"):
        train(model(), batches, endless, dataclasses.replace(PLAN, devices=2))


@pytest.mark.parametrize("harm", ["cut", "a bit", "emptied", "gone"])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_goes_on(harm: str, tmp_path: Path) -> None:
    plan, whole = dataclasses.replace(PLAN, folder=tmp_path), model()
    expected = train(whole, batches, losses, plan)
    content = bytearray((tmp_path / LATEST).read_bytes())
    place = content.index(next(whole.parameters()).detach().numpy().tobytes())  # a weight: the file stays readable
    content[place + 2] ^= 1
    harmed = {"cut": content[:-500], "a bit": content, "emptied": b""}
    (tmp_path / LATEST).unlink()
    if harm != "gone":
        (tmp_path / LATEST).write_bytes(harmed[harm])
    told = pytest.warns(HarBenchWarning, match=r"latest\.ckpt was damaged .* the training goes on from the one before")
    resumed = model()
    with told if harm != "gone" else nullcontext():
        assert train(resumed, batches, losses, plan) == expected
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


def test_what_a_killed_training_left_is_removed_and_damage_everywhere_is_said(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, folder=tmp_path)
    train(model(), batches, losses, plan)
    (tmp_path / f".{LATEST}.123.unfinished").write_bytes(b"half")
    for name in (LATEST, BEFORE):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-500])
    with pytest.raises(HarBenchError, match=r"latest\.ckpt is damaged .*; delete it"):
        train(model(), batches, losses, plan)
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEFORE, CURVES, PICTURE, LATEST]
    with pytest.raises(HarBenchError, match="cannot hold checkpoints"):
        train(model(), batches, losses, dataclasses.replace(PLAN, folder=tmp_path / CURVES))


@pytest.mark.parametrize("name", [LATEST, BEFORE, BEST, CURVES, PICTURE])
def test_a_folder_where_a_training_writes_is_told_before_the_first_epoch(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(HarBenchError, match=rf"{name} is a folder; move it away, or name another folder for"):
        train(model(), lambda share: pytest.fail("it began"), losses, dataclasses.replace(PLAN, folder=tmp_path))


def test_gpus_are_taken_from_the_chosen_one_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices_of(torch.device("cuda"), 2) == [0, 1]
    assert devices_of(torch.device("cuda:2"), 2) == [2, 3]
    assert devices_of(torch.device("cpu"), 3) == 3
    with pytest.raises(HarBenchError, match="2 GPUs from cuda:3 on are not here, there are 4"):
        devices_of(torch.device("cuda:3"), 2)


def test_control_c_stops_the_training_alone() -> None:
    def interrupted(share: Share) -> Iterator[Any]:
        raise KeyboardInterrupt
        yield share

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(model(), interrupted, losses, PLAN)
    assert signal.getsignal(signal.SIGINT) is handler


def falling_then_rising(scores: list[float]) -> Any:
    """What an evaluation gives, epoch by epoch."""
    numbers = iter(scores)
    return lambda _: {"error": next(numbers), "other": 1.0}


def test_the_best_and_the_last_are_both_kept_and_the_model_is_the_last(tmp_path: Path) -> None:
    trained = model()
    evaluated = falling_then_rising([3.0, 1.0, 2.0, 1.5])
    history = train(trained, batches, losses, dataclasses.replace(PLAN, folder=tmp_path), evaluated=evaluated)
    assert [row["error"] for row in history] == [3.0, 1.0, 2.0, 1.5]
    kept = {name: torch.load(tmp_path / name, weights_only=True) for name in (BEST, LATEST)}
    assert len(kept[BEST]["har_bench"]["history"]) == 2
    assert torch.equal(kept[LATEST]["state_dict"]["model.0.weight"], trained[0].weight)
    assert not torch.equal(kept[BEST]["state_dict"]["model.0.weight"], trained[0].weight)
    with Image.open(tmp_path / PICTURE) as picture:
        assert picture.size == (800, 480)


def test_a_training_that_waited_in_vain_ends_with_its_best_weights(tmp_path: Path) -> None:
    """Two epochs without a better number after the second, of ten; asked again it does nothing more."""
    plan = dataclasses.replace(PLAN, epochs=10, patience=2)
    short, stopped, again = model(), model(), model()
    train(short, batches, losses, dataclasses.replace(PLAN, epochs=2))
    scores = [3.0, 1.0, 2.0, 1.5, 0.5]
    history = train(
        stopped, batches, losses, dataclasses.replace(plan, folder=tmp_path), evaluated=falling_then_rising(scores)
    )
    assert [row["error"] for row in history] == scores[:4]
    assert same(short, stopped)
    none: Any = falling_then_rising([])
    assert train(again, batches, losses, dataclasses.replace(plan, folder=tmp_path), evaluated=none) == history
    assert same(short, again)
    (tmp_path / BEST).unlink()
    with pytest.raises(HarBenchError, match=r"best\.ckpt is damaged or gone .*; delete the checkpoints beside it"):
        train(model(), batches, losses, dataclasses.replace(plan, folder=tmp_path), evaluated=none)


def test_where_larger_is_better_the_largest_is_the_best(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, epochs=10, patience=1, better="higher", folder=tmp_path)
    history = train(model(), batches, losses, plan, evaluated=falling_then_rising([1.0, 3.0, 2.0]))
    assert [row["error"] for row in history] == [1.0, 3.0, 2.0]
    assert len(torch.load(tmp_path / BEST, weights_only=True)["har_bench"]["history"]) == 2


@pytest.mark.parametrize("schedule", [None, lambda step: 0.9 ** (step // 10)], ids=["decay", "schedule"])
def test_on_a_plateau_it_goes_on_from_the_best_weights_more_slowly(schedule: Any, tmp_path: Path) -> None:
    """The rate falls to a fifth each second epoch in vain; in one go or killed afterwards, all is the same."""
    plan = dataclasses.replace(PLAN, epochs=6, plateau=Plateau(2, 0.2), schedule=schedule)
    scores = [1.0, 2.0, 3.0, 4.0, 5.0, 0.5]
    started: list[Any] = []
    seen = model()
    history = train(
        seen, batches, losses, plan, evaluated=falling_then_rising(scores),
        starting=lambda found, _: started.append([each.detach().clone() for each in found.parameters()]),
    )  # fmt: skip
    falls = [1.0, 1.0, 1.0, 0.2, 0.2, 0.04]
    assert [row["lr"] for row in history] == pytest.approx([0.05 * 0.9**at * fall for at, fall in enumerate(falls)])
    assert all(torch.equal(a, b) for a, b in zip(started[1], started[3], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(started[1], started[5], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(started[1], started[2], strict=True))
    kept = dataclasses.replace(plan, folder=tmp_path)

    def killed(_: Any, epoch: int) -> None:
        if epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train(model(), batches, losses, kept, evaluated=falling_then_rising(scores), starting=killed)
    resumed = model()
    assert train(resumed, batches, losses, kept, evaluated=falling_then_rising(scores[3:])) == history
    assert same(seen, resumed)


class Scores:
    """What an evaluation gives, epoch by epoch, in whichever process it is asked."""

    def __init__(self, scores: list[float]) -> None:
        self.left = scores

    def __call__(self, _: Any) -> dict[str, float]:
        return {"error": self.left.pop(0)}


def test_all_processes_wait_as_one_does(tmp_path: Path) -> None:
    """Only the first one evaluates; the others slow down with it, and end with it."""
    plan = dataclasses.replace(PLAN, epochs=5, devices=2, patience=2, plateau=Plateau(1, 0.5), folder=tmp_path)
    trained = model()
    history = train(trained, batches, losses, plan, evaluated=Scores([2.0, 3.0, 3.0]))
    assert [row["lr"] for row in history] == pytest.approx([0.05, 0.05 * 0.9, 0.05 * 0.81 * 0.5])
    kept = torch.load(tmp_path / BEST, weights_only=True)
    assert len(kept["har_bench"]["history"]) == 1
    assert torch.equal(kept["state_dict"]["model.0.weight"], trained[0].weight)


def same(one: Any, other: Any) -> bool:
    """Whether two models have the same weights."""
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_an_evaluation_changes_no_weight_and_leaves_the_model_learning() -> None:
    plain, watched = model(), model()
    train(plain, batches, losses, PLAN)
    train(watched, batches, losses, PLAN, evaluated=lambda found: {"error": float(found.eval()[0].weight.sum())})
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


@pytest.mark.parametrize("said", ["CUDA out of memory. Tried to allocate 2 GiB", "can't allocate memory: 9 bytes"])
def test_too_little_memory_is_a_sentence_and_a_smaller_batch_goes_on(said: str, tmp_path: Path) -> None:
    def too_large(share: Share) -> Iterator[Any]:
        if share.epoch == 2:
            raise torch.OutOfMemoryError(said) if "CUDA" in said else RuntimeError(f"[enforce fail] {said}")
        yield from batches(share)

    def smaller(share: Share) -> Iterator[Any]:
        for points, truth in batches(share):
            yield from zip(points.chunk(2), truth.chunk(2), strict=True)

    plan = dataclasses.replace(PLAN, folder=tmp_path, identity={"batch": 16}, loose=("batch",))
    with pytest.raises(
        HarBenchError, match=r"cpu has not enough memory for a step .*; give a smaller batch; the train"
    ):
        train(model(), too_large, losses, plan)
    halved = dataclasses.replace(plan, identity={"batch": 8})
    with pytest.warns(HarBenchWarning, match="goes on after 2 epochs with batch 16 -> 8"):
        history = train(model(), smaller, losses, halved)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    with pytest.raises(HarBenchError, match="is of another training"):
        train(model(), batches, losses, plan)


def test_the_time_left_is_told_from_the_first_batch_on() -> None:
    with progress("training", 4, quiet=True) as shown:
        shown.began -= 10
        assert "left" not in shown.line()
        shown.tell("batch 1", part=0.1)
        assert shown.line() == "training: 0/4, batch 1, 390 s left"
        shown.advance(note="loss 3")
        assert shown.line() == "training: 1/4, loss 3, 30 s left"
