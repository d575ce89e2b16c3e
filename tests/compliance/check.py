"""Judge a results index of the Autobahn testsuite: python check.py INDEX COUNT."""

import collections
import json
import sys
from pathlib import Path

FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}


def complaints(index: Path, count: int) -> list[str]:
    """Everything that is wrong with it: a case whose behaviour or closing is not fine, and fewer cases than `count`."""
    found = []
    for agent, cases in json.loads(index.read_text()).items():
        for case, result in cases.items():
            verdicts = (result["behavior"], result["behaviorClose"])
            if not FINE.issuperset(verdicts):
                found.append(f"{agent}: case {case}: behaviour {verdicts[0]}, closing {verdicts[1]}")
        if len(cases) < count:
            found.append(f"{agent}: {len(cases)} cases ran, there are {count}")
    return found or ([] if index.stat().st_size > 2 else ["nobody was tested"])


def summary(index: Path) -> str:
    """How many cases came to which verdict, in a line for each agent."""
    lines = []
    for agent, cases in json.loads(index.read_text()).items():
        verdicts = collections.Counter(result["behavior"] for result in cases.values())
        lines.append(f"{agent}: {len(cases)} cases: " + ", ".join(f"{n} {name}" for name, n in verdicts.most_common()))
    return "\n".join(lines)


def main() -> None:
    index, count = Path(sys.argv[1]), int(sys.argv[2])
    print(summary(index))
    sys.exit("\n".join(complaints(index, count)) or 0)


if __name__ == "__main__":
    main()
