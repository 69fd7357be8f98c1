"""The application of `bench.workers`: handlers that keep their worker busy for as long as the request says.

Rules: `/sleep?ms=20` blocks the event loop without the processor, as a synchronous driver does; `/burn?ms=20` with it,
for so many milliseconds of processor time. So a worker has one request at a time, whatever is queued at its socket.
"""

from __future__ import annotations

import time

from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
async def healthz() -> str:
    """Whether it is up."""
    return "ok"


@app.get("/sleep")
async def sleep(ms: float) -> str:
    """Wait, and let nobody else."""
    time.sleep(ms / 1000)
    return "slept"


@app.get("/burn")
async def burn(ms: float) -> str:
    """Compute."""
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        pass
    return "burnt"
