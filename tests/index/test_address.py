import ssl

import pytest

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.index.address import parse_address, tls_arguments

ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:index-AbCdEf"


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_spelling_is_one_driver(scheme):
    address = parse_address(f"{scheme}://u:p@h:3307/d")
    assert address.url.drivername == "mysql+pymysql"
    assert (address.url.host, address.url.port, address.url.database) == ("h", 3307, "d")
    assert address.url.query == {"charset": "utf8mb4"}
    assert (address.secret_arn, address.tls, address.tls_ca) == (None, "preferred", None)


def test_our_parameters_do_not_reach_the_driver():
    address = parse_address(f"mysql://?secret_arn={ARN}&tls=verify&tls_ca=/ca.pem&charset=latin1")
    assert address.url.query == {"charset": "latin1"}
    assert (address.secret_arn, address.tls, address.tls_ca) == (ARN, "verify", "/ca.pem")


def test_a_file_is_no_server():
    assert parse_address("sqlite:////tmp/x.db").is_sqlite
    assert not parse_address("mysql://h/d").is_sqlite


@pytest.mark.parametrize("url", ["hunter2", "postgresql://u:hunter2@h/d", "mysql://u:hunter2@h:port/d"])
def test_other_addresses_are_refused_without_their_password(url):
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        parse_address(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("parameters", "mode", "names"),
    [
        ("tls=required", ssl.CERT_NONE, False),
        ("tls=verify", ssl.CERT_REQUIRED, True),
    ],
)
def test_what_tls_checks(parameters, mode, names):
    context = tls_arguments(parse_address(f"mysql://h/d?{parameters}"))["ssl"]
    assert (context.verify_mode, context.check_hostname) == (mode, names)


def test_preferred_is_left_to_the_driver():
    assert tls_arguments(parse_address("mysql://h/d")) == {}


@pytest.mark.parametrize(
    ("parameters", "named"), [("tls=maybe", "DB_TLS"), ("tls=verify&tls_ca=/none.pem", "DB_TLS_CA")]
)
def test_unusable_tls(parameters, named):
    with pytest.raises(SettingsError, match=named):
        tls_arguments(parse_address(f"mysql://h/d?{parameters}"))
