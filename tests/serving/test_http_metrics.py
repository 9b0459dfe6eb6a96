from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from serving.http_metrics import Metrics


def test_answers_are_counted_and_timed() -> None:
    metrics = Metrics(None)
    metrics.count("/v1/scores", 200, 0.003)
    metrics.count("/v1/scores", 200, 0.3)
    text = metrics.text().decode()

    assert 'tercet_requests_total{path="/v1/scores",status="200"} 2.0' in text
    assert 'tercet_request_seconds_bucket{le="0.005",path="/v1/scores"} 1.0' in text
    assert 'tercet_request_seconds_count{path="/v1/scores"} 2.0' in text


def test_events_that_threads_count_are_all_there() -> None:
    metrics = Metrics(None)

    def count() -> None:
        for _ in range(500):
            metrics.count_events(accepted=1, duplicates=2, rejected=0)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        metrics.flush()
    for thread in threads:
        thread.join()
    text = metrics.text().decode()

    assert 'tercet_events_total{outcome="accepted"} 2000.0' in text
    assert 'tercet_events_total{outcome="duplicate"} 4000.0' in text
    assert 'tercet_events_total{outcome="rejected"} 0.0' in text


def test_bundles_taken_up_and_refused_are_counted() -> None:
    metrics = Metrics(None)
    metrics.count_load(taken_up=True, at=1_500_000_000.0)
    metrics.count_load(taken_up=False, at=1_600_000_000.0)
    text = metrics.text().decode()

    assert 'tercet_bundle_loads_total{outcome="taken_up"} 1.0' in text
    assert 'tercet_bundle_loads_total{outcome="refused"} 1.0' in text
    assert "tercet_bundle_loaded_timestamp_seconds 1.5e+09" in text


def test_what_alerts_wait_for_is_there_before_it_happens() -> None:
    text = Metrics(None).text().decode()

    assert 'tercet_events_total{outcome="accepted"} 0.0' in text
    assert 'tercet_bundle_loads_total{outcome="refused"} 0.0' in text
    assert 'tercet_state_failures_total{kind="write"} 0.0' in text
    assert "tercet_champion_refused 0.0" in text


def test_what_several_workers_count_is_summed(tmp_path: Path) -> None:
    code = (
        "from serving.http_metrics import Metrics; import sys; m = Metrics(sys.argv[1]);"
        "m.count('/livez', 200, 0.01); print(m.text().decode())"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}

    for n_workers in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
        )
        assert f'tercet_requests_total{{path="/livez",status="200"}} {n_workers}.0' in done.stdout
