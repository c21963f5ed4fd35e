"""How long `import skytide` takes in a fresh interpreter that has it: ``python bench/import_time.py [ROUNDS]``.

Prints the median and the slowest of the rounds in milliseconds; the limit is 150. The first import, which may have to read the
package from disk and compile it, is not counted.
"""

import subprocess
import sys
from statistics import median

CODE = """
import time
start = time.perf_counter()
import skytide
print(1000 * (time.perf_counter() - start))
"""


def main(rounds: int = 20) -> None:
    """Measure so many imports and print the figures."""
    times = []
    for _ in range(rounds + 1):
        run = subprocess.run([sys.executable, "-c", CODE], check=True, stdout=subprocess.PIPE)
        times.append(float(run.stdout))
    times = times[1:]
    print(f"import skytide: median {median(times):.1f} ms, slowest {max(times):.1f} ms of {rounds}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
