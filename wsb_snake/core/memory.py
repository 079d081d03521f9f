"""Memory: the garbage collector is kept off what never becomes garbage."""

import gc


def hold() -> None:
    """Collect nothing until ``settle``: of what is imported a thousandth is garbage, and each look at the
    rest makes the start longer."""
    gc.disable()


def settle() -> None:
    """Leave all that stands now out of later collections. Once, when everything is imported.

    A full collection holds the interpreter while it walks over every object; with the libraries among
    them that takes 130 to 290 ms, in which no exit goes out.
    """
    gc.freeze()
    gc.enable()
