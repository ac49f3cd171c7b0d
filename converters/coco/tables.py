"""The store's tables of one annotation file in COCO's format."""

from __future__ import annotations

from har_bench.converter import Tables
from har_bench.errors import HarBenchError

from .annotations import poses
from .document import Document
from .images import images
from .origins import Origin
from .rejects import RejectLog


def tables(document: Document, origin: Origin) -> Tables:
    """Everything a file holds, in its order.

    Raises:
        HarBenchError: a list of the file is none, or of its images or of its annotations nothing can be used.
    """
    log = RejectLog(origin.source)
    for place, reason in origin.layout.complaints:
        log.repaired(place, reason)
    sequences = images(document, origin, log)
    _refuse_nothing(document, log, "images", sequences.found, sequences.table.num_rows)
    persons, found = poses(document, origin.layout, sequences, log)
    _refuse_nothing(document, log, "annotations", found, persons.num_rows)
    return Tables(sequences=sequences.table, poses=persons, rejects=log.rejects())


def _refuse_nothing(document: Document, log: RejectLog, where: str, found: int, kept: int) -> None:
    """A list of records of which none is kept is no list of them that we can read."""
    first = log.first(where)
    if found and not kept and first is not None:
        reason = f"{first.locator}: {first.reason}"
        remedy = "mend the file, or change the options"
        raise HarBenchError(f"of the {found} {where} of {document.path} none can be used: {reason}; {remedy}")
