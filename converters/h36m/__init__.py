"""Human3.6M: 7 subjects, 15 actions twice each, 4 cameras at 50 Hz, 32 joints (Ionescu et al., TPAMI 2014)."""

from .converter import Human36M as Human36M
