"""The real server with made-up facts behind it, and a browser window that notes what goes wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser import books
from tests.owner.test_commands import RecordingDesk
from wsb_snake import __version__
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.health import Facts
from wsb_snake.core.metrics import Metrics
from wsb_snake.core.order_tape import OrderTape
from wsb_snake.core.types import Bar
from wsb_snake.owner.commands import Commands
from wsb_snake.owner.day_curve import DayCurve
from wsb_snake.owner.metrics_page import Measured, metrics_routes
from wsb_snake.owner.openapi import openapi_routes
from wsb_snake.owner.web import WebServer, create_app
from wsb_snake.owner.web_commands import command_routes, offered
from wsb_snake.owner.web_data import Books, data_routes, live_routes
from wsb_snake.owner.web_page import page_routes
from wsb_snake.owner.web_why import why_routes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

TOKEN = "the-owner-knows-it"
PATIENCE_MS = 30_000
STEP_MS = 50


class Site:
    """``facts`` may be changed while it runs; ``desk`` notes what was asked for."""

    def __init__(
        self,
        folder: Path,
        facts: Facts | None = None,
        trades: int = 0,
        token: str | None = None,
        curve: DayCurve | None = None,
        bars: Callable[[str], tuple[Bar, ...]] = lambda _: (),
    ) -> None:
        self.facts = books.day() if facts is None else facts
        self.folder = folder
        self.desk = RecordingDesk()
        database = books.database(folder / "page.db", trades)
        controls = () if token is None else offered()
        figures = Books(lambda: self.facts, database, curve or DayCurve(), bars, controls)
        commands = Commands(self.desk, lambda: self.facts)
        more = (
            page_routes(),
            live_routes(figures),
            data_routes(figures),
            why_routes(database),
            openapi_routes(__version__, offered()),
            metrics_routes(Measured(Metrics(), OrderTape(), lambda: self.facts, dict, lambda: 0)),
        )
        routes = command_routes(commands, token, SystemClock().monotonic)
        self.app = create_app(lambda: self.facts, commands=routes, more=more)
        self._server = WebServer(self.app, "127.0.0.1", 0)

    def __enter__(self) -> "Site":
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


class Window:
    """One page in the browser. ``foreign`` are requests that would have left the machine, ``wrong`` what
    the console complained of."""

    def __init__(self, page: "Page", url: str) -> None:
        self.page = page
        self.url = url
        self.foreign: list[str] = []
        self.wrong: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.route("**/*", self._guard)
        page.on("console", lambda said: self._console(said.type, said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", self._failed)

    def open(self) -> None:
        """Until everything that the page shows has been drawn once."""
        self.page.goto(self.url)
        self.page.wait_for_selector("html[data-ready=all]", state="attached")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def wait(self, script: str) -> None:
        """Until ``script`` is true in the page; asked from outside, for the page's policy forbids eval."""
        for _ in range(PATIENCE_MS // STEP_MS):
            if self.page.evaluate(script):
                return
            self.page.wait_for_timeout(STEP_MS)
        raise AssertionError(f"never came true: {script}")

    def _guard(self, route: "Route", request: "Request") -> None:
        if request.url.startswith((self.url, "data:", "blob:")):
            route.continue_()
            return
        self.foreign.append(request.url)
        route.abort()

    def _console(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.wrong.append(text)

    def _failed(self, request: "Request") -> None:
        if request.failure != "net::ERR_ABORTED":  # the window was closed
            self.wrong.append(f"{request.url}: {request.failure}")


@contextmanager
def window(browser: "Browser", site: Site | str, **options: Any) -> Iterator[Window]:
    """A window of its own on ``site`` or an address: no cookie and no cache of another."""
    context = browser.new_context(**options)
    try:
        yield Window(context.new_page(), site if isinstance(site, str) else site.url)
    finally:
        context.close()
