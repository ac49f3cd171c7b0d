"""VideoPose3D on Human3.6M's true keypoints, for as long as there is time, beside what was published."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import har_bench
from har_bench import Store
from har_bench.foreign.writing import write_npz
from har_bench.skeletons import skeleton
from tests.gpu.setting import Finding, Setting

PACKED = "h36m_S9_S11_world17_f32_m.npz", "h36m_train_index.json", "h36m_train_world17_dmm_delta.bin.xz"
PUBLISHED = {"published_MPJPE_mm": 37.2, "published_P-MPJPE_mm": 27.2}
"""Pavllo et al., CVPR 2019, of 243 frames, 17 million parameters and 80 epochs."""

KEPT_S = 45.0
"""For scoring, and for what goes slower than it did."""


def trained(at: Setting) -> Iterator[Finding]:
    """Train on S1, S5, S6, S7 and S8, score S9 and S11."""
    store = at.sample("h36m") if at.tiny else _store(at)
    if store is None:
        yield "training", {"skipped": f"no data folder with {PACKED[0]} was given"}
        return
    settings: dict[str, Any] = {"device": at.device, "arc": "3,3,3", "precision": "tf32", "batch": at.size(1024, 64)}
    settings |= {"channels": at.size(1024, 8), "compile": False, "flip": True}
    first = har_bench.run(
        "videopose3d", store, protocol=_protocol(at), settings={**settings, "epochs": 1, "subset": 0.1}
    )
    epoch = 10 * first.speed["training_seconds"]  # too long, as beginning is in it: so it ends in time
    epochs = 1 if at.tiny else min(80, int((at.left() - KEPT_S) / epoch))
    yield "an epoch", {"seconds_at_most": epoch, "epochs": epochs}
    if epochs < 1:
        yield "training", {"skipped": f"{at.left():.0f} s are left"}
        return
    settings |= {"epochs": epochs, "decay": 0.01 ** (1 / epochs) if epochs > 1 else 0.95}
    result = har_bench.run("videopose3d", store, protocol="h36m/mpjpe", settings=settings)
    numbers = {f"{name}_mm": result[name] for name in ("MPJPE", "P-MPJPE")}
    yield "training", {**numbers, **PUBLISHED, "epochs": epochs, **result.speed}


def _protocol(at: Setting) -> str:
    return "h36m/mpjpe" if at.tiny else "h36m/mpjpe:videopose3d,every=64"


def _store(at: Setting) -> Store | None:
    """The store of the packed arrays: 17 measured joints, the others of the 32 being their nearest ancestors."""
    if at.data is None or not all((at.data / name).is_file() for name in PACKED):
        return None
    worlds: dict[str, dict[str, Any]] = {}
    places = _of_32()
    for subject, name, pose in _packed(at.data):
        worlds.setdefault(subject, {})[name] = pose[:, places]
    raw = at.folder / "h36m-packed"
    raw.mkdir()
    write_npz(raw / "data_3d_h36m.npz", {"positions_3d": worlds}, packed=False)
    return har_bench.convert("h36m", raw, at.folder / "h36m-store", jobs=0, quiet=True)


def _of_32() -> list[int]:
    """For each of the 32 joints, its place among the 17, or that of its nearest ancestor there."""
    every, few = skeleton("h36m32"), skeleton("h36m17")
    found = []
    for joint in range(len(every)):
        while every.joints[joint] not in few.joints:
            joint = every.parents[joint]
        found.append(few.joints.index(every.joints[joint]))
    return found


def _packed(data: Path) -> Iterator[tuple[str, str, np.ndarray[Any, Any]]]:
    """Subject, name and (T, 17, 3) poses in the world [m]; the training's are differences of tenths of mm."""
    with np.load(data / PACKED[0]) as test:
        for key in test.files:
            yield (*key.split("|"), test[key])
    index = json.loads((data / PACKED[1]).read_text("utf-8"))
    total = sum(index["frames"])
    raw = np.frombuffer(lzma.decompress((data / PACKED[2]).read_bytes()), np.uint8)
    low, high = raw[: 51 * total].astype(np.uint16), raw[51 * total :].astype(np.uint16)
    delta, start = (low | (high << 8)).view(np.int16).reshape(51, total), 0
    for key, count in zip(index["keys"], index["frames"], strict=True):
        pose = delta[:, start : start + count].astype(np.int32).cumsum(axis=1).T.reshape(count, 17, 3)
        start += count
        yield (*key.split("|"), (pose / 10_000).astype(np.float32))
