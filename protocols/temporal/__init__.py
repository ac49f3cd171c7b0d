"""Actions in time: MERL Shopping's protocols, ActivityNet's mean average precision over temporal overlap."""

from .frames import FrameMAP as FrameMAP
from .intervals import temporal_iou as temporal_iou
from .midpoint import MidpointAP as MidpointAP
from .segmental import Segmental as Segmental
from .segmental import edit_score as edit_score
from .tiou_map import TemporalMAP as TemporalMAP
