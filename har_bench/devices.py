"""Torch devices by name, precisions, and how much memory was taken; torch is imported only where it is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from har_bench.errors import HarBenchError

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bf16"]
Value = TypeVar("Value")

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Where Linux tells a process its most memory, and where it is told to forget it."""
AVAILABLE = Path("/proc/meminfo")
"""Where Linux tells how much memory is left."""


def chosen(name: str = "", *, double: bool = False) -> torch.device:
    """The device of that name, such as ``cpu``, ``cuda`` or ``cuda:1``; by default a GPU if there is one.

    Args:
        name: as torch names it.
        double: whether double precision is needed.

    Raises:
        HarBenchError: torch is not installed, or cannot compute there.
    """
    try:
        import torch
    except ImportError as error:
        what = f"the device {name!r}" if name else "a model"
        raise HarBenchError(f"{what} needs torch: pip install 'har-bench[baselines]'") from error
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.zeros((), dtype=torch.float64 if double else torch.float32, device=name)
        found.item()
    except (AssertionError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        precise = " in double precision" if double else ""
        raise HarBenchError(
            f"torch cannot compute{precise} on the device {name!r} ({reason}); use cpu, or cuda where torch sees a GPU"
        ) from error
    return found.device


def label(device: torch.device) -> str:
    """The device in words, such as ``cuda:0 (NVIDIA A100)``."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextmanager
def precision(device: torch.device, kind: Precision) -> Iterator[None]:
    """Compute in full float32, in TensorFloat-32 where the GPU has it, or in bfloat16.

    Torch has older switches for this, and since 2.9 newer ones (``fp32_precision``), and refuses to read the older
    where somebody set the newer. So the older are set, which sets both; what was there is read from the newer, and from
    the older as far as they can be.
    """
    import torch

    backends: Any = torch.backends
    newer = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn] if _has_newer_switches() else []
    if newer:
        newer.append(backends.mkldnn.matmul)
    kept = [switch.fp32_precision for switch in newer]
    convolutions, products = _read(lambda: backends.cudnn.allow_tf32), _read(torch.get_float32_matmul_precision)
    backends.cudnn.allow_tf32 = kind != "float32"
    torch.set_float32_matmul_precision("highest" if kind == "float32" else "high")
    for switch in newer:
        switch.fp32_precision = "ieee" if kind == "float32" else "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=kind == "bf16"):
            yield
    finally:
        if convolutions is not None:
            backends.cudnn.allow_tf32 = convolutions
        if products is not None:
            torch.set_float32_matmul_precision(products)
        for switch, value in zip(newer, kept, strict=True):
            switch.fp32_precision = value


def _has_newer_switches() -> bool:
    import torch

    return hasattr(torch.backends.cudnn, "conv") and hasattr(torch.backends.cuda.matmul, "fp32_precision")


def _read(switch: Callable[[], Value]) -> Value | None:
    """One of torch's older switches; None where the newer ones were set to what it cannot say."""
    try:
        return switch()
    except RuntimeError:
        return None


@contextmanager
def forked() -> Iterator[None]:
    """Leave torch's random states, of the processor and of every GPU, as they were."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        yield


def forget_peak_memory() -> None:
    """Let :func:`peak_memory_mb` begin anew; a system that cannot goes on with the most since the process began."""
    torch_ = _torch_with_gpu()
    if torch_ is not None:
        for device in range(torch_.cuda.device_count()):
            torch_.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):  # no Linux, or a container that must not
        RESET.write_text("5", "ascii")


def peak_memory_mb() -> float | None:
    """The most memory held since :func:`forget_peak_memory` [MB]: a GPU's where one was used, else this process's.

    It is None where the system does not tell.
    """
    torch_ = _torch_with_gpu()
    if torch_ is not None:
        peak = max(map(torch_.cuda.max_memory_allocated, range(torch_.cuda.device_count())))
        if peak:
            return float(peak) / 1e6
    try:
        # getrusage's would be at least that of the process from which this one was started
        line = next(line for line in STATUS.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def free_memory_mb(device: torch.device) -> float | None:
    """How much memory a device has left [MB]: a GPU, or the system; None where the system does not tell."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 1e6
    try:
        line = next(line for line in AVAILABLE.read_text("utf-8").splitlines() if line.startswith("MemAvailable:"))
        return int(line.split()[1]) * 1024 / 1e6
    except (OSError, StopIteration):
        return None


def _torch_with_gpu() -> Any:
    """Torch, if it was imported and sees a GPU."""
    torch_ = sys.modules.get("torch")
    return torch_ if torch_ is not None and torch_.cuda.is_available() else None
