"""Results and published rows as tables and pages."""

from .board import Board, boards
from .entries import Reported, Verified, reported, verified
from .site import build
from .tables import csv_page, latex, markdown, verified_markdown

__all__ = [
    "Board",
    "Reported",
    "Verified",
    "boards",
    "build",
    "csv_page",
    "latex",
    "markdown",
    "reported",
    "verified",
    "verified_markdown",
]
