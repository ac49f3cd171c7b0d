"""Configurations beside weights: the classes of OmegaConf and Lightning in a checkpoint, of which nothing is read.

They are no data, and importing them would run their code. A text stands where such an object was, and what it was made
of is passed over like any other part of the pickle.
"""

from __future__ import annotations

from typing import Any

from har_bench.foreign.machine import Machine, Unbuilt

SETTINGS = "settings, which were not read"
"""What stands in the place of a configuration."""


def _object(_: Machine, *__: Any) -> Unbuilt:
    return Unbuilt(lambda _: SETTINGS)


def _dict(_: Machine, *__: Any) -> dict[Any, Any]:
    """Subclasses of dict are filled by the instructions that come after."""
    return {}


def _kind(_: Machine, *__: Any) -> str:
    """A type, which configurations refer to and do not call."""
    return SETTINGS


_NODES = ("Any", "String", "Integer", "Float", "Boolean", "Enum", "Bytes", "Path")
_KINDS = ("dict", "list", "tuple", "int", "float", "str", "bool", "object")

LEFT_OUT = {
    ("omegaconf.dictconfig", "DictConfig"): _object,
    ("omegaconf.listconfig", "ListConfig"): _object,
    **{("omegaconf.nodes", f"{kind}Node"): _object for kind in _NODES},
    **{("omegaconf.base", name): _object for name in ("Metadata", "ContainerMetadata")},
    ("lightning.fabric.utilities.data", "AttributeDict"): _dict,
    ("collections", "defaultdict"): _dict,
    **{(f"{home}.utilities.parsing", "AttributeDict"): _dict for home in ("pytorch_lightning", "lightning.pytorch")},
    **{("typing", name): _kind for name in ("Any", "Dict", "List", "Union", "Optional")},
    **{(module, name): _kind for module in ("builtins", "__builtin__") for name in _KINDS},
}
"""What stands behind their names."""
