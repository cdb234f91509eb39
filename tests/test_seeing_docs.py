"""docs/metrics.md, the dashboard and the alerts name what a scrape has, all of it and nothing else."""

import json
import re
from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.metrics_core import Metric

from server.metrics import Metrics

from .conftest import Serve
from .rawclient import close

DOCS: Final = Path(__file__).parent.parent / "docs"
DASHBOARD: Final[dict[str, Any]] = json.loads((DOCS / "grafana.json").read_text())
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
METRIC: Final = re.compile(r"\b(?:rfc6455|process)_\w+")


def exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


async def families(service: Serve) -> list[Metric]:
    """All metrics of a service to which everything has happened that gives one of them a label."""
    async with service() as running:
        client = await running.open()
        await client.send(close())
        await client.rest()
        plain = await running.connect()
        await plain.send(b"\0\r\n\r\n")
        await plain.rest()
        return list(Metrics(running.context)._registry.collect())


async def test_table_has_every_metric_as_a_scrape_describes_it(service: Serve) -> None:
    described = [
        (
            f"`{exposed(family)}`",
            family.type,
            ", ".join(
                f"`{label}`" for label in sorted(set(chain(*(one.labels for one in family.samples))) - {"le"})
            ),
            family.documentation,
        )
        for family in await families(service)
    ]
    lines = (DOCS / "metrics.md").read_text().splitlines()
    rows = [tuple(map(str.strip, line.split("|")[1:-1])) for line in lines if METRIC.match(line[3:])]
    # An older Linux doesn't count descriptors.
    assert described == [row for row in rows if row in described or row[0] != "`process_open_fds`"]


def expressions() -> list[str]:
    shown = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]
    asked = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return shown + asked


async def test_dashboard_and_alerts_ask_for_nothing_that_is_not_there(service: Serve) -> None:
    found = await families(service)
    samples = {sample.name for family in found for sample in family.samples}
    asked = set(METRIC.findall("\n".join(expressions()) + (DOCS / "alerts.yml").read_text()))
    assert set() == asked - samples - {"process_open_fds"}
    shown = set(METRIC.findall("\n".join(expressions())))
    families_shown = {re.sub(r"_bucket$", "", name) for name in shown}
    unshown = {exposed(family) for family in found} - families_shown
    # Those are for alerts, or the same all the time.
    assert unshown == {
        "process_start_time_seconds",
        "rfc6455_draining",
        "rfc6455_memory_closed_connections_total",
        "rfc6455_memory_refused_handshakes_total",
    }


def test_counters_are_shown_as_rates_and_histograms_as_quantiles() -> None:
    for expression in expressions():
        for name in METRIC.findall(expression):
            assert ("_total" in name) <= (f"rate({name}" in expression)
            assert ("_bucket" in name) <= (expression.startswith("histogram_quantile("))


def test_panels_have_ids_of_their_own_and_lie_side_by_side() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in PANELS]
    for place in places:
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below


def test_panels_say_what_they_show_and_take_the_source_that_was_chosen() -> None:
    for panel in PANELS:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"]
        for one in (panel, *panel["targets"]):
            assert {"type": "prometheus", "uid": "${datasource}"} == one["datasource"]
        assert all('{job=~"$job",instance=~"$instance"' in target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yml"])
def test_page_links_to_the_files(name: str) -> None:
    assert f"]({name})" in (DOCS / "metrics.md").read_text()
