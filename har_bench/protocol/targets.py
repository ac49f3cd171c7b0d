"""What a protocol scores, row by row: what predictions must be of, and in which order an array has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from har_bench.protocol.contract import Protocol, make_protocol
from har_bench.skeletons import mapping
from har_bench.storing.joints import in_layout

if TYPE_CHECKING:
    from har_bench.store import Store

KEYS = ("sequence", "frame", "person")


def targets(store: Store, protocol: Protocol, columns: Sequence[str] = ()) -> Iterator[pa.Table]:
    """What a baseline has to predict: keys, ``truth_columns`` and ``columns`` of every row the protocol scores.

    One table per part of the store, whole sequences in it, joints in the protocol's layout.
    """
    joints = None
    if protocol.skeletons and protocol.skeletons[0] != store.skeleton().name:
        joints = mapping(store.skeleton(), store.skeleton(protocol.skeletons[0]))
    wanted = list(dict.fromkeys((*KEYS, *protocol.truth_columns, *columns)))
    chosen = protocol.select(store.sequences)
    for part, rows in store.rows_by_part(chosen):
        table = store.take(part, rows, wanted)
        mask = protocol.keep(chosen, table)
        kept = table if mask is None else table.filter(pa.array(np.asarray(mask, bool)))
        yield in_layout(kept, joints) if joints else kept


def keys(
    store: Store, protocol: str | Protocol, recipe: str | None = None, options: Mapping[str, Any] | None = None
) -> pa.Table:
    """The keys of every row that a protocol scores, in the order of an array of predictions.

    Args:
        store: the ground truth.
        protocol: such as ``h36m/mpjpe``, or with recipe and options ``h36m/mpjpe:videopose3d,every=64``.
        recipe: a recipe of the protocol.
        options: of the recipe; values may be texts.

    Returns:
        ``sequence, frame, person``, in the order of the store, or in that which is published where there is one
        (:attr:`har_bench.protocol.Protocol.row_order`); ``sequence`` alone where it is not poses that are scored.

    Raises:
        HarBenchError: an unknown protocol, recipe or option, or a store of another dataset.
    """
    chosen = protocol if isinstance(protocol, Protocol) else make_protocol(protocol, recipe, options)
    chosen.refuse_others(store)
    if chosen.task != "pose":
        return chosen.select(store.sequences).select(["sequence"])
    order = [chosen.row_order] if chosen.row_order else []
    tables = [table.select([*KEYS, *order]) for table in targets(store, chosen, order)]
    found = pa.concat_tables(tables) if tables else store.read("poses", store.parts("poses")[0], KEYS, slice(0, 0))
    return found.sort_by(chosen.row_order).select(KEYS) if chosen.row_order else found
