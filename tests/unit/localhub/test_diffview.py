"""A git diff parsed for the pages."""

from hypothesis import given
from hypothesis import strategies as st

from localhub.pages.diffview import MAX_LINES, parse

DIFF = """diff --git a/d/a.json b/d/a.json
index 1..2 100644
--- a/d/a.json
+++ b/d/a.json
@@ -1,2 +1,2 @@
 {
--- old
+++ new
diff --git a/x y.txt b/z.txt
similarity index 90%
rename from x y.txt
rename to z.txt
"""


def test_files_lines_and_counts() -> None:
    """The parser returns files with title, lines and counts; a line of a hunk that looks like a header is a line."""
    (first, second), cut = parse(DIFF)
    assert (first.title, first.added, first.removed, cut) == ("d/a.json", 1, 1, False)
    assert [(line.kind, line.text) for line in first.lines] == [
        ("hunk", "@@ -1,2 +1,2 @@"),
        ("same", " {"),
        ("del", "--- old"),
        ("add", "+++ new"),
    ]
    assert second.title == "x y.txt → z.txt" and (second.added, second.removed) == (0, 0)


def test_a_very_long_diff_is_cut() -> None:
    """A page shows a limited number of lines and reports that lines are left out."""
    files, cut = parse("diff --git a/a b/a\n@@ -0,0 +1 @@\n" + "+x\n" * (MAX_LINES + 5))
    assert cut and len(files[0].lines) == MAX_LINES and files[0].added == MAX_LINES + 5


@given(st.text())
def test_any_text_can_be_shown(text: str) -> None:
    """Any diff is parsed without an error."""
    parse(text)
    parse("diff --git a/a b/a\n" + text)
