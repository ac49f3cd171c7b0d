"""AVA: 80 atomic actions of every person, once a second, in films (Gu et al., CVPR 2018); AVA-Kinetics; tracklets."""

from .converter import AVA as AVA
