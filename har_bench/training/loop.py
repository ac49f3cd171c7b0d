"""Training any model: Lightning under one small function, with seeds, checkpoints and exact resumption.

Every epoch is seeded by its number, and a checkpoint is written after each, so a run that was killed goes on from the
last finished epoch (from the one before it, where that checkpoint was damaged) and ends with the same weights as one
that was not.
"""

from __future__ import annotations

import logging
import math
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from torch import nn
from torch.multiprocessing.spawn import ProcessRaisedException

from har_bench.devices import Precision, chosen, forked, label, precision
from har_bench.errors import HarBenchError, HarBenchWarning
from har_bench.progress import progress
from har_bench.training import checkpoints
from har_bench.training.curves import CURVES, History, best, read_curves, write_curves
from har_bench.training.plans import Losses, Plan, Share

TOLD_EVERY_S = 1.0


class Lesson(NamedTuple):
    """The arguments of :func:`har_bench.training.train`."""

    model: nn.Module
    batches: Callable[[Share], Iterable[Any]]
    losses: Callable[[Any, Any], Losses]
    plan: Plan
    starting: Callable[[Any, int], None] | None
    evaluated: Callable[[Any], Mapping[str, float]] | None


def learn(lesson: Lesson, *, quiet: bool) -> History:
    """See :func:`har_bench.training.train`."""
    learner, plan = _Learner(lesson), lesson.plan
    device = chosen(plan.device)
    latest = checkpoints.newest(plan.folder) if plan.folder else None
    with tempfile.TemporaryDirectory() as scratch, _undisturbed():
        folder = plan.folder or Path(scratch)
        trainer = lightning.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=devices_of(device, plan.devices),
            strategy="ddp_spawn" if plan.devices > 1 else "auto",
            precision={"float32": "32-true", "tf32": "32-true", "bf16": "bf16-mixed"}[plan.precision],  # type: ignore[arg-type]
            max_epochs=plan.epochs,
            gradient_clip_val=plan.clip or None,
            default_root_dir=folder,
            callbacks=[_Keeper(folder, quiet=quiet)],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        with precision(device, learner.fast), _enough_memory(device, resumable=plan.folder is not None):
            try:
                trainer.fit(learner, _Epochs(learner), ckpt_path=latest, weights_only=True)
            except ProcessRaisedException as error:
                name, _, said = str(error).strip().splitlines()[-1].partition(": ")
                if name != f"{HarBenchError.__module__}.{HarBenchError.__qualname__}":
                    raise
                raise HarBenchError(said) from error
        history = learner.history or read_curves(folder / CURVES)  # other processes leave only the file
        if plan.waits and lesson.evaluated is not None:
            learner.load_state_dict(checkpoints.best_weights(folder))
    if learner.changed:
        warnings.warn(HarBenchWarning(learner.changed), stacklevel=2)
    return history


@contextmanager
def _enough_memory(device: torch.device, *, resumable: bool) -> Iterator[None]:
    """Raises a :class:`HarBenchError` where the memory of a device does not hold a step."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in said:
            raise
        then = "; the training goes on from its last whole epoch" if resumable else ""
        raise HarBenchError(
            f"{label(device)} has not enough memory for a step ({said.rstrip('.')}); give a smaller batch{then}"
        ) from error


def devices_of(device: torch.device, number: int) -> list[int] | int:
    """The GPUs from the chosen one on, or how many processes share the processor."""
    if device.type != "cuda":
        return number
    first, there = device.index or 0, torch.cuda.device_count()
    if first + number > there:
        raise HarBenchError(f"{number} GPUs from cuda:{first} on are not here, there are {there}; give fewer devices")
    return list(range(first, first + number))


class _Epochs:
    """The batches of the current epoch, whenever Lightning asks."""

    def __init__(self, learner: _Learner) -> None:
        self.learner = learner

    def __iter__(self) -> Iterator[Any]:
        learner, trainer = self.learner, self.learner.trainer
        share = Share(learner.epoch, trainer.global_rank, trainer.world_size, learner.device)
        if learner.epoch < learner.plan.epochs:  # Lightning looks ahead even where nothing is left to do
            yield from learner.batches(share)


class _Learner(lightning.LightningModule):
    """What Lightning wants to know."""

    def __init__(self, lesson: Lesson) -> None:
        super().__init__()
        self.model, self.batches, self.losses, self.plan, self.starting, self.evaluated = lesson
        self.judged = self.changed = ""
        self.history: History = []
        self.sums: dict[str, torch.Tensor] = {}
        self.fast: Precision = "float32" if self.plan.precision == "float32" else "tf32"

    def on_fit_start(self) -> None:
        if self.plan.devices > 1:  # a new process, which knows nothing of the settings of the one that started it
            self._settings = ExitStack()
            self._settings.enter_context(precision(self.device, self.fast))
            self._settings.enter_context(_one_way())
        if self.plan.compiled:  # here, as compiled code does not reach other processes
            for network in self.model.children():
                network.compile()

    def on_fit_end(self) -> None:
        for network in self.model.children():  # what is predicted later has other shapes
            network._compiled_call_impl = None

    @property
    def epoch(self) -> int:
        """How many epochs are finished; Lightning's own count lags when it resumes."""
        return len(self.history)

    def configure_optimizers(self) -> Any:
        optimiser = self.plan.optimiser(self.model.parameters())
        if self.plan.schedule is not None:
            stepwise = torch.optim.lr_scheduler.LambdaLR(optimiser, self.plan.schedule)
            return [optimiser], [{"scheduler": stepwise, "interval": "step"}]
        return [optimiser], [torch.optim.lr_scheduler.ExponentialLR(optimiser, self.plan.decay)]

    def on_train_epoch_start(self) -> None:
        torch.manual_seed((self.plan.seed * 1_000_003 + self.epoch * 1009 + self.global_rank) % 2**63)
        if self.starting:
            self.starting(self.model, self.epoch)
        self.rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
        self.sums = {}
        self.lost = torch.full((), -1, device=self.device)  # the first step without a loss, in the memory of a device

    def training_step(self, batch: Any, step: int) -> torch.Tensor:
        terms = self.losses(self.model, batch)
        for name, term in {**terms, "batches": torch.ones((), device=self.device)}.items():
            self.sums[name] = self.sums.get(name, torch.zeros((), device=self.device)) + term.detach()
        loss = torch.stack(list(terms.values())).sum()
        self.lost = torch.where((self.lost < 0) & ~loss.detach().isfinite(), step, self.lost)
        return loss

    def refuse_lost(self, means: Mapping[str, float], step: int) -> None:
        """A loss that is no number will not be one again.

        Raises:
            HarBenchError: it is none, since a step of this epoch.
        """
        if all(map(math.isfinite, means.values())):
            return
        since = f", from its step {step + 1} on" if step >= 0 else ""
        raise HarBenchError(
            f"the loss of epoch {self.epoch + 1} is not finite{since}; lower the learning rate, or see whether what is "
            "learnt from is complete"
        )

    def on_train_batch_end(self, *_: Any) -> None:
        if self.plan.stepped:
            self.plan.stepped(self.model)

    def on_train_epoch_end(self) -> None:
        for name, value in self.sums.items():
            self.sums[name] = self.trainer.strategy.reduce(value, reduce_op="sum")
        means = self.means()
        self.refuse_lost(means, int(self.trainer.strategy.reduce(self.lost, reduce_op="max")))
        found = self.trainer.strategy.broadcast(self._evaluation())
        self.judged = next(iter(found), "")
        self.history.append({"epoch": self.epoch + 1.0, "lr": self.rate, **means, **found})
        plateau = self.plan.plateau
        if plateau is not None and self.waited and self.waited % plateau.epochs == 0:
            self._slow_down(plateau.factor)
        self.trainer.should_stop = self.ends

    def _evaluation(self) -> Mapping[str, float]:
        """The numbers of the model as it is now; compiled code is for windows, and sequences have other lengths."""
        if self.evaluated is None or not self.trainer.is_global_zero:
            return {}
        networks = list(self.model.children())
        compiled = [network._compiled_call_impl for network in networks]
        for network in networks:
            network._compiled_call_impl = None
        try:
            return self.evaluated(self.model)
        finally:
            self.model.train()
            for network, call in zip(networks, compiled, strict=True):
                network._compiled_call_impl = call

    @property
    def waited(self) -> int:
        """How many epochs brought nothing better since the best one."""
        done = len(self.history)
        return done - 1 - best(self.history, self.judged, self.plan.better) if self.judged else 0

    @property
    def ends(self) -> bool:
        """Whether it has waited long enough."""
        return 0 < self.plan.patience <= self.waited

    def _slow_down(self, factor: float) -> None:
        """Go on from the best weights with a part of the learning rate."""
        self.load_state_dict(checkpoints.best_weights(Path(self.trainer.default_root_dir)))
        for scheduler in (each.scheduler for each in self.trainer.lr_scheduler_configs):
            scheduler.base_lrs = [factor * rate for rate in scheduler.base_lrs]
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] *= factor

    def means(self) -> dict[str, float]:
        """The mean of every term over the batches so far."""
        return {name: float(value / self.sums["batches"]) for name, value in self.sums.items() if name != "batches"}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        identity = dict(self.plan.identity or {})
        checkpoint["har_bench"] = {"identity": identity, "history": self.history, "judged": self.judged}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint.get("har_bench") or {"identity": None, "history": []}
        wanted = dict(self.plan.identity or {})
        known, done = kept["identity"] or {}, len(kept["history"])
        names = [name for name in known.keys() & wanted.keys() if known[name] != wanted[name]]
        others = known.keys() ^ wanted.keys()
        told = ", ".join(f"{name} {known.get(name)!r} -> {wanted.get(name)!r}" for name in sorted(names or others))
        if others or (names and (done >= self.plan.epochs or set(names) - set(self.plan.loose))):
            raise HarBenchError(
                f"the checkpoint in {self.trainer.default_root_dir} is of another training ({told}); "
                "name another folder"
            )
        self.changed = f"the training goes on after {done} epochs with {told}" if names else ""
        if len(kept["history"]) > self.plan.epochs:
            raise HarBenchError(
                f"the checkpoint in {self.trainer.default_root_dir} has had {len(kept['history'])} epochs, more than "
                f"{self.plan.epochs}; ask for as many, or name another folder"
            )
        self.history, self.judged = list(kept["history"]), kept.get("judged", "")
        self.trainer.should_stop = self.ends


class _Keeper(Checkpoint):
    """After every epoch: a checkpoint, the curves, and a step of progress. Lightning calls checkpoints last."""

    def __init__(self, folder: Path, *, quiet: bool) -> None:
        self.folder, self.quiet = folder, quiet
        self._open = ExitStack()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        quiet = self.quiet or not trainer.is_global_zero
        done = cast(_Learner, pl_module).epoch
        self._told = time.monotonic()
        self._shown = self._open.enter_context(progress("training", trainer.max_epochs or 0, done=done, quiet=quiet))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        del trainer, outputs, batch
        if time.monotonic() - self._told > TOLD_EVERY_S:  # and not each time: a GPU would have to be waited for
            self._told = time.monotonic()
            learner = cast(_Learner, pl_module)
            part = (batch_idx + 1) / learner.plan.steps if learner.plan.steps else 0.0
            means = learner.means()
            learner.refuse_lost(means, int(learner.lost))
            note = f"epoch {learner.epoch + 1}, batch {batch_idx + 1}, {_words(means)}"
            self._shown.tell(note, part=min(part, 1.0))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        history = cast(_Learner, pl_module).history
        if trainer.is_global_zero:  # before the checkpoint: a training that is finished has all its curves
            write_curves(self.folder / CURVES, history)
        with checkpoints.kept(self.folder) if trainer.is_global_zero else nullcontext(self.folder) as path:
            trainer.save_checkpoint(path)  # every process takes part, the first one writes
            judged = cast(_Learner, pl_module).judged
            if trainer.is_global_zero and judged and not cast(_Learner, pl_module).waited:
                checkpoints.keep_best(path)  # before it is the latest, so that a killed training does so again
        if trainer.is_global_zero:
            self._shown.advance(note=_words(history[-1]))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        del trainer, pl_module
        self._open.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        del trainer, pl_module, exception
        self._open.close()


@contextmanager
def _one_way() -> Iterator[None]:
    """Compute convolutions in one way, so that a training that is resumed on a GPU comes to the same weights."""
    cudnn: Any = torch.backends.cudnn
    kept = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = kept


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Lightning without its advertisements; torch's random states, and what Ctrl-C does, stay as they were."""
    interrupted = signal.getsignal(signal.SIGINT)
    loud = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings(), forked(), _one_way():
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # Lightning makes an exit of it
                raise KeyboardInterrupt from error
            raise
        finally:
            if signal.getsignal(signal.SIGINT) is not interrupted:  # Lightning ignores it from then on
                signal.signal(signal.SIGINT, interrupted)
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)


def _words(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in numbers.items() if name != "epoch")
