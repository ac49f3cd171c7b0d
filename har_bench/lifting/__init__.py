"""Lifting: 3D poses from 2D keypoints. A model subclasses :class:`~har_bench.lifting.lifter.Lifter`."""
