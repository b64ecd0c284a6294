"""The routes of the gateway.

Pictures may be PUT as well as POSTed, which is what `curl -T` does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from serving.gateway import answers, bodies, description, metrics, negotiation, page, pictures
from serving.gateway.keys import Scope
from serving.gateway.limits import RETRY_SECONDS
from serving.gateway.negotiation import Wanted
from serving.gateway.problems import Refusal
from serving.gateway.queries import EnhanceQuery, FacesQuery
from serving.gateway.services import Services
from serving.gateway.upstream import Restored
from serving.gateway.visit import Visit
from serving.protocol import FACES_HEADER, MODEL_HEADER, VERSION_HEADER, Options
from serving.routes import ServedModel
from sparnet.errors import first_mistake

_bearer = HTTPBearer(auto_error=False, description="a key: serving keys add")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
router = APIRouter()


def _key_for(scope: Scope) -> Any:
    """A dependency that lets in whoever holds a key with this scope."""

    async def admit(request: Request, credentials: Credentials) -> None:
        key = credentials.credentials if credentials else None
        _visit(request).key_id = _services(request).admit(key, scope).id

    return Depends(admit)


_infer, _admin = _key_for("infer"), _key_for("admin")


def create_app(services: Services) -> FastAPI:
    """The application; its lifespan closes the connections to TorchServe."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.upstream:
            yield
            await services.shadows.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, **description.API)
    app.state.services = services
    app.include_router(router)
    app.include_router(page.router)
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_failure)
    return app


@router.put("/v1/enhance", dependencies=[_infer], **description.ENHANCE)
@router.post("/v1/enhance", dependencies=[_infer], **description.ENHANCE)
async def enhance(request: Request, query: Annotated[EnhanceQuery, Query()]) -> Response:
    """Find the faces of a photograph, restore them and put them back."""
    return await _restore(request, query)


@router.put("/v1/faces", dependencies=[_infer], **description.FACES)
@router.post("/v1/faces", dependencies=[_infer], **description.FACES)
async def faces(request: Request, query: Annotated[FacesQuery, Query()]) -> Response:
    """Restore a picture that is one aligned face; the answer has the network's own size."""
    return await _restore(request, query)


@router.get("/v1/models", dependencies=[_infer], **description.MODELS)
async def models(request: Request) -> JSONResponse:
    """The models that are served."""
    routes = _services(request).routes()
    served = [
        {
            **route.main.model_dump(),
            "default": route.name == routes.default_model,
        }
        for route in routes.routes
    ]
    return JSONResponse({"models": served})


@router.get("/livez", **description.LIVEZ)
async def livez() -> JSONResponse:
    """Whether the gateway itself runs."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", **description.READYZ)
async def readyz(request: Request) -> JSONResponse:
    """Whether every model restores a picture; told anew every few seconds."""
    services = _services(request)
    if services.gate.closing:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the server is stopping")
    served = [route.main for route in services.routes().routes]
    states = await services.readiness.check(served)
    ill = [f"{name}: {state}" for name, state in states.items() if state != "ready"]
    if ill:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(ill))
    return JSONResponse({"status": "ready", "models": states})


@router.get("/metrics", dependencies=[_admin], **description.METRICS)
async def metrics_text(request: Request) -> Response:
    """Figures for Prometheus. Whoever has read them knows that the gateway follows the routes of
    this moment: a version that they show without requests gets none any more."""
    if not _services(request).follows():
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the routes cannot be read", RETRY_SECONDS)
    return Response(_services(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


async def _restore(request: Request, query: FacesQuery) -> Response:
    services, visit = _services(request), _visit(request)
    wanted = negotiation.choose(",".join(request.headers.getlist("accept")))
    options, settings = query.options(), services.settings
    visit.model = services.route(query.model).main
    gate, hold = services.gate, partial(services.gate.hold, visit)
    gate.check(services.routes().capacity)
    # A place is for a whole picture: who sends slowly takes none.
    body = await bodies.picture(request, settings.max_body_bytes, settings.upload_seconds, hold)
    with gate.place(services.routes().capacity):
        # Nobody waits from the choice until the request counts as the chosen version's.
        model, visit.role = services.route(query.model).choose(services.draw())
        visit.model = model
        with services.metrics.inside(model):
            if options.attention:
                _check_attention(model, wanted)
            await pictures.check_aside(body, model.max_pixels, options.upscale)
            with visit.upstream():
                restored = await _ask(services, model, body, options)
            visit.handler_seconds = restored.head.seconds
            content = await answers.content(restored, model, wanted)
    hold(len(content))
    shadow = services.route(query.model).shadow(services.draw())
    if shadow is not None:
        services.shadows.follow(shadow, body, options, restored)
    visit.faces = restored.faces
    headers = {
        FACES_HEADER: str(restored.faces),
        MODEL_HEADER: model.name,
        VERSION_HEADER: model.version,
        "Vary": "Accept",
    }
    return Response(content, headers=headers, media_type=wanted.media_type)


def _check_attention(model: ServedModel, wanted: Wanted) -> None:
    if not wanted.json:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"attention: is shown in JSON only; send Accept: {negotiation.JSON}",
        )
    if not model.attention:
        raise Refusal(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"attention: {model.name} has no maps that can be shown; see /v1/models",
        )


async def _ask(services: Services, model: ServedModel, body: bytes, options: Options) -> Restored:
    try:
        restored = await services.upstream.restore(model, body, options)
    except Refusal as refusal:
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            services.readiness.failed(model)
        raise
    services.readiness.restored(model)
    return restored


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response(_visit(request).request_id)


async def _on_http_error(request: Request, error: Exception) -> Response:
    """An unknown path or a method that a path does not have."""
    assert isinstance(error, HTTPException)
    status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _methods(request.url.path) or headers.get("Allow", "")
    return Refusal(status, status.description or status.phrase, headers=headers).response(
        _visit(request).request_id
    )


def _methods(path: str) -> str:
    """Of every route with this path; the framework names those of the first."""
    routes = (route for route in router.routes if isinstance(route, APIRoute))
    return ", ".join(
        sorted(name for route in routes if route.path == path for name in route.methods or ())
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    detail = first_mistake([{**first, "loc": first["loc"][1:]}])  # behind "query"
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, detail).response(_visit(request).request_id)


async def _on_failure(request: Request, _: Exception) -> Response:
    """A mistake of the gateway's own; it is raised again, and logged by the doorway."""
    failed = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "the request failed")
    return failed.response(_visit(request).request_id)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _visit(request: Request) -> Visit:
    visit: Visit = request.state.visit
    return visit
