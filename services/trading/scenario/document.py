"""YAML with positions: the data, and the line of every value and key in it."""

from collections.abc import Iterator
from typing import Any

import yaml

from trading.scenario.errors import Path

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_DEPTH = 20
_TIMESTAMP = "tag:yaml.org,2002:timestamp"

Complaint = tuple[Path, int, int, str]


class Document:
    """``data``: the value; ``complaints``: (path, line, column, message) of what YAML allows but a
    scenario does not.
    """

    def __init__(self, text: str) -> None:
        """Raises yaml.YAMLError for what is no YAML at all."""
        self._places: dict[Path, tuple[int, int]] = {}
        self.complaints: list[Complaint] = []
        self.data: Any = None
        for event in _events(text):
            if isinstance(event, yaml.AliasEvent):
                mark: Any = event.start_mark
                message = f"aliases (*{event.anchor}) are not supported, write the value out"
                self.complaints.append(((), mark.line + 1, mark.column + 1, message))
        if self.complaints:
            return
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            self.data = self._value(node, (), loader) if node is not None else None
        finally:
            loader.dispose()

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of a value, or of the nearest thing around it that is there."""
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, (1, 1))

    def _value(self, node: Any, path: Path, loader: Any) -> Any:
        mark = node.start_mark
        self._places.setdefault(path, (mark.line + 1, mark.column + 1))
        if len(path) > _MAX_DEPTH:
            self._complain(path, node, "nested too deeply")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, loader)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(n, (*path, i), loader) for i, n in enumerate(node.value)]
        if node.tag == _TIMESTAMP:
            return node.value
        try:
            return loader.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self._complain(path, node, f"not a value that YAML knows: {error}".split("\n")[0])
            return None

    def _mapping(self, node: Any, path: Path, loader: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(path, key_node, "a key has to be a name")
                continue
            key = str(key_node.value)
            if key in found:
                self._complain((*path, key), key_node, f"'{key}' is there twice")
                continue
            mark = key_node.start_mark
            self._places[(*path, key)] = (mark.line + 1, mark.column + 1)
            found[key] = self._value(value_node, (*path, key), loader)
        return found

    def _complain(self, path: Path, node: Any, message: str) -> None:
        mark = node.start_mark
        self.complaints.append((path, mark.line + 1, mark.column + 1, message))


def _events(text: str) -> Iterator[Any]:
    yield from yaml.parse(text, Loader=_Loader)
