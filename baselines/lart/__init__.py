"""LART: actions of people, from tracks of their bodies in space and of how they look."""

from .baseline import LART as LART
