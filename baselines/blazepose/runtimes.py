"""What computes BlazePose's two networks: torch, on any device, or LiteRT, which is faster on a CPU."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from har_bench import devices
from har_bench.arrays import Anything, Bytes, Singles
from har_bench.errors import HarBenchError

from . import graph

Runtime = Literal["torch", "litert"]

LANDMARK_OUTPUTS = (0, 1, 3, 4)
"""Points, flag, heat maps and points in space; the third output, a mask of the person, is not used."""


class Found(NamedTuple):
    """Outputs of the landmark network for B regions."""

    raw: Singles
    flag: Singles
    maps: Singles
    world: Singles


class Networks(ABC):
    """Both networks, from pixels to their outputs.

    Attributes:
        runtime: its name.
        where: the device in words.
        parameters: how many numbers the networks have.
    """

    runtime: Runtime
    where: str
    parameters: int

    @abstractmethod
    def detect(self, crops: torch.Tensor | Bytes) -> tuple[Singles, Singles]:
        """(B, 224, 224, 3) RGB uint8 -> boxes (B, 2254, 12) [px of the crop] and logits (B, 2254)."""

    @abstractmethod
    def look(self, crops: torch.Tensor | Bytes) -> Found:
        """(B, 256, 256, 3) RGB uint8 -> what is in these regions."""


@dataclass(frozen=True)
class Files:
    """The contents of two ``.tflite`` files, and what errors call them."""

    detector: bytes
    landmarks: bytes
    names: tuple[str, str]


def networks(files: Files, runtime: str, device: str, batch: int) -> Networks:
    """The networks on a runtime.

    Args:
        files: their files.
        runtime: ``torch``, ``litert``, or ``auto``: LiteRT where it is installed and no GPU is asked for or there.
        device: a torch device, such as ``cuda``; by default a GPU if there is one.
        batch: how many crops a GPU computes at a time.

    Raises:
        HarBenchError: LiteRT is not installed or is asked to use a GPU, or damaged files.
    """
    where = devices.chosen(device)
    installed = importlib.util.find_spec("ai_edge_litert") is not None
    if runtime == "litert" and not installed:
        raise HarBenchError("runtime=litert needs LiteRT: pip install 'har-bench[pose]'; torch runs it too")
    if runtime == "litert" and device and where.type != "cpu":
        raise HarBenchError(f"LiteRT computes on the CPU and not on {device}; leave runtime=litert or the device out")
    if runtime == "litert" or (runtime == "auto" and installed and where.type == "cpu"):
        return LiteRT(files)
    return Torch(files, where, batch)


class Torch(Networks):
    """One graph, one copy of the weights, any device; float32 throughout, TensorFloat-32 off.

    A CPU computes one crop at a time: a batch is no faster there, and no number then depends on its neighbours. A GPU
    computes batches of one size, the last one filled up, for the same reason.
    """

    runtime: Runtime = "torch"

    def __init__(self, files: Files, device: torch.device, batch: int) -> None:
        self._device, self._batch = device, batch if device.type != "cpu" else 1
        self._detector = graph.load(files.detector, files.names[0]).to(device)
        self._landmarks = graph.load(files.landmarks, files.names[1], LANDMARK_OUTPUTS)
        self._landmarks.to(device)
        self.where = devices.label(device)
        self.parameters = _parameters(files)

    def detect(self, crops: torch.Tensor | Bytes) -> tuple[Singles, Singles]:
        """One forward pass for each batch."""
        boxes, logits = self._run(self._detector, crops, 2 / 255, -1.0)
        return boxes, logits[..., 0]

    def look(self, crops: torch.Tensor | Bytes) -> Found:
        """One forward pass for each batch."""
        return Found(*self._run(self._landmarks, crops, 1 / 255, 0.0))

    def _run(self, module: graph.GraphModule, crops: torch.Tensor | Bytes, scale: float, offset: float) -> list[Any]:
        given = crops if isinstance(crops, torch.Tensor) else torch.tensor(crops)
        parts: list[list[torch.Tensor]] = []
        with torch.inference_mode(), devices.precision(self._device, "float32"):
            for start in range(0, len(given), self._batch):
                part = given[start : start + self._batch].to(self._device, non_blocking=True)
                count = len(part)
                if count < self._batch:
                    part = torch.cat([part, part[:1].expand(self._batch - count, *part.shape[1:])])
                parts.append([output[:count].cpu() for output in module(part.float() * scale + offset)])
        return [torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True)]


class LiteRT(Networks):
    """Google's runtime of these files (``ai-edge-litert``), on one thread of the CPU; not for several threads."""

    runtime: Runtime = "litert"
    where = "cpu"

    def __init__(self, files: Files) -> None:
        self._detector = _interpreter(files.detector, files.names[0])
        self._landmarks = _interpreter(files.landmarks, files.names[1])
        self.parameters = _parameters(files)

    def detect(self, crops: torch.Tensor | Bytes) -> tuple[Singles, Singles]:
        """One crop at a time, as the files are made."""
        boxes, logits = _outputs(self._detector, crops, 2 / 255, -1.0)
        return boxes, logits[..., 0]

    def look(self, crops: torch.Tensor | Bytes) -> Found:
        """One crop at a time."""
        found = _outputs(self._landmarks, crops, 1 / 255, 0.0)
        return Found(*(found[place] for place in LANDMARK_OUTPUTS))


def _parameters(files: Files) -> int:
    return sum(map(graph.count, (files.detector, files.landmarks), files.names))


def _interpreter(content: bytes, name: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    try:
        made = Interpreter(model_content=content, num_threads=1)
        made.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise HarBenchError(f"{name} is no network that LiteRT can run ({error}); fetch it again") from error
    return made


def _outputs(interpreter: Any, crops: torch.Tensor | Bytes, scale: float, offset: float) -> list[Anything]:
    given, places = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()
    found: list[list[Anything]] = [[] for _ in places]
    for crop in np.asarray(crops):
        interpreter.set_tensor(given, crop[None].astype(np.float32) * np.float32(scale) + np.float32(offset))
        interpreter.invoke()
        for outputs, place in zip(found, places, strict=True):
            outputs.append(interpreter.get_tensor(place["index"]))
    return [np.concatenate(outputs) for outputs in found]
