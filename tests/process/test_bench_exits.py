"""The benchmarks hold with a wide margin: the figures themselves are for a quiet machine to say."""

from collections.abc import Iterable

import pytest

from tests.process.bench_exits import BENCHES, Figure, Probe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MARGIN = 5
A_FIFTH = 5


def played(name: str) -> tuple[list[Figure], Probe]:
    probe = Probe()
    figures = list(BENCHES[name](A_FIFTH, probe))
    return figures, probe


def slow_ones(figures: Iterable[Figure]) -> list[str]:
    return [figure.line() for figure in figures if figure.at(0.5) > MARGIN * figure.target]


@pytest.mark.parametrize("name", ["streamed", "polled", "crowded"])
def test_an_exit_is_on_the_wire_soon_after_its_quote(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    figures, probe = played(name)
    figures.append(Figure("/health", "ms", probe.took, 20))
    with capsys.disabled():
        print(*(figure.line() for figure in figures), sep="\n")  # noqa: T201
    assert slow_ones(figures) == []


@pytest.mark.parametrize("held", [5, 100])
def test_the_end_of_day_is_quick_and_keeps_the_rate_limit(held: int) -> None:
    figures, _ = played(f"eod_{held}")
    by_name = {figure.name.split(": ")[1]: figure for figure in figures}
    assert max(by_name["requests a minute"].values) <= 200
    assert by_name["orders refused, 429 among them"].values == [0]
    assert by_name["orders a position"].values == [1]
    assert max(by_name["15:55:00 to the fill"].values) <= MARGIN * by_name["15:55:00 to the fill"].target
    assert min(by_name["15:55:00 to the POST"].values) >= 0
