"""Writes docs/settings.md from the typed settings and the text in settings_page.md.j2; `make docs` keeps it."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from components.configuration import FROM_ENGINE, SECURE_KEYS
from components.settings import reference
from components.settings.reference import Setting
from components.settings.stack import Settings

OWN_SECTION = ("dns", "database", "cache", "services", "crisis", "alerts")


def sections() -> dict[str, list[Setting]]:
    """The keys of each table on the page; `stack` holds those that have no table of their own."""
    found: dict[str, list[Setting]] = {name: [] for name in ("stack", *OWN_SECTION)}
    for setting in reference.settings(Settings):
        top = setting.key.partition(".")[0].removesuffix("[]")
        if setting.key == "region":
            found["stack"].append(Setting("aws:region", setting.meaning, setting.allowed, setting.default))
        elif setting.key not in FROM_ENGINE:
            found[top if top in OWN_SECTION else "stack"].append(setting)
    return found


def page() -> str:
    """The whole of docs/settings.md."""
    loader = FileSystemLoader(Path(__file__).parent)
    # Markdown, not HTML: what stands in the settings is ours and is to arrive as it is.
    environment = Environment(  # noqa: S701
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.get_template("settings_page.md.j2").render(**sections(), secure=SECURE_KEYS)


if __name__ == "__main__":
    print(page(), end="")
