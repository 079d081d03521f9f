"""Libraries that nothing vital needs: how one that cannot be used fails, and how that is said."""

BROKEN = (
    ImportError,
    SyntaxError,
    NameError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
)
"""What loading or setting up a library raises where it is missing, arrived by half or does not fit the rest,
or where what the environment names (certificates, a proxy) cannot be used."""


def told(error: Exception) -> str:
    """``error`` in one line of at most 200 characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
