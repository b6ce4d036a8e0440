"""The console's own description, made from the table of pages it is served from."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stairways import __version__
from stairways.console.desk import Page
from stairways.console.questions import FORMAT, LONGEST, MOST_VALUES, Question
from stairways.core.values import LARGEST_WHOLE_NUMBER

WHOLE = ("position", "cycle", "attempt", "number")


def description(pages: Sequence[Page]) -> dict[str, Any]:
    """Return an OpenAPI 3.1 description of the pages."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stairways console", "version": __version__},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {_plain(page.path): {"get": _operation(page)} for page in pages},
    }


def _operation(page: Page) -> dict[str, Any]:
    kinds = [page.kind]
    if FORMAT in page.questions:
        kinds += ["text/csv", "application/json"]
    refused = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "summary": page.summary,
        "parameters": [
            *map(_in_path, re.findall(r"{(\w+)(?::\w+)?}", page.path)),
            *map(_in_query, page.questions),
        ],
        "responses": {
            "200": {"description": "the page", "content": {kind: {} for kind in kinds}},
            **{
                code: {"description": words, "content": refused} for code, words in REFUSALS.items()
            },
        },
    }


REFUSALS = {
    "400": "a parameter is unknown or wrong",
    "401": "nobody is logged in",
    "403": "the role may not see this",
    "404": "the log holds no such thing",
    "409": "it cannot be proved",
    "414": "the address is too long",
    "429": "too many requests",
    "503": "the log cannot be read now",
}


def _in_path(name: str) -> Mapping[str, Any]:
    whole = {"type": "integer", "minimum": 0, "maximum": LARGEST_WHOLE_NUMBER}
    schema = whole if name in WHOLE else {"type": "string", "minLength": 1, "maxLength": LONGEST}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(question: Question) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = question.schema
    if question.many:
        schema = {"type": "array", "items": schema, "maxItems": MOST_VALUES}
    return {
        "name": question.name,
        "in": "query",
        "description": question.meaning,
        "schema": schema,
        "allowEmptyValue": True,
    }


def _plain(path: str) -> str:
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)
