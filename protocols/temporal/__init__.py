"""Actions in time: MERL Shopping's protocols, ActivityNet's mean average precision over temporal overlap."""

from .frames import FrameMAP as FrameMAP
from .midpoint import MidpointAP as MidpointAP
from .segmental import Segmental as Segmental
from .tiou_map import TemporalMAP as TemporalMAP
