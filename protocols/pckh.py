"""Where ``pckh`` stood in 0.1; it is :func:`har_bench.protocols.mpii.pckh` now."""

from .mpii.pckh import pckh as pckh
