"""galaxy_tools: each command has a tool, which says of it what is so. No Galaxy is needed here."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import click
import pytest
import yaml

from enhancer_core import __version__
from enhancer_core.models.architecture import DEFAULT_NETWORK
from enhancer_core.training import TrainConfig, default_config
from tests.command_line import COMMANDS

TOOLS = Path(__file__).parents[1] / "galaxy_tools"
DATA = TOOLS / "test-data"

# Commands without a tool, and why.
NOT_TOOLS = {
    "publish": "it writes into a folder of the repository, a Kipoi source",
    "study": "its recipe names files of a folder, which Galaxy has not; train does one run",
}

# Options that a tool's command gives by itself, or not at all, and why.
NOT_OFFERED = {
    "--threads": "GALAXY_SLOTS",
    "--device": "auto; the destination says whether there is a GPU",
    "--output": "outputs are Galaxy's",
    "--fasta": "the sequences are always written",
    "--markdown": "always: the report that Galaxy shows",
    "--quiet": "messages are kept with the job",
    "--force": "a job writes into a folder of its own",
    "--from-weights": "one of the choices of what motifs are read from",
    "--de-novo": "one of the choices of where the motif is from",
    "--resume": "a job starts in an empty folder",
}
_SEQUENCES = "the tool learns from sequences, as extract and background make them"
NOT_OFFERED_BY = {  # options of one tool alone, and why
    "train": {
        **dict.fromkeys(("--genome", "--peaks", "--regions", "--skip-missing"), _SEQUENCES),
        **dict.fromkeys(("--tile", "--negatives-per-positive", "--hard-negatives"), _SEQUENCES),
        "--folds": "a job makes one model",
    }
}
NO_DEFAULT = {  # the form begins with a number here
    *(("background", "--number"), ("shuffle", "-k")),
    *(("call", "--precision"), ("call", "--top"), ("call", "--threshold")),
}
# Its default depends on the network, so that the form is empty here.
OF_THE_NETWORK = {("train", "--network")} | {
    ("train", f"--{each.name.replace('_', '-')}")
    for each in fields(TrainConfig)
    if each.default != getattr(default_config(DEFAULT_NETWORK), each.name)
}
NO_OPTION = {"--source", "--kind", "--format", "--name"}  # they say what another parameter is
SAFE = {("shuffle", "each"), ("background", "option")}  # names that the tool itself chose

MACROS = Xml.parse(TOOLS / "macros.xml").getroot()
TOKENS = {token.get("name", ""): token.text or "" for token in MACROS.iterfind("token")}
PARTS = {macro.get("name", ""): macro for macro in MACROS.iterfind("xml")}

NAMES = sorted(set(COMMANDS) - set(NOT_TOOLS))
each_tool = pytest.mark.parametrize("name", NAMES)


def expanded(element: Xml.Element, inside: tuple[Xml.Element, ...] = ()) -> Iterator[Xml.Element]:
    """An element as Galaxy sees it: macros in the place of their names."""
    if element.tag == "yield":
        yield from inside
        return
    if element.tag != "expand":
        copy = Xml.Element(element.tag, dict(element.attrib))
        copy.text = element.text
        for child in element:
            copy.extend(expanded(child, inside))
        yield copy
        return
    macro = PARTS[element.get("macro", "")]
    given = tuple(part for child in element for part in expanded(child))
    values = {key: value for key, value in macro.attrib.items() if key.startswith("token_")}
    values |= {f"token_{key}": value for key, value in element.attrib.items() if key != "macro"}
    for child in macro:
        for part in expanded(child, given):
            for each in part.iter():
                for key, value in values.items():
                    token = f"@{key.removeprefix('token_').upper()}@"
                    each.text = each.text and each.text.replace(token, value)
                    each.attrib = {k: v.replace(token, value) for k, v in each.attrib.items()}
            yield part


def tool(name: str) -> Xml.Element:
    """A tool, expanded, with the tokens of macros.xml in their places."""
    (root,) = expanded(Xml.parse(TOOLS / f"{name}.xml").getroot())
    for each in root.iter():
        for _ in range(2):  # tokens hold tokens
            for token, value in TOKENS.items():
                each.text = each.text and each.text.replace(token, value)
                each.attrib = {k: v.replace(token, value) for k, v in each.attrib.items()}
    return root


def command_of(root: Xml.Element) -> str:
    return root.findtext("command", "")


def key_of(param: Xml.Element) -> str:
    """The name of a parameter, which may be its option's."""
    return param.get("name") or param.get("argument", "").lstrip("-").replace("-", "_")


def params(root: Xml.Element) -> list[Xml.Element]:
    return list(root.iterfind("inputs//param"))


def options(name: str) -> dict[str, click.Option]:
    """A command's options by their long names."""
    listed = (each for each in COMMANDS[name].params if isinstance(each, click.Option))
    return {max(each.opts, key=len): each for each in listed}


def test_each_command_but_those_excused_has_a_tool_and_no_other_has() -> None:
    files = {path.stem for path in TOOLS.glob("*.xml")} - {"macros"}
    assert sorted(files) == NAMES
    assert set(NOT_TOOLS) <= set(COMMANDS)


@each_tool
def test_a_tool_is_named_for_its_command_and_has_our_version(name: str) -> None:
    root = tool(name)
    assert root.get("id") == f"enhancer_core_{name}"
    assert root.get("version") == f"{__version__}+galaxy{TOKENS['@VERSION_SUFFIX@']}"
    assert root.find("requirements/requirement[@version]").get("version") == __version__  # type: ignore[union-attr]
    assert f"\nenhancer-core {name}\n" in command_of(root)


@each_tool
def test_each_option_is_offered_or_excused_and_no_other_is(name: str) -> None:
    given = (each for each in COMMANDS[name].params if isinstance(each, click.Argument))
    positional = {{"source": "--sequences"}.get(str(each.name), f"--{each.name}") for each in given}
    offered = {each.get("argument") or f"--{key_of(each)}" for each in params(tool(name))}
    expected = set(options(name)) - set(NOT_OFFERED) - set(NOT_OFFERED_BY.get(name, {}))
    assert offered - (NO_OPTION - expected) - positional == expected


@each_tool
def test_what_is_offered_has_the_commands_default_limits_and_choices(name: str) -> None:
    known = options(name)
    for each in params(tool(name)):
        argument, kind = each.get("argument"), each.get("type")
        if argument is None or kind == "data" or (kind == "text" and argument != "--motif"):
            continue
        option = known[argument]
        is_free = (name, argument) in OF_THE_NETWORK
        if kind == "select" and isinstance(option.type, click.Choice):
            chosen = [choice.get("value") for choice in each if choice.get("selected") == "true"]
            choices = {choice.get("value") for choice in each}
            assert choices == {*option.type.choices, *([""] if is_free else [])}
            assert chosen == ["" if is_free else option.default], argument
        elif kind == "select" and option.is_flag:
            choices = {f"--{choice.get('value')}" for choice in each if choice.get("value")}
            assert choices == {*option.opts, *option.secondary_opts}
            assert is_free
            assert (each[0].get("value"), each[0].get("selected")) == ("", "true")
        elif kind == "boolean":
            assert option.is_flag
            assert (each.get("truevalue"), each.get("falsevalue")) == (argument, "")
            assert each.get("checked") in (None, "false")
        elif kind in ("integer", "float"):
            limits = option.type
            assert isinstance(limits, click.IntRange | click.FloatRange), argument
            for limit, expected in (("min", limits.min), ("max", limits.max)):
                assert as_number(each.get(limit)) == expected, (argument, limit)
            if is_free:
                assert (each.get("optional"), each.get("value")) == ("true", None), argument
            elif (name, argument) not in NO_DEFAULT:
                default = option.default if isinstance(option.default, int | float) else None
                assert as_number(each.get("value")) == default, argument


def as_number(text: str | None) -> float | None:
    return None if text is None else float(text)


@each_tool
def test_what_users_type_and_name_reaches_the_shell_quoted(name: str) -> None:
    root = tool(name)
    kinds = {key_of(each): each.get("type") for each in params(root)}
    texts = [each for each in params(root) if each.get("type") == "text"]
    assert all(each.find("sanitizer[@sanitize='false']") is not None for each in texts)
    quoted = {"link", "links", "path", "paths", "quote", "words", "model", "genome", "motif"}
    harmless = {key for key, kind in kinds.items() if kind in ("integer", "float", "boolean")}
    for line in command_of(root).splitlines():
        if line.lstrip().startswith("#"):
            continue
        for found in re.finditer(r"(?<!\\)\$\{?(?P<name>[A-Za-z_][\w.]*)", line):
            before, leaf = line[: found.start()], found["name"].split(".")[-1]
            if before.count("(") > before.count(")"):  # what is given to one of the functions
                continue
            in_quotes = before.count("'") % 2 == 1 and kinds.get(leaf) not in ("text", "data")
            assert leaf in quoted | harmless or in_quotes or (name, leaf) in SAFE, line


@each_tool
def test_a_job_uses_the_cores_it_is_given_and_a_gpu_that_it_sees(name: str) -> None:
    command, known = command_of(tool(name)), options(name)
    assert ('--threads "\\${GALAXY_SLOTS:-1}"' in command) == ("--threads" in known)
    assert ("--device auto" in command) == ("--device" in known)


@each_tool
def test_a_tool_has_a_test_that_passes_and_one_that_must_fail_with_a_message(name: str) -> None:
    tests = tool(name).findall("tests/test")
    failing = [test for test in tests if test.get("expect_failure") == "true"]
    passing = [test for test in tests if test not in failing]
    assert passing
    assert failing
    for test in failing:
        said = [line.attrib for line in test.iterfind("assert_stderr/*")]
        assert any("enhancer-core: error: " in " ".join(line.values()) for line in said)
    for test in passing:
        assert test.get("expect_num_outputs")
        outputs = [*test.iterfind("output"), *test.iterfind("output_collection")]
        assert outputs
        for each in outputs:
            exact = "file" in each.attrib or each.get("count") == "0"
            exact = exact or each.find("element[@file]") is not None
            assert exact or each.find(".//assert_contents") is not None


@each_tool
def test_compressed_input_is_tested_wherever_it_is_allowed(name: str) -> None:
    root = tool(name)
    allowed = any("fasta.gz" in each.get("format", "") for each in params(root))
    tested = {each.get("ftype") for each in root.iterfind("tests//param")}
    assert allowed == ("fasta.gz" in tested)


@each_tool
def test_the_help_states_peak_memory_and_shows_a_picture_that_is_there(name: str) -> None:
    text = tool(name).findtext("help", "")
    assert re.search(r"\*\*Peak memory\*\*: \d\.\d GB (for|with) [\d,]+", text)
    assert re.findall(r"\.\. image:: /images/(.*)", text) == [f"{name}.png"]
    assert (TOOLS / "images" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@each_tool
def test_the_columns_of_tables_are_named(name: str) -> None:
    tables = [
        each for each in tool(name).iterfind("outputs/data") if each.get("format") == "tabular"
    ]
    for each in tables:
        named = each.find("actions/action[@name='column_names']")
        assert named is not None, each.get("name")


def test_what_tests_read_is_there_is_used_and_is_small() -> None:
    read = {"make.py"}
    for name in NAMES:
        tests = tool(name).find("tests")
        assert tests is not None
        for each in tests.iter():
            value = each.get("value", "") if each.get("ftype") else ""
            read |= {*value.split(","), each.get("file", "")}
    tables = {"genome.fa", "model.safetensors", "all_fasta.loc", "enhancer_models.loc"}
    there = {path.name for path in DATA.iterdir() if path.suffix != ".fai"}  # left by a run by hand
    assert there == (read | tables) - {""}
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 300_000


def test_samples_of_data_tables_hold_comments_only_and_tests_have_the_same_tables() -> None:
    samples = sorted((TOOLS / "tool-data").iterdir())
    assert [path.name for path in samples] == ["all_fasta.loc.sample", "enhancer_models.loc.sample"]
    for path in samples:
        assert all(line.startswith("#") for line in path.read_text().splitlines())
    ours, tests = (
        Xml.parse(TOOLS / f"tool_data_table_conf.xml.{kind}").getroot()
        for kind in ("sample", "test")
    )
    for table in tests.iter("file"):
        table.set("path", table.get("path", "").replace("${__HERE__}/test-data", "tool-data"))
    assert Xml.tostring(ours) == Xml.tostring(tests)


def test_a_report_becomes_what_galaxy_shows(tmp_path: Path) -> None:
    (script,) = re.findall("sed -E '(.*)'", TOKENS["@REPORT@"])
    report = tmp_path / "report.md"
    report.write_text(
        "# \\!\\[no\\](figures/no.png)\n\n| a\\|b | c |\n| --- | ---: |\n\n![x](figures/y.png)\n"
    )
    done = subprocess.run(["sed", "-E", script, report], check=True, capture_output=True, text=True)
    assert done.stdout == (
        "# \\!\\[no\\](figures/no.png)\n\n| a\\|b &emsp; | c |\n| --- | ---: |\n\n"
        '```galaxy\nhistory_dataset_as_image(output="report", path="y.png")\n```\n'
    )


def stated(state: dict[str, object], prefix: str = "") -> set[str]:
    """The parameters that a workflow's step states, by their paths."""
    found = set()
    for key, value in state.items():
        found |= {f"{prefix}{key}"}
        if isinstance(value, dict):
            found |= stated(value, f"{prefix}{key}|")
    return found


def required(element: Xml.Element, state: dict[str, Any], prefix: str = "") -> set[str]:
    """The parameters that a form has in a state, by their paths."""
    found = {f"{prefix}{key_of(each)}" for each in element.iterfind("param")}
    for section in element.iterfind("section"):
        name = str(section.get("name"))
        found |= required(section, state.get(name, {}), f"{prefix}{name}|")
    for conditional in element.iterfind("conditional"):
        name, (selector,) = str(conditional.get("name")), conditional.iterfind("param")
        inside = state.get(name, {})
        for when in conditional.iterfind("when"):
            if when.get("value") == str(inside.get(key_of(selector))):
                found |= required(when, inside, f"{prefix}{name}|")
    return found


def steps_of(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The steps of a workflow, and of those inside it."""
    for name, step in workflow["steps"].items():
        yield name, step
        if "run" in step:
            yield from steps_of(step["run"])


WORKFLOWS = sorted((TOOLS / "workflows").glob("*.gxwf.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name.partition(".")[0])
def test_a_workflow_states_every_parameter_of_its_tools(path: Path) -> None:
    """Else Galaxy takes the tool for changed, and asks its user to review the workflow."""
    for name, step in steps_of(yaml.safe_load(path.read_text())):
        command = str(step.get("tool_id", "")).removeprefix("enhancer_core_")
        if command in NAMES:
            (inputs,) = tool(command).iterfind("inputs")
            state = step.get("state", {})
            known = stated(state) | set(step["in"])
            assert required(inputs, state) <= known, name
            # Nor is a parameter stated that the form has not.
            stray = {key for key in state if not inputs.findall(f"*[@name='{key}']")}
            assert not stray - {key_of(each) for each in inputs.iterfind("param")}, name
