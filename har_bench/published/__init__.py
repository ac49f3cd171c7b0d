"""Published weights: which files there are, where they come from, and the folder in which fetched ones are kept."""

from har_bench.published.cache import folder as folder
from har_bench.published.listing import Published as Published
from har_bench.published.listing import catalogue as catalogue
from har_bench.published.listing import of_model as of_model
from har_bench.published.sources import content as content
from har_bench.published.sources import is_archive as is_archive
from har_bench.published.sources import recognised as recognised
