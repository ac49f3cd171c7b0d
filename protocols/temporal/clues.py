"""What looks wrong in predicted intervals: seconds for frames, shares of the video, ends before beginnings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from har_bench.arrays import Floats
from har_bench.protocol import Batch
from har_bench.protocol.clues import ONE_SCORE, Clues, Note, column, counted, of_scores

NOTES: Mapping[str, Note] = {
    "inverted": Note(
        "{hits} of {of} predicted intervals end before they begin: are they start and length, or reversed? start and "
        "stop are asked for",
        least=0.1,
    ),
    "late": Note(
        "{hits} of {of} predicted intervals begin long after the end of their video: are they frames where seconds are "
        "asked for (in a json), or of another frame rate? our columns are frames from 0",
        least=0.5,
    ),
    "shares": Note(
        "nearly all predicted intervals lie in the first second or so of their video: are they shares of its length "
        "(fractions from 0 to 1)? seconds are asked for in a json, frames in our columns"
    ),
    "seconds": Note(
        "nearly all predicted intervals lie in the beginning of their video that is as many frames long as it has "
        "seconds: are they in seconds? our columns are frames from 0",
        unless="shares",
    ),
    **ONE_SCORE,
}


def of_intervals(truth: Batch, predictions: Batch) -> Clues:
    """The clues of :data:`NOTES`, from ``start`` and ``stop`` in frames, of both sides."""
    start, stop = (predictions[name].astype(np.float64) for name in ("start", "stop"))
    owner = np.repeat(np.arange(len(predictions.starts) - 1), np.diff(predictions.starts))
    frames, fps = _lengths(truth)[owner], column(predictions.sequences, "fps")[owner]
    with np.errstate(invalid="ignore", divide="ignore"):
        long = np.isfinite(frames) & np.isfinite(fps) & (frames > 10 * fps)  # a clip of seconds proves nothing
        ends = np.maximum(start, stop)
        return {
            "inverted": counted(stop < start),
            "late": counted(start >= 1.5 * frames, np.isfinite(frames)),
            "shares": counted(ends <= 1.5 * fps, long),
            "seconds": counted(ends <= 1.1 * frames / fps, long),
            **of_scores(predictions["score"]),
        }


def _lengths(truth: Batch) -> Floats:
    """(S,) the videos' frames, where the store knows them, else where the last true interval ends; NaN without any."""
    frames = column(truth.sequences, "n_frames")
    for video, (_, rows) in enumerate(truth.slices()):
        if np.isnan(frames[video]) and rows.stop > rows.start:
            frames[video] = truth["stop"][rows].max()
    return frames
