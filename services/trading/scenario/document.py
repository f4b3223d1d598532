"""YAML with positions: the data, and the line of every value and key in it.

It is read event by event, within limits, because it may come from anybody: what is too deep or too
much ends the reading at once, and an alias is never followed.
"""

from collections.abc import Generator, Iterator
from typing import Any, cast

import yaml

from trading.scenario.errors import Path

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Levels of lists and mappings in each other. A scenario needs nine.
MAX_DEPTH = 20
#: Values and keys. The largest scenario that the model allows needs fewer.
MAX_NODES = 200_000
#: Characters of what is no text: a number, a truth value, nothing.
_MAX_LITERAL = 64
#: Characters of a key. The longest name of a field has 20.
_MAX_KEY = 300
#: Complaints that are told: nobody reads more, and each costs a look for a name that is near.
MAX_COMPLAINTS = 100

_TAG = "tag:yaml.org,2002:"
_TEXT, _TIMESTAMP = f"{_TAG}str", f"{_TAG}timestamp"
#: What a value without a tag can be, and a merge key or a lone "=" is meant as it stands.
_AS_WRITTEN = {_TEXT, _TIMESTAMP, f"{_TAG}merge", f"{_TAG}value"}

Complaint = tuple[Path, int, int, str]


class _Ends(Exception):
    """Nothing after this place is looked at."""


class Document:
    """``data``: the value; ``complaints``: (path, line, column, message) of what YAML allows but a
    scenario does not.
    """

    def __init__(self, text: str) -> None:
        """Raises yaml.YAMLError for what is no YAML at all."""
        self._places: dict[Path, tuple[int, int]] = {}
        self.complaints: list[Complaint] = []
        self.data: Any = None
        self._nodes_left = MAX_NODES
        self._loader = _Loader("")
        events = cast(Generator[Any, None, None], yaml.parse(text, Loader=_Loader))
        try:
            self.data = self._only_document(events)
        except _Ends:
            self.data = None
        finally:
            events.close()
            self._loader.dispose()

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of a value, or of the nearest thing around it that is there."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, (1, 1))

    def _only_document(self, events: Iterator[Any]) -> Any:
        data = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                data = self._value(next(events), (), events)
                # The end of this one; then the stream has to end, too.
                next(events)
                after = next(events)
                if isinstance(after, yaml.DocumentStartEvent):
                    self._end((), after, "one scenario per file, there is a second one")
        return data

    def _value(self, event: Any, path: Path, events: Iterator[Any]) -> Any:
        self._count(event, path)
        mark = event.start_mark
        self._places.setdefault(path, (mark.line + 1, mark.column + 1))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            self._end(path[:1], event, f"nested too deeply: more than {MAX_DEPTH} levels")
        self._tagless(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path, events)
        items: list[Any] = []
        while not isinstance(inner := next(events), yaml.SequenceEndEvent):
            items.append(self._value(inner, (*path, len(items)), events))
        return items

    def _mapping(self, path: Path, events: Iterator[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key_event := next(events), yaml.MappingEndEvent):
            if not isinstance(key_event, yaml.ScalarEvent):
                self._count(key_event, path)
                self._end(path, key_event, "a key has to be a name")
            self._count(key_event, path)
            key = str(key_event.value)
            if len(key) > _MAX_KEY:
                self._end(path, key_event, f"a key of more than {_MAX_KEY} characters is no name")
            mark = key_event.start_mark
            if twice := key in found:
                self._complain((*path, key), key_event, f"'{key}' is there twice")
            else:
                self._places[(*path, key)] = (mark.line + 1, mark.column + 1)
            value = self._value(next(events), (*path, key), events)
            if not twice:
                found[key] = value
        return found

    def _scalar(self, event: Any, path: Path) -> Any:
        self._tagless(event, path)
        text: str = event.value
        implicit = event.implicit[0] and event.tag is None
        tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit) if implicit else _TEXT
        if event.tag == _TEXT or tag in _AS_WRITTEN:
            return text
        if len(text) > _MAX_LITERAL:
            message = f"a number has at most {_MAX_LITERAL} characters; quote it if it is a text"
            self._complain(path, event, message)
            return None
        try:
            return self._loader.construct_object(yaml.ScalarNode(tag, text))
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._complain(path, event, f"not a value that YAML knows: {error}".split("\n")[0])
            return None

    def _tagless(self, event: Any, path: Path) -> None:
        if event.anchor is not None:
            message = f"anchors (&{event.anchor[:40]}) are not supported, write the value out"
            self._complain(path, event, message)
        if event.tag not in (None, _TEXT):
            message = f"tags ({event.tag[:40]}) are not supported, write the value alone"
            self._complain(path, event, message)

    def _count(self, event: Any, path: Path) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            self._end(path[:1], event, f"more than {MAX_NODES} values: that is no scenario")
        if isinstance(event, yaml.AliasEvent):
            message = f"aliases (*{str(event.anchor)[:40]}) are not supported, write the value out"
            self._end((), event, message)

    def _complain(self, path: Path, event: Any, message: str) -> None:
        mark = event.start_mark
        self.complaints.append((path, mark.line + 1, mark.column + 1, message))
        if len(self.complaints) >= MAX_COMPLAINTS:
            raise _Ends

    def _end(self, path: Path, event: Any, message: str) -> None:
        self._complain(path, event, message)
        raise _Ends
