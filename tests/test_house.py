"""The house rules, enforced by reading the source: floors, purity, sizes, names, and what LIFE.md speaks of.

Rules: imports are read with `ast`, those for type checkers too. Each rule is shown to bite on a small tree made for it.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "proxy"

# From the bottom up. Rooms on one floor do not know each other.
FLOORS = (
    ("",),  # the package itself: its version
    ("verdict", "faults", "clock", "timeouts", "course"),
    ("http", "openssl"),
    ("parties",),
    ("exchange",),
    ("policy", "config"),
    ("engine",),
    ("downstream", "upstream", "content", "observe", "shared", "acme"),
    ("catalog",),
    ("ledger",),
    ("build",),
    ("lab",),
    ("apps",),
    ("admin",),
    ("process",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
PURE = (
    "verdict",
    "faults",
    "clock",
    "timeouts",
    "course",
    "http",
    "parties",
    "exchange",
    "policy",
    "engine",
    "config/model",
)
IMPURE = frozenset(["asyncio", "socket", "ssl", "time", "random", "os", "httptools", "uvloop", "threading", "select"])
FORBIDDEN = re.compile(r"(?i)manager|handler|helper|util|context|data|info")
FOREIGN = frozenset(["data_received", "get_extra_info"])  # names that are not ours to choose: asyncio calls them
MOST_LINES = 400
LONGEST, LONG = 60, 40  # lines of a function: too many, and many


class Module:
    """A source file: its dotted path inside the package, its room, and its tree."""

    def __init__(self, root, path):
        self.place = path.relative_to(root / PACKAGE).with_suffix("").as_posix()
        parts = [part for part in self.place.split("/") if part != "__init__"]
        self.name = ".".join((PACKAGE, *parts))
        self.room = parts[0] if parts else ""
        self.text = path.read_text()
        self.tree = ast.parse(self.text)

    def imports(self):
        """(line, dotted name) of every import; `from a import b` gives a and a.b."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{self.place}:{node.lineno}: a relative import"
                for name in node.names:
                    yield node.lineno, f"{node.module}.{name.name}"


@cache  # to read all takes a second
def modules(root):
    return [Module(root, path) for path in sorted((root / PACKAGE).rglob("*.py"))]


def room_of(name):
    """The room of a dotted name of ours, or None."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return None
    return parts[1] if len(parts) > 1 and parts[1] != "__version__" else ""


def floors(root):
    """Imports that point up or sideways."""
    found = []
    for module in modules(root):
        if module.room not in HEIGHT:
            found.append(f"{module.place}: the room {module.room} has no floor")
            continue
        for line, name in module.imports():
            room = room_of(name)
            if name == PACKAGE or room is None or room == module.room:
                continue
            if room not in HEIGHT:
                found.append(f"{module.place}:{line}: {name} has no floor")
            elif HEIGHT[room] > HEIGHT[module.room]:
                found.append(f"{module.place}:{line}: {module.room} imports {room}, which lies above it")
            elif HEIGHT[room] == HEIGHT[module.room]:
                found.append(f"{module.place}:{line}: {module.room} imports {room}, which lies beside it")
    return found


def purity(root):
    """Imports of what the pure floors must not know."""
    return [
        f"{module.place}:{line}: imports {name}, and {module.place} is pure"
        for module in modules(root)
        if any(module.place == pure or module.place.startswith(pure + "/") for pure in PURE)
        for line, name in module.imports()
        if name.split(".")[0] in IMPURE
    ]


def hidden_imports(root):
    """Imports inside functions."""
    return [
        f"{module.place}:{node.lineno}: an import inside {function.name}"
        for module in modules(root)
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def cycles(root):
    """Modules that import each other when they are loaded (what only type checkers see is no cycle)."""
    known = {module.name: module for module in modules(root)}
    edges = {}
    for module in known.values():
        skipped = {
            id(inner)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for statement in node.body
            for inner in ast.walk(statement)
        }
        targets = set()
        for node in ast.walk(module.tree):
            if id(node) in skipped:
                continue
            if isinstance(node, ast.Import):
                targets.update(name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                for name in node.names:
                    full = f"{node.module}.{name.name}"
                    targets.add(full if full in known else str(node.module))
        edges[module.name] = sorted(targets & set(known))
    found = []
    done = set()

    def visit(name, path):
        if name in path:
            found.append(" -> ".join((*path[path.index(name) :], name)))
        elif name not in done:
            for target in edges[name]:
                visit(target, (*path, name))
            done.add(name)

    for name in edges:
        visit(name, ())
    return found


def docstrings(root):
    """Modules that do not say what they are."""
    return [f"{module.place}: has no docstring" for module in modules(root) if not ast.get_docstring(module.tree)]


def sizes(root):
    """Files and functions that are too long."""
    found = []
    for module in modules(root):
        lines = module.text.count("\n")
        if lines > MOST_LINES:
            found.append(f"{module.place}: has {lines} lines, more than {MOST_LINES}")
        found += [
            f"{module.place}:{function.lineno}: {function.name} has {length} lines, more than {LONGEST}"
            for function, length in functions(module)
            if length > LONGEST
        ]
    return found


def functions(module):
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, node.end_lineno - node.lineno + 1


def names(root):
    """Modules, classes and functions whose names say nothing."""
    found = [
        f"{module.place}: is a name that says nothing" for module in modules(root) if FORBIDDEN.search(module.place)
    ]
    return found + [
        f"{module.place}:{node.lineno}: {node.name} is a name that says nothing"
        for module in modules(root)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and FORBIDDEN.search(node.name)
        and node.name not in FOREIGN
        and not (isinstance(node, ast.ClassDef) and any("logging." in ast.unparse(base) for base in node.bases))
    ]


def defined(module):
    """Names that a module defines, those of its classes with and without the class."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            yield node.name
            for inner in ast.walk(node):
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from (f"{node.name}.{inner.name}", inner.name)
                elif isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) == "__slots__":
                    for slot in ast.literal_eval(inner.value):
                        yield from (f"{node.name}.{slot}", slot)
                elif isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "self":
                    yield from (f"{node.name}.{inner.attr}", inner.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                yield target.id


def unknown_names(root):
    """What LIFE.md speaks of and nothing is called: names in code marks, and Class.name in its drawing."""
    text = (root / PACKAGE / "LIFE.md").read_text()
    known = set()
    for module in modules(root):
        known |= {module.room, module.place, module.place.replace("/", "."), module.place.rpartition("/")[2]}
        for name in defined(module):
            known |= {name, f"{module.place.replace('/', '.')}.{name}", f"{module.place.rpartition('/')[2]}.{name}"}
    drawing, prose = [], []
    for number, part in enumerate(text.split("```")):
        (drawing if number % 2 else prose).append(part)
    wanted = [mark for part in prose for mark in re.findall(r"`([^`\n]+)`", part)]
    wanted += [name for part in drawing for name in re.findall(r"\b[A-Z]\w+\.[a-z_]\w*|\b[a-z]+/[a-z0-9_]+", part)]
    found = []
    for word in wanted:
        name = word.removesuffix("()").removesuffix(".py").removeprefix(f"{PACKAGE}/").removeprefix(f"{PACKAGE}.")
        if name not in known and not (root / word).exists() and not (root / PACKAGE / word).exists():
            found.append(f"LIFE.md: there is no {word}")
    return found


RULES = (floors, purity, hidden_imports, cycles, docstrings, sizes, names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house(rule):
    found = rule(ROOT)
    assert not found, "\n".join(found)


def test_names_in_life():
    found = unknown_names(ROOT)
    assert not found, "\n".join(found)


def test_long_functions_are_told():
    """No failure: those who read the tests' output see what wants to be shorter."""
    for module in modules(ROOT):
        for function, length in functions(module):
            if length > LONG:
                print(f"{module.place}:{function.lineno}: {function.name} has {length} lines")


# --- the rules bite -----------------------------------------------------------------------------------------------

DOC = '"""A module."""\n'


def made(root, **files):
    """A small tree: file names with two underscores for a slash."""
    for name, text in files.items():
        path = root / PACKAGE / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_floors_bite(tmp_path):
    root = made(
        tmp_path,
        engine=DOC + "from proxy.upstream.pool import Pool\n",
        upstream__pool=DOC
        + "import proxy.engine\nfrom proxy import engine, downstream\nfrom proxy.upstream import link\n",
        http__message=DOC
        + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from proxy.exchange import Exchange\n",
        attic__box=DOC,
        downstream__tls=DOC + "from proxy.config.model import Model\nfrom proxy import __version__\n",
        policy__routing=DOC + "from proxy.config import model\n",
    )
    assert floors(root) == [
        "attic/box: the room attic has no floor",
        "engine:2: engine imports upstream, which lies above it",
        "http/message:4: http imports exchange, which lies above it",
        "policy/routing:2: policy imports config, which lies beside it",
        "upstream/pool:3: upstream imports downstream, which lies beside it",
    ]


def test_purity_bites(tmp_path):
    root = made(
        tmp_path,
        engine=DOC + "import time\n",
        policy__balance__x=DOC + "from random import Random\nfrom os import path\n",
        config__model=DOC + "import struct\nimport asyncio.tasks\n",
        config__toml=DOC + "import os\n",
        upstream__pool=DOC + "import asyncio\n",
    )
    assert [line.partition(",")[0] for line in purity(root)] == [
        "config/model:3: imports asyncio.tasks",
        "engine:2: imports time",
        "policy/balance/x:2: imports random.Random",
        "policy/balance/x:3: imports os.path",
    ]


def test_hidden_imports_bite(tmp_path):
    root = made(tmp_path, cli=DOC + "import os\ndef main():\n    if os:\n        from json import loads\n")
    assert hidden_imports(root) == ["cli:5: an import inside main"]


def test_cycles_bite(tmp_path):
    root = made(
        tmp_path,
        http__a=DOC + "from proxy.http import b\n",
        http__b=DOC + "from proxy.http.c import C\n",
        http__c=DOC + "import proxy.http.a\nC = 1\n",
        http__d=DOC + "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from proxy.http.e import E\n",
        http__e=DOC + "from proxy.http import d\nE = 1\n",
    )
    assert cycles(root) == ["proxy.http.a -> proxy.http.b -> proxy.http.c -> proxy.http.a"]


def test_docstrings_bite(tmp_path):
    assert docstrings(made(tmp_path, a="x = 1\n", b=DOC)) == ["a: has no docstring"]


def test_sizes_bite(tmp_path):
    long = "def f():\n" + "    x = 1\n" * 60
    found = sizes(made(tmp_path, a=DOC + "x = 1\n" * 400, b=DOC + long, c=DOC + "x = 1\n" * 399))
    assert found == ["a: has 401 lines, more than 400", "b:2: f has 61 lines, more than 60"]


def test_names_bite(tmp_path):
    text = (
        DOC + "import logging\nclass PoolManager: ...\nclass Lines(logging.Handler): ...\nasync def http_util(): ...\n"
    )
    text += "class LogHandler(logging.Handler): ...\ndef reheat(): ...\ndef updated(): ...\n"
    text += "class Http:\n    def data_received(self): ...\n    def data_sent(self): ...\nclass TlsContext: ...\n"
    text += "def peer_info(): ...\n"
    assert names(made(tmp_path, a=text, http__metadata=DOC)) == [
        "http/metadata: is a name that says nothing",
        "a:3: PoolManager is a name that says nothing",
        "a:5: http_util is a name that says nothing",
        "a:12: TlsContext is a name that says nothing",
        "a:13: peer_info is a name that says nothing",
        "a:11: data_sent is a name that says nothing",
    ]


def test_unknown_names_bite(tmp_path):
    root = made(
        tmp_path, engine=DOC + "def failed(): ...\n", downstream__h1=DOC + "class Http1:\n    def head(self): ...\n"
    )
    (root / PACKAGE / "LIFE.md").write_text(
        "`engine.failed` `downstream/h1` `Http1.head` `engine.gone`\n```\n"
        "Http1.head Http1.tail downstream/h9\n```\n`head`"
    )
    assert unknown_names(root) == [
        "LIFE.md: there is no engine.gone",
        "LIFE.md: there is no Http1.tail",
        "LIFE.md: there is no downstream/h9",
    ]


def compiled():
    """The modules that a build compiles, by dotted name."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    found = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HOT"
    )
    return {path.removesuffix(".py").replace("/", ".") for path in ast.literal_eval(found)}


def interpreted_heirs(all_modules, native):
    """Classes of modules that are not compiled whose base is a compiled class; protocols are not compiled."""
    protocols = {
        f"{module.name}.{node.name}"
        for module in all_modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Protocol" for base in node.bases)
    }
    for module in all_modules:
        if module.name in native:
            continue
        names = {name.rpartition(".")[2]: name for _, name in module.imports()}
        for node in ast.walk(module.tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                full = names.get(getattr(base, "id", ""), "")
                if full.rpartition(".")[0] in native and full not in protocols:
                    yield f"{module.place}:{node.lineno}: {node.name} inherits from {full}, which is compiled"


def test_no_interpreted_class_inherits_from_a_compiled_one():
    """mypyc refuses it, and only when the class is used."""
    native = compiled()
    all_modules = modules(ROOT)
    assert native <= {module.name for module in all_modules}
    assert list(interpreted_heirs(all_modules, native)) == []


def test_heirs_bite():
    native = compiled() - {"proxy.downstream.telling"}
    assert len(list(interpreted_heirs(modules(ROOT), native))) == 1
