"""AVA's action lists: the official ``.pbtxt`` files, and a copy of their content for folders that lack them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from har_bench.errors import HarBenchError
from har_bench.foreign import compressed
from har_bench.foreign.texts import utf8

_BLOCK = re.compile(r"(?:item|label)\s*\{([^{}]*)\}")
_FIELD = re.compile(r'(name|id|label_id|label_type):\s*(?:"([^"]*)"|([A-Za-z_]+|\d{1,9})\b)')
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Action:
    """One class of AVA.

    Attributes:
        id: the number in the csv files, from 1.
        name: as in the action list.
        type: PERSON_MOVEMENT, OBJECT_MANIPULATION or PERSON_INTERACTION; None where the list does not say.
    """

    id: int
    name: str
    type: str | None = None


def read_actions(path: Path) -> list[Action]:
    """The classes of an action list, spelt ``item { name id }`` or ``label { name label_id label_type }``.

    Raises:
        HarBenchError: the file is no action list, or gives a number to two classes.
    """
    data = compressed.read(path)
    text = utf8(data, str(path)).decode("utf-8", "replace") if len(data) < _MAX_BYTES else ""
    actions: dict[int, Action] = {}
    blocks = _BLOCK.findall(text)
    if blocks and len(blocks) != text.count("{"):
        raise HarBenchError(f"{path} ends inside an entry, after {len(blocks)}; download the action list again")
    for number, block in enumerate(blocks, 1):
        fields = {key: quoted or bare for key, quoted, bare in _FIELD.findall(block)}
        id_ = fields.get("label_id", fields.get("id", ""))
        if not id_.isascii() or not id_.isdigit() or not fields.get("name"):
            raise HarBenchError(f"{path}, entry {number} lacks a name or a numeric id; download the action list again")
        if int(id_) in actions:
            raise HarBenchError(f"{path} has id {id_} twice; download the action list again")
        actions[int(id_)] = Action(int(id_), fields["name"], fields.get("label_type"))
    if not actions:
        raise HarBenchError(f"{path} holds no entry such as 'label {{ name: ... label_id: ... }}'; download it again")
    return list(actions.values())


@cache
def packaged() -> tuple[Action, ...]:
    """The 80 classes, the same in ``ava_action_list_v1.0.pbtxt`` to ``ava_action_list_v2.2.pbtxt``."""
    return tuple(action for action, _ in _rows())


@cache
def packaged_evaluated() -> frozenset[int]:
    """The 60 ids of ``ava_action_list_v2.2_for_activitynet_2019.pbtxt``: those that are scored."""
    return frozenset(action.id for action, evaluated in _rows() if evaluated)


def _rows() -> list[tuple[Action, bool]]:
    text = files(__package__).joinpath("actions.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return [(Action(int(id_), name, kind), evaluated == "1") for id_, kind, evaluated, name in rows]
