"""The owner's settings of a drill day: small trades, so that many fit into the limits."""

import random
from decimal import Decimal


def drill_settings(luck: random.Random) -> dict[str, object]:
    """Settings by their lower-case names.

    Only the day's loss and premium are raised, on most days: they would end the entries of a market that
    moves so fast long before the end of day.
    """
    chosen: dict[str, object] = {
        "wsb_snake_cutoff_flatten": luck.random() < 0.6,
        "wsb_snake_scalp_minutes": luck.choice((3, 12, 45)),
        "wsb_snake_max_trade_dollars": Decimal(luck.choice((250, 300, 400, 700))),
        "wsb_snake_max_day_dollars": Decimal(luck.choice((4000, 6000, 12000, 12000, 12000))),
        "wsb_snake_max_ticker_dollars": Decimal(luck.choice((800, 2000))),
        "wsb_snake_max_positions": luck.choice((3, 5, 5)),
        "wsb_snake_max_orders_minute": luck.choice((3, 6, 6)),
        "wsb_snake_max_orders_day": luck.choice((25, 60, 60, 60)),
        "wsb_snake_max_entries_per_signal": luck.choice((1, 2)),
        "wsb_snake_raise_limits": True,
        "wsb_snake_max_daily_loss_dollars": Decimal(luck.choice((300, 600, 2500, 2500, 2500))),
    }
    day = chosen["wsb_snake_max_day_dollars"]
    return {
        **chosen,  # one engine may use the whole day: the hunter has three, and most of what it does is two's
        "wsb_snake_max_engine_dollars": day,
        "wsb_snake_max_overnight_dollars": day,
        "wsb_snake_max_sector_dollars": day,
        "wsb_snake_max_overnight_positions": chosen["wsb_snake_max_positions"],
    }
