"""Results and published rows as tables and pages."""

from .board import Board, boards
from .entries import Reported, Scored, reported, scored
from .site import build
from .tables import csv_page, latex, markdown, scored_markdown

__all__ = [
    "Board",
    "Reported",
    "Scored",
    "boards",
    "build",
    "csv_page",
    "latex",
    "markdown",
    "reported",
    "scored",
    "scored_markdown",
]
