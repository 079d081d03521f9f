"""What every handler of the embedded exchange takes and gives: one request, one reply, no socket."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One HTTP request. ``path`` and ``query`` are percent-decoded, header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ApiReply:
    """One HTTP reply. ``headers`` are (name, value) pairs beside the content type and length."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
