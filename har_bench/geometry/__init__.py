"""Similarities between point sets, by Horn's quaternions."""

from har_bench.geometry.alignment import aligned as aligned
from har_bench.geometry.alignment import matched as matched
from har_bench.geometry.alignment import similarity as similarity
from har_bench.geometry.procrustes import Similarity as Similarity
