"""Generate docs/reference/http.md and a page for each service from their OpenAPI documents."""

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastapi import FastAPI
from fastapi.routing import APIRoute

from tools.reference.markdown import FOLDER, code, plain, table
from trading.hosting.access import Access
from trading.hosting.service_app import ServiceApp
from trading.hosting.settings import Settings
from trading.links.dialer import PATH as LINK
from trading.links.session_control import PATH as SESSION
from trading.server.credentials import Credentials
from trading.server.up import Ecosystem
from trading.topology import EXCHANGE, SERVICES, TEST_COORDINATOR, callers

ANYBODY = "anybody"
READ = "READ_TOKEN"
ACT = "RISK_TOKEN"
CHAOS = "CHAOS_TOKEN"
KEY = "API key"
TRADING_KEY = "API key that trades"

#: Routes that check a token in their own code, not by a dependency of FastAPI.
CHECKED_IN_CODE = {"/journal": READ, "/journal/head": READ, "/login/links": ACT}
#: The routes of every service.
COMMON = ("/health", "/ready", "/metrics", "/journal", "/journal/head")

_HEAD = """# HTTP interfaces

This page is generated from the OpenAPI documents of the services. Each service serves its own
document at `/openapi.json` and shows it as a page at `/docs`, with examples of its answers.
The page is [Swagger UI](https://github.com/swagger-api/swagger-ui), without any file from another
host. It also sends requests: *Authorize* takes a token, or the key and the secret of an account at
the exchange, with which the page signs. They stay in the page until it is closed.

| service | port | who opens connections to it in a deployment | page |
|---|---|---|---|
"""

_WHO = """
## Who may call

The pages of the services say for each operation who may call it:

| label | what the request needs |
|---|---|
| anybody | Nothing. |
| READ_TOKEN | `Authorization: Bearer` with `READ_TOKEN`, or a browser that has logged in. Where only this machine can connect (`BIND_HOST` is a loopback address), nothing. At the risk monitor `RISK_TOKEN` opens it, too. |
| RISK_TOKEN | `Authorization: Bearer` with `RISK_TOKEN`, or a browser that has logged in with it. Also on a loopback address. |
| CHAOS_TOKEN | `Authorization: Bearer` with `CHAOS_TOKEN`. Also on a loopback address. |
| API key | The header `X-MBX-APIKEY` and a signature (HMAC-SHA256) of the parameters, as the Binance Spot API has it. The keys under `read_only` in `.trading/credentials.json` are enough. |
| API key that trades | The same, with the key of `firm-api`. |

Refusals have the status and a JSON body `{"detail": "..."}`; the exchange answers with Binance's
`{"code": ..., "msg": "..."}`. These can come from every operation:

| status | when |
|---|---|
| 401 | The token is missing or wrong. |
| 403 | `Origin` names another site. |
| 421 | `Host` is not a name of the service (`ALLOWED_HOSTS`). |
| 422 | A parameter or the body is wrong. |
| 429 | Ten wrong tokens came from this address within a minute; `Retry-After` says how long to wait. |
| 503 | The service cannot acknowledge it now, for example because the store does not answer. |

## Operations of every service

"""  # noqa: E501

_BETWEEN = f"""
## Between the services

With `trading serve`, services also talk to each other. These paths are for the services alone:

| path | who calls it | token |
|---|---|---|
| `GET`, `PUT {SESSION}` | the test coordinator, to set session and clock | `CHAOS_TOKEN` |
| WebSocket `{LINK}` | the services that open connections to this one | the caller's `LINK_TOKEN` |
"""

_SIGNED = """
Operations that need an API key also need the header `X-MBX-APIKEY` and the parameter `signature`:
the HMAC-SHA256 of the other parameters with the API secret, in hex.
Every operation with a path under `/api/v3/` is also a method of the WebSocket API at `/ws-api/v3`.
The market streams are at `/ws`, `/ws/NAME` and `/stream`.
"""

#: Replacements for FastAPI's default descriptions.
_WORDS = {
    "Successful Response": "Success.",
    "Validation Error": "A parameter or the body is wrong.",
}


class Operation(NamedTuple):
    """One method of one path. `who` is the label of those who may call it, `described` the
    operation in the OpenAPI document.
    """

    method: str
    path: str
    who: str
    described: dict[str, Any]


@cache
def apps() -> dict[str, ServiceApp]:
    """Return the app of each service, as `trading up` makes it when other machines can connect. No
    service is started.
    """
    with tempfile.TemporaryDirectory() as directory:
        secret = "x" * 32
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            journal="memory",
            data_dir=Path(directory),
            bind_host="0.0.0.0",  # noqa: S104
            enable_chaos_scenarios=True,
        )
        credentials = Credentials(*(f"{secret}{n}" for n in range(len(Credentials._fields))))
        return Ecosystem(settings, credentials).apps


def operations(service: str) -> Iterator[Operation]:
    """Yield the operations of a service in the order of its OpenAPI document."""
    app = apps()[service]
    for path, item in app.openapi()["paths"].items():
        for method, described in item.items():
            yield Operation(
                method.upper(), path, _who(app, service, method, path, described), described
            )


def _who(app: FastAPI, service: str, method: str, path: str, described: dict[str, Any]) -> str:
    """Return the label of those who may call an operation. Raises NotImplementedError for an
    unknown dependency.
    """
    if path in CHECKED_IN_CODE:
        return CHECKED_IN_CODE[path]
    if any("apiKey" in schemes for schemes in described.get("security", ())):
        return TRADING_KEY if "trade" in described["tags"] else KEY
    route = next(
        r
        for r in app.routes
        if isinstance(r, APIRoute) and r.path_format == path and method.upper() in (r.methods or ())
    )
    # The methods of an access are bound to that of their service.
    dependencies = {getattr(d.dependency, "__func__", d.dependency) for d in route.dependencies}
    if Access.may_read in dependencies:
        return READ
    if Access.may_act in dependencies:
        return ACT
    if dependencies and service == TEST_COORDINATOR:
        return CHAOS
    if dependencies:
        raise NotImplementedError(f"{service} {path}: who may call it?")
    return ANYBODY


def page(service: str) -> Path:
    """Return the path of a service's page."""
    return FOLDER / f"http-{service}.md"


def texts() -> dict[Path, str]:
    """Return the text of each page, by its path within the project."""
    rows = "".join(
        f"| {name} | {s.port} | {', '.join(callers(name))} | [{name}]({page(name).name}) |\n"
        for name, s in SERVICES.items()
    )
    common = (o for o in operations(TEST_COORDINATOR) if o.path in COMMON)
    pages = {
        FOLDER / "http.md": _HEAD
        + rows
        + _WHO
        + "\n".join(_operation_section(o, "###") for o in common)
        + _BETWEEN
    }
    for service in SERVICES:
        own = [o for o in operations(service) if o.path not in COMMON]
        described = apps()[service].openapi()["info"]
        text = f"# HTTP: {service}\n\n{plain(described['description'])}\n\n"
        text += f"The service listens on port {SERVICES[service].port}. This page is generated from"
        text += " its OpenAPI document.\n[HTTP interfaces](http.md) explains who may call what, and"
        text += " has the operations that every service has.\n"
        text += _SIGNED if service == EXCHANGE else ""
        text += "\n" + table(
            ("operation", "summary", "who may call"),
            ((code(f"{o.method} {o.path}"), plain(o.described["summary"]), o.who) for o in own),
        )
        pages[page(service)] = text + "\n" + "\n".join(_operation_section(o) for o in own)
    return pages


def _operation_section(operation: Operation, level: str = "##") -> str:
    described = operation.described
    text = f"{level} {code(f'{operation.method} {operation.path}')}\n\n"
    summary = plain(described["summary"])
    text += f"{summary}{'' if summary.endswith('?') else '.'} Who may call it: {operation.who}.\n"
    if described.get("description"):
        text += f"\n{plain(described['description'])}\n"
    rows = [*map(_parameter, described.get("parameters", ())), *_body(described)]
    if rows:
        text += "\n" + table(("parameter", "in", "type", "required", "meaning"), rows)
    answers = (
        (
            code(status),
            plain(_WORDS.get(answer["description"], answer["description"])),
            _media(answer),
        )
        for status, answer in described["responses"].items()
    )
    return text + "\n" + table(("answer", "when", "content"), answers)


def _parameter(parameter: dict[str, Any]) -> tuple[str, ...]:
    schema = parameter.get("schema", {})
    meaning = [parameter.get("description") or schema.get("description") or ""]
    if "example" in parameter and not meaning[0]:
        meaning = [f"Example: {code(parameter['example'])}"]
    return (
        code(parameter["name"]),
        parameter["in"],
        _type(schema),
        "yes" if parameter.get("required") else _default(schema),
        plain(" ".join(meaning)),
    )


def _body(described: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    content = described.get("requestBody", {}).get("content", {})
    for media, media_type in content.items():
        schema = media_type["schema"]
        if "$ref" not in schema:
            yield "(the body)", f"body, {code(media)}", _type(schema), "yes", ""
            continue
        body_model = _model(schema["$ref"])
        for name, field in body_model["properties"].items():
            required = "yes" if name in body_model.get("required", ()) else _default(field)
            meaning = plain(field.get("description", ""))
            yield code(name), f"body, {code(media)}", _type(field), required, meaning


def _model(reference: str) -> dict[str, Any]:
    name = reference.rsplit("/", 1)[1]
    for app in apps().values():
        schemas = app.openapi().get("components", {}).get("schemas", {})
        if name in schemas:
            schema: dict[str, Any] = schemas[name]
            return schema
    raise KeyError(reference)


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return "no" if default in (None, "", {}) else f"no, {code(default)}"


_POWERS = {2**31: "2^31", 2**62: "2^62"}


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        inner = (_type(option) for option in schema["anyOf"] if option != {"type": "null"})
        return " or ".join(inner)
    if "$ref" in schema:
        return f"object {schema['$ref'].rsplit('/', 1)[1]}"
    if "enum" in schema:
        return "one of " + ", ".join(
            code(option) if option else "empty" for option in schema["enum"]
        )
    if "const" in schema:
        return code(schema["const"])
    type_name = str(schema.get("type", "any"))
    if type_name == "array":
        return f"list of {_type(schema.get('items', {}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        most = "" if high is None else _POWERS.get(high, f"{high:g}")
        span = f"{low:g} to {most}" if most else f"{low:g} or more"
        return f"{type_name}, {span}"
    if "maxLength" in schema:
        return f"{type_name}, at most {schema['maxLength']} characters"
    return type_name


def _media(answer: dict[str, Any]) -> str:
    parts = []
    for media, media_type in answer.get("content", {}).items():
        schema = media_type.get("schema", {})
        items = schema.get("items", {}) if schema.get("type") == "array" else {}
        many, name = bool(items.get("$ref")), (items or schema).get("$ref", "")
        what = f" {'list of ' if many else ''}{name.rsplit('/', 1)[1]}" if name else ""
        parts.append(f"{code(media)}{what}")
    return ", ".join(parts)
