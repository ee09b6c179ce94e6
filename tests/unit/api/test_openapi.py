import re

from linkspan.api.openapi import plain_path
from linkspan.api.routes import ROUTES
from tests.unit.api.client import api_client


async def test_the_document_lists_every_route() -> None:
    async with api_client() as client:
        document = (await client.get("/linkspan/v1/openapi.json")).json
    listed = {(method.upper(), path) for path, found in document["paths"].items() for method in found}
    assert listed == {(route.method, plain_path(route.path)) for route in ROUTES}


async def test_every_reference_leads_somewhere() -> None:
    async with api_client() as client:
        reply = await client.get("/linkspan/v1/openapi.json")
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', reply.body.decode()))
    assert names and names <= set(reply.json["components"]["schemas"])


async def test_operations_have_names_of_their_own_and_parameters_for_their_path() -> None:
    async with api_client() as client:
        document = (await client.get("/linkspan/v1/openapi.json")).json
    operations = [(path, operation) for path, found in document["paths"].items() for operation in found.values()]
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    for path, operation in operations:
        in_path = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert "default" in operation["responses"]


def test_a_fixed_path_is_not_hidden_by_one_that_takes_anything() -> None:
    for place, route in enumerate(ROUTES):
        before = [other for other in ROUTES[:place] if other.method == route.method]
        patterns = [re.sub(r"\{\w+:([^}]*)\}", r"\1", other.path) for other in before]
        assert not any(re.fullmatch(pattern, plain_path(route.path)) for pattern in patterns), route.path
