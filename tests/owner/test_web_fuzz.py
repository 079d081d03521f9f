"""The HTTP interface under made-up requests of every kind, over loopback and by its own description."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.browser import books
from tests.browser.site import TOKEN, Site
from wsb_snake.owner.openapi import description
from wsb_snake.owner.web_commands import offered

TIMES = settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
NAMES = ("first", "last", "limit", "ticker", "engine", "setup", "reason", "symbol", "of")

SCHEMA = schemathesis.openapi.from_dict(description("0", offered()))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
POSTS = [operation for operation in OPERATIONS if operation.method.upper() == "POST"]
Operation: TypeAlias = "APIOperation[Any, Any, Any, Any]"


@pytest.fixture(scope="module", params=[TOKEN, None], ids=["token", "no-token"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    held = books.day(positions=books.holding(3), broker_positions=3)
    folder = tmp_path_factory.mktemp("fuzz")
    with Site(
        folder, facts=held, trades=30, token=request.param, curve=books.curve(), bars=books.minutes
    ) as running:
        yield running


@pytest.fixture(scope="module")
def junk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("junk"), trades=30, token=TOKEN) as running:
        yield running


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.label)
def test_no_request_breaks_it_and_none_without_the_token_changes_anything(
    site: Site, operation: Operation
) -> None:
    @TIMES
    @given(case=operation.as_strategy())
    def check(case: "Case[Any]") -> None:
        answer = case.call(base_url=site.url)
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        assert "Traceback" not in answer.text
        assert site.desk.asked == []

    check()


@pytest.mark.parametrize("operation", POSTS, ids=lambda each: each.label)
def test_what_the_description_forbids_is_refused(site: Site, operation: Operation) -> None:
    @TIMES
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def check(case: "Case[Any]") -> None:
        answer = case.call(base_url=site.url)
        assert 400 <= answer.status_code < 500
        assert "Traceback" not in answer.text
        assert site.desk.asked == []

    check()


@TIMES
@given(
    path=st.sampled_from([operation.path for operation in OPERATIONS if operation not in POSTS]),
    asked=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), st.text(max_size=60), max_size=3),
    method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "POST"]),
)
def test_any_query_and_method_gets_a_plain_answer(
    junk: Site, path: str, asked: dict[str, str], method: str
) -> None:
    answer = requests.request(method, junk.url + path, params=asked, timeout=30)
    assert answer.status_code in {200, 400, 404, 405}
    assert "Traceback" not in answer.text
    assert junk.desk.asked == []


@pytest.mark.parametrize("operation", POSTS, ids=lambda each: each.label)
def test_with_the_token_every_body_gets_a_clear_answer(
    tmp_path_factory: pytest.TempPathFactory, operation: Operation
) -> None:
    held = books.day(positions=books.holding(3), broker_positions=3)
    with Site(tmp_path_factory.mktemp("posts"), facts=held, token=TOKEN) as site:

        @TIMES
        @given(case=operation.as_strategy())
        def check(case: "Case[Any]") -> None:
            answer = case.call(base_url=site.url, headers={"Authorization": f"Bearer {TOKEN}"})
            assert answer.status_code in {200, 202, 400, 409, 413, 415}
            assert answer.json().get("text") or answer.json().get("error")

        check()
