"""Two replicas on this machine under the installed Ray Serve, started by its own command from `deploy/ray_serve.yaml`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cooper.errors import CooperError
from tests.serving.running import asking

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install .[serve,cluster]")
DEPLOYED = Path(__file__).parents[2] / "deploy" / "ray_serve.yaml"
KEY = "a-key-of-the-cluster"
ENVIRONMENT = {"CLUSTER_KEYS": KEY, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Cluster:
    client: httpx.Client
    log: Path

    def answered(self) -> dict[str, float]:
        """How many requests each living replica has answered, by its label."""
        text = self.client.get("/metrics").text
        living = re.findall(r'cooper:num_requests_running\{[^}]*replica="([^"]+)"', text)
        ended = re.findall(r'cooper:request_success_total\{[^}]*replica="([^"]+)"[^}]*\} (\S+)', text)
        return {**dict.fromkeys(living, 0.0), **{name: float(count) for name, count in ended}}

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + 300
        while not happened():
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.5)

    def ready(self) -> bool:
        try:
            return self.client.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, seed: int) -> httpx.Response:
        return self.client.post("/v1/chat/completions", json=asking(seed=seed))


def two_replicas(folder: Path, port: int) -> dict[str, Any]:
    """The deployed configuration, changed where two replicas on one small machine, a test's folder and a key need it."""
    config = yaml.safe_load(DEPLOYED.read_text())
    config["http_options"]["port"] = port
    [application] = config["applications"]
    application["args"] |= {"traces": str(folder / "traces"), "key_env": "CLUSTER_KEYS"}
    [deployment] = application["deployments"]
    deployment["autoscaling_config"] |= {"min_replicas": 2, "max_replicas": 2}
    deployment["ray_actor_options"]["num_cpus"] = 0.1
    return config


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "two.yaml").write_text(yaml.safe_dump(two_replicas(folder, port)))
    command = [str(Path(sys.executable).with_name("serve")), "run", str(folder / "two.yaml")]
    headers = {"Authorization": f"Bearer {KEY}"}
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, headers=headers)
    with (folder / "log").open("w") as log, client:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **ENVIRONMENT})
        try:
            found = Cluster(client, folder / "log")
            found.until(lambda: found.ready() and len(found.answered()) == 2)
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:  # a shell that starts its work in the background has it ignore SIGINT
                process.kill()
                process.wait()


@pytest.mark.slow
def test_replicas_share_traces_and_a_killed_one_fails_only_what_it_held(cluster):
    answers = []

    def each_has_its_share() -> bool:
        answers.append(cluster.ask(len(answers)).json())
        return all(cluster.answered().values())

    cluster.until(each_has_its_share)
    for answer in answers:
        for _ in range(4):  # whichever replica is asked for it
            assert cluster.client.get(f"/v1/traces/{answer['trace_id']}").status_code == 200
    foreign = {"Authorization": "Bearer of-somebody-else"}
    assert cluster.client.get(f"/v1/traces/{answers[0]['trace_id']}", headers=foreign).status_code == 401

    first, other = cluster.answered()
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(cluster.ask, seed) for seed in range(16)]
        cluster.until(lambda: any(answer.done() for answer in asked))
        os.kill(int(first.rsplit("-", 1)[1]), signal.SIGKILL)
        told = [answer.result() for answer in asked]
    assert {answer.status_code for answer in told} <= {200, 500, 503}
    right = [answer.json()["choices"][0]["message"]["content"] for answer in told if answer.status_code == 200]
    assert right and set(right) == {"red capsule"}
    assert cluster.ask(99).status_code == 200
    cluster.until(lambda: len(cluster.answered()) == 2 and first not in cluster.answered())  # Ray has made another
    assert other in cluster.answered()


def test_arguments_of_an_application_are_checked():
    from cooper.serving.cluster import app

    with pytest.raises(CooperError, match=r"args of the application: .*modle"):
        app({"modle": "nano", "traces": "traces"})
    with pytest.raises(CooperError, match=r"limits\.rows"):
        app({"traces": "traces", "limits": {"rows": 0}})
    with pytest.raises(CooperError, match="traces"):
        app({})
