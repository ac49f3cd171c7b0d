"""What things are, in words: plug-ins by name, stores, results and predictions by path."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from har_bench import registry, remote, results, skeletons
from har_bench.cli.describing_files import described, is_result
from har_bench.cli.weights import published_in_words, weights_in_words
from har_bench.errors import HarBenchError, unknown
from har_bench.options import declared, shown
from har_bench.protocol import Protocol
from har_bench.registry import Kind
from har_bench.results import Result
from har_bench.schema import texts_of
from har_bench.store import Store, open_store


def listing(kind: str) -> dict[str, list[tuple[str, str]]]:
    """Names and one-line summaries by kind; recipes belong to their protocol's line."""
    shown: dict[str, list[tuple[str, str]]] = {}
    kinds: tuple[Kind, ...] = ("converters", "protocols", "baselines", "exporters")
    for each in kinds:
        if kind in (each, "all"):
            shown[each] = [(name, _line(each, name)) for name in registry.available(each)]
    if kind in ("views", "all"):
        rules = registry.available("views")
        shown["views"] = [(name, _first_line(registry.load("views", name))) for name in rules]
    if kind in ("skeletons", "all"):
        shown["skeletons"] = [(name, skeletons.skeleton(name).about) for name in skeletons.names()]
    return shown


def _line(kind: Kind, name: str) -> str:
    try:
        plugin = registry.load(kind, name)
    except HarBenchError as error:
        return f"unavailable: {error}"
    recipes = f" (recipes: {', '.join(plugin.recipes)})" if kind == "protocols" else ""
    return f"{plugin.summary}{recipes}"


def describe(what: str) -> str:
    """A description of a plug-in, skeleton, store, result or file of predictions.

    Raises:
        HarBenchError: nothing is called that.
    """
    if (weights := weights_in_words(Path(what))) is not None:
        return weights
    if Path(what).exists() or remote.as_url(what):
        return _of_path(what)
    plugins: dict[Kind, Callable[[str, Any], str]] = {
        "converters": _of_converter,
        "protocols": _of_protocol,
        "baselines": _of_baseline,
        "exporters": _of_exporter,
    }
    for kind, words in plugins.items():
        if what in registry.available(kind):
            return words(what, registry.load(kind, what))
    if what in registry.available("views"):
        return f"{what}: {inspect.getdoc(registry.load('views', what))}"
    if what in skeletons.names():
        return _of_skeleton(skeletons.skeleton(what))
    there = [name for kind in (*plugins, "views") for name in registry.available(kind)] + skeletons.names()
    raise unknown("path, plug-in or skeleton", what, there, hint="`har-bench list` names all")


def _of_path(what: str) -> str:
    """A store is a folder, or the arrays.h5 of one; other files are results or predictions."""
    if not Path(what).suffix or Path(what).is_dir() or Path(what).name == "arrays.h5":
        return _of_store(open_store(what))
    path = remote.fetch(what)
    return _of_result(results.read(path)) if is_result(path) else described(path)


def _of_converter(name: str, converter: Any) -> str:
    lines = [f"{name}: {converter.summary}", f"raw download: {converter.raw}", f"licence: {converter.licence}"]
    lines += [
        f"cite: {converter.citation}",
        f"skeletons: {', '.join(getattr(each, 'name', each) for each in converter.skeletons)}",
        *_options(converter),
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in converter.notes)])


def _of_protocol(name: str, protocol: Any) -> str:
    lines = [f"{name} (version {protocol.version}): {protocol.summary}", "", "metrics:"]
    for metric in protocol.metrics:
        lines.append(f"  {metric.name} [{metric.unit}], {metric.better} is better: {metric.about}")
    lines.append("recipes (the first is the default):")
    for recipe in protocol.recipes.values():
        lines.append(f"  {recipe.name}: {recipe.about.rstrip('.')}; reproduces {recipe.oracle} ({recipe.cite})")
        if recipe.inflates:
            lines.append(f"    inflates: {recipe.inflates}")
    options = declared(protocol.option_type)
    if options:
        lines.append("options:")
        lines += [f"  {each.name}: {each.about}{_unless_empty(each.default)}" for each in options.values()]
    keys = ("sequence", "frame", "person") if protocol.task == "pose" else ("sequence",)
    columns = ", ".join((*keys, *protocol.prediction_columns))
    optional = f", optionally {', '.join(protocol.optional_columns)}" if protocol.optional_columns else ""
    lines.append(f"predictions: Parquet, HDF5 or CSV with {columns}{optional}")
    if protocol.task == "pose":
        lines.append(f"also: an array, or one as .npy, in the order of `har-bench targets {name} STORE keys.parquet`")
    if protocol.read_foreign is not Protocol.read_foreign:
        lines.append(f"also: {_first_line(protocol.read_foreign)}")
    return "\n".join(lines)


def _unless_empty(default: Any) -> str:
    return f" (default: {default})" if default not in (None, "", ()) else ""


def _first_line(thing: Any) -> str:
    """The first line of a docstring, without the marks of its code."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("``", "")


def _of_baseline(name: str, baseline: Any) -> str:
    cite = [f"cite: {baseline.cite}"] if baseline.cite else []
    return "\n".join([f"{name}: {baseline.summary}", *cite, *published_in_words(name), *_options(baseline)])


def _of_exporter(name: str, exporter: Any) -> str:
    lines = [f"{name}: {exporter.summary}", "", inspect.getdoc(exporter) or "", ""]
    return "\n".join([*lines, *(f"left out: {each}" for each in exporter.loses), *_options(exporter)])


def _options(made: type) -> list[str]:
    """The options of a plug-in, in the order of their declaration."""
    return [f"option: {each.name}={shown(each.default)}  {each.about}".rstrip() for each in declared(made).values()]


def _of_skeleton(found: skeletons.Skeleton) -> str:
    lines = [f"{found.name}: {found.about}", f"{len(found)} joints, family {found.family}"]
    for index, joint in enumerate(found.joints):
        parent = found.parents[index]
        lines.append(f"  {index:2d} {joint}" + (f" <- {found.joints[parent]}" if parent >= 0 else " (root)"))
    return "\n".join(lines)


def _of_store(store: Store) -> str:
    found = store.manifest
    lines = [repr(store), f"converted by {found.converter} {found.converter_version}; fingerprint {found.fingerprint}"]
    lines.append(f"sources: {len(found.sources)} files, {sum(source.bytes for source in found.sources):,} bytes")
    lines.append("splits: " + ", ".join(f"{name} ({rows:,})" for name, rows in found.splits.items()))
    for count in found.published:
        verdict = "as published" if count.found == count.expected else f"{count.expected:,} were published"
        lines.append(f"count: {count.what}: {count.found:,}, {verdict}")
    for table in found.rows:
        lines.append(f"{table}: {found.rows[table]:,} rows")
        for field in store.schema(table):
            metadata = texts_of(field.metadata)
            unit = f" [{metadata['unit']}]" if "unit" in metadata else ""
            shape = f" ({metadata['shape']})" if "shape" in metadata else ""
            lines.append(f"  {field.name}{shape}{unit} {metadata.get('about', '')}".rstrip())
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join([*lines, f"licence: {found.licence}", f"cite: {found.citation}"])


def _of_result(result: Result) -> str:
    lines = [f"{result.model or 'predictions'} on {result.protocol}:{result.recipe} (version {result.version})"]
    for name, value in result.metrics.items():
        lines.append(f"  {name}: {value:.4f} {result.units.get(name, '')}")
    for title in ("options", "counts", "fingerprints", "versions", "environment"):
        if pairs := getattr(result, title):
            lines.append(f"{title}: " + ", ".join(f"{key} {value}" for key, value in pairs.items()))
    return "\n".join([*lines, f"tables: {', '.join(result.tables)}"])
