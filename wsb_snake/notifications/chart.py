"""The day as a picture: ``python -m wsb_snake.notifications.chart``, JSON on stdin, PNG on stdout.

A process of its own, since a plotting library has no place in the daemon: nothing imports this module.
"""

import json
import math
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OOM_SCORE = Path("/proc/self/oom_score_adj")
UP, DOWN, LINE = "#1a7f37", "#cf222e", "#0969da"


def main() -> None:
    """The daemon's place in the kernel's list is inherited: out of memory, this shall die and not that."""
    with suppress(OSError):
        OOM_SCORE.write_text("1000")
    draw(json.load(sys.stdin), sys.stdout.buffer)


def draw(told: dict[str, Any], out: BinaryIO) -> None:
    """``told`` as ``drawing.Picture.to_json`` writes it. Raises LookupError, TypeError, ValueError."""
    import matplotlib  # here, so that what takes the memory comes after ``main`` has given way

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 7), height_ratios=(2, 1))
    _curve(above, told)
    _days(below, told["days"])
    figure.suptitle(str(told["title"]))
    figure.tight_layout()
    figure.savefig(out, format="png", dpi=100)


def _curve(axes: "Axes", told: dict[str, Any]) -> None:
    opens, closes = map(_hours, told["hours"])
    times = [_hours(at) for at, _ in told["curve"]]
    totals = [float(total) for _, total in told["curve"]]
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.step(
        [opens, *times, closes], [0.0, *totals, totals[-1] if totals else 0.0], where="post", color=LINE
    )
    gains = [after - before for before, after in zip([0.0, *totals], totals, strict=False)]
    axes.scatter(times, totals, c=[UP if gain > 0 else DOWN for gain in gains], zorder=3)
    axes.set_xlim(opens, closes)
    whole = range(math.ceil(opens), math.floor(closes) + 1)
    axes.set_xticks(whole, [f"{hour}:00" for hour in whole])
    axes.set_ylabel("closed today, $ after fees")


def _hours(text: str) -> float:
    """Hours since midnight of a US/Eastern time without offset."""
    at = datetime.fromisoformat(text)
    return at.hour + at.minute / 60 + at.second / 3600


def _days(axes: "Axes", days: list[list[Any]]) -> None:
    names = [str(day)[5:] for day, _ in days]
    nets = [float(net) for _, net in days]
    axes.bar(range(len(nets)), nets, color=[UP if net > 0 else DOWN for net in nets])
    axes.axhline(0, color="grey", linewidth=0.8)
    step = max(1, len(names) // 10)
    axes.set_xticks(range(0, len(names), step), names[::step])
    axes.set_ylabel("by day, $")


if __name__ == "__main__":
    main()
