"""The BentoML service: one worker's shop and its life, from the environment to the last request.

BentoML runs the workers, restarts them and shares the socket. The calls are answered by a plain ASGI application that
connections hand their requests to, past BentoML's layers and routes: what these cost, and what they answer in their own
form, never comes to bear.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, cast

import bentoml
import uvicorn.config

from serving.api import ChallengeRequest
from serving.api_keys import KeysFile
from serving.arms import ExperimentEngine
from serving.bundle_checked import open_checked
from serving.bundle_pages import map_pages
from serving.champion import Champion
from serving.decision_ids import shop_ids
from serving.decisioning.merchandising import unknown_names
from serving.errors import StateUnavailable
from serving.experiments_file import ExperimentsFile
from serving.http_accept import Newcomers
from serving.http_app import HttpApp
from serving.http_body import App, Receive, Scope, Send
from serving.http_clock import Clock
from serving.http_connection import BoundedConnection
from serving.http_drift import ScoreBins
from serving.http_keys import KeyGate
from serving.http_log import configure_logging
from serving.http_metrics import Metrics
from serving.http_ready import ReadyBoard
from serving.http_shop import Shop
from serving.http_state import StateDoor
from serving.listening import check_reach, listening_socket
from serving.live import epoch_us
from serving.metric_files import FOLDER_VARIABLE, reserve
from serving.settings import Settings, read_settings
from serving.state_home import open_state, policy_in_force

if TYPE_CHECKING:
    from serving.tracing import Tracing

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.25
_STATE_POLL_SECONDS = 1.0
_TELL_SECONDS = 1.0
_COMPACT_POLL_SECONDS = 600.0
_LET_GO_SECONDS = 2.5  # longer than an answer may take
_SWITCH_SECONDS = 0.001
_WARM_UP_CALLS = 20


def open_engine(folder: Path, experiments: ExperimentsFile, notes: Path) -> ExperimentEngine:
    """Return an engine over the bundle in `folder`, checked once a machine (`notes`), with its pages mapped."""
    started = time.perf_counter()
    bundle = open_checked(folder, notes)
    map_pages(bundle)
    milliseconds = 1000 * (time.perf_counter() - started)
    logger.info("bundle %s: %.1f MB, checked and mapped in %.0f ms", folder.name, bundle.n_bytes / 1e6, milliseconds)
    for line in unknown_names(bundle, bundle.policy.merchandising):
        logger.warning("bundle %s, policy.toml: %s", folder.name, line)
    engine = ExperimentEngine(bundle, experiments.current)
    at = bundle.manifest.as_of
    for row in range(min(_WARM_UP_CALLS, bundle.manifest.sizes["customers"])):
        engine.challenge(ChallengeRequest(customer_id=bundle.customers.id[row]), at, "")
    return engine


def begin_tracing() -> Tracing:
    """Return what traces requests; its libraries are imported only where that is asked for."""
    from serving.tracing import Tracing, configure_trace_logging, span_provider

    configure_trace_logging()
    return Tracing(span_provider(tercet_version()))


def open_shop(settings: Settings, tracing: Tracing | None = None) -> Shop:
    """Return what the requests of this worker share; no bundle is loaded and no state open yet."""
    metrics = Metrics(reserve(os.environ.get(FOLDER_VARIABLE)))
    experiments = ExperimentsFile(settings.home)
    door = StateDoor(partial(open_state, settings.state, settings.home), metrics)
    opened = partial(open_engine, experiments=experiments, notes=settings.checked_folder)
    if tracing is not None:
        tracing.watch_door(door)
    return Shop(
        champion=Champion(settings.home, opened if tracing is None else tracing.watching(opened)),
        experiments=experiments,
        clock=Clock(settings.now, settings.started_at),
        ids=shop_ids(settings.home),
        metrics=metrics,
        door=door,
        keys=KeyGate(
            KeysFile(settings.home) if settings.needs_keys else None,
            clock=time.monotonic,
            share=1.0 / settings.workers,
            is_open=settings.keys_nowhere,
        ),
        ready=ReadyBoard(settings.ready_folder),
        home_policy=policy_in_force(settings.home),
        log_requests=settings.log_requests,
    )


async def begin(shop: Shop) -> None:
    """Take up the champion and open the state, where they are there, before the first request is taken."""
    shop.ready.report(None)
    await asyncio.to_thread(shop.door.open)
    await look_for_keys(shop)
    await look_for_experiments(shop)
    await look_for_champion(shop)


async def look_for_keys(shop: Shop) -> None:
    """Go by what keys.json says, beside the event loop, if it has changed."""
    keys = shop.keys.keys
    if keys is not None and keys.has_news():
        await asyncio.to_thread(keys.take_up)


async def look_for_experiments(shop: Shop) -> None:
    """Go by what experiments.toml says, beside the event loop, if it has changed."""
    experiments = shop.experiments
    if experiments is None or not experiments.has_news():
        return
    if await asyncio.to_thread(experiments.take_up) and shop.champion.current is not None:
        await asyncio.to_thread(shop.champion.current.engine.obey, experiments.current)


async def look_for_champion(shop: Shop) -> None:
    """Take up the champion, beside the event loop, if there is a new one."""
    if not shop.champion.has_news():
        return
    before = shop.champion.current.version if shop.champion.current else None
    taken_up = await asyncio.to_thread(_take_up, shop)
    shop.metrics.tell_refused(is_refused=shop.champion.refused is not None)
    if shop.champion.refused is not None:
        shop.metrics.count_load(taken_up=False, at=time.time())
    if taken_up and shop.champion.current is not None:
        shop.metrics.count_load(taken_up=True, at=time.time())
        await _tell_bundle(shop, before)
        shop.door.obey(shop.policy.state)
        shop.ready.report(shop.champion.current.version)
        _freeze(shop)
        shop.let_go_at = None if before is None else time.monotonic() + _LET_GO_SECONDS


async def let_go(shop: Shop) -> None:
    """Let go of what served before, once no answer is made from it any more."""
    if shop.let_go_at is not None and time.monotonic() > shop.let_go_at:
        shop.let_go_at = None
        _freeze(shop)


def _freeze(shop: Shop) -> None:
    """Keep the collector from what lives, since its passes would hold up answers, once it has taken what doesn't.

    A bundle that served is among that: it is part of a cycle.
    """
    shop.deciders = None
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def _tell_bundle(shop: Shop, before: str | None) -> None:
    serving = shop.champion.current
    if serving is not None:
        shop.drift.obey(await asyncio.to_thread(ScoreBins, serving.engine.bundle))
        as_of = serving.engine.bundle.manifest.as_of.timestamp()
        shop.metrics.tell_bundle(serving.version, as_of, before=before if before != serving.version else None)


async def tell_metrics(shop: Shop) -> None:
    """Carry over to the metrics what was counted beside them, every second, until cancelled."""
    tell = OnceTold("telling the metrics")
    while True:
        await asyncio.sleep(_TELL_SECONDS)
        with tell:
            shop.tell_metrics()


LOOKS = (look_for_keys, look_for_experiments, look_for_champion, let_go)


async def keep_champion(shop: Shop) -> None:
    """Take up other keys and experiments, and each new champion, until cancelled."""
    looks = [(look, OnceTold(look.__name__)) for look in LOOKS]
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        for look, once in looks:
            with once:
                await look(shop)


async def keep_state(shop: Shop) -> None:
    """Open the state as soon as that is possible, see when it is back, compact it now and then, until cancelled."""
    looking, compact_at = OnceTold("looking for the state"), time.monotonic() + _COMPACT_POLL_SECONDS
    while True:
        with looking:
            if not shop.door.is_available and await asyncio.to_thread(shop.door.open):
                await asyncio.to_thread(shop.door.look_again)
        if time.monotonic() > compact_at:
            compact_at += _COMPACT_POLL_SECONDS
            await asyncio.to_thread(_compact, shop)
        await asyncio.sleep(_STATE_POLL_SECONDS)


class OnceTold:
    """As a context, keeps what nobody foresaw from ending a loop that goes on trying; the same is logged once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._told = ""

    def __enter__(self) -> None:
        """Begin to try."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        """Log what went wrong, unless it is what went wrong before; let through what is to end the loop."""
        if error is None:
            self._told = ""
        elif isinstance(error, Exception) and repr(error) != self._told:
            self._told = repr(error)
            logger.error("%s failed; it is tried again", self._what, exc_info=error)
        return isinstance(error, Exception)


def _compact(shop: Shop) -> None:
    """Drop what is older than the policy keeps; never by a clock that was set: it would take all for old."""
    if shop.clock.has_stepped():
        logger.error("the machine's clock was set by over an hour: nothing is dropped as old until tercet is restarted")
        return
    try:
        shop.door.compact(epoch_us(shop.clock.now()))
    except StateUnavailable:
        return
    # What nobody foresaw must not be the last time that the state is kept small.
    except Exception:
        logger.exception("compacting the state failed; it is tried again tomorrow")


def _take_up(shop: Shop) -> bool:
    try:
        return shop.champion.take_up()
    # A bundle that fails in a way nobody foresaw must not end the search for the next one, nor what serves now.
    except Exception:
        logger.exception("taking up the champion failed; what served before serves on")
        return False


def tercet_version() -> str:
    """Return the version of the installed package; `unknown` where it runs from a bare folder."""
    try:
        return version("tercet")
    except PackageNotFoundError:
        return "unknown"


_OPTIONS = read_settings(os.environ)  # BentoML wants some of them when the class is made


@bentoml.service(
    name="Tercet",
    workers=_OPTIONS.workers,
    # What a Bento goes by; `serving.launch` says the same once more.
    http={"host": _OPTIONS.host, "port": _OPTIONS.port},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
)
class Tercet:
    """A worker of the server."""

    def __init__(self) -> None:
        configure_logging()
        settings = read_settings(os.environ)
        check_reach(settings, sys.argv)
        self._tracing = begin_tracing() if settings.traces else None
        self.shop = open_shop(settings, self._tracing)
        app = HttpApp(self.shop, tercet_version())
        self.app: App = app if self._tracing is None else self._tracing.app(app, app.path_of)
        self._tasks: list[asyncio.Task[None]] = []

    @bentoml.on_startup  # type: ignore[untyped-decorator]  # bentoml's annotations are partial
    async def start(self) -> None:
        """Get ready, and begin to look for the next champion, to keep the state and to measure the load."""
        # How long a thread at work may keep the event loop waiting, once for each thread.
        sys.setswitchinterval(_SWITCH_SECONDS)
        await begin(self.shop)
        # Past BentoML's layers, whose timer for each request alone costs more than most answers.
        BoundedConnection.answers = self.app
        listening = listening_socket(sys.argv)
        if listening is not None:
            listening.setblocking(False)
            BoundedConnection.newcomers = Newcomers(listening)
        running = (keep_champion(self.shop), keep_state(self.shop), self.shop.gate.watch(), tell_metrics(self.shop))
        self._tasks = [asyncio.create_task(each) for each in running]

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # as above
    async def stop(self) -> None:
        """End what `start` began."""
        BoundedConnection.answers = None
        if BoundedConnection.newcomers is not None:
            BoundedConnection.newcomers.end()
            BoundedConnection.newcomers = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.shop.tell_metrics()
        await asyncio.to_thread(self.shop.door.close)
        self.shop.ready.leave()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.end)


class Edge:
    """Hands nothing but the server's start and end to BentoML, and requests that come by here to the application."""

    def __init__(self, app: object) -> None:
        self._bentoml = app
        self._ours: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what comes in; a WebSocket is turned away."""
        if scope["type"] == "lifespan":
            await self._bentoml(scope, receive, send)  # type: ignore[operator]  # an ASGI application
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._app()(scope, receive, send)

    def _app(self) -> App:
        if self._ours is None:
            self._ours = cast("Tercet", bentoml.get_current_service()).app
        return self._ours


Tercet.add_asgi_middleware(Edge)  # type: ignore[attr-defined]  # the decorator makes a bentoml.Service of the class

# BentoML starts uvicorn by itself, with the protocol of this name.
uvicorn.config.HTTP_PROTOCOLS["auto"] = "serving.http_connection:BoundedConnection"
