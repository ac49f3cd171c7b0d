"""What a result must be before it is shown or believed: scored by a protocol that is here, with numbers that can be.

What a file says against itself is refused where it is read (:mod:`har_bench.results`); here is what only those ask who
publish it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from har_bench import registry
from har_bench.entries.outcomes import Finding, ResultError, first_of
from har_bench.errors import listed, unknown
from har_bench.protocol.contract import Protocol
from har_bench.results import Result

FINGERPRINT = re.compile(r"(?!(.)\1*$)[0-9a-f]{64}")
"""A blake3 in hexadecimal digits; one digit all over is nobody's."""

LEEWAY = 0.1
"""A number may lie outside its interval by this share of the interval's width: a bootstrap's centre is not exact."""


def require(result: Result, file: str) -> None:
    """Refuse a result that no scoring can have given.

    Args:
        result: of any protocol.
        file: what messages call it.

    Raises:
        ResultError: the file, everything that is wrong, and the remedy, in a sentence.
    """
    protocol = registry.installed("protocols", result.protocol)
    if protocol is None:
        raise ResultError(
            "way unknown",
            f"{file} was scored with the protocol {result.protocol!r}, which is not installed; install its package or "
            f"score with one of {listed(registry.available('protocols'))}",
        )
    if wrong := [*way(result, protocol), *numbers(result), *fingerprints(result)]:
        words = "; ".join(finding.words for finding in wrong)
        raise ResultError(first_of(wrong), f"{file} cannot be published: {words}; score the predictions again")


def way(result: Result, protocol: type[Protocol]) -> Iterator[Finding]:
    """What the protocol does not know: its version, dataset, recipe, or how numbers are called and measured."""
    if not known_version(result.version, protocol.version):
        yield Finding(
            "version unknown",
            f"version {result.version!r} of {protocol.name} never was, {protocol.version} is installed",
        )
    if result.dataset != protocol.dataset:
        yield Finding(
            "way unknown", f"the dataset is {result.dataset!r}, and {protocol.name} is for {protocol.dataset}"
        )
    if result.version != protocol.version:
        return
    if result.recipe not in protocol.recipes:
        yield Finding("way unknown", str(unknown(f"recipe of {protocol.name}", result.recipe, protocol.recipes)))
    elif result.primary != (primary := primary_of(protocol, result.recipe)):
        yield Finding(
            "way unknown",
            f"the primary metric is {result.primary!r}, and {protocol.name}:{result.recipe} ranks by {primary}",
        )
    units = {metric.name: metric.unit for metric in protocol.metrics}
    for name in result.metrics.keys() - units.keys():
        yield Finding("way unknown", f"{protocol.name} has no metric {name!r}")
    for name, unit in sorted(units.items()):
        if name in result.metrics and result.units.get(name) != unit:
            yield Finding(
                "way unknown", f"{name} is in {result.units.get(name)!r}, and {protocol.name} measures it in {unit}"
            )


@cache
def primary_of(protocol: type[Protocol], recipe: str) -> str:
    """The metric by which a recipe ranks."""
    return protocol(recipe).primary.name


def known_version(version: str, installed: str) -> bool:
    """Whether a protocol's version is the installed one, or one of those before it, which count from 1."""
    return version == installed or (
        version.isdecimal() and installed.isdecimal() and 1 <= int(version) < int(installed) and version[0] != "0"
    )


def numbers(result: Result) -> Iterator[Finding]:
    """Numbers that are absent, or outside their own intervals."""
    if result.primary not in result.metrics:
        yield Finding("value impossible", f"there is no number for its primary metric {result.primary!r}")
    for name, interval in result.intervals.items():
        value, leeway = result.metrics.get(name), LEEWAY * (interval.high - interval.low) + 1e-9 * abs(interval.high)
        if value is not None and not interval.low - leeway <= value <= interval.high + leeway:
            yield Finding(
                "outside its interval",
                f"{name} is {value:g}, outside its own interval from {interval.low:g} to {interval.high:g}",
            )


def fingerprints(result: Result) -> Iterator[Finding]:
    """Fingerprints that are nobody's."""
    for what in ("store", "predictions"):
        digest = result.fingerprints.get(what)
        if digest is None:
            yield Finding("fingerprint differs", f"it does not say which {what} it is of")
        elif not FINGERPRINT.fullmatch(digest):
            yield Finding("fingerprint differs", f"the fingerprint of its {what} is {digest[:16]!r}, which is none")
