"""The description of the API for programs (OpenAPI 3.1), made of the table that the server follows and of the shapes.

Rules: https://spec.openapis.org/oas/v3.1.0; schemas are those of JSON Schema 2020-12, as pydantic makes them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from proxy.admin import shapes
from proxy.admin.endpoints import ENDPOINTS, Endpoint
from proxy.admin.shapes import Shape

REFERENCE: Final = "#/components/schemas/{model}"
_PART: Final = re.compile(r"\{(\w+)\}")
PARTS: Final = {
    "upstream": "name of an upstream",
    "backend": "address of a backend, percent-encoded",
    "request_id": "id of a request, as $request_id and X-Request-ID have it",
    "site": "name of a site",
}
REFUSALS: Final = {
    "400": "The request says something wrong",
    "401": "A token is required",
    "403": "The token may only read, or a page of another site asks",
    "404": "There is no such thing",
}


def description(version: str) -> dict[str, Any]:
    """The whole document."""
    kinds: list[type[Shape]] = [shapes.Refusal, shapes.Session, shapes.Login]
    for endpoint in ENDPOINTS:
        kinds += [endpoint.gives, *([endpoint.takes] if endpoint.takes is not None else [])]
    _, made = models_json_schema([(kind, "validation") for kind in dict.fromkeys(kinds)], ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "frontgate",
            "version": version,
            "description": "The admin door of frontgate. Times are seconds since 1970, durations seconds.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {**paths, **_others()},
        "components": {
            "schemas": made["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "frontgate_session"},
            },
        },
        "security": [{"token": []}, {"session": []}, {}],
    }


def operation(endpoint: Endpoint) -> dict[str, Any]:
    """One method of one path."""
    parameters = [
        {"name": name, "in": "path", "required": True, "description": PARTS[name], "schema": {"type": "string"}}
        for name in _PART.findall(endpoint.path)
    ]
    parameters += [
        {
            "name": one.name,
            "in": "query",
            "description": one.words,
            "schema": {"type": "integer", "minimum": 1, "maximum": one.most, "default": one.default},
        }
        for one in endpoint.questions
    ]
    found: dict[str, Any] = {
        "operationId": _name(endpoint),
        "summary": endpoint.summary,
        "responses": {str(endpoint.status): _json(endpoint.gives, endpoint.gives.__doc__ or ""), **_refusals()},
    }
    if parameters:
        found["parameters"] = parameters
    if endpoint.takes is not None:
        found["requestBody"] = {"required": True, "content": _content(endpoint.takes)}
    return found


def _others() -> dict[str, Any]:
    """What is no row of the table: sessions, events, and this document."""
    session = _json(shapes.Session, "What whoever asks may do")
    return {
        "/api/session": {
            "get": {"operationId": "get_session", "summary": "What I may do", "responses": {"200": session}},
            "post": {
                "operationId": "post_session",
                "summary": "Log in: a cookie for a token",
                "requestBody": {"required": True, "content": _content(shapes.Login)},
                "responses": {"200": session, **_refusals()},
            },
            "delete": {"operationId": "delete_session", "summary": "Log out", "responses": {"200": session}},
        },
        "/api/events": {
            "get": {
                "operationId": "get_events",
                "summary": "News as server-sent events: hello, tick, errors, slowest, change, reload, certificates",
                "responses": {
                    "200": {"description": "Events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
                    "503": _json(shapes.Refusal, "Too many listen already"),
                },
            }
        },
        "/api/openapi.json": {
            "get": {
                "operationId": "get_openapi",
                "summary": "This document",
                "responses": {
                    "200": {
                        "description": "OpenAPI 3.1",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


def _name(endpoint: Endpoint) -> str:
    words = [word for word in re.split(r"[/{}]+", endpoint.path.removeprefix("/api/v1")) if word]
    return "_".join([endpoint.method.lower(), *words])


def _content(kind: type[Shape]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=kind.__name__)}}}


def _json(kind: type[Shape], words: str) -> dict[str, Any]:
    return {"description": words, "content": _content(kind)}


def _refusals() -> dict[str, Any]:
    return {status: _json(shapes.Refusal, words) for status, words in REFUSALS.items()}
