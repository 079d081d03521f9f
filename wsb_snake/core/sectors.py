"""Which underlyings move together, for the limit on what is at risk in one sector."""

from types import MappingProxyType

_MEMBERS = MappingProxyType(
    {
        "broad market": ("SPY", "QQQ", "IWM"),
        "metals": ("SLV", "GLD", "GDX", "GDXJ", "USAR"),
        "energy": ("USO", "XLE"),
        "semiconductors": ("NVDA", "AMD", "MU", "INTC", "POET"),
        "internet and software": ("AAPL", "META", "AMZN", "GOOGL", "MSFT", "NBIS", "PYPL"),
        "space": ("RKLB", "ASTS", "LUNR", "PL"),
    }
)


def sector_of(underlying: str) -> str:
    """The sector of ``underlying``; a name that is in none is one by itself."""
    return next((sector for sector, names in _MEMBERS.items() if underlying in names), underlying)
