"""Printing: the only place that knows how messages look on the terminal.

Results go to standard output, everything about progress and failure to standard error, so that
`eval "$(dr sandbox env)"` and `--json` stay clean.
"""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from scripts.errors import DrError

# No emoji codes: the `:secret:` of an ARN is one.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def step(message: str, about: str | None = None) -> None:
    """Announce a step; `about` says how long it is expected to take ("about 20 s")."""
    suffix = f" [dim]({escape(about)})[/dim]" if about else ""
    err.print(f"[bold cyan]→[/] {escape(message)}{suffix}")


def note(message: str) -> None:
    err.print(f"  [dim]{escape(message)}[/dim]")


def done(message: str) -> None:
    err.print(f"[bold green]✓[/] {escape(message)}")


def warn(message: str) -> None:
    err.print(f"[bold yellow]![/] {escape(message)}")


def failure(error: DrError) -> None:
    err.print(f"[bold red]✗[/] {escape(error.message)}")
    if error.hint:
        err.print(f"  {escape(error.hint)}")


def plain(text: str) -> None:
    """Text for another program: no markup, no wrapping."""
    out.print(text, markup=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    err.print(shown)


def columns(rows: Sequence[Sequence[str]]) -> None:
    """Rows of a result below each other on standard output. No frame and no wrapping: names can be copied whole."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        plain("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
