"""What every shape is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A JSON object of the API."""

    model_config = ConfigDict(extra="forbid")
