"""What a service says of itself and of what it depends on.

It is asked from inside its container: not every environment opens every port.
"""

import json

from trading.topology import SERVICES

_READ = (
    "import sys, urllib.request as r, urllib.error as e\n"
    "try: print(r.urlopen(sys.argv[1], timeout=3).read().decode())\n"
    "except e.HTTPError as error: print(error.read().decode())\n"
    "except OSError as error: sys.exit(f'{sys.argv[1]} does not answer: {error}')"
)


def question(component: str) -> tuple[str, ...]:
    """A command in its container that prints its answer."""
    return "python3", "-c", _READ, f"http://127.0.0.1:{SERVICES[component].port}/ready"


def parsed(answer: str) -> dict[str, str]:
    """By name: what is wrong; empty: nothing."""
    try:
        said = json.loads(answer)
        needed, problem = said["dependencies"], said["problem"]
        found = {name: "" if why == "ok" else str(why) for name, why in needed.items()}
    except (ValueError, KeyError, AttributeError, TypeError):
        return {"ready": "its answer cannot be read"}
    return {"ready": str(problem), **found} if problem else found
