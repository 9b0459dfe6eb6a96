"""What a training does for the shop's state: it carries out erasures first; then it tells of merged ids, and tidies."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from features import columns as c
from features.tables import TableSet
from serving.erasing import erase_pending
from serving.state.merging import Identity
from serving.state.shop import State
from serving.state_home import open_state
from training.log_source import open_if_there

MERGED_IN_TABLES = "source"
"""The kind of identity by which the state learns that two ids of the source are one customer's."""


def carry_out_erasures(home: Path, url: str, say: Callable[[str], None]) -> None:
    """Erase, everywhere, whoever asked for it over the API."""
    opened = open_if_there(home, url)
    if opened is not None:
        with closing(opened):
            erase_pending(home, opened.state, say)


def tend_state(home: Path, url: str, tables: TableSet, *, as_of_us: int) -> None:
    """Tell the state which ids the source's identities have made one, and drop what is older than the policy keeps.

    The present is the latest moment that the servers' clock has told, not this machine's: a server may have been
    started with a clock of its own. A shop without a state gets one only to keep merged ids.
    """
    aliases = tables.read("aliases")
    opened = open_if_there(home, url) if aliases.empty else open_state(url, home)
    if opened is None:
        return
    with closing(opened):
        owners = aliases.merge(tables.read("customers", [c.CUSTOMER_ROW, c.CUSTOMER_ID]), on=c.CUSTOMER_ROW)
        merged = dict(zip(owners[f"{c.CUSTOMER_ID}_x"], owners[f"{c.CUSTOMER_ID}_y"], strict=True))
        _tell_merged(opened.state, merged, as_of_us)
        opened.state.compact(opened.state.latest_us())


def _tell_merged(state: State, merged: dict[str, str], now_us: int) -> None:
    """Merge ids in the state as the tables have them, where it has not heard of that yet."""
    known = state.aliases()
    news = {each: into for each, into in merged.items() if known.get(each) != into}
    standing = frozenset(news.values())
    identities = [Identity(each, MERGED_IN_TABLES, into) for gone, into in news.items() for each in (into, gone)]
    if identities:
        state.link(identities, is_loyal=standing.__contains__, now_us=now_us)
