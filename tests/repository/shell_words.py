"""Check that a command in the documentation exists, without running it.

Every word that can be looked up is: the options and arguments of `trading`, names of scenarios,
services and files, targets of `make`, values of the chart, settings, ports and paths of URLs.
"""

import re
import shlex
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import yaml

from tests.repository.markdown import ROOT
from trading.cli.__main__ import cli
from trading.deploy.environments import SECRETS_VARIABLE
from trading.embedded.library import shipped
from trading.hosting.settings import Settings
from trading.links.peers import LinkSettings
from trading.topology import INFRASTRUCTURE, MAX_INSTANCES, SERVICES

#: Programs of the system, whose arguments are not checked.
_PLAIN = {
    "basename", "cat", "cd", "chown", "cp", "curl", "diff", "echo", "git", "grep", "head",
    "install", "ls", "mkdir", "openssl", "pip", "python3", "rm", "sed", "sha256sum", "tail",
    "test", "wait", "xdg-open",
}  # fmt: skip
_KUBECTL = {
    "apply", "config", "create", "delete", "describe", "explain", "get", "label", "logs", "patch",
    "port-forward", "wait",
}  # fmt: skip
_HELM = {"install", "upgrade", "uninstall", "rollback", "template", "lint"}
_COMPOSE = {"cp", "down", "exec", "kill", "logs", "ps", "pull", "restart", "stop", "up"}
_KEYWORDS = {"for", "while", "if", "then", "do", "else", "!"}
_ENDS = {"done", "exit", "fi", "true", "false"}
#: Environment variables that are neither a setting of a service nor one of a deployment.
_OTHER_VARIABLES = {
    SECRETS_VARIABLE, "ADMIN_DATABASE_URL", "ADMIN_DATABASE_URL_FILE", "COMPOSE_PROJECT_NAME",
    "DOCKER_HOST", "KUBECONFIG", "PATH", "PYTHONHASHSEED", "TRADING_IMAGE",
}  # fmt: skip


class Unknown(AssertionError):
    """A word of a command does not exist."""


def settings() -> set[str]:
    """Return the names of all settings, each also with `_FILE`."""
    names = {n.upper() for model in (Settings, LinkSettings) for n in model.model_fields}
    return names | {f"{name}_FILE" for name in names}


def known_variable(name: str) -> bool:
    """Return whether an environment variable has a meaning for some command."""
    return name in settings() or name in _OTHER_VARIABLES


def commands_in(script: str) -> list[list[str]]:
    """Return the simple commands of a script, each as a list of words, including those inside
    `$(...)`.
    """
    script = script.replace("\\\n", " ")
    commands = []
    while (start := script.find("$(")) >= 0:
        end = _closing(script, start + 2)
        commands += commands_in(script[start + 2 : end])
        script = f"{script[:start]}SUBSTITUTED{script[end + 1 :]}"
    script = re.sub(r"(^|\s)#[^\n\"']*$", " ", script, flags=re.MULTILINE)
    lexer = shlex.shlex(script.replace("\n", " ;\n"), posix=True, punctuation_chars="();<>|&")
    lexer.commenters = ""
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set(";|&()"):
            commands.append(words)
            words = []
        else:
            words.append(word)
    return [words for words in [*commands, words] if words]


def _closing(script: str, at: int) -> int:
    """Return the position of the parenthesis that closes the one open at `at`."""
    depth = 1
    while depth and at < len(script):
        depth += {"(": 1, ")": -1}.get(script[at], 0)
        at += 1
    return at - 1


def typed_in(console: str) -> str:
    """Return what the user types in a console block: the text after `$`, and continuation lines."""
    lines = []
    going_on = False
    for line in console.splitlines():
        if line.startswith("$ ") or going_on:
            lines.append(line.removeprefix("$ "))
            going_on = line.endswith("\\")
    return "\n".join(lines)


def check(script: str, files: Iterable[str] = ()) -> int:
    """Check all commands of a script; return how many there are. `files` are those that the page
    creates. Raises Unknown.
    """
    commands = commands_in(script)
    for words in commands:
        try:
            _check(_without_redirections(words), set(files))
        except Unknown as unknown:
            raise Unknown(f"{' '.join(words)}: {unknown}") from None
    return len(commands)


def _without_redirections(words: list[str]) -> list[str]:
    kept_words = []
    skip = False
    for word in words:
        if not skip and set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            kept_words.append(word)
    return kept_words


def _check(words: list[str], files: set[str]) -> None:
    while words and re.match(r"\w+=", words[0]):
        name = words.pop(0).split("=")[0]
        # A lower-case name is a variable of the script itself.
        if name.isupper() and not known_variable(name):
            raise Unknown(f"no setting {name}")
    if words and words[0] in _KEYWORDS:
        if words[0] == "for":
            return
        words = words[1:]
    if words and words[0] in ("sudo", "export"):
        return _check(words[1:], files)
    if not words or words[0] in _ENDS:
        return None
    program, *arguments = words
    program = program.removeprefix(".venv/bin/")
    if program == "trading":
        trading(arguments, files)
    elif program == "make":
        _check_make_targets(arguments)
    elif program == "kubectl":
        _kubectl(arguments, files)
    elif program == "helm":
        _helm(arguments)
    elif program == "docker":
        _docker(arguments)
    elif program not in _PLAIN:
        raise Unknown(f"no program {program}")
    for argument in arguments:
        for url in re.findall(r"http://(?:localhost|127\.0\.0\.1)\S*", argument):
            _url(url)
    return None


def trading(arguments: list[str], files: set[str]) -> None:
    """Check arguments of `trading` with the command's own parser. Raises Unknown."""
    command, path, rest = subcommand(arguments)
    context = click.Context(command, info_name=" ".join(path))
    try:
        parsed, left, _ = command.make_parser(context).parse_args(list(rest))
        for parameter in command.params:
            value = parsed.get(parameter.name or "")
            if isinstance(parameter.type, click.Choice | click.IntRange | click.FloatRange):
                for item in value if isinstance(value, tuple | list) else [value]:
                    if isinstance(item, str) and "$" not in item:
                        parameter.type_cast_value(context, [item] if parameter.multiple else item)
            if parameter.required and not value:
                raise Unknown(f"{parameter.name} is missing")
    except click.UsageError as error:
        raise Unknown(error.format_message()) from None
    if left:
        raise Unknown(f"too many arguments: {left}")
    if path in (["run"], ["scenario", "run"], ["scenario", "show"]):
        _scenario(parsed["name" if path[-1] == "show" else "scenario"], files)
    for name in ("without", "components"):
        for component in parsed[name] if isinstance(parsed.get(name), list | tuple) else ():
            _component(component)


def subcommand(arguments: list[str]) -> tuple[click.Command, list[str], list[str]]:
    """Return the subcommand of `trading` that the first words name, those words, and the remaining
    ones. Raises Unknown.
    """
    command: click.Command = cli
    path: list[str] = []
    rest = list(arguments)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.commands.get(rest[0])
        if inner is None:
            raise Unknown(f"no command {rest[0]}")
        path.append(rest.pop(0))
        command = inner
    return command, path, rest


@cache
def _shipped() -> set[str]:
    return set(shipped())


def _scenario(name: Any, files: set[str]) -> None:
    if name not in _shipped() and name not in files and not (ROOT / str(name)).is_file():
        raise Unknown(f"no scenario {name}")


def _component(name: str) -> None:
    if name.rpartition("-")[0] in MAX_INSTANCES:
        name = name.rpartition("-")[0]
    if name not in SERVICES and name not in INFRASTRUCTURE:
        raise Unknown(f"no component {name}")


def _check_make_targets(arguments: list[str]) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", text, re.MULTILINE)) | {"PYTHON"}
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        if name not in (variables if is_variable else targets):
            raise Unknown(f"no target or variable {name} in the Makefile")


def _verb(arguments: list[str], verbs: set[str], valued: set[str]) -> str:
    """Return the first argument that is neither an option nor an option's value. Raises Unknown if
    it is none of `verbs`.
    """
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument.startswith("-"):
            skip = argument in valued
        elif argument in verbs:
            return argument
        else:
            break
    raise Unknown(f"none of {', '.join(sorted(verbs))}")


def _kubectl(arguments: list[str], files: set[str]) -> None:
    verb = _verb(arguments, _KUBECTL, {"--namespace", "-n", "--context"})
    for option, value in pairwise(arguments):
        if option in ("-f", "--filename") and value not in files and not (ROOT / value).exists():
            raise Unknown(f"no file {value}")
        if option in ("--namespace", "-n") and value not in _namespaces():
            raise Unknown(f"no namespace {value}")
        named = option == "chaos" and verb in ("get", "describe", "patch", "delete")
        if named and not value.startswith("-"):
            _scenario(value, {f.removesuffix(".yaml") for f in files})
    for name in re.findall(r"\bchaos/(\S+)", " ".join(arguments)):
        _scenario(name, {f.removesuffix(".yaml") for f in files})


def _namespaces() -> set[str]:
    return {"trading-dev", "trading-test", "trading-prod"}


@cache
def values() -> dict[str, Any]:
    """Return the chart's default values."""
    text = (ROOT / "charts/trading/values.yaml").read_text(encoding="utf-8")
    chart_values: dict[str, Any] = yaml.safe_load(text)
    return chart_values


def check_values(part: dict[str, Any], allowed: dict[str, Any] | None = None, at: str = "") -> None:
    """Check that the chart has each of these values. Raises Unknown."""
    allowed = values() if allowed is None else allowed
    for key, value in part.items():
        if key not in allowed:
            raise Unknown(f"the chart has no value {at}{key}")
        if isinstance(value, dict) and isinstance(allowed[key], dict) and allowed[key]:
            check_values(value, allowed[key], f"{at}{key}.")


def _helm(arguments: list[str]) -> None:
    verb = _verb(arguments, _HELM, {"--namespace", "-n"})
    if verb in ("install", "upgrade", "template", "lint") and "charts/trading" not in arguments:
        raise Unknown("not the chart in charts/trading")
    for option, value in pairwise(arguments):
        if option == "--set":
            for pair in value.split(","):
                nested: Any = pair.partition("=")[2]
                for key in reversed(pair.partition("=")[0].split(".")):
                    nested = {key: nested}
                check_values(nested)
        own = option in ("-f", "--values") and value.startswith("charts/")
        if own and not (ROOT / value).is_file():
            raise Unknown(f"no file {value}")


def _docker(arguments: list[str]) -> None:
    if not arguments or arguments[0] != "compose":
        raise Unknown("only docker compose is used")
    file = ROOT / "docker-compose.yml"
    for option, value in pairwise(arguments):
        if option in ("-f", "--file"):
            file = ROOT / value
            if not file.is_file():
                raise Unknown(f"no file {value}")
    verb = _verb(arguments[1:], _COMPOSE, {"-f", "--file", "--env-file"})
    text = file.read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    after = arguments[arguments.index(verb) + 1 :]
    for option, value in zip(["", *after], after, strict=False):
        if value.startswith("-"):
            continue
        if option == "--scale":
            value = value.partition("=")[0]
        if value not in services:
            raise Unknown(f"no service {value} in {file.name}")
        if verb == "exec":
            break
    for path in re.findall(r"/run/secrets/trading/(\S+)", " ".join(after)):
        sources = (ROOT / "services/trading/deploy").rglob("secrets*.py")
        if not any(path in p.read_text(encoding="utf-8") for p in sources) and path not in text:
            raise Unknown(f"no secret {path}")


def _url(url: str) -> None:
    port = re.match(r"http://[^/:]+:(\d+)", url)
    ports = {s.port for s in SERVICES.values()} | {
        p for store in INFRASTRUCTURE.values() for p in store.ports
    }
    if port is None or int(port[1]) not in ports:
        raise Unknown(f"nothing listens at {url}")


def file_names(page: Path, bodies: Iterable[str]) -> set[str]:
    """Return the files that a page asks its reader to write: those in its text, and those that
    `scenario new` makes.
    """
    text = page.read_text(encoding="utf-8")
    bodies = list(bodies)
    names = {f"{n}.yaml" for b in bodies for n in re.findall(r"scenario new ([a-z0-9-]+)", b)}
    names |= {f"{n}.yaml" for b in bodies for n in re.findall(r"^  name: (\S+)$", b, re.MULTILINE)}
    names |= {n for b in bodies for n in re.findall(r" > (\S+\.yaml)", b)} | {"$file"}
    return names | set(re.findall(r"`([a-z0-9-]+\.yaml)`", text))
