"""BlazePose: Google's detector and landmark networks, from pixels to 33 points of the body in 2D and 3D."""

from .baseline import BlazePose as BlazePose
