"""Query the readiness endpoint of a service.

The query runs inside the service's container, because not every environment publishes every port.
"""

import json

from trading.topology import SERVICES

_SCRIPT = (
    "import sys, urllib.request as r, urllib.error as e\n"
    "try: print(r.urlopen(sys.argv[1], timeout=3).read().decode())\n"
    "except e.HTTPError as error: print(error.read().decode())\n"
    "except OSError as error: sys.exit(f'{sys.argv[1]} does not answer: {error}')"
)


def readiness_command(component: str) -> tuple[str, ...]:
    """Return the command that prints the readiness response inside the component's container."""
    return "python3", "-c", _SCRIPT, f"http://127.0.0.1:{SERVICES[component].port}/ready"


def parse_readiness(answer: str) -> dict[str, str]:
    """Return the problem of each dependency by name; an empty text means no problem.

    The name `ready` is added if the service itself has a problem, or if `answer` is not a
    readiness response.
    """
    try:
        body = json.loads(answer)
        dependencies, problem = body["dependencies"], body["problem"]
        problems = {
            name: "" if status == "ok" else str(status) for name, status in dependencies.items()
        }
    except (ValueError, KeyError, AttributeError, TypeError):
        return {"ready": "its answer cannot be read"}
    return {"ready": str(problem), **problems} if problem else problems
