"""The contestant's side of process.py.

`python -m tinyconv.benchmarks.contestant JOB`, JOB as JSON: a task, the name of a contestant, and where its
result is to be written, if it is to be checked. Otherwise it waits for lines: a number n means do the task n
times, and is answered by the seconds that it took. So nothing runs in it while another one has its turn.
Answers are lines of JSON; "failed" is why there is none.
"""

import json
import os
import sys
import time

import numpy as np

from . import machine, networks
from .backends import NotMeasured


def main(job):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer

    def answer(**what):
        print(json.dumps(what | {"peak_memory": machine.peak_memory()}), file=answers, flush=True)

    try:
        one = networks.make(job["name"], networks.Task(**job["task"]), checked=bool(job["path"]))
        if job["path"]:
            np.savez(job["path"], **one.found())
            return answer()
        for line in sys.stdin:
            start = time.perf_counter()
            for _ in range(int(line)):
                one.once()
            answer(seconds=time.perf_counter() - start)
    except KeyboardInterrupt:
        pass
    except NotMeasured as error:
        answer(failed=str(error), missing=True)
    except Exception as error:
        first = next(filter(None, map(str.strip, str(error).split("\n"))), "")
        answer(failed=f"{type(error).__name__}: {first}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
