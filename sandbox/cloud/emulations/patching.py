"""Replacing methods of moto's classes; one that moto doesn't have (any more) is an error, not a new attribute."""

from __future__ import annotations

from typing import Any, NoReturn


def replace(owner: type, **methods: Any) -> None:
    """Put `methods` in the place of the existing ones of the same names."""
    for name, method in methods.items():
        if not hasattr(owner, name):
            raise AttributeError(f"moto's {owner.__name__} has no {name}")
        setattr(owner, name, method)


def add(owner: type, **methods: Any) -> None:
    """Give moto's class `methods` that it lacks; where it got one of that name meanwhile, somebody has to look."""
    for name, method in methods.items():
        if hasattr(owner, name):
            raise AttributeError(f"moto's {owner.__name__} has {name} by now")
        setattr(owner, name, method)


def refuse(owner: type, *names: str) -> None:
    """Make methods that no emulation stands behind an error, instead of letting moto pretend."""
    for name in names:
        replace(owner, **{name: _refusal(name)})


def _refusal(name: str) -> Any:
    def refused(*_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"the sandbox has no {name}")

    return refused
