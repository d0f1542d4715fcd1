"""Finds the code that scores a task's answers: the modules and packages to which its configuration leads."""

from __future__ import annotations

import dis
import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from leaderboard.result_digests import ScoredParts, digest_of
from workers.evaluation.asked_documents import plain_value

TASK_CODE = "lm_eval.tasks."
"""Beginning of the names of the modules of the harness's own tasks."""
HARNESS = "lm_eval"
AGGREGATING = ("lm_eval.evaluator", "lm_eval.evaluator_utils", "lm_eval.api.group")
"""Modules of the harness that make the scores of tasks and groups from those of questions."""
GENERAL_PACKAGES = frozenset(
    {"__main__", "datasets", "jinja2", "numpy", "packaging", "pkg_resources", "torch", "tqdm", "transformers", "yaml"}
)
"""Packages whose version does not change how an answer is scored: they load, count and add up."""


def scored_parts(task: Any) -> tuple[ScoredParts, dict[str, str], dict[str, str]]:
    """The parts of a task that scoring depends on; the digests of their modules; the versions of their packages.

    Call it before the task scores an answer: some metrics add to its aggregations.
    """
    config, used = task.config, UsedCode()
    for kind in type(task).__mro__:
        if is_harness_code(sys.modules[kind.__module__]):  # leaves out Steward's own class that loads the questions
            used.add_module(sys.modules[kind.__module__])
    for name in AGGREGATING:
        used.add_source(name, _source_of(name))
    metrics = {
        "output": config.output_type,
        "process_results": used.describe(config.process_results),
        "metrics": used.describe(getattr(task, "_metric_fn_list", {})),
        "options": used.describe(getattr(task, "_metric_fn_kwargs", {})),
        "aggregations": used.describe(task.aggregation()),
        "higher_is_better": used.describe(task.higher_is_better()),
        "decontaminate": config.should_decontaminate,
    }
    filters = [[each.name, used.describe(each.filters)] for each in getattr(task, "_filters", ())]
    targets = {
        "target": used.describe(config.doc_to_target),
        "choices": used.describe(config.doc_to_choice),
        # With several inputs, `doc_to_text` gives the number of the right answer.
        "text": used.describe(config.doc_to_text) if getattr(task, "multiple_input", 0) else None,
    }
    digests = [digest_of(part)[:16] for part in (metrics, filters, targets)]
    parts = ScoredParts(
        metrics=digests[0],
        filters=digests[1],
        targets=digests[2],
        modules=tuple(sorted(used.modules)),
        packages=tuple(sorted(used.packages)),
    )
    return parts, used.modules, used.packages


class UsedCode:
    """The modules and packages that scoring functions come from, collected by following what they refer to.

    Modules of task code are followed whole, into the modules whose objects they hold. Of the harness itself, and of
    packages, only the modules that hold a used object count, and packages by their version.
    """

    def __init__(self) -> None:
        self.modules: dict[str, str] = {}
        """Name → digest of the source."""
        self.packages: dict[str, str] = {}
        """Name → version."""
        self._seen: dict[int, object] = {}
        """Id → object; holding the objects keeps Python from giving their ids to others."""

    def describe(self, value: Any) -> Any:
        """`value` of a configuration as JSON data: functions by module and name, after their code was followed."""
        if isinstance(value, partial):
            return [self.describe(value.func), self.describe(list(value.args)), self.describe(value.keywords)]
        if isinstance(value, MethodType):
            return [self.describe(type(value.__self__)), value.__name__]
        if isinstance(value, FunctionType | BuiltinFunctionType | type):
            self.follow(value)
            return f"{module_name(value.__module__)}:{value.__qualname__}"
        if isinstance(value, Mapping):
            return {str(key): self.describe(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.describe(item) for item in value]
        if value is None or isinstance(value, str | int | float | bool):
            return value
        self.follow(type(value))
        return plain_value(value)

    def follow(self, value: Any, *, depth: int = 0) -> None:
        """Add the modules of a function, class or module, and of those in a container."""
        if isinstance(value, ModuleType):
            self.add_module(value)
        elif isinstance(value, FunctionType | BuiltinFunctionType | type):
            module = sys.modules.get(value.__module__ or "")
            if module is not None:
                self.add_module(module)
            if module is not None and is_harness_code(module):
                self._follow_code(value)
        elif isinstance(value, Mapping | list | tuple | set | frozenset) and depth < 2:
            for item in list(value.values() if isinstance(value, Mapping) else value):
                self.follow(item, depth=depth + 1)

    def add_module(self, module: ModuleType) -> None:
        """Add a module, and what it refers to if it is code of a task."""
        name, package = module.__name__, module.__name__.partition(".")[0]
        if id(module) in self._seen or package in sys.stdlib_module_names or package in GENERAL_PACKAGES:
            return
        self._seen[id(module)] = module
        self.add_source(name, getattr(module, "__file__", None) or "")
        if name.startswith(TASK_CODE) or "/" in name:
            for key, item in list(vars(module).items()):
                if not key.startswith("__"):
                    self.follow(item)
        elif package != HARNESS:
            self._add_package(package)
            for item in list(vars(module).values()):
                self._add_package_of(item)

    def add_source(self, name: str, path: str) -> None:
        """Add the module `name`, whose source is the file `path`; none for a module without source."""
        if not path.endswith(".py"):
            return
        name, digest = module_name(name), hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
        if self.modules.setdefault(name, digest) != digest:  # two folders of tasks have a file of this name
            self.modules[name] = digest_of(sorted({self.modules[name], digest}))[:16]

    def _add_package_of(self, value: Any) -> None:
        """Add the package of an object that a package's module refers to."""
        if isinstance(value, ModuleType):
            self._add_package(value.__name__.partition(".")[0])
        elif isinstance(value, FunctionType | BuiltinFunctionType | type):
            self._add_package((value.__module__ or "").partition(".")[0])

    def _add_package(self, package: str) -> None:
        if package and package not in {HARNESS, *GENERAL_PACKAGES, *sys.stdlib_module_names}:
            version = _version(package)
            if version:
                self.packages[package] = version

    def _follow_code(self, value: FunctionType | BuiltinFunctionType | type) -> None:
        """Add the packages that a function, or a method of a class, imports when it is called; follow what it calls."""
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        functions = [item for item in vars(value).values() if isinstance(item, FunctionType)]
        for function in [value, *functions] if isinstance(value, FunctionType) else functions:
            for code in _codes(function.__code__):
                for instruction in dis.get_instructions(code):
                    if instruction.opname == "IMPORT_NAME":
                        self._add_package(str(instruction.argval).partition(".")[0])
                for name in code.co_names:
                    called = function.__globals__.get(name)
                    if isinstance(called, FunctionType):
                        self.follow(called)


def is_harness_code(module: ModuleType) -> bool:
    """Whether a module is of the harness, or of a folder of tasks that it was given."""
    return module.__name__.partition(".")[0] == HARNESS or "/" in module.__name__


def module_name(name: str | None) -> str:
    """A module's name without a folder of this machine: the harness names a module in a folder of tasks by its path."""
    return (name or "").rpartition("/")[2] or "builtins"


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@cache
def _source_of(name: str) -> str:
    """The file of a module that need not be loaded; "" if this version of its package has none of that name."""
    spec = importlib.util.find_spec(name)
    return (spec.origin or "") if spec is not None else ""


@cache
def _version(package: str) -> str:
    """The version of the distribution that holds an importable package; "" if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(package, ())
        return ", ".join(sorted(f"{name} {importlib.metadata.version(name)}" for name in set(names)))
