"""The conversion engine: shards read by worker processes, a journal, and a store that appears whole or not at all."""

from har_bench.converting.engine import convert as convert
