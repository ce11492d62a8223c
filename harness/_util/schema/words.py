"""The keys of a file in words, from its JSON Schema: for pages and for files with every key in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["example_of", "rows_of", "words_of"]

_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "a table",
    "array": "a list",
}
_FAR = 10**9  # bounds beyond it only say that there is one


def words_of(schema: Mapping[str, Any]) -> str:
    """What a value may be.

    Example:
        >>> words_of({"type": "array", "items": {"enum": ["text", "audio"]}})
        'a list of: text, audio'
        >>> words_of({"type": "integer", "minimum": 1990, "maximum": 2100})
        'an integer, 1990 to 2100'
    """
    if "anyOf" in schema:
        return "; or ".join(map(words_of, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(_TYPES[one] for one in kind)
    if kind == "array":
        return f"a list of: {words_of(schema.get('items', {}))}"
    if kind == "object" and "properties" in schema:
        return f"a table of: {', '.join(schema['properties'])}"
    if kind == "object":
        return f"a table, each value: {words_of(schema.get('additionalProperties') or {})}"
    return "".join((_TYPES.get(kind, "anything"), *_bounds(schema)))


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < _FAR:
        yield f", {low} to {high}"
    elif low is not None:
        yield f", {low} or more"
    if "maxLength" in schema:
        yield f", up to {schema['maxLength']} characters"


def example_of(schema: Mapping[str, Any]) -> str:
    """A value that a TOML file may hold.

    Example:
        >>> example_of({"type": "array", "items": {"enum": ["text", "audio"]}})
        '["text"]'
    """
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0])
    if "enum" in schema:
        return json.dumps(schema["enum"][0])
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return f"[{example_of(schema.get('items', {}))}]"
    if kind == "object":
        inside = schema.get("properties", {"key": schema.get("additionalProperties") or {}})
        key, inner = next(iter(inside.items()))
        return f"{{ {key} = {example_of(inner)} }}"
    plain = {"integer": str(schema.get("minimum", 1)), "number": "1.0", "boolean": "false"}
    return plain.get(kind, '"…"')


def rows_of(fields: Mapping[str, Mapping[str, Any]]) -> list[dict[str, object]]:
    """One row a key: what it is called, may be and means, and what stands where it is left out."""
    return [
        {
            "key": name,
            "value": words_of(schema),
            "meaning": schema.get("description", ""),
            "left out": "" if schema.get("default") in (None, [], {}) else schema["default"],
        }
        for name, schema in fields.items()
    ]
