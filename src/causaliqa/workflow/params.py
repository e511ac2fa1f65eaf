"""The configuration for people: a description of every key, and presets written into params.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from causaliqa.config import json_schema, load_params, merge, read_yaml
from causaliqa.io import write_text


@dataclass(frozen=True)
class Key:
    """One key of params.yaml, in words."""

    name: str
    kind: str
    default: str
    meaning: str


def _kind(field: dict[str, Any]) -> str:
    """Return a JSON-schema field's type in words, e.g. ``integer, at least 1``."""
    if "const" in field:
        return json.dumps(field["const"])
    if "enum" in field:
        return " | ".join(field["enum"])
    if "anyOf" in field:
        return " | ".join(_kind(choice) for choice in field["anyOf"])
    name = str(field.get("type", "any"))
    if name == "array":
        return f"list of {_kind(field.get('items', {}))}"
    if name == "object":
        values = field.get("additionalProperties")
        return f"mapping of names to {_kind(values)}" if isinstance(values, dict) else "mapping"
    bounds = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{words} {field[key]:g}" for key, words in bounds.items() if key in field]
    return ", ".join([name, *said, *([f"multiple of {field['multipleOf']}"] if "multipleOf" in field else [])])


def describe_keys() -> list[Key]:
    """Return every key of params.yaml in the order of the models."""
    schema = json_schema()

    def walk(node: dict[str, Any], prefix: str) -> list[Key]:
        keys = []
        for name, field in node["properties"].items():
            where = f"{prefix}{name}"
            reference = field.get("$ref")
            if reference:
                keys += walk(schema["$defs"][reference.rsplit("/", 1)[-1]], f"{where}.")
                continue
            default = json.dumps(field["default"]) if "default" in field else "none"
            if name in node.get("required", []):
                default = "required"
            keys.append(Key(where, _kind(field), default, str(field.get("description", ""))))
        return keys

    return walk(schema, "")


def dump_yaml(values: dict[str, Any]) -> str:
    """Return YAML in the style of params.yaml: keys in their own order, block lists as `dvc exp run -S` writes them."""
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=False, width=1000)


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value


def lay_over(params: Path, preset: Path) -> None:
    """Write `params` with `preset` laid over it; its comments at the top are kept.

    Raises
    ------
    ConfigError
        If a file is missing or the result is not valid; nothing is written then.
    """
    load_params(params, preset)
    lines = params.read_text(encoding="utf-8").splitlines(keepends=True)
    top = next((index for index, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    values = _without_null(merge(read_yaml(params), read_yaml(preset)))
    write_text(params, "".join(lines[:top]) + dump_yaml(values))
