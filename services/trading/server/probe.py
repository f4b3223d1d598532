"""Does a service answer? For containers, whose images have no other client.

    python -m trading.server.probe http://127.0.0.1:8080/health
    python -m trading.server.probe --wait 60 URL ...

Exit code 0: every URL answered 200; 1: the others are named on standard error.
"""

import sys
import time
import urllib.error
import urllib.request

_TIMEOUT = 2.0
_AGAIN = 0.5


def problem(url: str) -> str:
    """Empty: it answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310
            return "" if answer.status == 200 else f"{answer.status}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def main(arguments: list[str]) -> int:
    patience = 0.0
    if arguments[:1] == ["--wait"]:
        patience, arguments = float(arguments[1]), arguments[2:]
    if not arguments:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 1
    until = time.monotonic() + patience
    while True:
        problems = {url: found for url in arguments if (found := problem(url))}
        if not problems or time.monotonic() >= until:
            break
        time.sleep(_AGAIN)
    for url, found in problems.items():
        print(f"{url}: {found}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
