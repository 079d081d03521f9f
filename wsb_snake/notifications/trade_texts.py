"""Entries, fills and exits in plain English: each function gives an event's level and text.

A text promises nothing that has not happened: an order that was sent says that it is not yet filled.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from wsb_snake.core.orders import ExitReason
from wsb_snake.notifications.wording import LOUD, SILENT, Data, Words, contract, dollars, et, lot, money


def entry_sent(data: Data) -> Words:
    return SILENT, (
        f"Entry order sent: buy {lot(data)} at {money(data['limit_price'])} or less "
        f"({data['engine']}, {data['setup']}). Not yet filled."
    )


def entry_ended(data: Data) -> Words | None:
    filled, qty = data["filled_qty"], data["qty"]
    if filled >= qty:
        return None  # the fill has told it
    return SILENT, (
        f"Entry order ended ({_ending(data)}): {filled} of {qty} bought, {contract(data['symbol'])}. "
        "That signal is not tried again."
    )


def fill(data: Data) -> Words:
    verb = "Bought" if data["side"] == "buy" else "Sold"
    return SILENT, (
        f"{verb} {lot(data)} at {money(data['price'])} "
        f"({data['cumulative_qty']} of {data['order_qty']} filled)."
    )


def opened(data: Data) -> Words:
    exits = [
        f"{name} {show(data[key])}"
        for name, key, show in (
            ("target", "target_price", money),
            ("stop", "stop_price", money),
            ("time exit", "time_exit_at", et),
        )
        if data.get(key) is not None
    ]
    plan = ", ".join(exits) or "no price exits"
    return LOUD, (
        f"Position open and watched: {lot(data)} at {money(data['entry_price'])} "
        f"({data['engine']}, {data['setup']}); {plan}."
    )


def adopted(data: Data) -> Words:
    return LOUD, (
        f"Adopted from the broker: {lot(data)} at {money(data['entry_price'])} ({data['origin']}). "
        f"{data['treatment']}"
    )


def exit_sent(data: Data) -> Words:
    limit = f"limit {money(data['limit_price'])}" if data.get("limit_price") is not None else "market"
    return SILENT, (
        f"Exit order sent: sell {lot(data)}, {limit} ({data['reason']}, attempt {data['attempt']}). "
        "Not yet filled."
    )


def exit_ended(data: Data) -> Words | None:
    filled, qty = data["filled_qty"], data["qty"]
    if filled >= qty:
        return None
    return SILENT, (
        f"Exit order ended ({_ending(data)}): {filled} of {qty} sold, {contract(data['symbol'])}. "
        "The rest is still held; the executor goes on closing."
    )


def _ending(data: Data) -> str:
    return f"{data['status']}, {data['why']}" if data.get("why") else str(data["status"])


_FOUND: Mapping[str, str] = MappingProxyType(
    {
        ExitReason.MANUAL_CLOSE: "it was sold at the broker, not by the daemon",
        ExitReason.BROKER_LIQUIDATION: "the broker liquidated it",
        ExitReason.EXPIRED: "it expired",
        ExitReason.EXERCISED: "it was exercised",
        ExitReason.UNEXPLAINED: "the broker no longer shows it, and nothing explains why",
    }
)


def closed(data: Data) -> Words:
    reason = str(data["reason"])
    entry, leaving, pnl = data["entry_price"], data["exit_price"], data["gross_pnl"]
    head = f"Gone: {lot(data)}; {_FOUND[reason]}." if reason in _FOUND else f"Closed: {lot(data)}, {reason}."
    if leaving is None or pnl is None:
        return LOUD, f"{head} Entry {money(entry)}, exit price and P&L unknown.{_held(data)}"
    change = Decimal(str(leaving)) / Decimal(str(entry)) - 1
    return LOUD, (
        f"{head} Exit {money(leaving)}, entry {money(entry)}: "
        f"{dollars(Decimal(str(pnl)), signed=True)} before fees ({change:+.1%}).{_held(data)}"
    )


def _held(data: Data) -> str:
    if not data.get("opened_at") or not data.get("closed_at"):
        return ""
    span = datetime.fromisoformat(data["closed_at"]) - datetime.fromisoformat(data["opened_at"])
    minutes = span // timedelta(minutes=1)
    if minutes < 1:
        return f" Held {span // timedelta(seconds=1)} s."
    return f" Held {minutes} min." if minutes < 24 * 60 else f" Held {span.days} days."


def recovered(data: Data) -> Words:
    return LOUD, (
        f"Recovered: an order of ours was at the broker but not in the database: {data['side']} {lot(data)} "
        f"({data['client_order_id']}). It is in the books now."
    )


def no_quote(data: Data) -> Words:
    return LOUD, (
        f"No fresh quote for {contract(data['symbol'])} for {float(data['seconds']):.0f} s: its target and "
        "stop cannot be judged. Time and EOD exits go on."
    )
