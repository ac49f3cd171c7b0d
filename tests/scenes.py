"""Scenes of many persons and detections, of the size of COCO's val2017."""

from __future__ import annotations

import numpy as np

from har_bench.protocols.oks.matching import Detections, Persons

Scene = tuple[Persons, Detections, np.ndarray]


def keypoint_scene(joints: int, images: int = 5_000) -> Scene:
    """Images with 2.2 persons and 20.8 detections each, half of these near somebody; and sigmas."""
    random = np.random.default_rng(0)
    people = np.sort(random.integers(0, images, round(2.2008 * images)))
    found = np.sort(random.integers(0, images, 20_825 * images // 1000))
    truth = random.uniform(0, 640, (len(people), 1, 2)) + random.uniform(0, 200, (len(people), joints, 2))
    points = random.uniform(0, 640, (len(found), 1, 2)) + random.uniform(0, 200, (len(found), joints, 2))
    starts = [np.searchsorted(each, np.arange(images + 1)) for each in (people, found)]
    near = (random.random(len(found)) < 0.5) & (np.diff(starts[0])[found] > 0)
    points[near] = truth[starts[0][found[near]]] + random.normal(0, 8, (int(near.sum()), joints, 2))
    labelled = (random.random((len(people), joints)) < 0.7) & (random.random((len(people), 1)) < 0.6)
    box = np.concatenate((truth.min(axis=1), np.ptp(truth, axis=1)), axis=1)
    area, nobody = 0.53 * box[:, 2] * box[:, 3], ~labelled.any(axis=1)
    persons = Persons(starts[0], truth, labelled, box, area, nobody, np.zeros_like(nobody), ~np.zeros_like(nobody))
    detections = Detections(starts[1], points, random.random(len(found)), np.full(len(found), 20_000.0))
    return persons, detections, random.uniform(0.03, 0.1, joints)
