"""Problem documents: every failure has a status, a title, a stable code, a sentence and a hint."""

import inspect
import json
from typing import Any

import pytest
from aiohttp import web

from syncd import errors
from syncd.api.errors import problem_of, problem_of_http, problem_of_unexpected
from syncd.errors import Exceeded, Forbidden, InvalidMessage, RateLimited, StoreUnavailable, SyncdError, Unauthenticated

EVERY_ERROR = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SyncdError)]


def document(response: web.Response) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    value: dict[str, Any] = json.loads(response.body)
    assert value["status"] == response.status
    assert value["type"] == f"urn:syncd:problem:{value['code']}"
    assert value["title"]
    assert value["title"] != "The request was refused"
    assert value["detail"]
    assert value["hint"]
    return value


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_every_error_has_a_problem_document(kind: type[SyncdError]) -> None:
    error = RateLimited("it is so", Exceeded(3, 1)) if kind is RateLimited else kind("it is so")
    problem = document(problem_of(error))
    assert problem["detail"] == "it is so"
    assert problem["code"] == kind.code
    assert problem["status"] >= 400


def test_a_problem_names_the_field() -> None:
    assert document(problem_of(InvalidMessage("no", field="scopes")))["field"] == "scopes"
    assert "field" not in document(problem_of(InvalidMessage("no")))


def test_a_code_may_be_more_precise_than_its_class() -> None:
    problem = document(problem_of(Forbidden("no", code="wrong_host")))
    assert (problem["code"], problem["status"]) == ("wrong_host", 421)


def test_who_may_come_again_is_told_when() -> None:
    assert problem_of(StoreUnavailable("busy", retry_after_s=7)).headers["Retry-After"] == "7"
    assert int(problem_of(StoreUnavailable("busy")).headers["Retry-After"]) > 0
    assert problem_of(RateLimited("too many", Exceeded(3, 6001))).headers["Retry-After"] == "7"


def test_who_needs_a_token_is_told_the_scheme() -> None:
    assert problem_of(Unauthenticated("who?")).headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("refusal", [web.HTTPNotFound(), web.HTTPMethodNotAllowed("PUT", ["POST"])])
def test_what_aiohttp_refuses_is_a_problem_too(refusal: web.HTTPException) -> None:
    response = problem_of_http(refusal)
    document(response)
    assert response.headers.get("Allow") == refusal.headers.get("Allow")


def test_a_fault_of_the_server_tells_its_incident_and_nothing_else() -> None:
    problem = document(problem_of_unexpected("cafe0123"))
    assert (problem["status"], problem["incident"]) == (500, "cafe0123")


def test_any_text_can_stand_in_a_problem() -> None:
    assert document(problem_of(InvalidMessage("half \ud800 a pair")))["detail"] == "half \ud800 a pair"
