"""Prometheus itself reads the metrics, the alerts and the dashboard's expressions."""

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from ..conftest import ServerProcess, eventually, require
from ..rawclient import get
from ..test_seeing_docs import DOCS, expressions

pytestmark = pytest.mark.real

TOKEN: Final = "correct-horse.battery_staple"
_PATIENCE: Final = 20


@pytest.fixture(autouse=True)
def prometheus_is_here() -> None:
    require(shutil.which("prometheus") and shutil.which("promtool"), "needs Prometheus")


def promtool(*words: str, given: str = "") -> None:
    done = subprocess.run(["promtool", *words], input=given, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr), done.stdout


async def test_promtool_finds_no_fault_with_names_and_types(server: ServerProcess) -> None:
    client = await server.connect()
    await client.send(get("/metrics"))
    promtool("check", "metrics", given=(await client.answer()).body.decode())


def test_promtool_finds_no_fault_with_the_alerts() -> None:
    promtool("check", "rules", str(DOCS / "alerts.yml"))


def test_promtool_understands_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    asked = [one.replace("$__rate_interval", "1m") for one in expressions() if "label_values" not in one]
    rules = [{"record": f"panel:number_{number}", "expr": one} for number, one in enumerate(asked)]
    path = tmp_path / "rules.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(path))


@pytest.fixture
def scraped(tmp_path: Path, start_server: Callable[..., ServerProcess]) -> Iterator[str]:
    """The address of a Prometheus that scrapes a server, with the token."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    server = start_server("--management-token", str(token), "--metrics-without-token", "nobody")
    job = {
        "job_name": "rfc6455-server",
        "scrape_interval": "1s",
        "authorization": {"credentials_file": str(token)},
        "static_configs": [{"targets": [f"localhost:{server.port}"]}],
    }
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(json.dumps({"scrape_configs": [job], "rule_files": [str(DOCS / "alerts.yml")]}))
    log = tmp_path / "prometheus.log"
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    with log.open("w") as stderr:
        process = subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], stderr=stderr)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        found = re.search(r'msg="Listening on" address=(\S+)', log.read_text())
        if found is not None:
            return found[1]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def ask(address: str, path: str) -> Any:
    """The answer of Prometheus, or nothing while it isn't ready."""
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/{path}") as answer:
            return json.load(answer)["data"]
    except urllib.error.URLError:
        return None


def values(address: str, query: str) -> list[str]:
    data = ask(address, f"query?query={urllib.parse.quote(query)}")
    return [] if data is None else [result["value"][1] for result in data["result"]]


async def test_prometheus_scrapes_the_server_with_the_token(scraped: str) -> None:
    await eventually(["1"], lambda: values(scraped, "up"))
    await eventually(["0"], lambda: values(scraped, "rfc6455_sessions"))
    await eventually(True, lambda: values(scraped, 'rfc6455_http_requests_total{status="200"}') > ["0"])
    (target,) = ask(scraped, "targets")["activeTargets"]
    assert ("up", "") == (target["health"], target["lastError"])
    (group,) = ask(scraped, "rules")["groups"]
    assert {"ok"} >= {rule["health"] for rule in group["rules"]} - {"unknown"}
