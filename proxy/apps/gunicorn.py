"""What Gunicorn would go by, as its gunicorn.conf.py and arguments say.

Rules: such a file is a program, so it is run by the application's interpreter in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from proxy.apps.command import environment, looking
from proxy.config.app import App

LOOK_WITHIN: Final = 30.0  # seconds for a gunicorn.conf.py to be read


async def look(table: App) -> dict[str, Any]:
    """What a gunicorn.conf.py says that is for us to do. OSError or ValueError with what is wrong with it."""
    process = await asyncio.create_subprocess_exec(
        *looking(table),
        cwd=table.folder,
        env=environment(table, "look"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), LOOK_WITHIN)
    except TimeoutError:
        process.kill()
        raise ValueError(f"Gunicorn's settings were not read within {LOOK_WITHIN:g} s") from None
    if process.returncode:
        lines = errors.decode(errors="replace").split("\n")
        raise ValueError(f"Gunicorn's settings cannot be read: {next((one for one in lines[::-1] if one.strip()), '')}")
    found = json.loads(output)
    return found if isinstance(found, dict) else {}
