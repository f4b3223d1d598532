"""Read what the risk monitor knew, from a run's evidence.

    trading run market-crash --report out
    python examples/programs/03_read_journal.py out

A journal is one JSON object for each line: `entry` is [sequence number, simulated time in
microseconds, type, content], and `hash` chains it to the entry before. Each entry of type
"Received" has the messages that arrived; all other entries are what the component decided.
`trading audit verify out` proves that the journals are those of the run.
"""

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path


def main(report: Path) -> None:
    received: Counter[str] = Counter()
    with (report / "journals" / "risk-monitor.ndjson").open(encoding="utf-8") as journal:
        for line in journal:
            _, at, kind, content = json.loads(line)["entry"]
            if kind == "Received":
                received.update(message["msg"] for message in content)
            if kind == "AlertFired":
                time = datetime.fromtimestamp(at / 1e6, UTC)
                print(f"{time:%H:%M:%S}  {content['rule']} on {content['subject']}")
    print(dict(received.most_common(5)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
