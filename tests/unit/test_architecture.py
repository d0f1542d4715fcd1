"""The structure of the code: no import cycles, unique class names, and no names of an earlier vocabulary."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from redis_state.board.entry import EntryChanges, IndexEntry

PACKAGES = ("leaderboard", "redis_state", "hub", "bot", "workers", "localhub", "steward")
SHARED_CLASS_NAMES = {
    "Account": "localhub may not import hub; both name what the Hub calls an account",
    "BadRequest": "the client's error for a status, and the emulator's error that makes it",
    "EntryNotFound": "the client's error for a status, and the emulator's error that makes it",
    "HubError": "the root of the client's errors, and that of the emulator's",
    "Repo": "localhub may not import hub; both name what the Hub calls a repo",
    "RepoNotFound": "the client's error for a status, and the emulator's error that makes it",
    "RevisionNotFound": "the client's error for a status, and the emulator's error that makes it",
    "StaleParent": "the client's error for a status, and the emulator's error that makes it",
    "Thread": "localhub may not import hub; both name a discussion or pull request of the Hub",
    "Webhook": "localhub may not import hub; both name a webhook of the Hub",
}
"""Class name that two packages define → the reason."""
EARLIER_NAMES = frozenset(
    (
        *("Ahead", "Alike", "Bench", "Box", "Decided", "Desk", "Echoes", "Errand", "Gate", "Kept", "Later", "Line"),
        *("Nursery", "Said", "Standing", "Taker", "Terms", "Turn", "Undertaking", "Wish", "Would"),
        *("bench", "cures", "desk", "errand", "hearing", "hindsight", "kept", "nursery", "pleas", "shown", "taker"),
        *("taking", "turn", "wire"),
    )
)
"""Names of modules, classes, functions or parameters that were replaced and must not return."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """All imports between the product's modules, including those for type checkers only."""
    return grimp.build_graph(*PACKAGES)


@pytest.fixture(scope="module")
def trees(project: Path) -> Mapping[str, ast.Module]:
    """Module path → its syntax tree."""
    files = (file for package in PACKAGES for file in (project / package).rglob("*.py"))
    return {str(file.relative_to(project)): ast.parse(file.read_text("utf-8")) for file in files}


def test_no_module_imports_itself_by_way_of_others(graph: grimp.ImportGraph) -> None:
    """The imports between modules have no cycle."""
    _assert_acyclic({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})


def test_no_package_imports_itself_by_way_of_others(graph: grimp.ImportGraph) -> None:
    """The imports between the packages of one parent have no cycle, at any depth."""
    for parent in {module.rpartition(".")[0] for module in graph.modules} - {""}:
        _assert_acyclic(_between_children(graph, parent))


def test_a_cycle_would_be_found() -> None:
    """The check refuses three modules that import each other in a cycle."""
    with pytest.raises(CycleError):
        _assert_acyclic({"a": {"b"}, "b": {"c"}, "c": {"a"}})


def test_the_engine_of_shared_prefixes_needs_no_other_part_of_the_project(graph: grimp.ImportGraph) -> None:
    """The engine of shared prefixes imports no other module of the project, so that it can be used alone."""
    engine = "workers.evaluation.shared_prefix"
    modules = graph.find_descendants(engine)
    imported = {name for module in modules for name in graph.find_modules_directly_imported_by(module)}
    assert f"{engine}.model" in imported
    assert {name for name in imported if not name.startswith(f"{engine}.")} == set()


def test_a_class_name_means_one_thing(trees: Mapping[str, ast.Module]) -> None:
    """No two classes share a name, except those listed with a reason, one of which is in localhub."""
    places = defaultdict(list)
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(path)
    shared = {name: paths for name, paths in places.items() if len(paths) > 1}
    assert shared.keys() == SHARED_CLASS_NAMES.keys(), shared
    assert all(len(paths) == 2 and any(path.startswith("localhub/") for path in paths) for paths in shared.values())


def test_no_earlier_name_is_left(trees: Mapping[str, ast.Module]) -> None:
    """No module, class, function or parameter has a name of the earlier vocabulary."""
    earlier = [
        f"{path}: {name}" for path, tree in trees.items() for name in _names(path, tree) if name in EARLIER_NAMES
    ]
    assert earlier == []


def test_a_change_of_a_record_names_its_fields(trees: Mapping[str, ast.Module]) -> None:
    """`self.model_copy` with changes names only fields of its record, which no type checker verifies."""
    records = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    changed = [(record, field) for record in records for field in _changed_fields(record)]
    wrong = [f"{record.name} has no field {field}" for record, field in changed if field not in _fields(record)]
    assert len(changed) > 20 and wrong == []


def test_an_index_entry_and_its_changes_have_the_same_types() -> None:
    """`EntryChanges` has every field of `IndexEntry` but its path, with the same types."""
    fields = {**IndexEntry.__annotations__}
    assert fields.pop("path") == "str"
    changes = {name: ref.__forward_arg__ for name, ref in EntryChanges.__annotations__.items()}
    assert {name: type_ for name, type_ in fields.items() if not name.startswith("model_config")} == changes


def _assert_acyclic(imports: Mapping[str, Iterable[str]]) -> None:
    TopologicalSorter({module: set(imported) - {module} for module, imported in imports.items()}).prepare()


def _between_children(graph: grimp.ImportGraph, parent: str) -> Mapping[str, set[str]]:
    children = graph.find_children(parent)
    imports: dict[str, set[str]] = {child: set() for child in children}
    for module in graph.find_descendants(parent):
        for imported in graph.find_modules_directly_imported_by(module):
            if imported.startswith(f"{parent}."):
                imports[_child(parent, module)].add(_child(parent, imported))
    return imports


def _child(parent: str, module: str) -> str:
    return f"{parent}.{module.removeprefix(f'{parent}.').partition('.')[0]}"


def _names(path: str, tree: ast.Module) -> Iterator[str]:
    yield Path(path).stem
    yield from Path(path).parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg


def _changed_fields(record: ast.ClassDef) -> Iterator[str]:
    for call in ast.walk(record):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "self.model_copy":
            yield from (ast.literal_eval(key) for key in getattr(call.keywords[0].value, "keys", ()) if key)


def _fields(record: ast.ClassDef) -> set[str]:
    return {ast.unparse(node.target) for node in record.body if isinstance(node, ast.AnnAssign)}
