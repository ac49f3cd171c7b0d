"""The command line: what ``har-bench`` understands, and what it shows."""

from har_bench.cli import pixels as pixels
from har_bench.cli.commands import app as app
from har_bench.cli.commands import main as main
