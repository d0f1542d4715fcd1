"""Request files of two generations, of other leaderboards, and written by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard import transitions
from leaderboard.admission.rules import judge, refusal
from leaderboard.admission.submission import Submission
from leaderboard.categories import ModelCategory, read_category
from leaderboard.dialects import foreign_dialect
from leaderboard.jsontext import edit
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request
from leaderboard.times import corrected_time, read_time, write_time
from tests.support.units.admission_facts import MODEL, Case
from tests.support.units.request_transitions import written

PATH = "ada/tiger_eval_request_False_bfloat16_Original.json"
SHA = "0123456789abcdef0123456789abcdef01234567"
NOON = 1_718_186_400.0  # 2024-06-12T10:00:00Z
OLDEST = {
    "model": "ada/tiger",
    "base_model": "",
    "revision": "main",
    "private": False,
    "precision": "bfloat16",
    "weight_type": "Original",
    "status": "PENDING",
    "submitted_time": "2023-07-01T08:30:00Z",
    "model_type": "pretrained",
    "likes": 12,
    "params": 6.738,
    "license": "apache-2.0",
}
FIRST = {
    **OLDEST,
    "model_type": "🟢 : 🟢 pretrained",
    "architectures": "LlamaForCausalLM",
    "job_id": -1,
    "job_start_time": None,
}
LAST_OF_FIRST = {name: value for name, value in FIRST.items() if name not in ("private", "likes", "license")}
SECOND = {**LAST_OF_FIRST, "revision": SHA, "use_chat_template": True, "sender": "ada"}
REACT = {**SECOND, "model_type": "chat", "architectures": "", "params": 7.24}
PORTUGUESE = {
    **FIRST,
    "error_msg": "CUDA out of memory",
    "traceback": "Traceback (most recent call last): …",
    "eval_version": "1.1.0",
    "result_metrics": {"enem": 0.5},
    "result_metrics_average": 0.51,
    "source": "script",
    "hide": False,
    "main_language": "Portuguese",
    "lm_eval_model_type": "huggingface",
    "job_start_time": "2024-04-02T03-12-45.123456",
}
TEMPLATE = {**OLDEST, "precision": "float32"}
MOE = {**SECOND, "inference_framework": "hf-chat", "gpu_type": "NVIDIA-A100-PCIe-80GB"}
LOW_BIT = {**SECOND, "status": "Pending", "submitted_by": "ada", "submitted_orgs": "intel", "ci_run_id": 77}


@dataclass(frozen=True)
class File:
    """A file, and its expected reading: a request with its status, a foreign file, or none."""

    name: str
    fields: Any
    kind: Literal["request", "foreign", "none"] = "request"
    status: Status | None = Status.PENDING
    path: str = PATH
    refused: tuple[str, ...] = ()
    indent: int | str | None = None
    prefix: bytes = b""
    end: str = ""
    newline: str = "\n"
    ascii_only: bool = True

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        text = json.dumps(self.fields, indent=self.indent, ensure_ascii=self.ascii_only) + self.end
        return self.prefix + text.replace("\n", self.newline).encode()


FILES = (
    File("2023, before architectures", OLDEST),
    File("early 2024", FIRST),
    File("end of the first generation", LAST_OF_FIRST),
    File("second generation, by the form", SECOND),
    File("second generation, by the new form", REACT, indent=2),
    File("with its emoji as they are", SECOND, ascii_only=False, end="\n"),
    File("edited on Windows", SECOND, indent="\t", newline="\r\n", end="\n"),
    File("with a byte order mark", SECOND, prefix=b"\xef\xbb\xbf"),
    File("of the Portuguese leaderboard", PORTUGUESE, indent=4),
    File("failed there", {**PORTUGUESE, "status": "FAILED"}, status=Status.FAILED),
    File("of the backend template", TEMPLATE, path=PATH.replace("bfloat16", "float32")),
    File("running by number", {**SECOND, "status": "RUNNING", "job_id": 4_711_000}, status=Status.RUNNING),
    File("running by text", {**SECOND, "status": "RUNNING", "job_id": "4711000"}, status=Status.RUNNING),
    File("finished, and more", {**FIRST, "status": "FINISHED_2024"}, status=Status.FINISHED),
    File("to be evaluated anew", {**FIRST, "status": "PENDING_NEW_EVAL"}, status=Status.PENDING_NEW_EVAL),
    File("rerun", {**FIRST, "status": "RERUN"}, status=Status.RERUN),
    File("a status in small letters", {**SECOND, "status": "pending"}),
    File(
        "a precision in another case", {**SECOND, "precision": "BFloat16"}, path=PATH.replace("bfloat16", "BFloat16")
    ),
    File("an unknown status", {**SECOND, "status": "EVALUATING"}, status=None),
    File("half done", {**SECOND, "status": "Partial"}, status=None),
    File("no status that means anything", {**SECOND, "status": ""}, status=None),
    File("everything unknown", {**SECOND, "model_type": "?", "params": 0, "architectures": "?", "license": "?"}),
    File("nulls", {**SECOND, "base_model": None, "revision": None, "model_type": None, "submitted_time": None}),
    File("hints of wrong types", {**SECOND, "model_type": 0, "sender": 7, "job_id": [], "submitted_time": 20240612}),
    File(
        "without an organisation",
        {**SECOND, "model": "tiger"},
        path="tiger_eval_request_False_bfloat16_Original.json",
        refused=("model-renamed",),
    ),
    File(
        "in a precision of another board",
        {**SECOND, "precision": "AWQ"},
        path=PATH.replace("bfloat16", "AWQ"),
        refused=("precision-unknown",),
    ),
    File(
        "with flags for a name",
        {**OLDEST, "precision": "8bit"},
        "foreign",
        path="ada/tiger_eval_request_False_True_False.json",
    ),
    File("with flags for a name, and no precision", {"model": "ada/tiger", "status": "PENDING"}, "foreign",
         path="ada/tiger_eval_request_False_False_False.json"),
    File(
        "of the mixtures' leaderboard",
        MOE,
        "foreign",
        path="ada/tiger_eval_request_False_bfloat16_Original_hf-chat_NVIDIA-A100-PCIe-80GB.json",
    ),
    File(
        "of the low-bit leaderboard",
        LOW_BIT,
        "foreign",
        path="ada/tiger_eval_request_False_bfloat16_Original.request.json",
    ),
    File("of the low-bit leaderboard, in the common place", LOW_BIT, "foreign", status=None),
    File("a list", [SECOND], "none"),
    File("a made-up ending", SECOND, "none", path="ada/tiger_eval_request_False_bfloat16_Original_v2.json"),
    File("one folder too deep", SECOND, "none", path="ada/models/tiger_eval_request_False_bfloat16_Original.json"),
    File("in another's folder", SECOND, "none", path="eve/tiger_eval_request_False_bfloat16_Original.json"),
    File("under another precision", SECOND, "none", path=PATH.replace("bfloat16", "4bit")),
    File("no model", {"status": "PENDING"}, "none"),
    File("a number for a model", {**SECOND, "model": 7}, "none"),
)  # fmt: skip
REQUESTS = [file for file in FILES if file.kind == "request"]


@pytest.mark.parametrize(
    ("names", "dialect"),
    [((), None), (("submitted_by",), None), (("ci_run_id",), None), (("submitted_by", "ci_run_id"), "low-bit")],
)
def test_one_field_of_another_backend_makes_no_foreign_file(names: tuple[str, ...], dialect: str | None) -> None:
    """A file with two fields of another backend is foreign; a single one may be a person's addition."""
    assert foreign_dialect(PATH, {**FIRST, **dict.fromkeys(names, "x")}) == dialect


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_shape_is_taken_for_what_it_is(file: File) -> None:
    """Each file is read as a request with its status, as another backend's file, or as problems with messages."""
    parsed = parse_request(file.path, file.data)
    foreign = foreign_dialect(file.path, file.fields if isinstance(file.fields, dict) else {})
    assert (foreign is not None) == (file.kind == "foreign")
    if isinstance(parsed, Request):
        assert file.kind in ("request", "foreign")
        assert parsed.status is (file.status if file.kind == "request" else None)
    else:
        assert file.kind != "request"
        assert all(problem.message and problem.advice for problem in parsed)
        assert refusal(parsed).fault == "submission"
    assert is_request_path(file.path)


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.name)
def test_a_status_change_leaves_every_other_byte(file: File) -> None:
    """PENDING becomes FAILED and the steward's object is added at the end; nothing before, between and after moves."""
    request = parse_request(file.path, file.data)
    assert isinstance(request, Request)
    assert request.raw.encode() == file.data
    failure = refusal(parse_request("x_eval_request_.json", b"{}"))  # type: ignore[arg-type]
    edited = written(transitions.fail_transition(failure=failure, log=None, thread=7), request).encode()
    fields = json.loads(edited.decode("utf-8-sig"))
    assert fields["status"] == "FAILED"
    assert fields["steward"]["thread"] == 7
    assert {name: value for name, value in fields.items() if name not in ("status", "steward")} == {
        name: value for name, value in file.fields.items() if name != "status"
    }
    before, _, after = file.data.partition(f'"status": {json.dumps(file.fields["status"])}'.encode())
    assert edited.startswith(before + b'"status": "FAILED"')
    closing = after.rstrip().removesuffix(b"}").rstrip()
    assert edited.startswith(before + b'"status": "FAILED"' + closing + b",")
    assert edited.endswith(after[len(closing) :])
    assert edit(edit(request.raw, {"status": "X"}), {"status": file.fields["status"]}) == request.raw


@pytest.mark.parametrize("file", REQUESTS, ids=lambda file: file.name)
def test_what_can_be_read_is_judged_like_any_other(file: File) -> None:
    """Old and new files are refused for the submission's problems, never for their age."""
    request = parse_request(file.path, file.data)
    assert isinstance(request, Request)
    case = Case("x", asked={}, policy={"off": ["category"]})
    template = Submission(request, MODEL, case.board(), case.submission().board_facts)
    assert tuple(reason.code for reason in judge(template).reasons) == file.refused


@given(st.sampled_from(FILES), st.integers(0, 2_000), st.binary(max_size=4))
def test_a_torn_file_never_crashes(file: File, at: int, junk: bytes) -> None:
    """A file that is overwritten at any place with any bytes is read as a request or as problems."""
    parsed = parse_request(file.path, file.data[:at] + junk + file.data[at + len(junk) :])
    assert isinstance(parsed, Request) or parsed


CATEGORIES = [
    ("pretrained", ModelCategory.PRETRAINED),
    ("🟢 : 🟢 pretrained", ModelCategory.PRETRAINED),
    ("🟢", ModelCategory.PRETRAINED),
    ("continuously pretrained", ModelCategory.CONTINUED),
    ("🟩 : 🟩 continuously pretrained", ModelCategory.CONTINUED),
    ("continously pretrained", ModelCategory.CONTINUED),
    ("fine-tuned", ModelCategory.FINE_TUNED),
    ("Fine_Tuned", ModelCategory.FINE_TUNED),
    ("🔶 : 🔶 fine-tuned on domain-specific datasets", ModelCategory.FINE_TUNED),
    ("🔶", ModelCategory.FINE_TUNED),
    ("instruction-tuned", ModelCategory.CHAT),
    ("⭕ : instruction-tuned", ModelCategory.CHAT),
    ("RL-tuned", ModelCategory.CHAT),
    ("🟦", ModelCategory.CHAT),
    ("💬 : 💬 chat models (RLHF, DPO, IFT, ...)", ModelCategory.CHAT),
    ("chat", ModelCategory.CHAT),
    ("🤝 : 🤝 base merges and moerges", ModelCategory.MERGE),
    ("merge", ModelCategory.MERGE),
    ("🌸 : 🌸 multimodal", ModelCategory.MULTIMODAL),
    ("?", ModelCategory.UNKNOWN),
    ("❓ : ❓ other", ModelCategory.UNKNOWN),
    ("", ModelCategory.UNKNOWN),
    (None, ModelCategory.UNKNOWN),
    ("a girl", ModelCategory.UNKNOWN),
    ("turbo", ModelCategory.UNKNOWN),
    ("endpoint", ModelCategory.UNKNOWN),
    ("emergent", ModelCategory.UNKNOWN),
    ("🔶 endpoint model", ModelCategory.FINE_TUNED),
    ("DPO-tuned", ModelCategory.CHAT),
    ("lazymergekit", ModelCategory.MERGE),
]


@pytest.mark.parametrize(("text", "category"), CATEGORIES)
def test_a_category_is_known_in_every_spelling(text: str | None, category: ModelCategory) -> None:
    """A category is read from its text or its symbol, in all spellings that front ends have used."""
    assert read_category(text) is category


@pytest.mark.parametrize("category", ModelCategory)
def test_a_category_is_read_as_it_is_shown(category: ModelCategory) -> None:
    """A category is read from its symbol, from its name, and from both."""
    for text in (category.symbol, category.value, f"{category.symbol} : {category.symbol} {category.value}"):
        assert read_category(text) is category


TIMES = [
    ("2024-06-12T10:00:00Z", NOON),
    ("2024-06-12T10:00:00", NOON),
    ("2024-06-12T10:00:00.500000", NOON + 0.5),
    ("2024-06-12T10-00-00.250000", NOON + 0.25),
    ("2024-06-12 10:00:00", NOON),
    ("2024-06-12 10-00-00.250000", NOON + 0.25),
    ("2024-06-12T10-00-00", NOON),
    ("2024-06-12T10 00 00.250000", NOON + 0.25),
    ("2024-06-12T12:00:00+02:00", NOON),
    ("", None),
    (None, None),
    ("yesterday", None),
    ("2024-13-01T00:00:00Z", None),
    ("2024-06-12T25-00-00.000000", None),
    ("2016-12-31T23:59:60Z", None),
    ("1969-12-31T23:59:59Z", -1.0),
    ("9999-12-31T23:59:59-14:00", None),
    ("0001-01-01T00:00:00+14:00", None),
    ("9" * 100, None),
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_three_ways_of_writing_a_time_are_read(text: str | None, seconds: float | None) -> None:
    """A time is read in each format of request files, as UTC unless it has an offset; other texts give None."""
    assert read_time(text) == seconds


@given(st.text(max_size=70))
def test_no_text_makes_reading_a_time_raise(text: str) -> None:
    """Untrusted times become numbers or None."""
    assert read_time(text) is None or isinstance(read_time(text), float)


@given(st.integers(0, 4_000_000_000))
def test_a_time_comes_back_as_it_was_written(seconds: int) -> None:
    """A time in whole seconds is read as it was written."""
    assert read_time(write_time(seconds)) == seconds


def test_a_time_in_the_future_becomes_that_of_the_commit() -> None:
    """A submission time after the commit, or before the earliest possible one, becomes the time of the commit."""
    assert corrected_time("2031-01-01T00:00:00Z", NOON) == "2024-06-12T10:00:00Z"
    assert corrected_time("2024-06-12T10:04:00Z", NOON) is None
    assert corrected_time("2023-06-12T10:00:00Z", NOON) is None
    assert corrected_time("2023-06-12T10:00:00Z", NOON, earliest=NOON - 3600) == "2024-06-12T10:00:00Z"
    assert corrected_time("2024-06-12T09:30:00Z", NOON, earliest=NOON - 3600) is None
    assert corrected_time("soon", NOON, earliest=NOON - 3600) is None
    assert corrected_time("soon", NOON) is None
    assert corrected_time(corrected_time("2031-01-01T00:00:00Z", NOON), NOON) is None
