"""``GET /api/why?of=<signal or ticker>``: the decision journal over HTTP. It reads the database file only."""

from pathlib import Path

from flask import Blueprint, Response, jsonify, request

from wsb_snake.owner.why import NothingKnown, why


def why_routes(database: Path) -> Blueprint:
    """The route; 400 without ``of``, 404 for what is not known."""
    routes = Blueprint("why", __name__)

    @routes.get("/api/why")
    def explain() -> tuple[Response, int]:
        what = request.args.get("of", "").strip()
        if not what:
            return jsonify(text="name a signal or a ticker: /api/why?of=SPY"), 400
        try:
            reasons = why(database, what)
        except NothingKnown as error:
            return jsonify(text=str(error)), 404
        return jsonify(signals=[each.as_json() for each in reasons.told], more=reasons.more), 200

    return routes
