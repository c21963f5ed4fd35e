"""How long an import takes in a fresh interpreter that has the package: ``python bench/import_time.py [ROUNDS]``.

Prints, for each module, the median and the slowest of the rounds in milliseconds; the limit is 150. The first import, which may have to read the
package from disk and compile it, is not counted.
"""

import subprocess
import sys
from statistics import median

MODULES = ["skytide", "skytide.firehose", "skytide.atproto"]
CODE = """
import time
start = time.perf_counter()
import {}
print(1000 * (time.perf_counter() - start))
"""


def main(rounds: int = 20) -> None:
    """Measure so many imports of each and print the figures."""
    for module in MODULES:
        times = []
        for _ in range(rounds + 1):
            command = [sys.executable, "-c", CODE.format(module)]
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            times.append(float(run.stdout))
        times = times[1:]
        print(
            f"import {module}: median {median(times):.1f} ms, slowest {max(times):.1f} ms of {rounds}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
