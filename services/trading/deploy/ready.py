"""What a service says of itself and of what it depends on."""

import json
import urllib.error
import urllib.request

_PATIENCE = 3.0


def dependencies(url: str) -> dict[str, str]:
    """By name: what is wrong; empty: nothing. ``url``: the service's."""
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=_PATIENCE) as answer:  # noqa: S310
            return parsed(answer.read())
    except urllib.error.HTTPError as error:
        return parsed(error.read())
    except (OSError, ValueError) as error:
        return {"ready": f"{url} does not answer: {getattr(error, 'reason', error)}"}


def parsed(body: bytes) -> dict[str, str]:
    """An answer of ``/ready``."""
    try:
        said = json.loads(body)
        needed, problem = said["dependencies"], said["problem"]
        found = {name: "" if why == "ok" else str(why) for name, why in needed.items()}
    except (ValueError, KeyError, AttributeError):
        return {"ready": "its answer cannot be read"}
    return {"ready": str(problem), **found} if problem else found
