"""Computes what the digests of a result are made from; `leaderboard.result_digests` says what they mean.

Everything is computed from what the harness really used: the requests that it made, the documents that its tasks
prepared, the tokens that the model got, and the source files of the modules that were loaded. So a task's own code may
come from any folder, and shuffles, samples and a stale cache of the `datasets` library are seen as they are.

    asked     one digest per document, from its requests (kind, texts, generation arguments, repeats) and from the
              document itself; then one over all documents in order
    scored    the task's metrics, filters and targets as its configuration names them; the modules that hold their
              functions, and the modules of task code that these import, each by the digest of its source file; the
              versions of the packages that these use
    prompts   one digest per request, from its tokens; then one over all requests in order

A digest holds no path, address or time, and does not depend on the order of a dictionary or of the tasks: it is the
same in each process and on each machine. The commit of a dataset is recorded beside `asked`, but is no part of it: the
documents themselves are, and a commit that only edits the dataset's README asks the same.
"""

from __future__ import annotations

import dis
import hashlib
import importlib.metadata
import importlib.util
import json
import random
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from leaderboard.result_digests import AskedParts, DigestParts, ScoredParts, TaskDigests, digest_of

TASK_CODE = "lm_eval.tasks."
"""Beginning of the names of the modules of the harness's own tasks."""
HARNESS = "lm_eval"
AGGREGATING = ("lm_eval.evaluator", "lm_eval.evaluator_utils", "lm_eval.api.group")
"""Modules of the harness that make the scores of tasks and groups from those of questions."""
GENERAL_PACKAGES = frozenset(
    {"__main__", "datasets", "jinja2", "numpy", "packaging", "pkg_resources", "torch", "tqdm", "transformers", "yaml"}
)
"""Packages whose version does not tell how an answer is scored: they load, count and add up."""

DocumentDigests: TypeAlias = dict[int, tuple[bytes, bytes]]
"""Number of a document → digests of its requests, and of the document."""


# --- asked


def document_digests(instances: Iterable[Any]) -> DocumentDigests:
    """The digests of the documents to which these requests of the harness, made without chat template, belong."""
    requests: dict[int, list[object]] = {}
    documents: dict[int, bytes] = {}
    text_digest = _LastText()
    for instance in instances:
        arguments = [text_digest(one) if isinstance(one, str) else one for one in instance.args]
        requests.setdefault(instance.doc_id, []).append([instance.request_type, instance.repeats, arguments])
        if instance.doc_id not in documents:
            documents[instance.doc_id] = _json_digest(instance.doc)
    return {number: (_json_digest(made), documents[number]) for number, made in requests.items()}


def asked_parts(documents: DocumentDigests, *, shots: int = 0, dataset: str = "") -> AskedParts:
    """What a task asked, from the digests of all its documents."""
    ordered = [documents[number] for number in sorted(documents)]
    return AskedParts(
        requests=hashlib.sha256(b"".join(requests for requests, _ in ordered)).hexdigest(),
        documents=hashlib.sha256(b"".join(document for _, document in ordered)).hexdigest(),
        questions=len(ordered),
        shots=shots,
        dataset=dataset,
    )


class _LastText:
    """The digest of a text; the last one is remembered, because the choices of a question share their context."""

    def __init__(self) -> None:
        self._text, self._digest = "", hashlib.sha256(b"").hexdigest()

    def __call__(self, text: str) -> str:
        if text is not self._text:
            self._text, self._digest = text, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return self._digest


def _json_digest(value: Any) -> bytes:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(canonical.encode()).digest()


def _plain(value: Any) -> Any:
    """A value that JSON lacks, as one that it has; of other kinds only the type, as their text may hold an address."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, bytes | bytearray):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tobytes") and hasattr(value, "size"):  # a picture
        return [list(np.shape(value)), hashlib.sha256(value.tobytes()).hexdigest()]
    return f"{type(value).__module__}.{type(value).__qualname__}"


@contextmanager
def unchanged_randomness(task: Any) -> Iterator[None]:
    """Leave the generators that the harness draws examples and shuffles from as they were before the block."""
    sampler = getattr(task, "sampler", None)
    draws = [rnd for rnd in (getattr(sampler, "rnd", None), getattr(task, "fewshot_rnd", None)) if rnd is not None]
    states, python, numpy_state = [rnd.getstate() for rnd in draws], random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        for rnd, state in zip(draws, states, strict=True):
            rnd.setstate(state)
        random.setstate(python)
        np.random.set_state(numpy_state)


# --- scored


def scored_parts(task: Any) -> tuple[ScoredParts, dict[str, str], dict[str, str]]:
    """What makes scores of a task's answers; the digests of its modules; the versions of its packages.

    Call it before the task scores an answer: some metrics add to its aggregations.
    """
    config, used = task.config, UsedCode()
    for kind in type(task).__mro__:
        if is_harness_code(sys.modules[kind.__module__]):  # and not a class of Steward's that loads its questions
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
    filters = [[one.name, used.describe(one.filters)] for one in getattr(task, "_filters", ())]
    targets = {
        "target": used.describe(config.doc_to_target),
        "choices": used.describe(config.doc_to_choice),
        # With several inputs, the right answer is the number that the text is.
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
        """By id; the objects are held, so that no other object gets the id of one."""

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
            return {str(key): self.describe(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.describe(one) for one in value]
        if value is None or isinstance(value, str | int | float | bool):
            return value
        self.follow(type(value))
        return _plain(value)

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
            for one in list(value.values() if isinstance(value, Mapping) else value):
                self.follow(one, depth=depth + 1)

    def add_module(self, module: ModuleType) -> None:
        """Add a module, and what it refers to if it is code of a task."""
        name, package = module.__name__, module.__name__.partition(".")[0]
        if id(module) in self._seen or package in sys.stdlib_module_names or package in GENERAL_PACKAGES:
            return
        self._seen[id(module)] = module
        self.add_source(name, getattr(module, "__file__", None) or "")
        if name.startswith(TASK_CODE) or "/" in name:
            for key, one in list(vars(module).items()):
                if not key.startswith("__"):
                    self.follow(one)
        elif package != HARNESS:
            self._add_package(package)
            for one in list(vars(module).values()):
                self._add_package_of(one)

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
        functions = [one for one in vars(value).values() if isinstance(one, FunctionType)]
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


# --- the recorder


class DigestRecorder:
    """Records, while the harness evaluates, what the digests of the result are made from."""

    def __init__(self, revisions: Mapping[str, str] | None = None, moved: Mapping[str, str] | None = None) -> None:
        """`revisions`: dataset → commit; `moved`: dataset that a task names → the one that holds its questions here."""
        self.revisions, self.moved = revisions or {}, moved or {}
        self.softmax_dtype = ""
        self.tokens: dict[int, list[int]] | None = None
        """Number of a document → tokens of its context; None: they are not needed."""
        self.tasks: dict[str, Any] = {}
        self._scored: dict[str, tuple[ScoredParts, dict[str, str], dict[str, str]]] = {}
        self._documents: dict[str, DocumentDigests] = {}
        self._prompts: dict[str, dict[tuple[int, int], bytes]] = {}

    def watch(self, tasks: Mapping[str, Any]) -> None:
        """Record how `tasks` score answers, and their requests when the harness makes them."""
        for name, task in tasks.items():
            self.tasks[name], self._scored[name] = task, scored_parts(task)
            task.build_all_requests = partial(self._build, name, task, task.build_all_requests)

    def _build(self, name: str, task: Any, build: Callable[..., None], **options: Any) -> None:
        """Make the requests of a task; with a chat template, first those without it, to record them.

        Examples may be drawn from one random sequence for all questions. So a copy of the model that answers a share of
        them makes the requests of all, and keeps its share: a question then has the examples that one copy would draw.
        """
        rank, copies = options.get("rank", 0), options.get("world_size", 1)
        draws = copies > 1 and (task.config.num_fewshot or 0) > 0
        if draws:
            options |= {"rank": 0, "world_size": 1}
        if options.get("apply_chat_template"):
            plain = {"apply_chat_template": False, "fewshot_as_multiturn": False, "chat_template": None}
            with unchanged_randomness(task):
                build(**{**options, **plain, "tokenizer_name": ""})
            self._documents[name] = document_digests(task.instances)
            build(**options)
        else:
            build(**options)
            self._documents[name] = document_digests(task.instances)
        if draws:
            task._instances = [request for request in task.instances if request.doc_id % copies == rank]

    def add_prompts(self, requests: Sequence[Any], tokens: Iterable[tuple[Sequence[int], Sequence[int]]]) -> None:
        """Record the tokens of requests: those of the context, and of the answer that is scored (none for a text)."""
        last: Sequence[int] = ()
        context_bytes = b""
        for request, (context, answer) in zip(requests, tokens, strict=True):
            if context is not last:
                last, context_bytes = context, array("i", context).tobytes()
            digest = hashlib.sha256(context_bytes)
            digest.update(b"|" + array("i", answer).tobytes())
            if self.tokens is not None:
                self.tokens.setdefault(request.doc_id, list(context))
            prompts = self._prompts.setdefault(str(request.task_name), {})
            prompts[request.doc_id, request.idx] = digest.digest()[:16]

    def state(self) -> tuple[Any, Any]:
        """What this process recorded, for the process that gathers the shares of all copies."""
        return self._documents, self._prompts

    def merge(self, states: Iterable[tuple[Any, Any]]) -> None:
        """Add what the copies of this process recorded of their shares of the questions."""
        for documents, prompts in states:
            for own, others in ((self._documents, documents), (self._prompts, prompts)):
                for task, digests in others.items():
                    own.setdefault(task, {}).update(digests)

    def parts(self) -> DigestParts:
        """What the digests of the result are made from."""
        tasks: dict[str, TaskDigests] = {}
        modules: dict[str, str] = {}
        versions: dict[str, str] = {}
        for name, task in self.tasks.items():
            scored, used, packages = self._scored[name]
            modules |= used
            versions |= packages
            tasks[name] = TaskDigests(
                asked=asked_parts(
                    self._documents[name], shots=task.config.num_fewshot or 0, dataset=self._dataset_of(task)
                ),
                scored=scored,
                prompts=self._prompts_of(name),
            )
        return DigestParts(
            tasks=tasks,
            modules=dict(sorted(modules.items())),
            versions=dict(sorted(versions.items())),
            softmax_dtype=self.softmax_dtype,
        )

    def _prompts_of(self, task: str) -> str:
        prompts = self._prompts.get(task, {})
        return hashlib.sha256(b"".join(prompts[key] for key in sorted(prompts))).hexdigest() if prompts else ""

    def _dataset_of(self, task: Any) -> str:
        """Where the questions come from, as repo@commit, if they are from the Hub."""
        path = task.DATASET_PATH or ""
        repo = self.moved.get(path, path)
        revision = self.revisions.get(repo, "")
        return f"{repo}@{revision}" if revision else ""
