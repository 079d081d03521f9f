"""Why a signal was, or was not, traded: from the file, over HTTP and by command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.hunting.scripted import Scripted, host, signal
from tests.sim.bench import SPY_CALL
from tests.source_rules import ROOT
from tests.trading.world import World, world
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.web_why import why_routes
from wsb_snake.owner.why import NEWEST, NothingKnown, explainer, why, why_text


@pytest.fixture
def day(tmp_path: Path) -> Iterator[World]:
    """A daemon that traded one signal in SPY and watched another in AAPL."""
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        engine.signals = [signal(w, 80), signal(w, 60, "AAPL")]
        w.do(w.daemon.scan)
        w.until(lambda: w.watched, 30)
        w.price("1.50", "1.54")
        w.until(w.outcomes, 60)
        yield w


def newest(w: World, ticker: str) -> str:
    return str(w.rows(f"SELECT signal_id FROM signals WHERE ticker = '{ticker}'")[0]["signal_id"])


def test_a_traded_signal_is_told_from_what_was_seen_to_what_it_made(day: World) -> None:
    (told,) = why(day.database.path, newest(day, "SPY")).told
    assert (told.engine, told.setup, told.ticker) == ("spy_scalper", "made_up", "SPY")
    assert (dict(told.seen), dict(told.gave)) == ({"volume_ratio": 2.5}, {"base": 60.0})
    assert told.contract == SPY_CALL
    assert told.governor == "allowed 4 contracts at up to $1.05"
    assert told.became.startswith(f"{SPY_CALL} closed by target, net $+")
    text = why_text(why(day.database.path, newest(day, "SPY")))
    for piece in ("saw: volume_ratio 2.5", "gave: base +60", "learnt: +0 points", "governor: allowed 4"):
        assert piece in text


def test_components_are_told_each_in_a_line(day: World) -> None:
    figures = {"ignition_points": 30.0, "ignition.velocity": 0.0113, "ignition.velocity_points": 35}
    text = json.dumps({**figures, "surge.vwap": 7.5})
    day.do(
        day.database.transact(lambda conn: conn.execute("UPDATE signals SET evidence = ?", (text,))).result
    )
    lines = why_text(why(day.database.path, "AAPL")).splitlines()
    assert "  gave: ignition +30" in lines
    assert "    ignition: velocity 0.0113 (+35)" in lines
    assert "    surge: vwap 7.5" in lines


def test_a_signal_that_was_not_traded_says_why_and_what_it_missed(day: World) -> None:
    (told,) = why(day.database.path, " aapl ").told
    assert told.verdict == "watched"
    assert told.became == "not traded: confidence 60 is too low"
    assert told.on_paper is not None and told.on_paper.endswith("still followed")
    assert "governor: was not asked" in why_text(why(day.database.path, "AAPL"))


def test_the_newest_signals_of_a_ticker_come_first_and_older_ones_are_counted(day: World) -> None:
    engine = Scripted()
    day.daemon.hunt.strategies = (engine,)
    for _ in range(NEWEST + 1):
        day.run(31)
        engine.signals = [signal(day, 50)]
        day.do(day.daemon.scan)
    day.run(1)
    reasons = why(day.database.path, "SPY")
    assert len(reasons.told) == NEWEST
    assert reasons.more == 2
    assert reasons.told[0].at_et >= reasons.told[-1].at_et
    assert "2 older signals in SPY" in why_text(reasons)


def test_an_entry_that_the_broker_did_not_fill_says_so(tmp_path: Path) -> None:
    with world(tmp_path, "10:00") as w:
        engine = Scripted()
        host(w, engine)
        engine.signals = [signal(w)]
        w.market.put(SPY_CALL, "1.00", "1.05")
        w.do(w.daemon.scan)
        w.price("1.20", "1.25")  # away before it arrives
        w.until(lambda: w.rows("SELECT 1 FROM positions WHERE state = 'void'"), 60)
        (told,) = why(w.database.path, "SPY").told
        assert "was ordered and nothing filled" in told.became


def test_what_is_not_known_is_one_line_with_what_is(day: World, tmp_path: Path) -> None:
    with pytest.raises(NothingKnown, match="no signal and no ticker 'XYZ'; signals are known of AAPL, SPY"):
        why(day.database.path, "XYZ")
    with pytest.raises(NothingKnown, match=r"no signal and no ticker 'X\?'"):
        why(day.database.path, "X\ud800")
    with pytest.raises(NothingKnown, match="there is no database"):
        why(tmp_path / "elsewhere.db", "SPY")
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(NothingKnown, match=r"junk\.db"):
        why(junk, "SPY")


def test_evidence_that_cannot_be_read_hides_nothing_else(day: World) -> None:
    day.do(day.database.transact(lambda conn: conn.execute("UPDATE signals SET evidence = '[1'")).result)
    (told,) = why(day.database.path, "AAPL").told
    assert (dict(told.seen), told.became) == ({}, "not traded: confidence 60 is too low")


def test_over_http_it_answers_and_refuses_in_json(day: World) -> None:
    app = Flask("test")
    app.register_blueprint(why_routes(day.database.path))
    client = app.test_client()
    found = client.get("/api/why?of=SPY")
    assert found.status_code == 200
    body = found.get_json()
    assert body["more"] == 0
    assert body["signals"][0]["governor"].startswith("allowed")
    assert client.get("/api/why").status_code == 400
    missing = client.get("/api/why?of=XYZ")
    assert missing.status_code == 404 and "XYZ" in missing.get_json()["text"]
    assert client.post("/api/why?of=SPY").status_code == 405


def test_the_owner_asks_by_command(day: World) -> None:
    commands = Commands(day.daemon, day.daemon.facts, explainer(day.database.path))
    answer = commands.run("why", "spy")
    assert answer.ok and "governor: allowed 4" in answer.text
    assert not commands.run("why").ok
    unknown = commands.run("why", "XYZ")
    assert not unknown.ok and unknown.text.startswith("no signal")
    assert not Commands(day.daemon, day.daemon.facts).run("why", "SPY").ok


def test_the_command_line_reads_the_file_without_a_daemon(
    day: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WSB_SNAKE_DATA_DIR", str(day.database.path.parent))

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "main.py", "why", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    told = run("SPY", "--json")
    assert told.returncode == 0
    assert json.loads(told.stdout)["signals"][0]["ticker"] == "SPY"
    assert "governor: allowed 4" in run("SPY").stdout
    for words in ("XYZ", "\udcff"):  # the other is a byte that is no UTF-8
        unknown = run(words)
        assert unknown.returncode == 1
        assert unknown.stderr.startswith("wsb-snake: no signal") and unknown.stderr.count("\n") == 1
