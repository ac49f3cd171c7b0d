"""Pictures, films and a viewer of poses: a store's truth, predictions over it, and what ``lift`` and ``pose`` wrote."""

from har_bench.showing.showing import show as show
from har_bench.showing.showing import show_worst as show_worst
