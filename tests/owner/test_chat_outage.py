"""The chat is a black hole for half an hour around a stop exit and the end of day, and hangs in both.

The client is the daemon's own, over loopback; time is virtual. tests/process/test_silent_chat.py has the
same in the machine's time.
"""

from datetime import datetime, timedelta
from pathlib import Path

from tests.owner.loopback_room import LoopbackRoom
from tests.owner.room import CHAT, ME
from tests.sim import black_hole
from tests.sim.bench import AAPL_CALL, SPY_CALL
from tests.sim.black_hole import BlackHole
from tests.trading.world import World
from wsb_snake.core.clock import eastern
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.telegram import Around, talk_of
from wsb_snake.owner.telegram_lane import Inbound
from wsb_snake.owner.telegram_talk import Owner
from wsb_snake.sim.service import BOT_TOKEN

REACH = frozenset({2, 9, 28})
"""Of some thirty sends that meet no answer: one whose answer hangs early, one late, one that is reset."""


def test_exits_are_on_time_and_every_alert_comes_afterwards_in_order(tmp_path: Path) -> None:
    trades = afternoon(tmp_path / "silent", silent=True)
    assert trades == afternoon(tmp_path / "answering", silent=False)
    assert [symbol for symbol, _, _ in trades] == [SPY_CALL, AAPL_CALL]


def afternoon(folder: Path, *, silent: bool) -> list[tuple[str, datetime, datetime | None]]:
    """15:05 to 16:14 with a stop and the end of day; what was sold: contract, sent and filled when."""
    w = World(folder, "15:05", wsb_snake_cutoff_flatten=False, wsb_snake_scalp_minutes=180)
    hole = BlackHole(BOT_TOKEN, w.clock, REACH)
    room = LoopbackRoom(w, hole)
    try:
        w.start()
        listen(w, room)
        w.by_hand(SPY_CALL, "buy", 2)
        w.by_hand(AAPL_CALL, "buy", 1)
        w.until(lambda: len(w.watched) == 2, 60)
        w.to("15:30:00")
        before = len(hole.messages)
        hole.hanging = silent
        w.to("15:31:50")  # so that a send is under way at 15:55:00, see below
        w.price("0.80", "0.84")
        fell_at = w.clock.now()
        w.until(lambda: w.held() == 0, 30)
        assert w.exits[0].created_at - fell_at < timedelta(seconds=8)
        w.to("15:45:00")
        if silent:
            hole.say("/flatten all")
        w.to("15:54:51")
        sends = hole.sends
        w.to("15:55:00")
        assert (hole.sends > sends) is silent, "a send hangs as the end of day comes"
        w.until(lambda: w.desk.eod is not None and w.desk.eod.proven_at is not None, 3600)
        eod = w.desk.eod
        assert eod is not None and eod.ran_at is not None and eod.proven_at is not None
        assert f"{eastern(eod.ran_at):%H:%M:%S}" == "15:55:00"
        assert eod.proven_at - eod.ran_at < timedelta(seconds=60)
        assert w.held(AAPL_CALL) == 0
        assert w.own("sell")[-1].submitted_at - eod.ran_at < timedelta(seconds=8)
        w.to("15:58:00")
        if silent:
            assert len(hole.lost) == len(REACH) - 1
        hole.hanging, hole.resetting = False, silent
        w.to("16:00:00")
        assert (hole.messages[before:] == hole.lost) is silent
        hole.resetting = False
        hole.say("/version")
        w.to("16:14:00")
        if silent:
            assert len(hole.lost) == len(REACH)
            rows = w.rows("SELECT number, at, state FROM alerts ORDER BY number")
            black_hole.check(hole, [tuple(row.values()) for row in rows])
            assert any("/flatten came late and was not done" in m.text for m in hole.messages)
        assert not all(black_hole.NUMBER.search(m.text) for m in hole.messages), "/version is answered"
        w.check()
        return [(o.symbol, o.submitted_at, o.filled_at) for o in w.own("sell")]
    finally:
        w.crash()
        room.close()


def listen(w: World, room: LoopbackRoom) -> None:
    """What hears the owner, beside the daemon's lanes."""
    around = Around(lambda n: [], w.stopping, w._on_error)
    talk = talk_of(w.daemon, Commands(w.daemon, w.daemon.facts), room, Owner(CHAT, ME), around)
    lane = Inbound(room, talk, w.stopping, w.daemon.heartbeats.beat, w._on_error, w.desk.alert)
    w.hub.spawn("chat-in", lane.run)
