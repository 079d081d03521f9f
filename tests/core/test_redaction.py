import json
from urllib.parse import quote, quote_plus

import pytest

from wsb_snake.core.redaction import Redactor

AWKWARD = 'pä ss/"w\\ord+&='


@pytest.mark.parametrize(
    "form",
    [
        AWKWARD,
        quote(AWKWARD),
        quote(AWKWARD, safe=""),
        quote_plus(AWKWARD),
        repr(AWKWARD),
        json.dumps(AWKWARD),
    ],
)
def test_a_known_secret_goes_in_every_form(form: str) -> None:
    told = Redactor((AWKWARD,))(f"before {form} after")
    assert "ord" not in told and told.startswith("before ") and told.endswith(" after")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer abc.DEF-123", "Authorization: Bearer ***"),
        ("{'Authorization': 'Bearer abcdefghij'}", "{'Authorization': 'Bearer ***'}"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ("{'APCA-API-SECRET-KEY': 'abc123'}", "{'APCA-API-SECRET-KEY': '***'}"),
        ("APCA-API-KEY-ID: PKABC", "APCA-API-KEY-ID: ***"),
        ("GET /v3/x?limit=5&apiKey=abc123&sort=asc", "GET /v3/x?limit=5&apiKey=***&sort=asc"),
        (
            "https://api.telegram.org/bot12345:AAE-x_y/sendMessage",
            "https://api.telegram.org/bot***/sendMessage",
        ),
        ("/bot12345%3AAAE/getMe", "/bot***/getMe"),
        ("via http://user:pass@proxy:3128/", "via http://***@proxy:3128/"),
    ],
)
def test_what_looks_like_a_secret_goes_though_nobody_knows_it(text: str, told: str) -> None:
    assert Redactor(())(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "5 SPY261124C00600000 @ 1.35, stop 1.15: https://paper-api.alpaca.markets/v2/orders?status=all",
        "the broker refuses the API keys",
        "basic rules, bearer of news; the robot/bottle is fine",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    assert Redactor(("",))(text) == text
