"""What people in distress see while no service can answer."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from components import crisis_page
from components.settings.base import Form, Frozen


class PhoneLine(Frozen):
    label: Annotated[str, Field(min_length=1, max_length=80)] = Field(description="Who answers")
    number: Annotated[
        str,
        Field(pattern=r"^\+?[0-9][0-9 ()-]*$", max_length=30),
        Form("digits, spaces, hyphens, brackets, a plus in front"),
    ] = Field(description="The number to call")


class CrisisSettings(Frozen):
    """What people see who arrive while no service can answer."""

    phone_lines: tuple[PhoneLine, ...] = Field(min_length=1, description="Whom people can call")
    text: Annotated[str, Field(min_length=1)] = Field(description="What the page says above the numbers")

    @model_validator(mode="after")
    def _fits_a_fixed_response(self) -> Self:
        crisis_page.short_page(self.phone_lines, self.text)
        return self
