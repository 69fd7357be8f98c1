"""Takes the pictures of the dashboard that the README shows: `python tests/page/pictures.py docs/images`.

Rules: what they show is the scene, not a real door. Pictures get a palette, so that each is well under 200 kB; that
takes Pillow, which matplotlib (extra `bench`) brings.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "live"), str(Path(__file__).parents[2])]

import scene  # noqa: E402
from eyes import DESK, PHONE, browser  # noqa: E402
from PIL import Image  # noqa: E402
from stand_in import StandIn  # noqa: E402

SEEN = 3000  # ms until all numbers are there


def take(page: Any, path: Path) -> None:
    """Write what the page shows now."""
    whole = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    whole.quantize(192, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1000} kB")


def main(folder: Path) -> None:
    """Take them all."""
    scene.START = float(int(time.time()))
    with StandIn(pace=1.0) as door, browser() as chromium:
        for name, theme, size, place in (
            ("dashboard-light", "light", DESK, None),
            ("dashboard-dark", "dark", DESK, "#limits"),
            ("dashboard-explain", "light", DESK, "#errors"),
            ("dashboard-phone", "dark", PHONE, None),
        ):
            page = chromium.new_page(viewport=size, color_scheme=theme, locale="en-GB")
            page.goto(door.url)
            page.get_by_role("table", name="Backends of app").wait_for()
            page.wait_for_timeout(SEEN)
            if place:
                page.evaluate("place => window.scrollTo(0, document.querySelector(place).offsetTop - 70)", place)
            if name.endswith("explain"):
                page.get_by_role("table", name="Recent errors").get_by_role("button").first.click()
                page.locator(".lead").wait_for()
            page.wait_for_timeout(700)  # smooth scrolling
            take(page, folder / f"{name}.png")
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
