"""The guides say only what is there: their commands, calls, settings, codes and keys of the policy."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from serving.api_offer_codes import WithheldCode
from serving.decisioning.policy import default_policy, default_policy_text, parse_policy
from serving.experiments_toml import default_experiments_text, parse_experiments
from serving.http_calls import CALLS
from training.cli import app

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = {path.stem: path.read_text("utf-8") for path in sorted(DOCS.glob("guide-*.md"))}
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined] # a group of commands


def blocks(language: str) -> list[str]:
    return [found for text in GUIDES.values() for found in re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)]


def lines_of_shell() -> list[str]:
    return [line.split("  #")[0].strip() for block in blocks("bash") for line in block.splitlines() if line.strip()]


def test_both_guides_are_there() -> None:
    assert set(GUIDES) == {"guide-marketing", "guide-data-science"}


def test_every_tercet_call_has_a_verb_and_options_that_exist() -> None:
    in_tables = re.findall(r"`(tercet [^`]+)`", "\n".join(GUIDES.values()))
    calls = [line for line in (*lines_of_shell(), *in_tables) if line.removeprefix(".venv/bin/").startswith("tercet ")]
    assert len(calls) > 12
    for call in calls:
        verb, *rest = shlex.split(call)[1:]
        known = {name for each in COMMANDS[verb].params for name in (*each.opts, *each.secondary_opts)}
        assert {each for each in rest if each.startswith("--")} <= known, call


def test_every_call_is_one_that_the_server_takes() -> None:
    models = {each.path.removeprefix("/v1/"): each.request for each in CALLS if each.request is not None}
    asked = re.findall(r"^ask ([\w-]+) +'(\{.*\})'$", "\n".join(blocks("bash")), flags=re.M)
    assert len(asked) >= 5
    for call, body in asked:
        models[call].model_validate_json(body)
    named = {path for text in GUIDES.values() for path in re.findall(r"`/v1/([\w-]+)`", text)}
    assert named <= set(models)


def test_every_setting_can_be_taken_as_it_stands() -> None:
    rules, experiment = blocks("toml")
    found = parse_policy(default_policy_text() + "\n" + rules).merchandising
    assert [len(found.pins), len(found.boosts), len(found.bans)] == [1, 1, 1]
    assert len(parse_experiments(default_experiments_text() + "\n" + experiment).experiments) == 1
    assert tomllib.loads(experiment)["experiment"][0]["arm"][1]["policy"] == {"stretch.link_bonus": 1.0}


def test_every_key_of_the_policy_that_is_named_is_one() -> None:
    policy = default_policy()
    sections = {each.name for each in fields(policy)}
    keys = re.findall(r"`(\w+)\.(\w+)`", "\n".join(GUIDES.values()))
    named = [(section, key) for section, key in keys if section in sections]
    assert len(named) >= 5
    assert [each for each in named if not hasattr(getattr(policy, each[0]), each[1])] == []


def test_every_reason_in_the_table_is_a_code() -> None:
    table = GUIDES["guide-marketing"].partition("| reason | says |")[2].partition("\n\n")[0]
    codes = [code for row in table.splitlines()[2:] for code in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(codes) >= 8
    assert set(codes) <= {str(each) for each in WithheldCode}


@pytest.mark.parametrize("code", blocks("python"))
def test_python_is_python_and_imports_what_is_there(code: str) -> None:
    imports = [each for each in ast.parse(code).body if isinstance(each, ast.ImportFrom)]
    exec(compile(ast.Module(list(imports), []), "guide", "exec"), {})
