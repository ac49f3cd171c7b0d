"""Training: epochs, losses, optimisers, checkpoints and exact resumption; weights in and out."""

from har_bench.training.beginning import train as train
from har_bench.training.options import Trained as Trained
from har_bench.training.plans import Losses as Losses
from har_bench.training.plans import Plan as Plan
from har_bench.training.plans import Plateau as Plateau
from har_bench.training.plans import Share as Share
