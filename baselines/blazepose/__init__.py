"""BlazePose: Google's detector and landmark networks, from pixels to 33 points of the body in the image and in space."""

from .baseline import BlazePose as BlazePose
