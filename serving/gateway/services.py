"""What the gateway's routes work with, made once from the settings."""

from __future__ import annotations

import random
from collections.abc import Callable
from http import HTTPStatus

from serving import routes
from serving.following import Followed
from serving.gateway.keys import Key, KeyRing, Scope
from serving.gateway.limits import Gate, RateLimit
from serving.gateway.metrics import Metrics
from serving.gateway.problems import Refusal
from serving.gateway.readiness import Readiness
from serving.gateway.settings import Settings
from serving.gateway.shadows import Shadows
from serving.gateway.upstream import Upstream
from serving.routes import Route, Routes


class Services:
    """Raises UserError where the file of keys or of routes cannot be used."""

    def __init__(self, settings: Settings, draw: Callable[[], float] = random.random) -> None:
        """draw: a number from 0 to 1 for each request, by which canaries and shadows get it."""
        self.settings = settings
        self.draw = draw
        self._routes = Followed(settings.routes, routes.read)
        self._ring = KeyRing(settings.keys)
        self._rate = RateLimit(settings.requests_per_second, settings.burst)
        self.gate = Gate(settings.held_bytes)
        self.metrics = Metrics(self.gate)
        self.upstream = Upstream(self.routes, settings.deadline_seconds)
        self.readiness = Readiness(settings.ready_seconds, self.upstream)
        self.shadows = Shadows(self.gate, self.upstream, self.metrics)

    def routes(self) -> Routes:
        """Which versions answer now."""
        return self._routes.content()

    def follows(self) -> bool:
        """Whether the routes are those of this moment."""
        self._routes.content()
        return not self._routes.stale

    def route(self, name: str | None) -> Route:
        """The route of this name, or the default one; raises Refusal 422 for an unknown name."""
        current = self.routes()
        try:
            return current.named(name or current.default_model)
        except KeyError:
            names = ", ".join(current.names)
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"model: is one of {names}") from None

    def admit(self, key: str | None, scope: Scope) -> Key:
        """Whose key this is; raises Refusal 401, 403 or 429 where it does not open the door."""
        known = None if key is None else self._ring.find(key)
        if known is None:
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "send a valid key (Authorization: Bearer KEY)",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if scope not in known.scopes:
            raise Refusal(HTTPStatus.FORBIDDEN, f"this key does not have the scope {scope}")
        self._rate.take(known.id)
        return known
