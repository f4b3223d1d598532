"""Seeded randomness. Every user has a random stream of its own, so that one more draw in one
component changes nothing in another.
"""

import hashlib
import random


def random_stream(seed: int, name: str) -> random.Random:
    """Return the random stream ``name`` of a run, which is the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))
