"""Volumes: directories that outlive containers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of the local driver. `options` (type, o, device) say what is mounted there; none is a plain directory.

    An anonymous one was made for a container that named none, and goes with it.
    """

    name: str
    created: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False
