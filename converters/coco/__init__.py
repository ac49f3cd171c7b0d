"""COCO keypoints: people in everyday photographs, 17 joints (Lin et al., ECCV 2014), and files in its format."""

from .converter import COCO as COCO
