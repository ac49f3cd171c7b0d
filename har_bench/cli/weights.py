"""What a file of weights is, in words: whose, which network, with how many parameters, and whether it was published."""

from __future__ import annotations

from pathlib import Path

from har_bench.errors import HarBenchError
from har_bench.foreign import opening
from har_bench.published import catalogue, of_model, recognised
from har_bench.published.cache import digest
from har_bench.published.sources import problem

SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".safetensors", ".tar")


def weights_in_words(path: Path) -> str | None:
    """A file of weights, a line each; None for a file that is none by its name.

    Raises:
        HarBenchError: it is damaged, or has a published name and another checksum.
    """
    named = next((each for each in catalogue().values() if each.file == path.name), None)
    if not path.is_file() or (path.suffix not in SUFFIXES and named is None):
        return None
    if named is not None and (wrong := problem(named, opening.read(path))):
        raise HarBenchError(f"{path} is not {named.file} as it was published: it {wrong}; fetch it from {named.url}")
    known = recognised(path, named=True)
    lines = [f"{path}: {path.stat().st_size:,} bytes, md5 {digest(path, 'md5')}"]
    if known is not None:
        lines.append(f"published for {known.model}: {known.line}")
    if path.suffix in SUFFIXES:
        lines += _content(path)
    return "\n".join(lines)


def _content(path: Path) -> list[str]:
    try:
        from har_bench.foreign.networks import in_words
        from har_bench.training import weights
    except ImportError as error:
        raise HarBenchError(f"{path} needs safetensors to be read: pip install 'har-bench[baselines]'") from error
    found = weights.read(path)
    lines = [f"{name or 'model'}: {in_words(state)}" for name, state in found.models.items()]
    told = dict(found.options or found.training or found.extra)
    return lines + ([", ".join(f"{name} {value}" for name, value in told.items())] if told else [])


def published_in_words(model: str) -> list[str]:
    """A line for each file that was published for a model."""
    return [f"published weights: {file.line}" for file in of_model(model)]
