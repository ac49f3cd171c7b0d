"""MPII's protocols: PCKh of single persons, average precision of joints of several."""

from .map import MultiPersonAP as MultiPersonAP
from .pckh import PCKh as PCKh
from .pckh import pckh as pckh
