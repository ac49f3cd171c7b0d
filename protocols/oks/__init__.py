"""COCO's keypoint evaluation: average precision over object keypoint similarity."""

from .protocol import OKS as OKS
from .protocol import evaluate as evaluate
from .similarity import similarities as similarities
