"""MPII Human Pose: 24,987 images of everyday activities, 16 joints per person (Andriluka et al., CVPR 2014)."""

from .converter import MPII as MPII
