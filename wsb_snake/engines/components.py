"""What the three components of the orchestrator (ignition, pressure, surge) hand to ``probability``."""

from dataclasses import dataclass

from wsb_snake.core.signals import Direction


@dataclass(frozen=True, slots=True)
class Component:
    """One component's opinion of one ticker at one moment.

    ``score`` is 0 to 100. ``direction`` is None where the evidence points neither way. ``evidence``
    names each figure that was looked at and each one's points; a figure that is not known is absent.
    """

    score: float
    direction: Direction | None
    evidence: tuple[tuple[str, float], ...] = ()


NOTHING = Component(0.0, None)
"""The opinion where there is nothing to look at."""
