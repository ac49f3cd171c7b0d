"""Penn Action: 2,326 clips of 15 actions, 13 joints in every frame (Zhang, Zhu, Derpanis, ICCV 2013)."""

from .converter import PennAction as PennAction
