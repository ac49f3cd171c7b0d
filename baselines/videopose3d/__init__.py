"""VideoPose3D: 3D poses from windows of 2D ones, by dilated convolutions in time (Pavllo et al., CVPR 2019)."""

from .baseline import VideoPose3D as VideoPose3D
