"""Chance without state: each draw is a function of the seed and of what it is drawn for.

So the exchange gives the same answers however often, and in whatever order, it is asked.
"""

from hashlib import blake2b
from uuid import UUID

_DIGEST_BYTES = 16


class Dice:
    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()

    def roll(self, *purpose: object) -> float:
        """A number in [0, 1)."""
        return int.from_bytes(self._digest(purpose)[:6], "big") / 2**48

    def below(self, bound: int, *purpose: object) -> int:
        """An integer in [0, ``bound``)."""
        return int(self.roll(*purpose) * bound)

    def uuid(self, *purpose: object) -> str:
        """An identifier in the form of a random UUID."""
        return str(UUID(bytes=self._digest(purpose), version=4))

    def _digest(self, purpose: tuple[object, ...]) -> bytes:
        text = "\x1f".join(map(str, purpose))
        return blake2b(text.encode(), digest_size=_DIGEST_BYTES, key=self._key).digest()
