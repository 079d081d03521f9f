"""The daily report in words. Pure; what an older report did not hold is left out."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from wsb_snake.notifications.wording import Data, contract, dollars, et, money


def report(data: Data) -> str:
    """The report of one session, a subject a line."""
    lines = [
        f"Daily report {data['session']}: {_result(data)}",
        _eod(data),
        *_extremes(data),
        *_groups("By engine", data.get("by_engine")),
        *_groups("By exit", data.get("by_exit")),
        *_slippage(data),
        *_missed(data.get("missed") or ()),
        *_learnt(data),
        *_following(data.get("following")),
    ]
    return "\n".join(lines)


def _result(data: Data) -> str:
    count = data["trades"]
    if not count:
        return "no trade."
    average = "" if data.get("mean_r") is None else f", {data['mean_r']:+.2f}R on average"
    net = _signed(data["net_pnl"])
    return (
        f"{count} trades, {data['wins']} won, {data['losses']} lost ({data['wins'] / count:.0%} won); "
        f"{net} after {money(data['fees'])} fees{average}."
    )


def _eod(data: Data) -> str:
    if data.get("first_started_et"):
        at = et(data["first_started_et"])
        return f"The daemon was first started at {at}, after the close: no EOD close was due yet."
    ran = f"EOD close ran {et(data['eod_ran_et'])}" if data.get("eod_ran_et") else "EOD close did NOT run"
    at = f" {et(data['eod_proven_et'])}" if data.get("eod_proven_et") else ""
    proof = f"flat proven{at}" if data["eod_flat_proven"] else "flat NOT proven"
    if data.get("eod_withdrawn_et"):
        symbols = ", ".join(contract(symbol) for symbol in data["eod_withdrawn_for"])
        proof += f" (an earlier proof was withdrawn {et(data['eod_withdrawn_et'])}: {symbols})"
    return f"{ran}; {proof}."


def _extremes(data: Data) -> Iterable[str]:
    named = [(name, data.get(name)) for name in ("best", "worst")]
    if data["trades"] < 2:
        named = []
    for name, one in named:
        if one is not None:
            risks = "" if one.get("net_r") is None else f", {one['net_r']:+.2f}R"
            told = f"{contract(one['symbol'])} {_signed(one['net_pnl'])}{risks} ({one['reason']})"
            yield f"{name.capitalize()}: {told}."


def _groups(title: str, groups: Iterable[Mapping[str, Any]] | None) -> Iterable[str]:
    told = [f"{g['name']} {g['wins']}/{g['trades']} won {_signed(g['net_pnl'])}" for g in groups or ()]
    if told:
        yield f"{title}: {'; '.join(told)}."


def _slippage(data: Data) -> Iterable[str]:
    if data.get("slippage") is not None:
        paid = Decimal(str(data["slippage"]))
        side = "worse" if paid > 0 else "better" if paid < 0 else "neither better nor worse"
        yield f"Slippage: fills were {dollars(abs(paid))} {side} than the quotes decided on."


def _missed(groups: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    told = [f"{g['engine']} {g['trades']} ({g['wins']} won, {g['total_r']:+.1f}R)" for g in groups]
    if told:
        yield f"Not traded, on paper: {'; '.join(told)}."


def _learnt(data: Data) -> Iterable[str]:
    if "learnt" not in data:
        return
    told = [
        f"{c['feature']} {'new' if c['before'] is None else format(c['before'], '.3f')} → {c['after']:.3f}"
        for c in data["learnt"]
    ]
    yield f"Learnt: {'; '.join(told)}." if told else "Learnt: no weight moved."


def _following(session: Mapping[str, Any] | None) -> Iterable[str]:
    if session is not None:
        day = date.fromisoformat(session["session"])
        half = " HALF DAY," if session["half_day"] else ""
        hours = f"{session['open_et']}-{session['close_et']} ET"
        yield f"Next session: {day:%A %-d %b},{half} {hours}, EOD at {session['eod_at_et']} ET."


def _signed(amount: object) -> str:
    return dollars(Decimal(str(amount)), signed=True)
