"""What every block of the configuration shares: closed, frozen, documented."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seed = Annotated[int, Field(ge=0)]


class Block(BaseModel):
    """A part of the configuration: unknown keys are errors, values are frozen once read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )
