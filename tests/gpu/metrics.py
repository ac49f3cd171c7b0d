"""The metrics' CUDA paths beside NumPy's and numba's: the same numbers, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from har_bench.protocols.mpjpe import errors_torch
from har_bench.protocols.mpjpe.errors import sequence_sums
from har_bench.protocols.oks.matching import match
from tests.gpu.setting import Finding, Setting, compared
from tests.scenes import keypoint_scene

POSES = 520_000
"""About as many as h36m/mpjpe scores."""


def pose_errors(at: Setting) -> Iterator[Finding]:
    """MPJPE, P-MPJPE, N-MPJPE, MPJVE and the histogram of 3DPCK, of poses of every kind."""
    random, count = np.random.default_rng(0), at.size(POSES, 600)
    truth = (random.normal(size=(count, 17, 3)) * [150, 400, 100] + [200, 300, 5000]).astype(np.float32)
    predicted = (1.1 * (truth - truth[:, :1]) + random.normal(0, 60, truth.shape)).astype(np.float32)
    predicted[::50] *= [-1, 1, 1]  # mirrored, where a rotation is hard to choose
    truth[::77, :, 2] = truth[::77, :1, 2]  # flat
    starts = np.linspace(0, count, 237).astype(np.int64)
    for recentre in (False, True):
        found = errors_torch.batch_sums(predicted, truth, starts, recentre=recentre, device=at.device)
        pieces = pairwise(starts.tolist())
        expected = np.stack([sequence_sums(predicted[a:b], truth[a:b], recentre=recentre) for a, b in pieces])
        yield f"sums, recentred {recentre}", compared(found, expected, relative=1e-6, absolute=1e-6)
    numba = at.seconds(lambda: sequence_sums(predicted, truth, recentre=False))
    torches = at.seconds(
        lambda: errors_torch.batch_sums(predicted, truth, [0, count], recentre=False, device=at.device)
    )
    yield "time", {"poses": count, "numba_s": numba, "device_s": torches, "times_faster": numba / torches}


def keypoint_similarity(at: Setting) -> Iterator[Finding]:
    """OKS and COCO's matching, of val2017's size."""
    areas = np.array([[0.0, 1e10], [32.0**2, 96.0**2], [96.0**2, 1e10]])
    for joints in (17, 133):
        persons, detections, sigmas = keypoint_scene(joints, at.size(5_000, 20))
        expected = match(persons, detections, sigmas, areas)
        found = match(persons, detections, sigmas, areas, device=at.device)
        yield f"matches, {joints} joints", {"equal": bool(np.array_equal(found.marks, expected.marks))}
        numba = at.seconds(lambda: match(persons, detections, sigmas, areas))  # noqa: B023 - it is called at once
        torches = at.seconds(lambda: match(persons, detections, sigmas, areas, device=at.device))  # noqa: B023
        yield f"time, {joints} joints", {"numba_s": numba, "device_s": torches, "times_faster": numba / torches}
