"""Single pictures of where a system is worst, for a report."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from har_bench.arrays import Bytes
from har_bench.protocol import make_protocol
from har_bench.showing import of_store
from har_bench.showing.painting import Painter
from har_bench.store import POINTS, Store, open_store
from har_bench.studying.explaining import explain


def png(picture: Bytes) -> bytes:
    """A picture's file."""
    found = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(found, "PNG", optimize=True)
    return found.getvalue()


def worst_frames(
    store: str | Path | Store, predictions: Mapping[str, str | Path], protocol: str, count: int
) -> list[tuple[str, bytes]]:
    """The worst frame of each of the worst sequences of the first system, with a caption.

    Of a system that predicts no joints, such as one that tells actions, the truth in their middle is drawn; where the
    store has no joints either, nothing.

    Args:
        store: a converted dataset.
        predictions: files by the names of their systems.
        protocol: that scores them, with its recipe and options.
        count: how many sequences.

    Raises:
        HarBenchError: predictions that cannot be scored.
    """
    opened = store if isinstance(store, Store) else open_store(store)
    found = explain(protocol, opened, next(iter(predictions.values())), worst=count, missing="count-as-error")
    if not opened.parts("poses"):
        return []
    predicted = make_protocol(protocol).prediction_columns
    given = predictions if set(predicted) & set(POINTS) else {}
    drawn = []
    for each in found.worst:
        stage = of_store.stage_of(opened, each.name, given, protocol=protocol)
        far = stage.casts[-1].error
        at = len(stage) // 2 if far is None or not np.isfinite(far).any() else int(np.nanargmax(far))
        drawn.append((f"{each.name}, frame {stage.frames[at]}", png(Painter(stage).painted(at, None))))
    return drawn
