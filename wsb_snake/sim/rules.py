"""The broker's rules, as pure functions: ticks, cut-offs, and which orders are refused.

Where Alpaca's pages contradict each other (cut-offs, liquidation) ``Rules`` chooses the reading.
Simplifications, on purpose:

- only simple DAY market and limit orders, for options and for shares; no replacement of orders;
- nothing is sold short: what Alpaca would take as a covered call or a cash-secured put is refused as
  uncovered (a short position can only be put there by hand);
- the account is a cash account, so buying power is cash less what open buys reserve.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from wsb_snake.core.types import CONTRACT_SHARES, Contract, Quote
from wsb_snake.sim.chains import ListedContract
from wsb_snake.sim.order_entry import FORBIDDEN, MALFORMED, UNPROCESSABLE, Refusal
from wsb_snake.sim.orders import Intent, NewOrder, Side, SimOrder, plain
from wsb_snake.sim.sessions import SimSession

CENT = Decimal("0.01")
_NICKEL = Decimal("0.05")
_DIME = Decimal("0.10")
_TICK_STEP_AT = Decimal(3)
_ALWAYS_PENNY = frozenset({"SPY", "QQQ", "IWM"})
_BUYS_OPTIONS = 2  # the options level from which calls and puts may be bought


@dataclass(frozen=True, slots=True)
class Rules:
    """One reading of the rules. Times count from the session close; chances are 0 to 1.

    ``broad_etfs`` have the later cut-off and liquidation; every other ETF counts as a single name.
    """

    cutoff_reading: Literal["open_only", "all_orders"] = "open_only"
    liquidation: Literal["always", "itm_unaffordable", "never"] = "itm_unaffordable"
    broad_etfs: frozenset[str] = frozenset({"SPY", "QQQ"})
    cutoff: timedelta = timedelta(minutes=45)
    cutoff_broad: timedelta = timedelta(minutes=30)
    liquidation_from: timedelta = timedelta(minutes=30)
    liquidation_from_broad: timedelta = timedelta(minutes=15)
    dne_after_close: timedelta = timedelta(minutes=30)  # Alpaca's pages say 16:30 and "best effort"
    settles_after_close: timedelta = timedelta(minutes=45)
    fills_within_size: bool = False  # Alpaca's paper account does not look at the displayed size
    partial_fill_chance: float = 0.1
    fill_beats_cancel_chance: float = 0.5
    options_level: int = 3
    rate_limit_per_minute: int | None = 200

    def cutoff_at(self, underlying: str, session: SimSession) -> datetime:
        """When orders in contracts on ``underlying`` that expire in ``session`` begin to be refused."""
        return session.close - (self.cutoff_broad if underlying in self.broad_etfs else self.cutoff)

    def liquidates_at(self, underlying: str, session: SimSession) -> datetime:
        """When the broker begins to sell contracts on ``underlying`` that expire in ``session``."""
        broad = underlying in self.broad_etfs
        return session.close - (self.liquidation_from_broad if broad else self.liquidation_from)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the broker knows when an order in one symbol comes in. ``contract`` is None for shares.

    ``working`` are the open orders in the symbol, ``position`` is the signed quantity held.
    """

    now: datetime
    session: SimSession
    contract: Contract | None
    known: bool
    id_taken: bool
    position: int
    working: Sequence[SimOrder]
    quote: Quote | None
    buying_power: Decimal


def tick(listed: ListedContract, price: Decimal) -> Decimal:
    """The price increment that applies at ``price``."""
    if listed.contract.underlying in _ALWAYS_PENNY:
        return CENT
    if listed.penny:
        return CENT if price < _TICK_STEP_AT else _NICKEL
    return _NICKEL if price < _TICK_STEP_AT else _DIME


def on_tick(listed: ListedContract, price: Decimal) -> bool:
    """Whether the venue takes ``price``; Alpaca does not look, so a wrong one is rejected later."""
    return price % tick(listed, price) == 0


def infer_intent(side: Side, position: int) -> Intent:
    """What an order would do to the position, as Alpaca works it out."""
    if side == "buy":
        return "buy_to_close" if position < 0 else "buy_to_open"
    return "sell_to_close" if position > 0 else "sell_to_open"


def has_expired(contract: Contract, session: SimSession, now: datetime) -> bool:
    return contract.expiry < session.day or (contract.expiry == session.day and now >= session.close)


def reserve_price(order: NewOrder, quote: Quote | None) -> Decimal:
    """What a buy sets aside per share: its limit, or the ask for a market order."""
    if order.limit_price is not None:
        return order.limit_price
    return quote.ask if quote is not None else Decimal(0)


def vet(order: NewOrder, situation: Situation, rules: Rules) -> None:
    """Alpaca's checks, in an order that gives the messages seen there. Raises Refusal."""
    if situation.id_taken:  # used once in the account's life, whatever became of its order
        raise Refusal(422, MALFORMED, "client_order_id must be unique")
    _check_limit_price(order)
    _check_symbol(order, situation)
    _check_hours(order, situation)
    intent = infer_intent(order.side, situation.position)
    if situation.contract is not None:
        _check_intent(order, intent)
        _check_cutoff(intent, situation.contract, situation, rules)
    _check_no_short_sale(order, intent, situation)
    if intent.endswith("_to_close"):
        _check_quantity(order, situation)
    _check_wash_trade(order, situation.working)
    _check_funds(order, situation, rules)


def _check_limit_price(order: NewOrder) -> None:
    price = order.limit_price
    if price is None:
        return
    if price <= 0:
        raise Refusal(422, UNPROCESSABLE, "limit price must be > 0")
    if price % CENT != 0:
        why = "sub-penny increment does not fulfill minimum pricing criteria"
        raise Refusal(422, UNPROCESSABLE, f"invalid limit_price {price}. {why}")


def _check_symbol(order: NewOrder, situation: Situation) -> None:
    contract = situation.contract
    kind = "asset" if contract is None else "contract"
    if contract is not None and has_expired(contract, situation.session, situation.now):
        raise Refusal(422, UNPROCESSABLE, f'{kind} "{order.symbol}" is expired')
    if not situation.known:
        raise Refusal(422, UNPROCESSABLE, f'{kind} "{order.symbol}" not found')


def _check_hours(order: NewOrder, situation: Situation) -> None:
    open_now = situation.session.open <= situation.now < situation.session.close
    if order.type == "market" and not open_now:
        kind = "market" if situation.contract is None else "options market"
        raise Refusal(422, UNPROCESSABLE, f"{kind} orders are only allowed during market hours")


def _check_intent(order: NewOrder, inferred: Intent) -> None:
    if order.position_intent is not None and order.position_intent != inferred:
        mismatch = f"inferred: {inferred}, specified: {order.position_intent}"
        raise Refusal(422, UNPROCESSABLE, f"position intent mismatch, {mismatch}")


def _check_cutoff(intent: Intent, contract: Contract, situation: Situation, rules: Rules) -> None:
    session = situation.session
    if contract.expiry != session.day or situation.now < rules.cutoff_at(contract.underlying, session):
        return
    if intent.endswith("_to_open") or rules.cutoff_reading == "all_orders":
        raise too_late(contract)


def too_late(contract: Contract) -> Refusal:
    """What the broker says past the cut-off."""
    why = "expires soon, unable to open new positions"
    return Refusal(422, UNPROCESSABLE, f'contract "{contract.symbol}" {why}')


def _check_no_short_sale(order: NewOrder, intent: Intent, situation: Situation) -> None:
    if intent != "sell_to_open":
        return
    if situation.contract is None:
        raise Refusal(403, FORBIDDEN, f'asset "{order.symbol}" cannot be sold short')
    raise Refusal(403, FORBIDDEN, "account not eligible to trade uncovered option contracts")


def _check_quantity(order: NewOrder, situation: Situation) -> None:
    """A closing order takes no more than is held and not promised to another open order."""
    holders = [other for other in situation.working if other.side == order.side]
    held = sum(other.remaining for other in holders)
    existing = abs(situation.position)
    available = max(0, existing - held)
    if order.qty <= available:
        return
    counts = f"(requested: {order.qty}, available: {available})"
    raise Refusal(
        403,
        FORBIDDEN,
        f"insufficient qty available for order {counts}",
        {
            "available": str(available),
            "existing_qty": str(existing),
            "held_for_orders": str(held),
            "related_orders": [other.id for other in holders],
            "symbol": order.symbol,
        },
    )


def _check_wash_trade(order: NewOrder, working: Sequence[SimOrder]) -> None:
    """An opposite order in the same symbol that could meet this one (docs/user-protection)."""
    for other in working:
        if other.side != order.side and _could_meet(order, other):
            raise Refusal(
                403,
                FORBIDDEN,
                "potential wash trade detected. use complex orders",
                {
                    "existing_order_id": other.id,
                    "reject_reason": f"opposite side {other.type} order exists",
                },
            )


def _could_meet(order: NewOrder, other: SimOrder) -> bool:
    if order.limit_price is None or other.limit_price is None:
        return True
    if order.side == "buy":
        return order.limit_price >= other.limit_price
    return other.limit_price >= order.limit_price


def _check_funds(order: NewOrder, situation: Situation, rules: Rules) -> None:
    """A buy needs its whole cost in the buying power."""
    if order.side == "sell":
        return
    is_option = situation.contract is not None
    if is_option and rules.options_level < _BUYS_OPTIONS:
        raise Refusal(403, FORBIDDEN, "account not eligible to trade options at this level")
    price = reserve_price(order, situation.quote)
    if price <= 0:  # a market order without an ask has no cost to check; the words are not Alpaca's
        raise Refusal(422, UNPROCESSABLE, f'no ask for "{order.symbol}" to price a market order')
    shares = order.qty * (CONTRACT_SHARES if is_option else 1)
    cost, available = price * shares, situation.buying_power
    if cost > available:
        name = "options_buying_power" if is_option else "buying_power"
        figures = f"(required: {plain(cost)}, available: {plain(available)})"
        raise Refusal(
            403,
            FORBIDDEN,
            f"insufficient {name.replace('_', ' ')} {figures}",
            {name: plain(available), "cost_basis": plain(cost)},
        )
