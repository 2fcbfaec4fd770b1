"""Where the tests stand and how they are called: each under its subject, by its claim; and what documents name is there."""

import ast
import re

import pytest
from world import ROOT

CLUSTER = ROOT / "tests" / "cluster"
FILES = sorted(CLUSTER.rglob("test_*.py"))
SUBJECTS = {"alerts", "papers", "seal", "keys", "forget", "receipts", "storage", "start", "tools"}
LONGEST_NAME = 70
DOCUMENTS = ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"]
# What a document's path may begin at: `forget/decide/rules.rs` is the crate's, `cluster/seal/test_kills` is a test.
ROOTS = [ROOT, ROOT / "src", ROOT / "tests"]
# Made by those who use it.
MADE = {"fuzz/corpus"}


def imports(text: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(text)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def claims(text: str) -> list[str]:
    """The names of its tests."""
    functions = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("test_")]


def paths(text: str) -> set[str]:
    """What stands between back quotes and looks like a path. In capitals it stands for something else: `hold/DAY/HEX`."""
    found = re.findall(r"`([a-z0-9_]\w*(?:[./-][\w-]+)*)`", text)
    return {path for path in found if ("/" in path or path.endswith((".rs", ".py"))) and not re.search("[A-Z]{2}", path)}


def exists(path: str) -> bool:
    if "/" not in path:  # a file of the room that its line is about
        return any((ROOT / "src").rglob(path))
    return any((root / f"{path}{ending}").exists() for root in ROOTS for ending in ("", ".py"))


def test_every_test_file_stands_under_its_subject_without_a_number():
    assert len(FILES) > 30
    assert {file.relative_to(CLUSTER).parts[0] for file in FILES} == SUBJECTS
    assert all(len(file.relative_to(CLUSTER).parts) == 2 for file in FILES)
    assert [file.name for file in FILES if re.search(r"\d", file.stem)] == []
    # Each is imported by its name alone.
    assert len({file.name for file in FILES}) == len(FILES)


def test_no_test_file_imports_another_one():
    """What they share stands in a module beside world.py."""
    names = {file.stem for file in FILES}
    assert {file.name: both for file in FILES if (both := imports(file.read_text()) & names)} == {}


def test_a_tests_name_fits_a_line():
    found = {file.name: claims(file.read_text()) for file in FILES}
    assert all(found.values())
    assert [name for names in found.values() for name in names if len(name) > LONGEST_NAME] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_names_is_there(document):
    named = paths((ROOT / document).read_text()) - MADE
    assert named
    assert sorted(path for path in named if not exists(path)) == []


def test_a_path_that_is_not_there_is_noticed():
    """The control."""
    named = paths("See `cluster/test_8_erase` or `decide.rs`, `no_such.rs`, `/readyz`, `hold/DAY/HEX` and `cluster/forget/test_erase`.")
    assert named == {"cluster/test_8_erase", "decide.rs", "no_such.rs", "cluster/forget/test_erase"}
    assert {path for path in named if not exists(path)} == {"cluster/test_8_erase", "no_such.rs"}
