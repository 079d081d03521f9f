"""The page at ``/``: fixed files from the package, nothing from elsewhere, and scripts of our own only."""

from pathlib import Path
from types import MappingProxyType

from flask import Blueprint, Response, send_from_directory
from werkzeug.exceptions import NotFound

PAGE = Path(__file__).parent / "page"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES = MappingProxyType(
    {
        ".css": "text/css",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".svg": "image/svg+xml",
        ".LICENSE": "text/plain",
        ".NOTICE": "text/plain",
    }
)


def page_routes() -> Blueprint:
    """``/`` and ``/page/<file>``; a browser asks each time whether a file has changed."""
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def index() -> Response:
        return _file("index.html", "text/html")

    @routes.get("/page/<path:name>")
    def asset(name: str) -> Response:
        kind = _TYPES.get(Path(name).suffix)
        if kind is None:
            raise NotFound
        return _file(name, kind)

    return routes


def _file(name: str, kind: str) -> Response:
    """Raises NotFound for what is not in the folder."""
    answer = send_from_directory(PAGE, name, mimetype=kind)
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Content-Security-Policy"] = POLICY
    return answer
