"""Which underlyings each engine looks at (ENGINES, "Universe and sessions").

A name here is a candidate only: it is traded 0DTE on the days on which the broker lists a contract
of it that expires today.
"""

INDEX_ETFS = ("SPY", "QQQ", "IWM")
COMMODITY_ETFS = ("SLV", "GLD", "GDX", "GDXJ", "USO", "XLE")
ETFS = (*INDEX_ETFS, *COMMODITY_ETFS)

MEGA_CAPS = ("TSLA", "NVDA", "AAPL", "META", "AMD", "AMZN", "GOOGL", "MSFT")
SMALL_NAMES = ("RKLB", "ASTS", "LUNR", "PL", "ONDS", "POET", "SLS", "NBIS", "ENPH", "USAR", "CLSK")

ZERO_DTE = (*ETFS, *MEGA_CAPS, *SMALL_NAMES)
MOMENTUM = (*SMALL_NAMES, "MU", "INTC")
LEAPS = (*COMMODITY_ETFS, *INDEX_ETFS, "META", "AAPL", "NVDA", "TSLA", "MSFT", "AMZN", "GOOGL", "PYPL")

EVERY = tuple(dict.fromkeys((*ZERO_DTE, *MOMENTUM, *LEAPS)))
"""Every name that some engine looks at, once."""


def is_single_name(ticker: str) -> bool:
    """Whether ``ticker`` is one company's share: entries in it need a higher bar than in a fund."""
    return ticker not in ETFS
