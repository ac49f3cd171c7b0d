"""MERL Shopping: 106 videos of 41 people before a shelf, 5 actions (Singh et al., CVPR 2016)."""

from .converter import MERL as MERL
