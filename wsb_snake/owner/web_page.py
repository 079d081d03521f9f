"""The page at ``/``: fixed files from the package, nothing from elsewhere, and scripts of our own only."""

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

PAGE = Path(__file__).parent / "page"
INDEX = "index.html"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_TYPES = MappingProxyType(
    {
        ".html": "text/html",
        ".css": "text/css",
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".svg": "image/svg+xml",
        ".LICENSE": "text/plain",
        ".NOTICE": "text/plain",
    }
)


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str


def page_routes() -> Blueprint:
    """``/`` and ``/page/<file>``, read into memory here: a disk that hangs takes no page away.

    A browser asks each time whether a file has changed.
    """
    routes = Blueprint("page", __name__)
    files = {
        file.relative_to(PAGE).as_posix(): _File(file.read_bytes(), _TYPES[file.suffix])
        for file in sorted(PAGE.rglob("*"))
        if file.suffix in _TYPES
    }

    @routes.get("/")
    def index() -> Response:
        return _answer(files.get(INDEX))

    @routes.get("/page/<path:name>")
    def asset(name: str) -> Response:
        return _answer(None if name == INDEX else files.get(name))

    return routes


def _answer(file: _File | None) -> Response:
    """Raises NotFound for what is no file of the page."""
    if file is None:
        raise NotFound
    answer = Response(file.body, mimetype=file.kind)
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["Content-Security-Policy"] = POLICY
    answer.add_etag()
    answer.make_conditional(request)
    return answer
