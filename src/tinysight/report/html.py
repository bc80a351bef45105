"""The templates' environment: values are escaped, and a name that nobody set is an error."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinysight.report import text

__all__ = ["environment"]


def environment() -> Environment:
    """Return the environment of every page; templates may use ``text`` and the filter ``signed``."""
    made = Environment(
        loader=PackageLoader("tinysight.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["signed"] = text.signed
    made.globals.update(text=text)
    return made
