"""A figure as PNG, by resvg: it draws the same SVG, is one small wheel, and needs no system library (matplotlib would
be a second drawing code and ten times as large).

Rules: words are drawn with the font of a package, Source Sans, so that a machine without fonts draws them and every
machine draws the same. Both come with the extra "lab".
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from proxy.lab.pictures.draw import svg
from proxy.lab.pictures.figure import Figure

WITHOUT: Final = 'a PNG needs packages that are not there ({}): pip install "frontgate[lab]", or write .svg'
FACES: Final = ("SourceSansPro", "SourceSansProSemibold")


def png(figure: Figure, theme: str = "light", zoom: float = 2.0) -> bytes:
    """The picture, `zoom` times as large as its SVG. ValueError with a sentence without the extra."""
    resvg, fonts = drawer()
    files = [getattr(fonts, face) for face in FACES]
    drawn = resvg.svg_to_bytes(svg_string=svg(figure, theme), zoom=zoom, skip_system_fonts=True, font_files=files)
    return bytes(drawn)


def drawer() -> tuple[Any, Any]:
    """What draws, and its font. ValueError with a sentence without the extra."""
    try:
        return import_module("resvg_py"), import_module("font_source_sans_pro")
    except ImportError as problem:
        raise ValueError(WITHOUT.format(problem.name)) from None
