"""Does a service answer? For containers, whose images have no other client.

    python -m trading.server.probe http://127.0.0.1:8080/health
    python -m trading.server.probe --wait 60 URL ...

Exit code 0: every URL answered 200; 1: the others are named on standard error.
"""

import sys
import time
import urllib.error
import urllib.request

_REQUEST_TIMEOUT = 2.0
_RETRY_DELAY = 0.5


def problem(url: str) -> str:
    """Return why ``url`` did not answer 200; an empty text if it did."""
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_TIMEOUT) as response:  # noqa: S310
            return "" if response.status == 200 else f"{response.status}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit code.

    With ``--wait SECONDS`` it retries until every URL has answered, or the time is over.
    """
    timeout = 0.0
    if arguments[:1] == ["--wait"]:
        timeout, arguments = float(arguments[1]), arguments[2:]
    if not arguments:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 1
    deadline = time.monotonic() + timeout
    while True:
        problems = {url: text for url in arguments if (text := problem(url))}
        if not problems or time.monotonic() >= deadline:
            break
        time.sleep(_RETRY_DELAY)
    for url, text in problems.items():
        print(f"{url}: {text}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
