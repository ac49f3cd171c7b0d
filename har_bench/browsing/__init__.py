"""A store as a small site: counts, splits, classes, visibility, sizes, defects and samples, to be looked at."""

from har_bench.browsing.browsing import browse as browse
