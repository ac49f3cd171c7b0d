"""Spatio-temporal detection: AVA's mean average precision over boxes in frames."""

from .matching import average_precision as average_precision
from .protocol import FrameMAP as FrameMAP
