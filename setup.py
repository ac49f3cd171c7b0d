"""Which folders are packages: each one with an ``__init__.py``. Everything else stands in pyproject.toml.

setuptools cannot discover packages where folders are mapped to other names, and a list kept by hand would be a second
line to write for every new converter or protocol.
"""

from setuptools import find_packages, setup

HUB, *SPOKES = "har_bench", "converters", "protocols", "baselines", "leaderboard"

setup(
    packages=[
        *find_packages(include=(HUB, f"{HUB}.*")),
        *(f"{HUB}.{name}" for spoke in SPOKES for name in find_packages(include=(spoke, f"{spoke}.*"))),
    ]
)
