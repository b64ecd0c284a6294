"""How the interface describes itself in /openapi.json."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi.responses import Response

from serving.gateway.answers import Models, RestoredPicture
from serving.gateway.bodies import FIELD
from serving.gateway.negotiation import JSON, OFFERED, PICTURES
from serving.protocol import FACES_HEADER, MODEL_HEADER, PROBLEM_TYPE, VERSION_HEADER

_PICTURE = {"type": "string", "format": "binary"}
_DETAILS = {
    401: "send a valid key (Authorization: Bearer KEY)",
    403: "this key does not have the scope infer",
    406: f"an answer can be {', '.join(OFFERED)}; see Accept",
    408: "the body did not arrive within 60 s",
    413: "a picture may have 40000000 pixels at most",
    415: "what was sent is not a picture in JPEG, PNG, WEBP, BMP, TIFF, GIF",
    422: "no face was found; where the whole picture is one face, send it to /v1/faces",
    429: "the server is busy; try again",
    500: "the picture was not restored",
    503: "the model is starting again",
    504: "no answer within 120 s",
}
_RETRIED = (429, 503)
_RESTORED = {
    "model": "sparnethd",
    "version": "3f2a9c01b7de",
    "width": 512,
    "height": 512,
    "faces": [
        {
            "box": [170.2, 70.4, 278.9, 214.0],
            "points": [
                [200.1, 116.3],
                [249.8, 115.2],
                [231.4, 146.0],
                [205.7, 174.9],
                [247.3, 173.6],
            ],
            "score": 0.9312,
            "confidence": 0.6417,
            "reason": "blurred",
        }
    ],
    "left": [{"confidence": 0.1042, "reason": "small"}],
    "picture": {"media_type": "image/png", "base64": "iVBORw0KGgo="},
}
_MODEL = {
    "name": "sparnethd",
    "version": "3f2a9c01b7de",
    "side": 512,
    "max_pixels": 40_000_000,
    "attention": False,
    "default": True,
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
    },
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    example = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": _DETAILS[status],
        "request_id": "4f1e2c8f0a5d4b7c9c5f3f0d2b6a1e90",
    }
    described: dict[str, Any] = {
        "description": phrase,
        "content": {PROBLEM_TYPE: {"schema": _PROBLEM, "example": example}},
    }
    if status in _RETRIED:
        described["headers"] = {
            "Retry-After": {"description": "seconds", "schema": {"type": "integer"}}
        }
    return described


def _json(description: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": description,
            "content": {JSON: {"schema": {"type": "object"}, "example": example}},
        }
    }


def _takes_a_picture(summary: str) -> dict[str, Any]:
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: _PICTURE}}
    body = {
        "required": True,
        "description": "A picture file, as it is or as the field of a form",
        "content": {
            "application/octet-stream": {"schema": _PICTURE},
            "image/*": {"schema": _PICTURE},
            "multipart/form-data": {"schema": form},
        },
    }
    restored: dict[str, Any] = {
        "description": "The restored picture, without metadata; in JSON with what was found in it",
        "model": RestoredPicture,
        "content": {
            **{media_type: {"schema": _PICTURE} for media_type in PICTURES},
            JSON: {"example": _RESTORED},
        },
        "headers": {
            FACES_HEADER: {"description": "faces", "schema": {"type": "integer"}},
            MODEL_HEADER: {"schema": {"type": "string"}},
            VERSION_HEADER: {"schema": {"type": "string"}},
        },
    }
    responses: dict[int | str, dict[str, Any]] = {200: restored, **_problems(*_DETAILS)}
    return {
        "summary": summary,
        "tags": ["pictures"],
        "response_class": Response,
        "responses": responses,
        "openapi_extra": {"requestBody": body},
    }


API: dict[str, Any] = {
    "title": "SPARNet",
    "version": "1",
    "description": "Restores the faces of photographs. Errors are problem details (RFC 9457).",
}
ENHANCE = _takes_a_picture("Restore the faces of a photograph")
FACES = _takes_a_picture("Restore one aligned face")
MODELS: dict[str, Any] = {
    "summary": "List the models",
    "tags": ["models"],
    "responses": {
        200: {
            "description": "The models and their versions",
            "model": Models,
            "content": {JSON: {"example": {"models": [_MODEL]}}},
        },
        **_problems(401, 403, 429),
    },
}
LIVEZ: dict[str, Any] = {
    "summary": "The gateway runs",
    "tags": ["operation"],
    "responses": _json("It does", {"status": "alive"}),
}
READYZ: dict[str, Any] = {
    "summary": "Every model restores a picture",
    "tags": ["operation"],
    "responses": {
        **_json("All do", {"status": "ready", "models": {"sparnethd": "ready"}}),
        **_problems(503),
    },
}
METRICS: dict[str, Any] = {
    "summary": "Figures for Prometheus; needs the scope admin",
    "tags": ["operation"],
    "response_class": Response,
    "responses": {
        200: {"description": "Text format", "content": {"text/plain": {"schema": {}}}},
        **_problems(401, 403, 429),
    },
}
