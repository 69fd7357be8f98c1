"""What a configuration names in Python: from its folder, read anew when it has changed, and sentences for the rest."""

from __future__ import annotations

import os
import sys

import pytest

from proxy.config import imported as module
from proxy.config.imported import imported


@pytest.fixture(autouse=True)
def clean():
    """Nothing that a test imports is there for the next."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
        module._read.pop(name, None)


def test_a_module_of_the_folder_and_of_a_package_in_it(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    class Inner:\n        pass\n")
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "other.py").write_text("from mine import Mine\ndef make():\n    return Mine\n")
    assert imported("mine:Mine", str(tmp_path)).__name__ == "Mine"
    assert imported("mine:Mine.Inner", str(tmp_path)).__name__ == "Inner"
    assert imported("many.other:make", str(tmp_path))().__name__ == "Mine"
    assert not list(tmp_path.rglob("*.pyc"))
    assert sys.path[0] != str(tmp_path) and sys.path.count(str(tmp_path)) == 1


def test_what_was_edited_is_read_anew_and_nothing_else(tmp_path):
    file = tmp_path / "edited.py"
    file.write_text("class Mine:\n    number = 1\n")
    first = imported("edited:Mine", str(tmp_path))
    assert imported("edited:Mine", str(tmp_path)) is first
    file.write_text("class Mine:\n    number = 2\n")
    os.utime(file, ns=(1, 1))
    assert imported("edited:Mine", str(tmp_path)).number == 2


def test_the_same_name_in_another_folder(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "twice.py").write_text(f"def number():\n    return {number}\n")
    assert [imported("twice:number", str(tmp_path / one))() for one in "12"] == [1, 2]


def test_what_is_installed():
    assert imported("collections:Counter", "/").__name__ == "Counter"


def test_sentences(tmp_path):
    (tmp_path / "json.py").write_text("class Mine: pass\n")
    (tmp_path / "broken.py").write_text("class Mine\n")
    (tmp_path / "needs.py").write_text("import nowhere_at_all\n")
    (tmp_path / "there.py").write_text("LIMIT = 3\nclass LeastLoaded: pass\n")
    for text, sentence in (
        ("no.such:thing", f'there is no strategy "no.such:thing": there is no module no in {tmp_path}, nor is one'),
        ("broken:Mine", 'the strategy "broken:Mine" cannot be imported: SyntaxError: '),
        ("needs:Mine", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("there:LeastLoded", f'{tmp_path}/there.py has no LeastLoded; did you mean "LeastLoaded"?'),
        ("there:LIMIT", '"there:LIMIT" makes no strategy: write a class, or a function of (backends, clock, rng)'),
        ("json:Mine", f"{tmp_path}/json.py has the name of a module that is loaded already: give it another"),
    ):
        with pytest.raises(ValueError) as caught:
            imported(text, str(tmp_path))
        assert sentence in str(caught.value)
