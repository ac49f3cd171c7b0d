"""The command line: ``har-bench convert | export | score | run | lift | compare | explain | rescore | info | …``.

Each command is a thin sentence over the Python function of the same name; nothing heavy is imported until it runs.
"""

from har_bench.cli import boards as boards
from har_bench.cli import lifting as lifting
from har_bench.cli import looking as looking
from har_bench.cli import pixels as pixels
from har_bench.cli import preparing as preparing
from har_bench.cli import scoring as scoring
from har_bench.cli import showing as showing
from har_bench.cli.app import app as app
from har_bench.cli.entry import main as main
