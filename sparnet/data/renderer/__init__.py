"""Faces drawn from numbers: people who do not exist, with exact landmarks and identities.

A stack of ellipses with a relief of features is met by camera rays, lit, and painted with skin,
eyes, mouth and hair; all of it is a pure function of (seed, person, picture).
"""

from sparnet.data.renderer.casting import person
from sparnet.data.renderer.person import Person
from sparnet.data.renderer.scene import Rendered, render

__all__ = ["Person", "Rendered", "person", "render"]
