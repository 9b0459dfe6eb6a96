"""`make demo`: from nothing to a real customer's challenge over HTTP. A second run reuses what is there."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any  # an answer of the HTTP API, as JSON

from features.errors import TercetError
from serving import launch
from serving.api import ChallengeRequest
from serving.bundle import Bundle, open_bundle
from serving.decisioning.policy import default_policy_text, with_values
from serving.engine import Engine
from serving.settings import Settings, read_settings
from training.demo_text import BAR, Places, challenge_text, consent_text, curl_text, where_text
from training.errors import TrainingError
from training.home import Home
from training.progress import Progress

MESSAGE_CHANNELS = ("email", "sms", "push")
MLFLOW_PORT = 5000
READY_SECONDS = 120.0
MAX_ASKED = 5_000


def main(arguments: list[str] | None = None) -> int:
    """Run the demo and return its exit status."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as in training.cli
    options = _parser().parse_args(arguments)
    try:
        _run(options.source, options.home, options.host, options.port, once=options.once)
    except TercetError as error:
        print(f"tercet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("", file=sys.stderr)
    return 0


def _run(source: str, home: Path, host: str, port: int, *, once: bool) -> None:
    """Train what is missing, serve it, ask it, say where everything is, and stay until Ctrl-C unless `once`."""
    given = {**os.environ, "TERCET_HOME": str(home), "TERCET_HOST": host, "TERCET_PORT": str(port)}
    asked = read_settings(given)
    launch.check_port(asked.host, asked.port)  # said now, not after the training
    begun = time.monotonic()
    with Progress() as progress:
        bundle = prepare_bundle(source, Home(home), progress)
        as_of = bundle.manifest.as_of
        settings = replace(asked, now=as_of)
        progress("starting the server")
        server = launch.start(settings)
    with server:
        server.wait_until_ready(READY_SECONDS)
        _tell(bundle, settings, begun)
        if not once:
            print("\nCtrl-C ends the server.", flush=True)
            server.process.wait()
            raise launch.ServerError(f"the server ended by itself; its log: {server.log}")


def prepare_bundle(source: str, home: Home, progress: Progress) -> Bundle:
    """Return the champion for a source; trained, judged on one cutoff and promoted first where there is none yet.

    Raises
    ------
    TrainingError
        When the home's champion was trained on something else, or the new bundle did not pass the gate.
    """
    write_demo_policy(home)
    version = home.champion()
    if version is None:
        from training import pipeline

        trained = pipeline.train(source, home.folder, None, "duckdb", True, progress)
        version = home.champion()
        if version is None:
            raise TrainingError(f"bundle {trained} did not pass the gate: see {home.report(trained)}")
    bundle = open_bundle(home.bundle(version))
    if bundle.manifest.source_name.partition(":")[0] != Path(source).name.partition(":")[0]:
        raise TrainingError(
            f"{home.folder} serves {bundle.manifest.source_name}, not {source}: give another TERCET_HOME, "
            f"or run `tercet train {source}` and `tercet promote` first"
        )
    return bundle


def write_demo_policy(home: Home) -> None:
    """Give a new home a policy that assumes consent to messages, since the demo's data has none on record."""
    if not home.policy_path.exists():
        home.folder.mkdir(parents=True, exist_ok=True)
        text = with_values(default_policy_text(), {f"consent.{channel}": True for channel in MESSAGE_CHANNELS})
        home.policy_path.write_text(text, encoding="utf-8")


def pick_customer(bundle: Bundle) -> str:
    """Return the id of the customer whose three rewarded items are the most probable taken together.

    Of the first thousands of customers; the first one when no challenge has a reward.
    """
    engine, at = Engine(bundle), bundle.manifest.as_of
    chances: dict[str, float] = {}
    for customer_id in islice(bundle.customers.id, MAX_ASKED):
        answer = engine.challenge(ChallengeRequest(customer_id=customer_id), at, "")
        chances[customer_id] = prod(item["probability"] for item in answer["items"]) if answer["reward"] else 0.0
    return max(chances, key=lambda customer_id: chances[customer_id])


def ask(server: str, customer_id: str) -> dict[str, Any]:
    """Return the customer's challenge, as the server answers it; one that is busy is asked again."""
    request = urllib.request.Request(
        f"{server}/v1/challenge",
        data=json.dumps({"customer_id": customer_id}).encode(),
        headers={"Content-Type": "application/json"},
    )
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.URLError as error:
            is_busy = isinstance(error, urllib.error.HTTPError) and error.code == HTTPStatus.SERVICE_UNAVAILABLE
            if not is_busy or time.monotonic() > until:
                raise launch.ServerError(f"{server}/v1/challenge: {error}") from error
            time.sleep(0.2)


def _tell(bundle: Bundle, settings: Settings, begun: float) -> None:
    """Print the answer, the call that gives it, and where to look next."""
    customer_id = pick_customer(bundle)
    manifest = bundle.manifest
    answer = ask(settings.url, customer_id)
    places = Places(settings.url, f"http://{settings.host}:{MLFLOW_PORT}", str(settings.home), manifest.time_zone)
    assumed = [channel for channel in MESSAGE_CHANNELS if getattr(bundle.policy.consent, channel)]
    parts = [
        challenge_text(answer, customer_id, manifest.time_zone),
        "The same over HTTP:\n\n" + curl_text(settings.url, customer_id),
        where_text(places, manifest.as_of),
        *([consent_text(assumed)] if assumed else []),
    ]
    print(f"\n{BAR}\n" + f"\n{BAR}\n".join(parts) + f"\n{BAR}")
    print(f"bundle {manifest.version}, {time.monotonic() - begun:.0f} s in all", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("source", nargs="?", default="complete-journey")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("TERCET_HOME") or ".tercet"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--once", action="store_true", help="end after the print")
    return parser


if __name__ == "__main__":
    sys.exit(main())
