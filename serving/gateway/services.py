"""What the gateway's routes work with, made once from the settings."""

from __future__ import annotations

from http import HTTPStatus

from serving.gateway.keys import Key, KeyRing, Scope
from serving.gateway.limits import Gate, RateLimit
from serving.gateway.logs import LOG
from serving.gateway.metrics import Metrics
from serving.gateway.problems import Refusal
from serving.gateway.readiness import Readiness
from serving.gateway.settings import ServedModel, Settings
from serving.gateway.upstream import Upstream
from sparnet.errors import UserError


class Services:
    """Raises UserError where the file of keys cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.gate = Gate(settings.max_in_flight)
        self.metrics = Metrics(self.gate)
        self.upstream = Upstream(settings)
        self.readiness = Readiness(settings, self.upstream)
        self._ring = KeyRing(settings.keys)
        self._rate = RateLimit(settings.requests_per_second, settings.burst)

    def model(self, name: str | None) -> ServedModel:
        """The model of this name, or the default one; raises Refusal 422 for an unknown name."""
        try:
            return self.settings.model_named(name or self.settings.default_model)
        except KeyError:
            names = ", ".join(self.settings.names)
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"model: is one of {names}") from None

    def admit(self, key: str | None, scope: Scope) -> Key:
        """Whose key this is; raises Refusal 401, 403 or 429 where it does not open the door."""
        known = None if key is None else self._find(key)
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

    def _find(self, key: str) -> Key | None:
        try:
            return self._ring.find(key)
        except UserError as error:
            LOG.error("the keys from before stay valid: %s", error)
            return self._ring.find(key)
