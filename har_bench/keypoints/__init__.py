"""2D keypoints, the inputs of models that lift them to 3D: of whole datasets, and of videos in the wild.

Formats, layouts and how good a conversion between layouts is: ``docs/keypoints.md``.
"""

from har_bench.keypoints.datasets import Detections, open_detections
from har_bench.keypoints.following import open_people
from har_bench.keypoints.gaps import fill_gaps
from har_bench.keypoints.tracks import Track, open_track, open_tracks
from har_bench.keypoints.writing import write_joints

__all__ = [
    "Detections",
    "Track",
    "fill_gaps",
    "open_detections",
    "open_people",
    "open_track",
    "open_tracks",
    "write_joints",
]
