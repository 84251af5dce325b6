"""Python's half of the protocol of ../peers.h: serve(describe, prepare) runs a peer.

describe() imports what the peer needs and returns who it is; an ImportError becomes the reason why it is missing.
prepare(job) returns a function without arguments that runs the case once and returns its result, or, for a peer that
only gives a rate, (function, seconds -> seconds, result -> error). If it has run all that a first call has to wait for, `warm`,
a call that takes longer than LONG seconds is not made a second time. job has the keys of job.json, and `arrays` by name.
"""
import json
import os
import sys
import time

LONG = 20
THREADS = os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))


def replies():
    """Where answers go; everything else that is printed goes to stderr."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def job_read(directory):
    import numpy
    with open(os.path.join(directory, "job.json")) as file:
        job = json.load(file)
    names = [array["name"] for array in job["arrays"]]
    job["arrays"] = {name: numpy.load(os.path.join(directory, name + ".npy")) for name in names}
    return job


def result_write(directory, job, result):
    import numpy
    kinds = {"f32": numpy.float32, "f64": numpy.float64, "i64": numpy.int64}
    if hasattr(result, "cpu"):
        result = result.cpu().numpy()
    shaped = numpy.ascontiguousarray(result, kinds[job["element"]]).reshape(job["M"], job["columns"])
    numpy.save(os.path.join(directory, "result.npy"), shaped)


def serve(describe, prepare, warm=False):
    out = replies()

    def say(**answer):
        print(json.dumps(answer), file=out, flush=True)

    directory = sys.argv[1]
    try:
        about = describe()
        job = job_read(directory)
    except ImportError as error:
        return say(missing=str(error)[:200])
    made = prepare(job)
    call, scale, check = made if isinstance(made, tuple) else (made, float, None)
    start = time.perf_counter()
    result = call()
    first = time.perf_counter() - start if warm else 0
    say(ready=f"{about}, OMP_NUM_THREADS={THREADS}")
    for line in sys.stdin:
        if line.strip() == "run" and first > LONG:
            say(seconds=scale(first))
            first = 0
        elif line.strip() == "run":
            start = time.perf_counter()
            for _ in range(job["calls"]):
                result = call()
            say(seconds=scale((time.perf_counter() - start) / job["calls"]))
        elif check:
            say(error=check(result))
        else:
            result_write(directory, job, result)
            say(done=True)
