import threading
from datetime import UTC, datetime

from wsb_snake.core.clock import SystemClock, VirtualClock
from wsb_snake.core.heartbeats import Heartbeats


def test_ages_count_from_the_last_beat_of_each() -> None:
    clock = VirtualClock(datetime(2026, 11, 24, 15, 0, tzinfo=UTC))
    hearts = Heartbeats(clock)
    assert hearts.ages() == {}
    hearts.beat("monitor")
    clock.advance_to(10)
    hearts.beat("pipeline")
    clock.advance_to(12.5)
    assert hearts.ages() == {"monitor": 12.5, "pipeline": 2.5}
    hearts.beat("monitor")
    assert hearts.ages()["monitor"] == 0


def test_many_threads_beat_new_names_while_another_reads() -> None:
    hearts = Heartbeats(SystemClock())
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                hearts.ages()
        except RuntimeError as error:
            failures.append(error)

    def beat(number: int) -> None:
        for n in range(2_000):
            hearts.beat(f"{number}-{n}")

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=beat, args=(number,)) for number in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert not failures
    assert len(hearts.ages()) == 8_000
