"""The lists of `tercet batch offers` and `tercet batch actions`: the list, and the summary that lies beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from serving.api_actions import ActionsRequest
from serving.api_offer_codes import Trigger
from serving.api_offers import OffersRequest
from serving.batch_files import whole_table, write_text
from serving.batch_job import BatchJob, Progress, who_is_asked
from serving.batch_lists import ListMaker
from serving.batch_tables import schema_of
from serving.channels import Channel
from serving.decide_offers import PromiseDecider
from serving.engine import Engine
from serving.list_options import ActionWeigher, Knowing, OfferWeigher, Unknowing, Weigher, Weighing
from serving.list_summary import About, summary_html
from serving.list_tally import Tally
from serving.live import epoch_us
from serving.refusals import Refusals
from serving.state_home import OpenState


@dataclass(frozen=True)
class ListJob:
    """A list to be made: by which engine and state, for which moment, and what was asked."""

    engine: Engine
    opened: OpenState
    at: datetime
    job: BatchJob

    @property
    def decider(self) -> PromiseDecider:
        """Return what decides, and what promises where the list is issued."""
        return PromiseDecider(self.engine, self.opened, self.opened.ids, Refusals(), sends=self.job.issues)

    def weigher(self) -> Weigher:
        """Return what says what customers could be given."""
        job, at = self.job, self.at
        self.engine.check(at)
        if job.with_rules:
            weighing: Weighing = Knowing(self.decider, self.opened, at)
        else:
            weighing = Unknowing(self.engine, self.opened.ids.fresh, at)
        channel = None if job.channel is None else Channel(job.channel)
        common = {"at": at, "dry_run": not job.issues}
        if job.kind == "offers":
            offers = OffersRequest(customer_id="-", channel=Channel.WEB, k=job.k)
            return OfferWeigher(self.engine, weighing, offers.model_copy(update=common), channel)
        actions = ActionsRequest(customer_id="-", trigger=Trigger.REPLENISH, channel=channel)
        return ActionWeigher(self.engine, weighing, actions.model_copy(update=common))


def write_list(asked: ListJob, out: Path, customers: Path | None, progress: Progress) -> int:
    """Return how many rows were written to `out`; its summary lies beside it, ``<out>.summary.html``.

    BatchError when a file can't be read or written; StateUnavailable when the state is away.
    """
    job, engine = asked.job, asked.engine
    who = who_is_asked(customers, engine.bundle, asked.opened.state.erased())
    gone = asked.opened.state.spending(engine.budgets, at_us=epoch_us(asked.at)) if job.with_rules else {}
    maker = ListMaker(
        job.kind,
        job.k if job.kind == "offers" else 1,
        asked.at,
        engine,
        asked.weigher(),
        gone,
        job.with_rules,
        progress,
    )
    tally = Tally(engine.bundle, prefix="" if job.kind == "offers" else "offer_")
    n_rows = 0
    with whole_table(out, schema_of(job.kind)) as write:

        def counted(table: pa.Table) -> None:
            nonlocal n_rows
            n_rows += table.num_rows
            write(table)

        if job.issues:
            maker.issue(who, out.parent, counted, tally, decider=asked.decider)
        else:
            maker.write(who, out.parent, counted, tally)
        about = About(job.kind, asked.at, out.name, is_issued=job.issues, has_rules=job.with_rules)
        write_text(out.with_name(f"{out.name}.summary.html"), summary_html(about, tally, engine, gone))
    return n_rows
