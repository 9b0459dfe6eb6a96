"""The process that serves unpickles nothing: Python itself is asked, by an audit hook in a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.running import ask, eventually, publish, running, send, worker_pids
from tests.serving.test_hostile_values import WHOLE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

HOOK = """
import os, sys
from pathlib import Path

folder = Path(os.environ["AUDITED"])
(folder / f"{os.getpid()}.started").touch()

def note(event, args):
    if event == "pickle.find_class":
        with open(folder / f"{os.getpid()}.unpickled", "a") as file:
            file.write(f"{args[0]}.{args[1]}\\n")

sys.addaudithook(note)
"""

UNPICKLES = """
import collections, os, pickle

pickle.loads(pickle.dumps(collections.OrderedDict()))
print(os.getpid())
"""


def test_the_worker_unpickles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, home = tmp_path / "hooks", tmp_path / "home"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("AUDITED", str(hooks))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hooks), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    told = subprocess.run([sys.executable, "-c", UNPICKLES], check=True, capture_output=True, text=True)
    assert (hooks / f"{told.stdout.strip()}.unpickled").read_text() == "collections.OrderedDict\n"

    publish(home)
    with running(home, workers=1) as server:
        server.wait_until_ready()
        for path, body in WHOLE.items():
            if "{id}" not in path:
                assert send("POST", server.url + path, json=body).status_code in (200, 202)
        publish(home, "second")
        assert eventually(lambda: ask(server).status_code == 200)
        (worker,) = worker_pids(server)

        assert (hooks / f"{worker}.started").exists()
        assert not (hooks / f"{worker}.unpickled").exists()
