"""The vocabulary of the journal.

An event is a fact that happened once; consumers (outcomes, alerts, reports) read them in order.
``data`` is JSON: money as text, times as ISO-8601 UTC text.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    STARTED = "started"
    AWAKE = "awake"  # first session event of a day: account, limits, EOD time
    STOPPED = "stopped"
    SIGNAL = "signal"
    ENTRY_REFUSED = "entry_refused"
    ENTRY_SENT = "entry_sent"
    ENTRY_ENDED = "entry_ended"  # the entry order is over; data has filled_qty and why
    FILL = "fill"  # a cumulative fill of one of our orders grew
    POSITION_OPENED = "position_opened"
    POSITION_ADOPTED = "position_adopted"
    EXIT_CONDITION = "exit_condition"  # Zero Greed: a rule is met, the executor is closing
    EXIT_SENT = "exit_sent"
    EXIT_ENDED = "exit_ended"  # one exit order is over; the position may need another
    POSITION_CLOSED = "position_closed"
    ORDER_RECOVERED = "order_recovered"
    EOD_RAN = "eod_ran"
    EOD_PROVEN = "eod_proven"
    EOD_PROOF_WITHDRAWN = "eod_proof_withdrawn"
    EOD_NOT_FLAT = "eod_not_flat"
    EXERCISE_WARNING = "exercise_warning"
    DNE_TAKEN = "dne_taken"  # the broker took a do-not-exercise instruction
    DNE_REFUSED = "dne_refused"
    PAUSED = "paused"
    RESUMED = "resumed"
    FOREIGN_RISK = "foreign_risk"  # shares, short options: never ours to trade
    NO_QUOTE = "no_quote"
    STRANGER = "stranger"  # somebody else wrote to the bot
    RECONCILED = "reconciled"
    ERROR = "error"
    DAILY_REPORT = "daily_report"


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the journal. ``seq`` rises without gaps in order of commit."""

    seq: int
    at: datetime
    kind: EventKind
    data: dict[str, Any]
