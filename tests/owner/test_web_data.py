"""What the page asks for, over the real application and a real file."""

import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from tests.browser import books
from tests.browser.site import TOKEN, Site
from wsb_snake.core.health import Facts
from wsb_snake.core.types import Bar
from wsb_snake.owner.day_curve import DayCurve
from wsb_snake.owner.openapi import description
from wsb_snake.owner.web import READERS, WebServer, create_app
from wsb_snake.owner.web_commands import offered
from wsb_snake.owner.web_data import Books, data_routes
from wsb_snake.owner.web_page import PAGE
from wsb_snake.owner.web_query import MOST_ROWS


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("data")
    return Site(folder, trades=150, token=TOKEN, curve=books.curve(), bars=books.minutes)


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return site.app.test_client()


def told(client: FlaskClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def test_trades_can_be_narrowed_and_say_when_there_are_more(client: FlaskClient) -> None:
    first = told(client, "/api/trades")
    assert (len(first["trades"]), first["more"], first["sum"]["trades"]) == (100, True, 100)
    every = told(client, f"/api/trades?limit={MOST_ROWS}")
    assert (len(every["trades"]), every["more"]) == (150, False)
    assert every["trades"][0]["closed_et"] >= every["trades"][-1]["closed_et"]
    leaps = told(client, "/api/trades?engine=leaps&limit=500")["trades"]
    assert len(leaps) == 30 and {trade["engine"] for trade in leaps} == {"leaps"}
    stopped = told(client, "/api/trades?reason=stop&ticker=qqq&limit=500")["trades"]
    assert stopped and {(t["exit_reason"], t["ticker"]) for t in stopped} == {("stop", "QQQ")}
    today = told(client, "/api/trades?first=2026-11-24&last=2026-11-24")
    assert today["sum"]["trades"] == 9
    assert told(client, "/api/trades?setup=none_such")["sum"] == {
        **{"trades": 0, "wins": 0, "losses": 0, "win_rate": None, "net_pnl": "0", "fees": "0"},
        **{"mean_r": None, "slippage": None},
    }


def test_decisions_are_of_today_unless_another_day_is_asked_for(client: FlaskClient) -> None:
    seen = told(client, "/api/decisions?limit=500")
    assert len(seen["signals"]) == 300 and not seen["more"]
    assert {"watched", "executed"} <= {signal["verdict"] for signal in seen["signals"]}
    assert told(client, "/api/decisions?ticker=spy&limit=5")["more"]
    assert told(client, "/api/decisions?first=2026-11-23&last=2026-11-23")["signals"] == []
    why = told(client, f"/api/why?of={seen['signals'][0]['signal_id']}")["signals"][0]
    assert why["governor"] == "allowed 4"


def test_today_and_learning_come_from_the_file_and_from_memory(client: FlaskClient) -> None:
    today = told(client, "/api/today")
    assert (today["symbol"], len(today["bars"])) == ("SPY", 161)
    assert len(today["curve"]) == 162 and len(today["marks"]) >= 12
    assert told(client, "/api/today?symbol=zzz")["bars"] == []
    learnt = told(client, "/api/learning")
    assert [weight["feature"] for weight in learnt["weights"]] == sorted(
        ["ignition", "pressure", "surge", "time", "pattern"]
    )
    assert learnt["cells"][0]["trades"] == 30 and learnt["cells_in_all"] == 14
    assert len(learnt["performance"]) > 10


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/trades?limit=0", "limit is a number from 1 to 500"),
        ("/api/trades?limit=501", "limit is a number from 1 to 500"),
        ("/api/trades?limit=١", "limit is a number"),
        ("/api/trades?first=yesterday", "first is a day: YYYY-MM-DD"),
        ("/api/trades?last=2026-02-30", "last is a day: YYYY-MM-DD"),
        ("/api/trades?last=9999-12-31", "last is a day: YYYY-MM-DD"),
        ("/api/trades?first=2026-11-24&last=2026-11-23", "first is no later than last"),
        ("/api/trades?first=2001-01-01", "at most 3660 days"),
        ("/api/trades?engine=a%20b", "engine is a word"),
        ("/api/trades?engine=a&engine=b", "engine is given twice"),
        ("/api/decisions?engine=a", "this address knows first, last, ticker, limit"),
        ("/api/live?x=1", "this address knows no parameter"),
        ("/api/today?symbol='; DROP TABLE outcomes", "symbol is a word"),
    ],
)
def test_a_wrong_parameter_is_one_clear_line(client: FlaskClient, path: str, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert says in answer.get_json()["text"]


def test_a_database_that_cannot_be_read_is_503_and_the_state_still_shows(tmp_path: Path) -> None:
    site = Site(tmp_path, trades=1)
    (tmp_path / "page.db").write_bytes(b"this is no database at all" * 100)
    client = site.app.test_client()
    for path in ("/api/today", "/api/trades", "/api/decisions", "/api/learning"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "database" in answer.get_json()["text"]
    assert told(client, "/api/live")["banner"]["headline"] == "Trading"
    (tmp_path / "page.db").unlink()
    assert client.get("/api/trades").status_code == 503


def test_a_row_that_cannot_be_read_is_no_defect_of_the_page(tmp_path: Path) -> None:
    site = Site(tmp_path, trades=1, facts=books.day())
    with sqlite3.connect(tmp_path / "page.db") as conn:
        conn.execute("UPDATE outcomes SET net_pnl = 'much'")
    conn.close()
    assert site.app.test_client().get("/api/trades").status_code == 503


def test_reading_writes_nothing(site: Site, client: FlaskClient) -> None:
    def content() -> bytes:
        return (site.folder / "page.db").read_bytes()

    before = content()
    for path in ("/api/today", "/api/trades", "/api/decisions", "/api/learning", "/api/why?of=SPY"):
        told(client, path)
    assert content() == before


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[tuple[str, threading.Event, threading.Semaphore]]:
    """A server whose readers hang, as on a dead disk; the event lets them go, the semaphore counts them."""
    go_on, entered = threading.Event(), threading.Semaphore(0)

    def bars(_: str) -> tuple[Bar, ...]:
        entered.release()
        go_on.wait(30)
        return ()

    def facts() -> Facts:
        return books.day()

    figures = Books(facts, books.database(tmp_path / "page.db", 0), DayCurve(), bars)
    server = WebServer(create_app(facts, more=(data_routes(figures),)), "127.0.0.1", 0)
    server.start()
    yield f"http://127.0.0.1:{server.port}", go_on, entered
    go_on.set()
    server.stop()


def test_readers_that_hang_leave_health_its_threads(
    hanging: tuple[str, threading.Event, threading.Semaphore],
) -> None:
    url, go_on, entered = hanging
    answers: list[int] = []

    def ask() -> None:
        answers.append(requests.get(f"{url}/api/today", timeout=60).status_code)

    readers = [threading.Thread(target=ask) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    assert all(entered.acquire(timeout=30) for _ in readers)
    for _ in range(6):
        refused = requests.get(f"{url}/api/today", timeout=10)
        assert refused.status_code == 503
        assert "ask again" in refused.json()["text"]
    assert requests.get(f"{url}/health", timeout=10).status_code == 200
    go_on.set()
    for reader in readers:
        reader.join(30)
    assert answers == [200] * READERS
    assert requests.get(f"{url}/api/today", timeout=10).status_code == 200, "the places are free again"


def test_the_page_comes_with_a_strict_policy_and_only_from_its_folder(client: FlaskClient) -> None:
    index = client.get("/")
    policy = index.headers["Content-Security-Policy"]
    assert index.status_code == 200 and index.mimetype == "text/html"
    assert "script-src 'self'" in policy and "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/page/js/main.js").mimetype == "text/javascript"
    for path in ("/page/../web.py", "/page/%2e%2e/web.py", "/page/index.html", "/page/js", "/page/x.js"):
        assert client.get(path).status_code == 404
    tag = client.get("/page/page.css").headers["ETag"]
    assert client.get("/page/page.css", headers={"If-None-Match": tag}).status_code == 304


def test_every_file_of_the_page_is_served_and_none_names_a_foreign_one(client: FlaskClient) -> None:
    for file in PAGE.rglob("*"):
        if file.is_file() and file.name != "index.html":
            assert client.get(f"/page/{file.relative_to(PAGE)}").status_code == 200, file
    own = [file for file in PAGE.rglob("*") if file.suffix in {".js", ".css", ".html"}]
    assert len(own) > 10
    for file in own:
        text = (
            file.read_text()
            .replace('<a href="https://www.tradingview.com/"', "")
            .replace(">https://www.tradingview.com/</a>", "")
        )
        assert "http:" not in text and "https:" not in text and "url(" not in text, file
        assert "innerHTML" not in text and "document.write" not in text and "Storage" not in text, file


def test_the_charting_library_comes_with_its_licence_and_notice(client: FlaskClient) -> None:
    assert "Apache License" in client.get("/page/vendor/lightweight-charts.LICENSE").get_data(as_text=True)
    notice = client.get("/page/vendor/lightweight-charts.NOTICE").get_data(as_text=True)
    page = " ".join(client.get("/").get_data(as_text=True).split())
    for line in notice.split("\n"):
        assert line.replace("https://www.tradingview.com/", "").strip() in page


def test_the_description_names_every_route_and_no_other(site: Site) -> None:
    routes = {
        (rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}"), method)
        for rule in site.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    paths = description("0", offered())["paths"]
    assert isinstance(paths, dict)
    assert {(path, method.upper()) for path, methods in paths.items() for method in methods} == routes


def test_the_state_needs_neither_file_nor_lock(tmp_path: Path) -> None:
    site = Site(tmp_path, facts=books.day(books.EOD + timedelta(seconds=5), eod_due_not_proven_s=5.0))
    (tmp_path / "page.db").unlink()
    live = told(site.app.test_client(), "/api/live")
    assert live["eod"]["state"] == "closing"
    assert live["controls"] == []
