"""Who is told of alarms."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import Form, Frozen, Unit

_SHAPES = {
    "email": (r"[^@\s]+@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", "an address such as on-call@example.org"),
    "https": (r"https://[^\s/@]+(/\S*)?", "an address such as https://pager.example.org/alarms, without a login"),
}


class SubscriptionSettings(Frozen):
    """One subscriber of a topic, by e-mail or over HTTPS. Either has to confirm before anything is sent to it."""

    protocol: Literal["email", "https"] = Field(description="How messages arrive")
    endpoint: Annotated[
        str, Field(max_length=2048), Form("an e-mail address, or `https://…` without a login, as the protocol says")
    ] = Field(description="Where they arrive")

    @model_validator(mode="after")
    def _fits_the_protocol(self) -> Self:
        pattern, meaning = _SHAPES[self.protocol]
        if not re.fullmatch(pattern, self.endpoint, re.IGNORECASE):
            raise ValueError(f"endpoint {self.endpoint} of protocol {self.protocol} must be {meaning}")
        return self


class AlertSettings(Frozen):
    """The two audiences, and the one threshold that depends on the configured hardware."""

    on_call: tuple[SubscriptionSettings, ...] = Field(
        min_length=1, description="Who hears of what people suffer from; each subscriber once"
    )
    team_lead: tuple[SubscriptionSettings, ...] = Field(
        min_length=1, description="Who hears of the rest; each subscriber once"
    )
    database_connections: Annotated[int, Unit("connections")] = Field(
        default=500, ge=1, le=10000, description="More of them alarm: about half of what the instance class takes"
    )

    @model_validator(mode="after")
    def _subscribers_distinct(self) -> Self:
        for audience in (self.on_call, self.team_lead):
            endpoints = [subscription.endpoint for subscription in audience]
            if len(set(endpoints)) != len(endpoints):
                raise ValueError(f"each subscriber once, these are {', '.join(endpoints)}")
        return self
