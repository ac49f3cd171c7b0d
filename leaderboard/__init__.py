"""Results and published rows as tables and pages."""

from .board import Board
from .data import frame
from .entries import Reported, Scored, reported, scored
from .grouping import boards
from .report import report
from .site import build
from .tables import csv_page, latex, markdown, scored_markdown

__all__ = [
    "Board",
    "Reported",
    "Scored",
    "boards",
    "build",
    "csv_page",
    "frame",
    "latex",
    "markdown",
    "report",
    "reported",
    "scored",
    "scored_markdown",
]
