"""The CloudFormation template: the linter, least privilege, and its task run with what it says."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from sqlalchemy import create_engine, text

from dicomweb_gateway.settings import Settings
from tests.databases import PrivateMariaDb, need_mariadb
from tests.deploy.recipes import (
    DEPLOY,
    command_of,
    dockerfile_steps,
    image_environment,
    of_last_stage,
    replaced,
    start,
    stop,
)
from tests.deploy.template import Resolver, read_template
from tests.e2e.house import free_port, wait_for
from tests.index.test_database_tls import write_certificate
from tests.sqs import aws_server  # noqa: F401  (a fixture)

PATH = DEPLOY / "cloudformation.yaml"
TEMPLATE = read_template(PATH)
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
PARAMETERS = {
    "ContainerImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dicomweb-gateway:0.1.0",
    "LambdaImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/indexer:0.1.0",
    "PublicUrl": "https://pacs.example.org",
    "DatastoreId": "0123456789abcdef0123456789abcdef",
}
KNOWN = {
    "UserPool": "eu-west-1_AbCdEfGhI",
    "UserPoolClient": "1h57kf5cpq17m0eml12EXAMPLE",
    "LogGroup": "gateway",
    "AuditLogGroup": "audit",
    "AuditLogGroup.Arn": "arn:aws:logs:eu-west-1:123456789012:log-group:audit",
    "CacheUrl": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cache-AbCdEf",
    "BoundaryKey": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:key-AbCdEf",
    "DatabaseSecret": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:index-AbCdEf",
    "Events.Arn": "arn:aws:sqs:eu-west-1:123456789012:events",
    "LogGroup.Arn": "arn:aws:logs:eu-west-1:123456789012:log-group:gateway",
    "IndexerLogGroup.Arn": "arn:aws:logs:eu-west-1:123456789012:log-group:indexer",
    "IndexerLogGroup": "indexer",
    "TaskSecurityGroup": "sg-12345678",
    "ReadPolicy": "arn:aws:iam::123456789012:policy/read",
}


def resolver(**known: str) -> Resolver:
    roles = {f"{name}.Arn": f"arn:aws:iam::123456789012:role/{name}" for name in RESOURCES if "Role" in name}
    return Resolver(TEMPLATE, {**PARAMETERS, "PrivateSubnetIds": "subnet-1"}, {**KNOWN, **roles, **known})


def container(name: str, **known: str) -> dict[str, Any]:
    """The container of the task, resolved."""
    task = resolver(**known).value(RESOURCES["Task"]["Properties"])
    (found,) = (one for one in task["ContainerDefinitions"] if one["Name"] == name)
    return dict(found)


def test_the_linter_finds_nothing() -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        pytest.skip("cfn-lint is not installed")
    done = subprocess.run([program, str(PATH)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of a role or policy, with its resource's name."""
    for name, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        inline = properties.get("Policies", ()) if resource["Type"] == "AWS::IAM::Role" else ()
        documents = [one["PolicyDocument"] for one in inline]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            documents.append(properties["PolicyDocument"])
        for document in documents:
            for statement in resolver(**{"FlowLogGroup.Arn": "arn:flow"}).value(document)["Statement"]:
                yield name, statement


def test_no_right_is_wider_than_what_is_done() -> None:
    everywhere = {"ecr:GetAuthorizationToken"} | {
        f"ec2:{what}NetworkInterface{end}"
        for what, end in (("Create", ""), ("Describe", "s"), ("Delete", ""))
    }
    count = 0
    for name, statement in statements():
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in action for action in actions), name
        if statement["Resource"] == "*":
            assert set(actions) <= everywhere, name
        if any(action.startswith("medical-imaging:") for action in actions):
            count += 1
            assert all(action.split(":")[1].startswith(("Get", "Search", "List")) for action in actions)
            assert all(PARAMETERS["DatastoreId"] in resource for resource in statement["Resource"])
    assert count == 1


def test_what_the_issue_of_a_service_needs_is_there() -> None:
    kinds = {resource["Type"] for resource in RESOURCES.values()}
    assert kinds >= {
        "AWS::ECS::Service",
        "AWS::ElasticLoadBalancingV2::Listener",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::RDS::DBCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Cognito::UserPool",
        "AWS::CloudFront::Distribution",
        "AWS::Lambda::Function",
        "AWS::Events::Rule",
        "AWS::SQS::Queue",
        "AWS::EC2::FlowLog",
        "AWS::S3::Bucket",
    }
    listener = RESOURCES["Listener"]["Properties"]
    assert listener["Protocol"] == "HTTPS"
    assert "TLS13" in listener["SslPolicy"]
    assert RESOURCES["FlowLog"]["Condition"] == "LogsFlows"
    assert not resolver().holds("LogsFlows")


def test_the_caches_key_holds_what_says_who_asks() -> None:
    key = RESOURCES["CachePolicy"]["Properties"]["CachePolicyConfig"]
    headers = key["ParametersInCacheKeyAndForwardedToOrigin"]["HeadersConfig"]["Headers"]
    assert {"Authorization", "token", "Origin", "Accept"} <= set(headers)
    assert key["MinTTL"] == key["DefaultTTL"] == 0


def test_the_indexer_is_the_handler_and_names_what_is_to_come_again() -> None:
    mapping = RESOURCES["IndexerMapping"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    last = dockerfile_steps(DEPLOY / "Dockerfile.lambda")[-1]
    module, _, function = json.loads(last.rest)[0].rpartition(".")
    assert (module, function) == ("dicomweb_gateway.aws_lambda", "handle")
    function_properties = resolver().value(RESOURCES["Indexer"]["Properties"])
    names = function_properties["Environment"]["Variables"]
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    assert RESOURCES["Events"]["Properties"]["VisibilityTimeout"] >= 6 * function_properties["Timeout"]
    dead = RESOURCES["Events"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]
    assert dead == {"Fn::GetAtt": ["EventsDead", "Arn"]}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the secret of a database with TLS says of it."""
    need_mariadb()
    folder = tmp_path_factory.mktemp("aurora")
    certificate, key = write_certificate(folder, "127.0.0.1")
    server = PrivateMariaDb(folder / "server")
    server.install()
    server.start(f"--ssl-cert={certificate}", f"--ssl-key={key}")
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE ahiindex"))
        connection.execute(text("CREATE USER 'gateway'@'%' IDENTIFIED BY 'p4ss' REQUIRE SSL"))
        connection.execute(text("GRANT ALL ON ahiindex.* TO 'gateway'@'%'"))
    engine.dispose()
    template = RESOURCES["DatabaseSecret"]["Properties"]["GenerateSecretString"]["SecretStringTemplate"]
    yield {**json.loads(template), "password": "p4ss", "host": "127.0.0.1", "port": server.port}
    server.stop()


def test_the_task_runs_as_it_stands(
    index: dict[str, Any],
    aws_server: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Command and environment of both containers; only the addresses of AWS are this machine's."""
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "eu-west-1"}
    client = boto3.client("secretsmanager", endpoint_url=aws_server, **keys)
    arn = client.create_secret(Name="of-the-task", SecretString=json.dumps(index))["ARN"]
    client.close()
    here = {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws_server,
        "AWS_ENDPOINT_URL_MEDICAL_IMAGING": aws_server,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HOME": str(tmp_path),
    }
    secrets = {"REDIS_URL": "rediss://:p4ss@127.0.0.1:1/0", "BOUNDARY_KEY": "k" * 48}
    paths = {
        "/var/lib/dicomweb-gateway": f"{tmp_path}/data",
        "/var/cache/dicomweb-gateway": f"{tmp_path}/cache",
    }
    port = free_port()

    def run(name: str) -> Any:
        found = container(name, DatabaseSecret=arn)
        stated = {pair["Name"]: str(pair["Value"]) for pair in found["Environment"]}
        held = {pair["Name"]: secrets[pair["Name"]] for pair in found.get("Secrets", ())}
        assert {key.lower() for key in (*stated, *held)} <= set(Settings.model_fields)
        image = {key: replaced(value, paths) for key, value in image_environment().items() if key != "PATH"}
        environment = {**image, **stated, **held, **here, "PORT": str(port)}
        command = command_of([*json.loads(of_last_stage("ENTRYPOINT")[-1]), *found["Command"]])
        return start(command, environment, tmp_path / f"{name}.log", tmp_path), environment, found

    schema, _, _ = run("schema")
    assert schema.wait(60) == 0, (tmp_path / "schema.log").read_text()
    gateway, environment, found = run("gateway")
    check = found["HealthCheck"]["Command"][1:]
    command = [replaced(word, {":8080": f":{port}"}) for word in command_of(check)]

    def is_healthy() -> bool:
        assert gateway.poll() is None, (tmp_path / "gateway.log").read_text()
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    root = f"http://127.0.0.1:{port}"
    try:
        wait_for(is_healthy)
        assert requests.get(f"{root}/aetitle/studies", timeout=30).status_code == 401
        assert requests.get(f"{root}/health", timeout=30).text == "OK"
        done = subprocess.run(
            command_of(["dicomweb-gateway", "config", "--json"]),
            env=environment,
            capture_output=True,
            check=True,
        )
        effective = json.loads(done.stdout)
        assert effective["cognito_user_pool_id"]["value"] == KNOWN["UserPool"]
        assert effective["ahi_datastore_ids"]["value"] == PARAMETERS["DatastoreId"]
    finally:
        assert stop(gateway) == 0
    log = (tmp_path / "gateway.log").read_text()
    assert "p4ss" not in log
    # the audit log lies where the container that passes it on looks
    (watched,) = (word for word in container("audit")["Command"] if word.startswith("/"))
    lines = Path(replaced(watched, paths)).read_text().splitlines()
    assert any(json.loads(line).get("status") == 401 for line in lines)
    assert f"listening on 0.0.0.0:{port}" in log
