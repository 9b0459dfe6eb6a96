"""`tercet keys`: API keys are made, listed and revoked here; a running server goes by them within a second."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.api_keys import Scope

keys = typer.Typer(name="keys", help="Make, list and revoke API keys.", no_args_is_help=True)

Home = Annotated[Path, typer.Option(envvar="TERCET_HOME", help="Where everything lives.", file_okay=False)]
Name = Annotated[str, typer.Argument(help="What the key is called, such as the program that shows it.")]
DEFAULT_HOME = Path(".tercet")


@keys.command(epilog="Example: tercet keys add web-shop --scope storefront")
def add(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What it opens; may be given more than once.")],
    per_second: Annotated[float | None, typer.Option(help="At most so many calls a second. Default: no limit.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Make a key and print it: this once, as only a hash of it is kept."""
    from serving.api_keys import change_keys, new_key

    token, key = new_key(name, scope, per_second)
    change_keys(home, lambda keys: keys.with_key(key))
    print(token)


@keys.command("list", epilog="Example: tercet keys list")
def list_(home: Home = DEFAULT_HOME) -> None:
    """Print each key's name, the part of it that may be seen, its scopes and its limit."""
    from serving.api_keys import read_keys

    for key in sorted(read_keys(home).by_id.values(), key=lambda each: each.name):
        limit = "no limit" if key.per_second is None else f"{key.per_second:g} calls a second"
        print(f"{key.name}  tercet_{key.id}_…  {', '.join(sorted(key.scopes))}  {limit}")


@keys.command(epilog="Example: tercet keys revoke web-shop")
def revoke(name: Name, home: Home = DEFAULT_HOME) -> None:
    """Let nobody in by a key any more."""
    from serving.api_keys import change_keys

    change_keys(home, lambda keys: keys.without(name))
    print(f"{name} is revoked")
