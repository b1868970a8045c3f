"""The JSON Schema of the settings file, made from the models (draft 2020-12).

It says what an editor can help with: names of keys, kinds of values, how durations and sizes are
written. What only makes sense together (a pool's target, overlapping paths) ``copyagent check`` says.
"""

from collections.abc import Iterator
from typing import Any, get_args

from vtsfs.contract.setting_values import Model
from vtsfs.contract.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def settings_schema() -> dict[str, Any]:
    """Return the schema of a settings file; defaults are written as the file writes them."""
    made = Settings.model_json_schema()
    sections = made["$defs"] | {Settings.__name__: made}
    for model in models(Settings):
        _write_defaults(sections[model.__name__], model)
    for section in sections.values():
        for part in section.get("properties", {}).values():
            for shape in (part, *part.get("anyOf", ())):
                if "patternProperties" in shape:
                    shape["additionalProperties"] = False
    made["title"] = "vts-autocopy.yaml"
    made["description"] = "Settings of vtsfs and copyagent; see vts-autocopy.yaml(5)."
    return {"$schema": DIALECT, **made}


def models(root: type[Model]) -> Iterator[type[Model]]:
    """Return *root* and every section below it, each once."""
    waiting, seen = [root], set[type[Model]]()
    while waiting:
        model = waiting.pop()
        if model not in seen:
            seen.add(model)
            yield model
            for field in model.model_fields.values():
                waiting += _models_in(field.annotation)


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _write_defaults(section: dict[str, Any], model: type[Model]) -> None:
    defaults = model.model_construct().model_dump(mode="json", warnings=False)
    for name, part in section["properties"].items():
        if "default" in part:
            part["default"] = defaults[name]
