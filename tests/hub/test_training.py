"""Training: seeded, resumed exactly, refused on other checkpoints, the same on several processes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from har_bench import HarBenchError  # noqa: E402
from har_bench.training import CURVES, LATEST, Plan, Share, train  # noqa: E402

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
    assert [path.name for path in sorted(tmp_path.iterdir())] == [CURVES, LATEST]


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
    with pytest.raises(HarBenchError, match="the loss of epoch 1 is not finite; lower the learning rate"):
        train(model(), batches, lambda model, batch: {"x": model(batch[0]).sum() * torch.inf}, PLAN)


def test_an_absent_device_is_said() -> None:
    with pytest.raises(HarBenchError, match="torch cannot compute on the device 'moon'"):
        train(model(), batches, losses, dataclasses.replace(PLAN, device="moon"))


def told(folder: Path, share: Share) -> Iterator[Any]:
    (folder / f"{share.rank}.json").write_text(json.dumps([share.rank, share.ranks]))
    yield from batches(share)


def plain(model: Any, batch: Any) -> dict[str, Any]:
    points, truth = batch
    return {"square": (model[2](model[0](points)) - truth).square().mean()}


def test_several_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Without dropout and with equal shares, the mean of the gradients is the gradient of the mean."""
    alone, together = model(), model()
    train(alone, batches, plain, PLAN)
    history = train(together, partial(told, tmp_path), plain, dataclasses.replace(PLAN, devices=2))
    assert [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)] == [[0, 2], [1, 2]]
    assert len(history) == PLAN.epochs
    for a, b in zip(alone.parameters(), together.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
