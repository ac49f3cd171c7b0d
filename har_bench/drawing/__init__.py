"""Pictures of poses: skeletons on images, contact sheets and films of them."""

from har_bench.drawing.poses import draw as draw
