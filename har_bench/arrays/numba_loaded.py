"""What compiled loops need, loaded by the import of this module; for a process of which others are copies."""

from har_bench.arrays.compiling import load_numba

load_numba()
