"""Training: epochs, losses, optimisers, checkpoints and exact resumption; weights in and out."""

from har_bench.training.loop import Losses as Losses
from har_bench.training.loop import Plan as Plan
from har_bench.training.loop import Share as Share
from har_bench.training.loop import train as train
