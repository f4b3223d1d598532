"""Reads YAML and remembers the line and column of every value and key.

A scenario may come from an untrusted client, so the text is read event by event within limits:
reading stops at once when the document is nested too deeply or has too many values, and aliases,
anchors and tags are refused.
"""

from collections.abc import Generator, Iterator
from typing import Any, cast

import yaml

from trading.scenario.errors import Path

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Levels of nested lists and mappings. A scenario needs nine.
MAX_DEPTH = 20
#: Values and keys. The largest scenario that the model allows needs fewer.
MAX_NODES = 200_000
#: Characters of a value that is no text: a number, a boolean or null.
_MAX_LITERAL = 64
#: Characters of a key. The longest name of a field has 20.
_MAX_KEY = 300
#: Errors that are reported. More would not be read, and each costs a search for a similar name.
MAX_ERRORS = 100

_TAG = "tag:yaml.org,2002:"
_TEXT, _TIMESTAMP = f"{_TAG}str", f"{_TAG}timestamp"
#: Types that YAML resolves for untagged values, but that a scenario takes as plain text.
_AS_WRITTEN = {_TEXT, _TIMESTAMP, f"{_TAG}merge", f"{_TAG}value"}

DocumentError = tuple[Path, int, int, str]


class _StopReading(Exception):
    """Stops reading at the current event; the error is recorded already."""


class Document:
    """One YAML document with the positions of its values.

    ``data`` is its value. ``errors`` lists what YAML allows but a scenario does not, as (path,
    line, column, message); lines and columns count from 1. Creating a Document from a ``text`` that
    is not YAML raises yaml.YAMLError.
    """

    def __init__(self, text: str) -> None:
        self._places: dict[Path, tuple[int, int]] = {}
        self.errors: list[DocumentError] = []
        self.data: Any = None
        self._nodes_left = MAX_NODES
        self._loader = _Loader("")
        events = cast(Generator[Any, None, None], yaml.parse(text, Loader=_Loader))
        try:
            self.data = self._read_document(events)
        except _StopReading:
            self.data = None
        finally:
            events.close()
            self._loader.dispose()

    def place(self, path: Path) -> tuple[int, int]:
        """Return the line and column of the value at ``path``, counted from 1.

        If there is no such value, the position of the nearest enclosing one is returned.
        """
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, (1, 1))

    def _read_document(self, events: Iterator[Any]) -> Any:
        data = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                data = self._read_value(next(events), (), events)
                # The next event ends this document; the one after it has to end the stream.
                next(events)
                next_event = next(events)
                if isinstance(next_event, yaml.DocumentStartEvent):
                    self._fail((), next_event, "one scenario per file, there is a second one")
        return data

    def _read_value(self, event: Any, path: Path, events: Iterator[Any]) -> Any:
        self._count_node(event, path)
        mark = event.start_mark
        self._places.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(event, yaml.ScalarEvent):
            return self._read_scalar(event, path)
        if len(path) >= MAX_DEPTH:
            self._fail(path[:1], event, f"nested too deeply: more than {MAX_DEPTH} levels")
        self._check_no_tag(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._read_mapping(path, events)
        items: list[Any] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(self._read_value(inner, (*path, len(items)), events))
        return items

    def _read_mapping(self, path: Path, events: Iterator[Any]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(key_event := next(events), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent):
                self._count_node(key_event, path)
                self._fail(path, key_event, "a key has to be a name")
            self._count_node(key_event, path)
            key = str(key_event.value)
            if len(key) > _MAX_KEY:
                self._fail(path, key_event, f"a key of more than {_MAX_KEY} characters is no name")
            mark = key_event.start_mark
            if duplicate := key in mapping:
                self._add_error((*path, key), key_event, f"'{key}' is there twice")
            else:
                self._places[(*path, key)] = (mark.line + 1, mark.column + 1)
            value = self._read_value(next(events), (*path, key), events)
            if not duplicate:
                mapping[key] = value
        return mapping

    def _read_scalar(self, event: Any, path: Path) -> Any:
        self._check_no_tag(event, path)
        text: str = event.value
        implicit = event.implicit[0] and event.tag is None
        tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit) if implicit else _TEXT
        if event.tag == _TEXT or tag in _AS_WRITTEN:
            return text
        if len(text) > _MAX_LITERAL:
            message = f"a number has at most {_MAX_LITERAL} characters; quote it if it is a text"
            self._add_error(path, event, message)
            return None
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._add_error(path, event, f"not a value that YAML knows: {error}".split("\n")[0])
            return None

    def _check_no_tag(self, event: Any, path: Path) -> None:
        if event.anchor is not None:
            message = f"anchors (&{event.anchor[:40]}) are not supported, write the value out"
            self._add_error(path, event, message)
        if event.tag not in (None, _TEXT):
            message = f"tags ({event.tag[:40]}) are not supported, write the value alone"
            self._add_error(path, event, message)

    def _count_node(self, event: Any, path: Path) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            self._fail(path[:1], event, f"more than {MAX_NODES} values: that is no scenario")
        if isinstance(event, yaml.AliasEvent):
            message = f"aliases (*{str(event.anchor)[:40]}) are not supported, write the value out"
            self._fail((), event, message)

    def _add_error(self, path: Path, event: Any, message: str) -> None:
        mark = event.start_mark
        self.errors.append((path, mark.line + 1, mark.column + 1, message))
        if len(self.errors) >= MAX_ERRORS:
            raise _StopReading

    def _fail(self, path: Path, event: Any, message: str) -> None:
        self._add_error(path, event, message)
        raise _StopReading
