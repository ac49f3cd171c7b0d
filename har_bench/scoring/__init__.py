"""The scoring engine: predictions and ground truth side by side, through a protocol, into a result."""

from har_bench.scoring.engine import score as score
