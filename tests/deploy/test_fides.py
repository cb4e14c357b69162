"""The connector of fides: loaded by fides' own schemas, its requests rendered and sent by fides' own
code to a server. Left out where `ethyca-fides` is not installed; nothing else of fides has to run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from conftest import DEPLOY, Server, until

# Read when fides is imported: addresses of this machine may be called, and nobody is told of it.
os.environ |= {
    "FIDES__DEV_MODE": "true",
    "FIDES__TEST_MODE": "true",
    "FIDES__USER__ANALYTICS_OPT_OUT": "true",
}
pytest.importorskip("fides", reason="ethyca-fides is not installed")

import fides.api.db.base  # noqa: F401  # every model, which each of them needs
from fides.api.common_exceptions import ClientUnsuccessfulException
from fides.api.graph.config import CollectionAddress
from fides.api.models.connectionconfig import ConnectionConfig
from fides.api.models.datasetconfig import convert_dataset_to_graph
from fides.api.models.policy import Policy
from fides.api.schemas.connection_configuration.connection_secrets_saas import SaaSSchemaFactory
from fides.api.schemas.saas.connector_template import ConnectorTemplate
from fides.api.schemas.saas.saas_config import SaaSConfig
from fides.api.schemas.saas.shared_schemas import SaaSRequestParams
from fides.api.service.connectors.query_configs.saas_query_config import SaaSQueryConfig
from fides.api.service.connectors.saas_connector import SaaSConnector
from fides.api.util.saas_util import map_param_values, merge_datasets
from fideslang.default_taxonomy import DEFAULT_TAXONOMY
from fideslang.models import Dataset, DatasetField

CONFIG = (DEPLOY / "fides/recant.yml").read_text()
DATASET = (DEPLOY / "fides/dataset.yml").read_text()
#: Where the ids of people are, in another dataset.
REFERENCE = {"dataset": "shop", "field": "customers.id", "direction": "from"}


def instance(text: str) -> Any:
    """A file as fides completes it for one connection, which has no TLS here."""
    local = text.replace("protocol: https", "protocol: http")
    return yaml.safe_load(local.replace("<instance_fides_key>", "recant_shop"))


@dataclass
class PrivacyRequest:
    """What rendering asks of the request of a person; fides keeps it in a database and a cache."""

    id: str = "pri_11111111-2222-3333-4444-555555555555"

    def to_safe_dict(self) -> dict[str, Any]:
        return {"id": self.id}

    def get_cached_identity_data(self) -> dict[str, Any]:
        return {"email": "ada@example.org"}

    def get_cached_custom_privacy_request_fields(self) -> dict[str, Any]:
        return {}


class Connection:
    """The connector, with the secrets that an operator gives it."""

    def __init__(self, server: Server, key: str) -> None:
        self.config = SaaSConfig(**instance(CONFIG)["saas_config"])
        secrets: dict[str, Any] = {"domain": server.address, "api_key": key}
        secrets["recant_user_id"] = REFERENCE
        checked = SaaSSchemaFactory(self.config).get_saas_schema()(**secrets)
        self.secrets = json.loads(checked.model_dump_json())
        configuration = ConnectionConfig(
            key="recant_shop", secrets=self.secrets, saas_config=instance(CONFIG)["saas_config"]
        )
        self.connector = SaaSConnector(configuration)
        dataset = convert_dataset_to_graph(
            Dataset(**instance(DATASET)["dataset"][0]), "recant_shop"
        )
        graph = merge_datasets(dataset, self.config.get_graph(self.secrets))
        (self.person,) = graph.collections

    def _query(self, request: PrivacyRequest) -> SaaSQueryConfig:
        address = CollectionAddress("recant_shop", "person")
        node = SimpleNamespace(address=address, collection=self.person)
        endpoints = self.config.top_level_endpoint_dict
        return SaaSQueryConfig(node, endpoints, self.secrets, privacy_request=request)

    def send(self, params: SaaSRequestParams) -> Any:
        """The answer to a request; fides raises for one that is refused."""
        return self.connector.create_client().send(params)

    def test(self) -> Any:
        """What fides asks when an operator tests the connection."""
        return self.send(map_param_values("test", "recant", self.config.test_request, self.secrets))

    def read(self, user: str) -> list[dict[str, Any]]:
        """The rows that an access request gets for a user of the other dataset."""
        query = self._query(PrivacyRequest())
        (request,) = query.get_read_requests_by_identity()
        ((params, _),) = query.generate_requests({"user": [user]}, None, request)
        return self.connector.process_response_data(self.send(params).json(), {}, None)

    def erase(self, user: str, request: PrivacyRequest) -> Any:
        """The answer to what an erasure request sends for each row that was read."""
        (row,) = self.read(user)
        query = self._query(request)
        return self.send(query.generate_update_stmt(row, Policy(), request, {"user": [user]}))


@pytest.fixture(scope="module")
def connection(server: Server, deploy: Path) -> Connection:
    """The connector with the key of an operator."""
    return Connection(server, (deploy / "secrets/operator.key").read_text().strip())


def test_fides_takes_both_files() -> None:
    ConnectorTemplate(
        config=CONFIG,
        dataset=DATASET,
        human_readable="recant",
        authorization_required=False,
        user_guide=None,
        supported_actions=["access", "erasure"],
        category=None,
        tags=[],
        enabled_features=[],
    )


def test_every_category_is_one_of_fides() -> None:
    known = {category.fides_key for category in DEFAULT_TAXONOMY.data_category}

    def categories(fields: list[DatasetField]) -> set[str]:
        own = {str(one) for field in fields for one in field.data_categories or []}
        return own.union(*(categories(field.fields or []) for field in fields))

    (collection,) = Dataset(**instance(DATASET)["dataset"][0]).collections
    named = categories(collection.fields)
    assert named and named <= known


def test_the_connection_is_tested_with_its_key(connection: Connection, server: Server) -> None:
    assert connection.test().status_code == 200
    with pytest.raises(ClientUnsuccessfulException):
        Connection(server, "another key").test()


def test_an_access_request_reads_what_the_dataset_describes(connection: Connection) -> None:
    (row,) = connection.read("u3")
    assert row["user"] == "u3"
    expected = {f"i{(3 * 7 + i * i) % 30}" for i in range(10)}
    assert {one["item"] for one in row["interactions"]} == expected
    (collection,) = Dataset(**instance(DATASET)["dataset"][0]).collections
    described = {field.name: field for field in collection.fields}
    assert set(row) <= set(described)
    inner = {field.name for field in described["interactions"].fields or []}
    assert set().union(*row["interactions"]) <= inner


def test_an_erasure_request_erases_and_is_the_same_when_it_is_sent_again(
    connection: Connection, server: Server, deploy: Path
) -> None:
    request = PrivacyRequest()
    first = connection.erase("u4", request)
    assert first.status_code in {200, 202}
    key = (deploy / "secrets/operator.key").read_text().strip()
    until(
        lambda: (
            json.loads(server.ask(f"/erasures/{first.json()['id']}", key)[1])["status"]
            in {"forgotten", "certified"}
        ),
        "an erasure that is forgotten",
    )
    (row,) = connection.read("u4")
    assert row["interactions"] == []
    assert connection.erase("u4", request).json()["id"] == first.json()["id"]
    stranger = connection.erase("nobody", PrivacyRequest(id="pri_another"))
    assert stranger.status_code in {200, 202}


@pytest.mark.parametrize("id", ['u7","u8', "u7&user=u8", "\\u0075\\u0037", "u7#", "u7%38"])
def test_an_id_names_nobody_else(connection: Connection, id: str) -> None:
    (before,) = connection.read("u7")
    (row,) = connection.read(id)
    assert (row["user"], row["interactions"]) == (id, [])
    connection.erase(id, PrivacyRequest(id=f"pri_of_{id.encode().hex()}"))
    assert before["interactions"] and connection.read("u7") == [before]
