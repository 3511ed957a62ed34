"""The docs: every public name has a page, every page has its parts, and all they say still holds
as far as a program can tell: signatures, links, named tests, examples."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

import numseg
from numseg import testing
from numseg.ops import registry

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"])
OPERATORS = list(registry.OPERATORS.values())
PUBLIC = [*numseg.__all__, *(f"testing.{name}" for name in testing.__all__)]

LINK = re.compile(r"\[(?P<text>[^\]\[]*)\]\((?P<target>[^)\s]+)\)")
TEST = re.compile(r"(?P<path>tests/[\w./-]+\.py)(::(?P<name>\w+))?")
PARTS = (
    "\n## Formula\n",
    "\n| argument | shape | dtype |\n|",
    "\n**Errors.** ",
    "\n## Gradient\n",
    "**Kinks.** ",
    "\n## Conventions\n",
    "\n| to reproduce | arguments | held by |\n|",
    "\n## Sources\n",
)

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES]
)
each_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)


def _links(page: Path) -> list[tuple[str, str]]:
    """Texts and targets, without those in code."""
    text = re.sub(r"(?ms)^```.*?^```|^    .*?$", "", page.read_text())
    return [(m["text"], m["target"]) for m in LINK.finditer(text)]


def _anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_index_and_on_its_page(name):
    index = {text.strip("`"): target for text, target in _links(DOCS / "README.md")}
    assert name in index, f"docs/README.md does not link {name}"
    page = DOCS / index[name].split("#")[0]
    short = name.removeprefix("testing.")
    assert re.search(rf"\b{short}\b", page.read_text()), f"{page} does not speak of {short}"


@each_operator
def test_an_operators_page_has_all_its_parts(op):
    page = DOCS / "operators" / f"{op.__name__}.md"
    assert page.is_file(), f"no page docs/operators/{op.__name__}.md"
    text = page.read_text()
    first, second = [line for line in text.splitlines() if line][:2]
    signature = inspect.signature(op)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    signature = signature.replace(parameters=bare, return_annotation=signature.empty)
    assert first == f"# {op.__name__}"
    assert second == f"`{op.__name__}{signature}`"
    assert [part for part in PARTS if part not in text] == []
    table = text.split("| held by |\n")[1].split("\n\n")[0].splitlines()[1:]
    assert table, "no row of conventions"
    assert TEST.search("\n".join(table)), "no convention names the test that holds it"
    assert all(row.strip(" |").rsplit("|", 1)[-1].strip() for row in table)


def test_every_operators_page_has_its_operator():
    pages = {page.stem for page in (DOCS / "operators").glob("*.md")}
    assert pages <= {op.__name__ for op in OPERATORS}


@each_page
def test_links_and_pictures_lead_somewhere(page):
    for text, target in _links(page):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"[{text}]({target})"
        assert not anchor or anchor in _anchors(file), f"[{text}]({target})"


@each_page
def test_the_tests_it_names_exist(page):
    for found in TEST.finditer(page.read_text()):
        file = ROOT / found["path"]
        assert file.is_file(), found[0]
        if found["name"]:
            assert f"def {found['name']}(" in file.read_text(), found[0]


@each_page
def test_its_examples_give_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for peer in re.findall(r"<!-- needs: (\w+) -->", page.read_text()):
        pytest.importorskip(peer)
    text = re.sub(r"(?m)^```.*$", "", page.read_text())
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    said: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert not said, "".join(said)
