"""One cluster with Flux for all scenarios, and for each scenario what it has for itself."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import brain
import table
import tools
from control_plane import ControlPlane
from flux import Flux
from nodes import Nodes
from place import Cluster
from repository import GitServer
from scenario import Scenario

if not brain.BINARY:
    pytest.exit("set GITOPS_BRAIN_BINARY to a built gitops-brain: nothing is tested without it", returncode=1)

ROWS = pytest.StashKey[dict[str, table.Row]]()


@pytest.fixture(scope="session")
def programs() -> tools.Tools:
    try:
        return tools.find()
    except tools.Missing as missing:
        pytest.skip(f"not to be had: {missing}")


@pytest.fixture(scope="session")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    server = GitServer(tmp_path_factory.mktemp("git") / "repositories")
    yield server
    server.stop()


def run_cluster(folder: Path, programs: tools.Tools) -> Iterator[Cluster]:
    plane = ControlPlane(folder, programs)
    plane.start()
    flux, nodes = Flux(plane), Nodes(plane.api)
    try:
        plane.namespace("flux-system")
        flux.start()
        nodes.start()
        yield Cluster(plane, flux, nodes)
        nodes.end()
    finally:
        flux.stop()
        plane.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, programs: tools.Tools) -> Iterator[Cluster]:
    yield from run_cluster(tmp_path_factory.mktemp("cluster") / "first", programs)


@pytest.fixture
def scenario(request: pytest.FixtureRequest, cluster: Cluster, git: GitServer, tmp_path: Path) -> Iterator[Scenario]:
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
    scenario = Scenario(name, cluster, git, tmp_path)
    yield scenario
    scenario.end()
    assert cluster.nodes.fault is None, f"the nodes could not say what is so: {cluster.nodes.fault}"


@pytest.fixture
def applied(scenario: Scenario) -> str:
    """The first commit, applied."""
    first = scenario.deploy("1")
    scenario.follow()
    assert scenario.wait(first).exit == 0
    return first


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--table", type=Path, help="the document in which the table of scenarios is written anew")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keeps a row for the table; a scenario that failed shows what Flux sent."""
    report = yield
    scenario: Scenario | None = getattr(item, "funcargs", {}).get("scenario")
    if scenario is None or not isinstance(item, pytest.Function):
        return report
    if report.when == "call" and report.failed and hasattr(scenario, "recorder"):
        report.sections.append(("requests", "\n".join(map(str, scenario.recorder.requests))))
    what = (item.function.__doc__ or item.name).replace("\n", " ")
    row = item.config.stash[ROWS].setdefault(item.nodeid, table.Row(what, [], "yes"))
    row.seconds += call.duration
    row.said = [verdict.outcome for verdict in scenario.verdicts]
    if not report.passed:
        row.outcome = "no" if report.failed else report.outcome
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    document: Path | None = session.config.getoption("--table")
    if document is not None:
        table.write(list(session.config.stash[ROWS].values()), document)
