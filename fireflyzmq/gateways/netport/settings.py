"""Settings: what a netport was told when it was made."""

from __future__ import annotations

import dataclasses
from typing import Any

from fireflyzmq.gateways.netport.codecs.codec import Codec, Command
from fireflyzmq.gateways.netport.limits import NetLimits


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of one netport, which `NetPort` explains; `goodbye` is a command and a body."""

    codec: Codec
    limits: NetLimits
    group: str
    ordered: bool
    one_per_user: bool
    goodbye: tuple[Command, Any] | None
