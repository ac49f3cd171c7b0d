"""har_bench prepares the datasets of human pose estimation and action recognition, and benchmarks models on them.

Four verbs do the work: :func:`convert` a raw download into a store, :func:`open_store` it, :func:`score` any model's
predictions with a paper's exact recipe, :func:`run` a baseline. Each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from har_bench.converting import convert
    from har_bench.errors import HarBenchError
    from har_bench.results import Result
    from har_bench.running import run
    from har_bench.scoring import score
    from har_bench.store import Store, open_store

__all__ = ["HarBenchError", "Result", "Store", "convert", "open_store", "run", "score"]
__version__ = "0.1.0"

_HOMES = {
    "HarBenchError": "errors",
    "Result": "results",
    "Store": "store",
    "convert": "converting",
    "open_store": "store",
    "run": "running",
    "score": "scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'har_bench' has no attribute {name!r}")
    return getattr(import_module(f"har_bench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
