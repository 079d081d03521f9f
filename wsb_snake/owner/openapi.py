"""What the HTTP interface is, in OpenAPI 3.0: served at ``/api/openapi.json``, and what the tests fuzz by."""

from collections.abc import Mapping, Sequence

from flask import Blueprint, Response, jsonify

from wsb_snake.owner.live import Control
from wsb_snake.owner.status import Json
from wsb_snake.owner.web_query import MOST_ROWS, query

_SHOWN = ("status", "snake_running", "mode", "open_positions", "all_positions_monitored", "trading_paused")


def openapi_routes(version: str, controls: Sequence[Control]) -> Blueprint:
    """``GET /api/openapi.json``; ``controls`` are the verbs that may be posted."""
    routes = Blueprint("openapi", __name__)
    told = description(version, controls)

    @routes.get("/api/openapi.json")
    def openapi() -> Response:
        query()
        return jsonify(told)

    return routes


def description(version: str, controls: Sequence[Control]) -> Json:
    """The whole document."""
    paths: Json = {
        "/": {"get": _get("The page", kind="text/html")},
        "/page/{name}": {
            "get": _get(
                "A file of the page",
                [{"name": "name", "in": "path", "required": True, "schema": _text()}],
                kind="*/*",
                also={"404": "There is no such file"},
            )
        },
        "/status": {"get": _get("The state as a plain page, without scripts", kind="text/html")},
        "/health": {
            "get": _get("Whether all is well", schema=_object(_SHOWN), also={"503": "Unhealthy; same body"})
        },
        "/metrics": {"get": _get("Counts, latencies and gauges for Prometheus", kind="text/plain")},
        "/api/openapi.json": {"get": _get("This document", schema=_object(("openapi", "paths")))},
        "/api/status": {"get": _get("Everything that is true now", schema=_object((*_SHOWN, "positions")))},
        "/api/live": {
            "get": _get(
                "The same with banner, countdown, distances and controls",
                schema=_object((*_SHOWN, "banner", "eod", "positions", "signs", "controls")),
            )
        },
        **_reading(),
        **{f"/api/{each.verb}": {"post": _post(each)} for each in controls},
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "WSB Snake",
            "version": version,
            "description": "Reads are open to this machine. Changes take a POST with the control token.",
        },
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    }


def _reading() -> Json:
    """What reads the database: 503 while it cannot be read, or others read it."""
    days = [_asked("first", _day()), _asked("last", _day())]
    limit = _asked("limit", {"type": "integer", "minimum": 1, "maximum": MOST_ROWS})
    busy = {"400": "A parameter is wrong; the text says which", "503": "The database cannot be read now"}
    return {
        "/api/today": {
            "get": _get(
                "Today's result over time, and a price with entries and exits",
                [_asked("symbol", _word())],
                schema=_object(("day", "curve", "symbol", "symbols", "bars", "marks")),
                also=busy,
            )
        },
        "/api/decisions": {
            "get": _get(
                "What the engines saw, and the verdict on it",
                [*days, _asked("ticker", _word()), limit],
                schema=_object(("signals", "more")),
                also=busy,
            )
        },
        "/api/trades": {
            "get": _get(
                "Closed trades by their real fills, the newest first",
                [*days, *(_asked(name, _word()) for name in ("engine", "setup", "ticker", "reason")), limit],
                schema=_object(("first", "last", "trades", "more", "sum")),
                also=busy,
            )
        },
        "/api/learning": {
            "get": _get(
                "What was learnt: weights, hours, setups and exits",
                schema=_object(("weights", "cells", "performance")),
                also={"503": busy["503"]},
            )
        },
        "/api/why": {
            "get": _get(
                "Why a signal, or the newest of a ticker, was traded or not",
                [{**_asked("of", _text()), "required": True}],
                schema=_object(("signals", "more")),
                also={**busy, "404": "No such signal, and no signal of such a ticker"},
            )
        },
    }


def _get(
    summary: str,
    parameters: Sequence[Json] = (),
    *,
    schema: Mapping[str, object] | None = None,
    kind: str = "application/json",
    also: Mapping[str, str] | None = None,
) -> Json:
    content = {kind: {} if schema is None else {"schema": schema}}
    others = {code: {"description": text} for code, text in (also or {}).items()}
    return {
        "summary": summary,
        **({"parameters": list(parameters)} if parameters else {}),
        "responses": {"200": {"description": summary, "content": content}, **others},
    }


def _post(control: Control) -> Json:
    """A command. One that is ``confirmed`` answers 202 with a token first, and is done with it."""
    body = {
        "type": "object",
        "properties": {"argument": _text(), "confirm": _text()},
        "additionalProperties": False,
    }
    codes = {
        "200": "Done, or under way",
        "400": "The body or the argument is wrong; the text says how",
        "401": "The control token is missing or wrong",
        "403": "No control token is set",
        "409": "Refused by the daemon, or the confirm is used, too old or for another command",
        "413": "The body is too long",
        "415": "The body is not JSON",
        "503": "Nothing was done: others are at work, or another halt is",
    }
    if control.confirmed:
        codes["202"] = "What it would do, and the confirm that does it within 30 s"
    return {
        "summary": f"The owner's {control.verb}",
        "security": [{"token": []}],
        "requestBody": {"required": False, "content": {"application/json": {"schema": body}}},
        "responses": {code: {"description": codes[code]} for code in sorted(codes)},
    }


def _text() -> Json:
    return {"type": "string"}


def _word() -> Json:
    return {"type": "string", "pattern": "^[A-Za-z0-9_.+-]{1,40}$"}


def _day() -> Json:
    return {"type": "string", "format": "date"}


def _asked(name: str, schema: Mapping[str, object]) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _object(required: Sequence[str]) -> Json:
    return {"type": "object", "required": list(required)}
