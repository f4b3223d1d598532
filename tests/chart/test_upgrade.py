"""An upgrade keeps the secrets of the cluster, because with new passwords the data would be
inaccessible.
"""

from collections.abc import Iterator

import pytest

from tests.chart.api_server import Secrets, cluster, installed
from tests.chart.rendering import Manifest, of_kind, rendered


class Cluster:
    """A stub of a cluster at `url`. A test may change its `secrets`."""

    def __init__(self, url: str, secrets: Secrets) -> None:
        self.url = url
        self.secrets = secrets

    def render(self, *args: str) -> list[Manifest]:
        """Render the chart as an upgrade of the release in the cluster."""
        online = ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", self.url)
        return rendered(*online, *args)

    def install(self, *args: str) -> list[Manifest]:
        """Render the chart, and store its Secrets in the cluster."""
        rendered_manifests = self.render(*args)
        self.secrets.update(installed(of_kind(rendered_manifests, "Secret")))
        return rendered_manifests


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Yield a cluster without Secrets."""
    # Do not read the developer's own configuration.
    monkeypatch.setenv("KUBECONFIG", "/dev/null")
    secrets: Secrets = {}
    with cluster(secrets) as url:
        yield Cluster(url, secrets)


def changed(before: list[Manifest], after: list[Manifest]) -> set[str]:
    """Return the names of the Secrets whose data differ."""
    old, new = of_kind(before, "Secret"), of_kind(after, "Secret")
    return {name for name in new if new[name]["data"] != old.get(name, {}).get("data")}


def test_a_second_time_everything_is_the_same(empty: Cluster) -> None:
    """Checksums and the Job's name do not change either, so no pod restarts."""
    first = empty.install()
    assert empty.render() == first


def test_without_a_cluster_they_would_be_others() -> None:
    first, second = rendered(), rendered()
    assert changed(first, second) == set(of_kind(first, "Secret"))


def test_what_is_missing_is_made_and_told_to_those_who_need_it(empty: Cluster) -> None:
    first = empty.install()
    del empty.secrets["trading-exchange"]
    assert changed(first, empty.render()) == {"trading-exchange", "trading-market-data"}


def test_switching_chaos_off_takes_its_token_away_and_nothing_else(empty: Cluster) -> None:
    first = of_kind(empty.install(), "Secret")
    left = of_kind(empty.render("--set", "chaos.enabled=false"), "Secret")
    # The Secret of the operator had no other file.
    assert first.keys() - left.keys() == {"trading-operator"}
    for name, secret in left.items():
        before = first[name]["data"]
        other_data = {
            key: data for key, data in before.items() if not key.startswith("chaos-token")
        }
        assert secret["data"] == other_data


def test_an_existing_secret_is_read_where_it_is(empty: Cluster) -> None:
    first = empty.install()
    for component in ("exchange", "postgres"):
        empty.secrets[f"our-{component}"] = empty.secrets.pop(f"trading-{component}")
    arguments = (
        "--set=services.exchange.existingSecret=our-exchange",
        "--set=postgres.existingSecret=our-postgres",
    )
    second = empty.render(*arguments)
    assert changed(first, second) == set()
    assert set(of_kind(first, "Secret")) - set(of_kind(second, "Secret")) == {
        "trading-exchange",
        "trading-postgres",
    }
