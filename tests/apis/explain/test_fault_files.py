"""The files of faults say what they have to, and name what exists."""

from __future__ import annotations

import re
import tarfile
import time
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from mmseg_fixkit import explain
from mmseg_fixkit.apis.explain import fault as faults
from mmseg_fixkit.apis.explain.fault import Cause, Fault, all_faults, placeholders
from mmseg_fixkit.apis.explain.match import COMMON, rare_part
from mmseg_fixkit.apis.explain.with_config import CAUSES
from mmseg_fixkit.cli import VERBS
from mmseg_fixkit.rules import all_rules
from tests.apis.explain.examples import EXAMPLES, FOLDER
from tests.helpers.paths import ROOT
from tests.test_docs import command

TABLES = [
    (file.name, name, table)
    for file in sorted(faults.FOLDER.glob("*.toml"))
    for name, table in faults.read_faults(file).items()
]
IN_FILES = pytest.mark.parametrize(
    ("file", "name", "table"), TABLES, ids=[name for _, name, _ in TABLES]
)
EACH = pytest.mark.parametrize("fault", all_faults().values(), ids=lambda f: f.id)
REQUIRED = {"title", "rank", "what", "why", "sure", "next"}
#: Where a text comes from: a thread or a pull request of a repository, or a file of MMEngine.
REFERENCE = re.compile(r"[\w./-]+(?: PR)?#\d+|[\w/]+\.py")


def texts_of(part: Any) -> list[str]:
    """Return the texts of a fault or a cause that are shown."""
    told = [part.what, *part.next] + ([part.why, part.sure] if isinstance(part, Fault) else [])
    return [text for each in told for text in ([each] if isinstance(each, str) else each)]


def test_a_name_is_that_of_one_fault() -> None:
    names = [name for _, name, _ in TABLES]
    assert sorted(names) == sorted(all_faults()), "two files describe the same fault; rename one"


@IN_FILES
def test_keys_are_known_and_there(file: str, name: str, table: dict[str, Any]) -> None:
    where = f"[{name}] in explanations/faults/{file}"
    known = {field.name for field in fields(Fault)} - {"id"}
    assert table.keys() <= known, f"{where}: the keys are {', '.join(sorted(known))}"
    assert table.keys() >= REQUIRED, f"{where}: add {', '.join(REQUIRED - table.keys())}"
    lists = {"patterns", "anchors", "next", "causes", "after", "rules", "references"}
    assert [key for key in lists & table.keys() if not isinstance(table[key], tuple)] == []
    for cause in table.get("causes", ()):
        assert cause.keys() <= {field.name for field in fields(Cause)}, where
        assert cause.keys() >= {"id", "what", "next"}, where


@EACH
def test_a_fault_has_an_example(fault: Fault) -> None:
    assert fault.id in {example.fault.id for example in EXAMPLES}, (
        f"fault {fault.id} has no example: add tests/apis/explain/{fault.id}.txt with a text as it "
        "was printed; a line of ==== stands between several"
    )


OTHERS = {".py", ""}  # the tests themselves, and folders


@pytest.mark.parametrize(
    "file",
    sorted(file for file in FOLDER.iterdir() if file.suffix not in OTHERS),
    ids=lambda f: f.name,
)
def test_an_example_is_of_a_fault(file: Path) -> None:
    assert file.suffix == ".txt"
    assert file.stem in all_faults(), (
        f"tests/apis/explain/{file.name} is named after no fault: add [{file.stem}] to a file of "
        "mmseg_fixkit/apis/explain/faults, or rename it"
    )


@EACH
def test_a_pattern_compiles_and_has_an_anchor(fault: Fault) -> None:
    assert len(fault.expressions) == len(fault.patterns)
    assert bool(fault.patterns) == bool(fault.anchors)
    assert "#" not in "".join(fault.patterns), "in a verbose expression a comment begins with #"
    slow = [anchor for anchor in fault.literals if rare_part(anchor)[0] in COMMON]
    assert slow == [], (
        f"anchors of {fault.id} consist of characters that logs of training are full of: take "
        f"a part of the text with another one, such as a capital letter; {''.join(sorted(COMMON))}"
    )


@EACH
def test_a_placeholder_is_a_group(fault: Fault) -> None:
    groups = {name for expression in fault.expressions for name in expression.groupindex}
    if not fault.patterns:  # what log_values.py and result_table.py hand over
        groups = {"names", "iteration"}
    known = groups | {f"{name}_{side}_1" for name in groups for side in ("plus", "minus")}
    used = {n for part in (fault, *fault.causes) for t in texts_of(part) for n in placeholders(t)}
    assert used <= known | faults.PLACEHOLDERS.keys(), (
        f"texts of {fault.id} name groups that none of its patterns has"
    )


@EACH
def test_what_a_fault_names_exists(fault: Fault) -> None:
    assert fault.only_if in faults.CONDITIONS, f"add {fault.only_if} to CONDITIONS in fault.py"
    assert set(fault.after) <= set(all_faults())
    assert all(all_faults()[other].rank <= fault.rank for other in fault.after), (
        "what brings a fault about stands before it: its rank is lower"
    )
    causes = {cause.id for cause in fault.causes}
    assert causes <= CAUSES.keys(), f"add {causes - CAUSES.keys()} to CAUSES in with_config.py"
    codes = set(re.findall(r"MSF\d{3}", " ".join(texts_of(fault)))) | set(fault.rule_codes)
    for cause in fault.causes:
        codes |= set(re.findall(r"MSF\d{3}", " ".join(texts_of(cause))))
    assert codes <= {rule.code for rule in all_rules()}
    assert [text for text in fault.references if not REFERENCE.fullmatch(text)] == []


def test_no_cause_is_checked_that_no_fault_has() -> None:
    assert CAUSES.keys() == {c.id for f in all_faults().values() for c in f.causes}


def test_the_commands_that_are_named_exist() -> None:
    steps = {
        step
        for example in EXAMPLES
        for each in explain(example.text)
        for step in (*each.next, *(s for p in each.possibilities for s in p.next))
    }
    named = [step.partition("  # ")[0].split() for step in steps if step.startswith("mmseg-fix")]
    assert len(named) > 20
    for _, verb, *rest in named:
        assert verb in VERBS
        known = {o for p in command(verb).params for o in (*p.opts, *p.secondary_opts)}
        assert {o for o in rest if o.startswith("-")} <= known, (verb, rest)


@pytest.mark.parametrize(
    "tensor", ["decode_head.fcs.0.conv.bias", "backbone.cls_embed.0", "decode_head.convs.0.weight"]
)
def test_layers_that_do_not_follow_the_classes_are_of_another_model(tensor: str) -> None:
    (found,) = explain(
        f"size mismatch for {tensor}: copying a param with shape torch.Size([256]) from "
        "checkpoint, the shape in current model is torch.Size([128])."
    )
    assert found.id == "checkpoint-other-model"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_files_of_faults_are_in_the(kind: str, tmp_path: Path) -> None:
    build = pytest.importorskip(f"hatchling.builders.{kind}")
    builder = getattr(build, f"{kind.title()}Builder")(str(ROOT))
    built = next(builder.build(directory=str(tmp_path), versions=["standard"]))
    if kind == "wheel":
        names = zipfile.ZipFile(built).namelist()
    else:
        with tarfile.open(built) as archive:
            names = archive.getnames()
    packed = {Path(name).name for name in names if "/explain/faults/" in name}
    assert packed == {file.name for file in faults.FOLDER.glob("*.toml")}


@EACH
def test_a_pattern_takes_no_longer_than_the_text(fault: Fault) -> None:
    """A text of an example that stops, goes on with one of its characters, and stops again."""
    texts = ["".join(e.text.split()) for e in EXAMPLES if e.fault is fault]
    length = 20_000
    for text in texts if fault.patterns else ():
        for at in range(1, len(text), 3):
            pumped = text[:at] + text[at - 1] * length + text[:at] * 3
            begin = time.process_time()
            for expression in fault.expressions:
                expression.search(pumped)
            assert time.process_time() - begin < 0.5, (fault.id, text[:at])
