"""The rule file as JSON Schema (draft 2020-12): completion, hover help and squiggles in editors.

Editors know a little less than `loadctl check`: it also understands spellings such as `2 KW` and sees what cannot be
meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from loadctl.config.keys import SiteKeys, WebKeys
from loadctl.config.keys_load import LoadKeys
from loadctl.config.reading import NAME, VERSION, Drivers
from loadctl.drivers import driver_class
from loadctl.inputs.names import NAME as INPUT


def schema(drivers: Drivers | None = None) -> dict[str, Any]:
    """Return the JSON Schema of the rule file with the options of all drivers."""
    drivers = drivers or Drivers()
    definitions: dict[str, Any] = {}
    load = _keys(LoadKeys, "load", definitions)
    load["properties"]["actuator"] |= {"oneOf": _devices(drivers.actuators, "actuator", definitions)}
    for needless in ("type", "additionalProperties"):
        load["properties"]["actuator"].pop(needless, None)
    definitions["load"] = load
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "loadctl rule file",
        "type": "object",
        "required": ["version", "meter", "loads"],
        "additionalProperties": False,
        "properties": {
            "version": {"const": VERSION, "description": "The version of this format."},
            "site": _keys(SiteKeys, "site", definitions),
            "meter": {
                "description": "The device that sees what the house draws from the grid and feeds into it.",
                "oneOf": _devices(drivers.meters, "meter", definitions),
            },
            "inputs": {
                "description": "Values from outside by name (letters, digits, `_`), for conditions, needs and prices.",
                "type": "object",
                "patternProperties": {f"^{INPUT.pattern}$": {"oneOf": _devices(drivers.inputs, "input", definitions)}},
                "additionalProperties": False,
            },
            "web": _keys(WebKeys, "web", definitions),
            "loads": {
                "description": "The appliances by name (letters, digits, `_`, `-`), the most important one first.",
                "type": "object",
                "minProperties": 1,
                "patternProperties": {f"^{NAME.pattern}$": {"$ref": "#/$defs/load"}},
                "additionalProperties": False,
            },
        },
        "$defs": dict(sorted(definitions.items())),
    }


def _devices(registry: Mapping[str, str], kind: str, definitions: dict[str, Any]) -> list[dict[str, str]]:
    references = []
    for name in sorted(registry):
        options = _keys(driver_class(registry, name).Options, f"{kind}-{name}", definitions)
        about = options.get("description", "").split("\n\n")[0]
        driver = {"const": name} | ({"description": about} if about else {})
        options["properties"] = {"driver": driver, **options["properties"]}
        options["required"] = ["driver", *options.get("required", ())]
        definitions[f"{kind}-{name}"] = options
        references.append({"$ref": f"#/$defs/{kind}-{name}"})
    return references


def _keys(cls: type, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one dataclass; what it refers to goes to `definitions`, its names prefixed with `name`."""
    found = TypeAdapter(cls).json_schema(ref_template=f"#/$defs/{name}.{{model}}", schema_generator=ForEditors)
    for inner, definition in found.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = _closed(definition)
    return _closed(found)


def _closed(found: dict[str, Any]) -> dict[str, Any]:
    found.pop("title", None)
    for option in (found, *found.get("properties", {}).values()):
        if "description" in option:
            option["description"] = " ".join(option["description"].split())
    return found | {"additionalProperties": False} if "properties" in found else found


class ForEditors(GenerateJsonSchema):
    """Defaults as they are written in the file, no `null`, no titles made of key names."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        default: Any = schema.get("default")
        if default is None:
            found.pop("default", None)
            return found
        if isinstance(default, frozenset):
            return found | {"default": "daily"}
        inner: Any = schema["schema"]
        while "serialization" not in inner and "schema" in inner:
            inner = inner["schema"]
        write = inner.get("serialization", {}).get("function")
        return found | {"default": write(default)} if write and isinstance(default, float | int) else found

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic asks
        return False
