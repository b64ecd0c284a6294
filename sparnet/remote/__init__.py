"""Pictures restored by a server elsewhere; needs nothing of what restores them here.

with Client("http://127.0.0.1:8080", key) as client:
    answer = client.enhance(picture)
"""

from sparnet.remote.answers import Answer, Face, Left, Model
from sparnet.remote.client import Client
from sparnet.remote.local import DEFAULT_FOLDER, Address, find
from sparnet.remote.refusals import NotReached, Refused, RemoteError
from sparnet.remote.retrying import Patience

__all__ = [
    "DEFAULT_FOLDER",
    "Address",
    "Answer",
    "Client",
    "Face",
    "Left",
    "Model",
    "NotReached",
    "Patience",
    "Refused",
    "RemoteError",
    "find",
]
