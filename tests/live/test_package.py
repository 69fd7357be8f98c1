"""What pip makes of the repository serves in an environment of its own, away from the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from door import ROOT, Door

pytestmark = pytest.mark.timeout(300)
SOURCE = ("proxy", "backends", "config", "pyproject.toml", "setup.py", "README.md", "LICENSE", "CHANGELOG.md")
CONFIG = """
workers = 1
[listen.web]
address = "127.0.0.1:{port}"
[site.s]
default = true
[[site.s.route]]
path = "/"
reply = { body = "from a package" }
"""


def ran(*command: object, where: Path, **more: str) -> str:
    """What a command prints; it must succeed. It sees nothing of this repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*map(str, command)], cwd=where, env=environment | more, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, Path, Path, Path]:
    """The source, its archive, the wheel made from it, and an environment where that is installed."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(ROOT / name, source / name)
    ran(sys.executable, "-m", "build", "--sdist", "--outdir", folder, source, where=folder)
    archive = next(folder.glob("*.tar.gz"))
    environment = folder / "environment"
    ran(sys.executable, "-m", "venv", environment, where=folder)
    pip = (environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "-q")
    ran(*pip, "wheel", "--no-deps", "-w", folder, archive, where=folder, FRONTGATE_PURE="1")
    wheel = next(folder.glob("*.whl"))
    ran(*pip, "install", wheel, where=folder)
    return source, archive, wheel, environment / "bin"


def test_the_archives_hold_what_they_should(installed):
    source, archive, wheel, _ = installed
    with tarfile.open(archive) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    assert {"proxy/engine.py", "setup.py", "pyproject.toml", "README.md", "LICENSE"} <= inside
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"proxy"}
    assert {str(path.relative_to(source)) for path in source.glob("proxy/**/*.py")} <= set(names)


def test_the_command_serves_from_there(installed):
    *_, programs = installed
    assert ran(programs / "frontgate", "--version", where=programs).endswith("(plain Python)\n")
    with Door(CONFIG, program=(programs / "frontgate",)) as door:
        assert door.get().body == b"from a package"
