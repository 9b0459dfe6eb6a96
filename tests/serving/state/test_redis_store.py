"""What can happen to a Redis server: away, hung, full, not durable, locked up; and that it works again afterwards."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.errors import SettingsError, StateUnavailable, StateUnfit
from serving.launch import free_port
from serving.state import redis_server
from serving.state.redis_server import check_durable
from serving.state.redis_store import RedisStore
from serving.state.store import ABSENT, Commit
from tests.serving.state.moments import one_moment
from tests.serving.state.redis_process import DURABLE, RedisProcess, redis_binary

SMALL = Commit(put={"a": b"1"})


@pytest.fixture
def store(own_redis: RedisProcess) -> Iterator[RedisStore]:
    store = RedisStore(own_redis.url)
    assert store.commit(SMALL)
    yield store
    store.close()


def outcome(call: Callable[[], object]) -> str:
    """Return the error's text, empty when there is none."""
    try:
        call()
    except StateUnavailable as error:
        return str(error)
    return ""


def works_again(store: RedisStore, seconds: float = 30.0) -> bool:
    """Say whether the store reads and writes once a moment has passed."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(StateUnavailable):
            return store.commit(Commit(put={"again": b"1"})) and store.read(["again"])[0] is not None
        time.sleep(0.05)
    return False


def test_all_its_keys_have_one_prefix(store: RedisStore, own_redis: RedisProcess) -> None:
    assert [key for key in own_redis.client().scan_iter() if not key.startswith(b"tercet:")] == []


def test_databases_of_one_server_are_shops_apart(store: RedisStore, own_redis: RedisProcess) -> None:
    other = RedisStore(own_redis.url.removesuffix("0") + "1")
    assert other.read(["a"]) == [None]
    assert other.scan("") == []
    other.close()


def test_a_lost_server_fails_every_call_at_once_and_is_taken_up_again(
    store: RedisStore, own_redis: RedisProcess
) -> None:
    with one_moment(store._breaker):
        own_redis.stop()
        assert outcome(lambda: store.commit(SMALL)) == "Redis can't be reached"
        began = time.process_time()
        said = {outcome(lambda: store.read(["a"])) for _ in range(100)} | {outcome(lambda: store.scan("a"))}
        assert said == {"Redis can't be reached"}
        assert time.process_time() - began < 0.5
        own_redis.start()
        assert outcome(lambda: store.read(["a"])) == "Redis can't be reached"  # for a second nobody tries
    assert works_again(store)
    assert [each and each.value for each in store.read(["a"])] == [b"1"]


def test_a_server_that_was_away_between_two_calls_goes_unnoticed(store: RedisStore, own_redis: RedisProcess) -> None:
    own_redis.stop()
    own_redis.start()
    assert store.read(["a"])[0] is not None
    assert store.commit(Commit(put={"a": b"2"}))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, patient: None) -> None:
    """Wait for an answer only for so long that waiting twice is told from once, on a busy machine too."""
    monkeypatch.setattr(redis_server, "ANSWER_SECONDS", 3.0)


def test_a_server_that_hangs_makes_one_call_wait_and_is_taken_up_again(
    impatient: None, store: RedisStore, own_redis: RedisProcess
) -> None:
    own_redis.send(signal.SIGSTOP)
    with one_moment(store._breaker):
        began = time.monotonic()
        assert outcome(lambda: store.read(["a"])) == "Redis does not answer in time"
        assert time.monotonic() - began < 5.5
        began = time.monotonic()
        assert {outcome(lambda: store.read(["a"])) for _ in range(50)} == {"Redis does not answer in time"}
        assert time.monotonic() - began < 2.5  # none of them waits
    own_redis.send(signal.SIGCONT)
    assert works_again(store)


def test_what_waits_for_a_hung_server_fails_together(
    impatient: None, store: RedisStore, own_redis: RedisProcess
) -> None:
    own_redis.send(signal.SIGSTOP)
    began = time.monotonic()
    futures = []
    with contextlib.suppress(StateUnavailable):  # told later than the first has failed
        for n in range(1000):
            futures.append(store.submit(Commit(put={f"k/{n}": b""})))
    assert {outcome(lambda future=future: future.result(60)) for future in futures} == {"Redis does not answer in time"}
    assert time.monotonic() - began < 9.0  # four batches, each for itself, would take 12
    own_redis.send(signal.SIGCONT)
    assert works_again(store)


def test_a_server_that_was_never_there_is_taken_up_when_it_comes(tmp_path: Path) -> None:
    server = RedisProcess(tmp_path / "redis")
    store = RedisStore(server.url)
    assert outcome(store.check) == "Redis can't be reached"
    assert outcome(lambda: store.commit(SMALL)) == "Redis can't be reached"
    server.start()
    assert works_again(store)
    store.close()
    server.stop()


NOT_DURABLE = {
    ("appendonly", "no"): "appendonly is no, needed is yes",
    ("appendfsync", "everysec"): "appendfsync is everysec, needed is always",
    ("no-appendfsync-on-rewrite", "yes"): "no-appendfsync-on-rewrite is yes, needed is no",
    ("maxmemory-policy", "allkeys-lru"): "maxmemory-policy is allkeys-lru, needed is noeviction",
}


@pytest.mark.parametrize("setting", NOT_DURABLE, ids=lambda setting: setting[0])
def test_a_server_that_is_not_durable_is_refused_with_the_reason(
    setting: tuple[str, str], shared_redis: RedisProcess, redis_url: str
) -> None:
    name, value = setting
    client = shared_redis.client()
    before = client.config_get(name)[name]
    client.config_set(name, value)
    store = RedisStore(redis_url)
    try:
        with pytest.raises(StateUnfit, match=NOT_DURABLE[setting]):
            store.check()
        with pytest.raises(StateUnfit, match=NOT_DURABLE[setting]):
            store.commit(SMALL)
        with pytest.raises(StateUnfit):
            store.read(["a"])
    finally:
        client.config_set(name, before)
    assert works_again(store)
    store.close()


def test_all_that_a_server_lacks_is_named_at_once(tmp_path: Path) -> None:
    server = RedisProcess(tmp_path / "redis", ("--maxmemory-policy", "volatile-lru")).start()
    store = RedisStore(server.url)
    assert outcome(store.check).count("needed is") == 3
    server.stop()
    store.close()


def test_what_can_not_be_told_is_said(store: RedisStore, own_redis: RedisProcess) -> None:
    assert store.check() == ()
    own_redis.client().execute_command("ACL SETUSER shop on >pw ~tercet:* +@all -config")
    shop = RedisStore(own_redis.url.replace("redis://", "redis://shop:pw@"))
    (note,) = shop.check()
    assert "make sure that it has appendfsync always" in note
    assert shop.commit(Commit(put={"a": b"2"}))
    shop.close()


def test_a_wrong_password_is_said_without_it(own_redis: RedisProcess) -> None:
    own_redis.client().config_set("requirepass", "right")
    for given in ("", ":wrong-hunter2@", "nobody:wrong-hunter2@"):
        store = RedisStore(own_redis.url.replace("redis://", f"redis://{given}"))
        with pytest.raises(StateUnavailable, match="the user or the password") as caught:
            store.check()
        assert "hunter2" not in str(caught.value)
        store.close()
    right = RedisStore(own_redis.url.replace("redis://", "redis://:right@"))
    assert right.commit(SMALL)
    right.close()


def test_a_password_may_have_any_sign(own_redis: RedisProcess) -> None:
    own_redis.client().config_set("requirepass", "p@s/s:w%rd")
    store = RedisStore(own_redis.url.replace("redis://", "redis://:p%40s%2Fs%3Aw%25rd@"))
    assert store.commit(SMALL)
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@host:port/0",
        "redis://:hunter2@host:99999/0",
        "redis://:hunter2@[host/0",
        "redis://:hunter2@host/shop",
        "redis://:hunter2@host/-1",
        "redis://:hunter2@host/0?socket_timeout=9",
        "redis://:hunter2@host/0?ssl_ca_certs=x",
        "redis://:hunter2@host/0?replicas=many",
        "redis://:hunter2@host/0?replicas=10",
        "rediss://:hunter2@host/0?ssl_cert_reqs=none",
    ],
)
def test_a_url_that_is_wrong_is_said_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^TERCET_STATE: ") as caught:
        RedisStore(url)
    assert "hunter2" not in str(caught.value)


def test_a_full_server_refuses_writes_whole_and_goes_on_reading_and_deleting(
    store: RedisStore, own_redis: RedisProcess
) -> None:
    client = own_redis.client()
    store.commit(Commit(put={"big": b"x" * 1_000_000}))
    client.config_set("maxmemory", 100_000)
    put = Commit(put={"b": b"1", "c": b"2"}, delete=["a"])
    assert outcome(lambda: store.commit(put)) == "Redis has no memory left"
    assert [each and each.value for each in store.read(["a", "b", "c"])] == [b"1", None, None]
    assert [key for key, _ in store.scan("")] == ["a", "big"]
    assert store.commit(Commit(delete=["big"]))
    client.config_set("maxmemory", 0)
    assert store.commit(put)
    assert [each and each.value for each in store.read(["a", "b", "c"])] == [None, b"1", b"2"]


def test_one_refused_commit_leaves_those_beside_it_alone(store: RedisStore, own_redis: RedisProcess) -> None:
    own_redis.client().config_set("maxmemory", 100_000)
    futures = [store.submit(Commit(put={"b": b""})), store.submit(Commit(delete=["a"]))]
    assert [outcome(lambda future=future: future.result(60)) for future in futures] == ["Redis has no memory left", ""]


def test_scripts_that_an_operator_flushes_are_brought_again(store: RedisStore, own_redis: RedisProcess) -> None:
    own_redis.client().script_flush()
    assert store.commit(Commit(put={"a": b"2"}))
    assert len(store.scan("a")) == 1


def test_a_server_that_a_newer_release_has_used_is_refused_in_one_line(
    store: RedisStore, own_redis: RedisProcess
) -> None:
    own_redis.client().set("tercet:schema", 2)
    with pytest.raises(StateUnfit, match="Redis holds schema 2, this release of tercet reads up to 1: upgrade"):
        RedisStore(own_redis.url).check()


def test_versions_grow_although_the_clock_of_the_server_was_ahead(store: RedisStore, own_redis: RedisProcess) -> None:
    ahead = 9_000_000_000_000_000
    own_redis.client().set("tercet:clock", ahead)
    store.commit(Commit(put={"a": b"2"}))
    (document,) = store.read(["a"])
    assert document is not None
    assert document.version == ahead + 1
    assert store.commit(Commit(put={"a": b"3"}, expect={"a": ahead + 1, "b": ABSENT}))


def test_a_replica_takes_no_writes_and_says_so(store: RedisStore, own_redis: RedisProcess, tmp_path: Path) -> None:
    replica = RedisProcess(tmp_path / "replica", (*DURABLE, "--replicaof", "127.0.0.1", str(own_redis.port))).start()
    reader = RedisStore(replica.url)
    until = time.monotonic() + 60
    said = "not yet"
    while said != "Redis is a read-only replica" and time.monotonic() < until:
        said = outcome(lambda: reader.commit(SMALL))
        time.sleep(0.1)
    assert said == "Redis is a read-only replica"
    reader.close()
    replica.stop()


def test_what_is_confirmed_is_with_as_many_replicas_as_the_url_says(own_redis: RedisProcess, tmp_path: Path) -> None:
    store = RedisStore(f"{own_redis.url}?replicas=1")
    assert outcome(lambda: store.commit(SMALL)) == "Redis has too few replicas that keep up"
    assert store.commit(Commit(put={"b": b"1"}, is_durable=False))

    client = own_redis.client()
    client.config_set("repl-diskless-sync-delay", 0)
    client.close()
    replica = RedisProcess(tmp_path / "replica", (*DURABLE, "--replicaof", "127.0.0.1", str(own_redis.port))).start()
    try:
        until = time.monotonic() + 30
        while outcome(lambda: store.commit(SMALL)) and time.monotonic() < until:
            time.sleep(0.1)
        assert store.commit(Commit(put={"c": b"1"}))
        own_redis.stop(signal.SIGKILL)
        store.close()

        client = replica.client()
        client.replicaof("NO", "ONE")
        client.close()
        promoted = RedisStore(replica.url)
        assert promoted.read(["c"])[0] is not None
        promoted.close()
    finally:
        replica.stop(signal.SIGKILL)


@pytest.fixture
def secure_redis(tmp_path: Path) -> Iterator[tuple[RedisProcess, Path]]:
    """A server that speaks TLS only, and the certificate that it shows."""
    redis_binary()
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *make.split(), *files], check=True, capture_output=True)
    port = free_port()
    options = ("--tls-port", str(port), "--tls-auth-clients", "no")
    files = ["--tls-key-file", str(key), "--tls-cert-file", str(certificate), "--tls-ca-cert-file", str(certificate)]
    plain = RedisProcess(tmp_path / "redis", (*DURABLE, *options, *files)).start()
    yield RedisProcess(plain.folder, port=port), certificate
    plain.stop()


def test_tls_is_spoken_and_the_servers_certificate_is_checked(secure_redis: tuple[RedisProcess, Path]) -> None:
    server, certificate = secure_redis
    url = server.url.replace("redis://", "rediss://")
    store = RedisStore(f"{url}?ssl_ca_certs={certificate}")
    assert store.commit(SMALL)
    store.close()
    stranger = RedisStore(url)
    assert outcome(stranger.check) == "Redis can't be reached"
    stranger.close()


def test_a_cluster_is_refused(tmp_path: Path) -> None:
    # Its own choice, the port and 10,000, may be none.
    cluster = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    server = RedisProcess(tmp_path / "redis", (*DURABLE, *cluster)).start()
    with pytest.raises(StateUnfit, match="Redis runs as a cluster, the state needs one server"):
        RedisStore(server.url).check()
    server.stop()


class OldServer:
    """What a server of an earlier release says of itself."""

    def info(self, section: str) -> dict[str, str]:
        return {"redis_version": "6.2.14", "redis_mode": "standalone"}


def test_an_older_release_is_refused() -> None:
    with pytest.raises(StateUnfit, match=r"Redis is 6\.2\.14, the state needs 7\.0 or newer"):
        check_durable(OldServer())  # type: ignore[arg-type]  # all that is asked of it
