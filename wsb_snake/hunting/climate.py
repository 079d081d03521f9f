"""The market's regime from one look to the next."""

from wsb_snake.hunting.view import YARDSTICK, Look
from wsb_snake.learning import regime
from wsb_snake.learning.regime import Regime


class Climate:
    """Remembers the regime; it is looked at where a view knows VIX or its proxy."""

    engine = "regime"
    """The name under which it is kept beside the engines' states."""

    def __init__(self) -> None:
        self.regime: Regime | None = None

    def follow(self, look: Look) -> None:
        """Take the figures of ``look`` in."""
        view = look.view
        realised = regime.realised_volatility(view.daily.get(YARDSTICK, ()))
        self.regime = regime.follow(self.regime, view.session.day, view.vix, look.vix_proxy, realised)

    def memory(self) -> str:
        return "null" if self.regime is None else self.regime.to_json()

    def recall(self, text: str) -> None:
        """Take up what ``memory`` gave. Raises ValueError, KeyError or TypeError for anything else."""
        self.regime = None if text == "null" else Regime.from_json(text)
