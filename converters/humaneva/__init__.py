"""HumanEva-I: 4 subjects, 6 actions, 7 calibrated cameras at 60 Hz, mocap at 120 Hz (Sigal et al., IJCV 2010)."""

from .converter import HumanEva as HumanEva
