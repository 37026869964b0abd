"""Replacing methods of moto's classes; one that moto doesn't have (any more) is an error, not a new attribute."""

from __future__ import annotations

from typing import Any


def replace(owner: type, **methods: Any) -> None:
    """Put `methods` in the place of the existing ones of the same names."""
    for name, method in methods.items():
        if not hasattr(owner, name):
            raise AttributeError(f"moto's {owner.__name__} has no {name}")
        setattr(owner, name, method)
