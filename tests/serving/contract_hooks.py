"""What Schemathesis is told of the interface: what pictures are, beside bytes of any kind."""

import schemathesis
from hypothesis import strategies
from running_server import face
from schemathesis.transport.serialization import Binary

_PICTURES = strategies.sampled_from([face(8), face(16), face(32)[:-40], face(40), b"no picture"])

schemathesis.openapi.format("binary", _PICTURES.map(Binary))
for _name in ("application/octet-stream", "image/*"):
    schemathesis.openapi.media_type(_name, _PICTURES)
