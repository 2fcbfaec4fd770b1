"""Workers of one world that are killed, started again, watched, and counted as one."""

import time
from contextlib import contextmanager

from metrics import Metrics, total
from world import World


class Fleet:
    """Workers that are killed and started again; what they had counted is kept."""

    def __init__(self, world: World, names: list[str], lanes: int = 1):
        self._world, self._lanes = world, lanes
        self.workers = {name: world.worker(name, lanes=lanes, ready=False) for name in names}
        for worker in self.workers.values():
            worker.await_ready(60)
        self._buried = Metrics()

    def kill(self, name: str):
        worker = self.workers[name]
        status, text = worker.get("/metrics")
        self._buried = self._buried.plus(Metrics.parse(text if status == 200 else ""))
        worker.kill()
        self.workers[name] = self._world.worker(name, lanes=self._lanes, ready=False)

    def counted(self) -> Metrics:
        return total([self._buried, *(worker.figures() for worker in self.workers.values())])

    def await_ready(self, seconds: float = 90):
        for worker in self.workers.values():
            worker.await_ready(seconds)

    def stop(self):
        for worker in self.workers.values():
            worker.stop()


def tell(counted: Metrics):
    """For whoever reads the run; nothing is asserted of it."""
    print("mints:", counted.by("key_operations_total", "op"))
    print("unknown outcomes settled:", counted.by("store_unknown_settled_total", "how"))
    print("contended:", counted.sum("store_contention_total"))
    for outcome in ("failed", "unknown"):
        print(f"{outcome}:", counted.by("store_operations_total", "op", outcome=outcome))
    for op in ("mint", "read", "serial_read"):
        half, most = counted.quantiles("store_operation_duration_seconds", 0.5, 0.99, op=op)
        print(f"{op}: p50 <= {half * 1000:g} ms, p99 <= {most * 1000:g} ms")


@contextmanager
def watched(workers):
    """How long each worker was not ready, and what it said, while the body runs."""
    told: dict[str, list] = {}

    def look(_begun=time.monotonic()):
        for worker in workers:
            assert worker.alive, worker.tail()
            if reason := worker.why_not_ready():
                told.setdefault(worker.instance, []).append((round(time.monotonic() - _begun, 1), reason[:200]))

    yield look
    for instance, reasons in told.items():
        print(f"{instance} was not ready: {len(reasons)} looks, {reasons[0]} .. {reasons[-1][0]} s")
