"""What may stand in the query of an address: each parameter typed and bounded, anything else refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from flask import request
from werkzeug.exceptions import BadRequest

MOST_ROWS = 500
LONGEST_SPAN = timedelta(days=3660)

_WORD = re.compile(r"[A-Za-z0-9_.+-]{1,40}\Z")


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of this request. Every reader raises BadRequest with one line."""

    given: Mapping[str, str]

    def word(self, name: str) -> str | None:
        """A name of letters, digits and ``_ . + -``; None where it is absent or empty."""
        text = self.given.get(name, "")
        if text and not _WORD.match(text):
            raise BadRequest(f"{name} is a word of at most 40 letters and digits")
        return text or None

    def ticker(self, name: str) -> str | None:
        word = self.word(name)
        return None if word is None else word.upper()

    def rows(self, default: int) -> int:
        """``limit``: how many rows are wanted."""
        text = self.given.get("limit", "")
        if not text:
            return default
        if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= MOST_ROWS:
            raise BadRequest(f"limit is a number from 1 to {MOST_ROWS}")
        return int(text)

    def days(self, first: date, last: date) -> tuple[date, date]:
        """``first`` and ``last``, both inclusive, with these defaults."""
        begin, end = self._day("first", first), self._day("last", last)
        if not begin <= end <= begin + LONGEST_SPAN:
            raise BadRequest(f"first is no later than last, and at most {LONGEST_SPAN.days} days before it")
        return begin, end

    def _day(self, name: str, default: date) -> date:
        text = self.given.get(name, "")
        if not text:
            return default
        try:
            day = date.fromisoformat(text) if re.fullmatch(r"[0-9-]{10}", text, re.ASCII) else None
        except ValueError:
            day = None
        if day is None or not 2000 <= day.year <= 2100:
            raise BadRequest(f"{name} is a day: YYYY-MM-DD")
        return day


def query(*allowed: str) -> Query:
    """The query of this request. Raises BadRequest for a parameter that is not ``allowed``, or twice."""
    for name in request.args:
        if name not in allowed:
            known = ", ".join(allowed) or "no parameter"
            raise BadRequest(f"this address knows {known}")
        if len(request.args.getlist(name)) > 1:
            raise BadRequest(f"{name} is given twice")
    return Query(request.args.to_dict())
