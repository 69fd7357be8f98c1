"""What every table of the configuration is.

Rules: pure and frozen; a key that is not known is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema


class Table(BaseModel):
    """A table of the configuration: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ShortTable(Table):
    """A table that may be written as the text of its first key alone."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        first = next(iter(cls.model_fields))
        if isinstance(value, str):
            return {first: value}
        if not isinstance(value, Mapping | cls):
            raise ValueError(f"must be a string, or a table with {first}")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(core))]}
