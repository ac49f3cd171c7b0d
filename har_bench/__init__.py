"""har_bench prepares the datasets of human pose estimation and action recognition, and benchmarks models on them.

Four verbs do the work: :func:`convert` a raw download into a store, :func:`open_store` it, :func:`score` any model's
predictions with a paper's exact recipe, :func:`run` a baseline. Around scores, :func:`compare` two systems,
:func:`explain` one, :func:`rescore` old results. Each is imported when it is first used.
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
    from har_bench.studying import compare, explain, rescore

__all__ = [
    "HarBenchError",
    "Result",
    "Store",
    "compare",
    "convert",
    "explain",
    "open_store",
    "rescore",
    "run",
    "score",
]
__version__ = "0.1.0"

_HOMES = {
    "HarBenchError": "errors",
    "Result": "results",
    "Store": "store",
    "compare": "studying",
    "convert": "converting",
    "explain": "studying",
    "open_store": "store",
    "rescore": "studying",
    "run": "running",
    "score": "scoring",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'har_bench' has no attribute {name!r}")
    return getattr(import_module(f"har_bench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
