"""Which way a headline points, judged by a small list of words.

Coarse on purpose: it tells a catalyst with a plain direction from one without, nothing more. A
headline with as many good words as bad ones points nowhere.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from wsb_snake.core.types import Headline


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GOOD = _words(
    """
    accelerates approval approved approves awarded beat beats boosts breakthrough buyback ceasefire climbs
    expands gains jumps outperform raises rally rallies rebound rebounds record rise rises rocket soar
    soars stimulus strong surge surges tops upbeat upgrade upgraded upgrades win wins
    """
)
_BAD = _words(
    """
    attack bankruptcy bearish breach crash crashes cut cuts decline declines default delay delays denied
    dilution disappoints downgrade downgraded downgrades drops fall falls fraud halt halted halts invasion
    investigation lawsuit layoffs loss losses lowers miss misses offering plunge plunges probe recall
    recession rejects resigns sanctions selloff shutdown sinks slides slump slumps subpoena sues tariff
    tariffs tumble tumbles war warning warns weak
    """
)
_GOOD_PHRASES = re.compile(
    r"\b(rate cuts?|cuts? (interest )?rates?|(tariffs?|lawsuit|probe|recall) "
    r"(cut|cuts|dropped|delayed|paused|lifted|ends|ended))\b"
)
_BAD_PHRASES = re.compile(r"\b(rate (hikes?|rise)|raises? (interest )?rates?|(rally|gains) fades?)\b")
_WORD = re.compile(r"[a-z]+")


def tone(text: str) -> int:
    """1 when ``text`` speaks for a rise, -1 for a fall, 0 when it does not say."""
    plain, good = _GOOD_PHRASES.subn(" ", text.lower())
    plain, bad = _BAD_PHRASES.subn(" ", plain)
    words = _WORD.findall(plain)
    balance = good - bad + sum((word in _GOOD) - (word in _BAD) for word in words)
    return (balance > 0) - (balance < 0)


def recent(items: Iterable[Headline], now: datetime, minutes: float) -> tuple[Headline, ...]:
    """The headlines of the last ``minutes`` up to ``now``, each once, oldest first."""
    since = now - timedelta(minutes=minutes)
    fresh = {(item.at, item.text): item for item in items if since < item.at <= now}
    return tuple(fresh[key] for key in sorted(fresh))
