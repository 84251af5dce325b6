#!/usr/bin/env python3
"""slowness.py: how many times as long as on the reference machine, when quiet, a computation takes here and now.

    python3 tools/slowness.py

As many processes as there are processors, like the tests, each count for a while; the slowest one's time is compared
with that on 2 quiet cores of a server of 2023. So other work on the machine counts. Prints a number with one decimal,
at least 1.0. tools/test.sh multiplies the tests' time limits by it.
"""
import multiprocessing
import os
import sys
import time

ROUNDS = 30_000_000
REFERENCE_SECONDS = 0.75


def count(_):
    start = time.monotonic()
    total = 0
    for k in range(ROUNDS):
        total += k & 3
    return time.monotonic() - start


def main():
    processes = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    with multiprocessing.Pool(processes) as pool:
        slowest = max(pool.map(count, range(processes), chunksize=1))
    print(f'{max(1.0, slowest / REFERENCE_SECONDS):.1f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
