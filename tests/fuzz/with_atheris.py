"""Runs one fuzz target under atheris (libFuzzer): `python with_atheris.py target_chunks -runs=1000 -seed=1`.

Rules: only the program's own modules are instrumented. The corpus begins with the target's seeds, in a folder of its
own; more options are libFuzzer's. What is found is an exception, and the input that led to it lies in a file.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "live"), str(HERE.parent / "talk"), str(HERE.parents[1])]


def main() -> None:
    """Fuzz the target that the first argument names."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["proxy"]):
        target = importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        for number, seed in enumerate(target.SEEDS):
            Path(folder, f"seed-{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], "-max_len=4096", "-timeout=20", "-rss_limit_mb=1024", *options, folder], target.one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
