"""Settings: precedence, lists, refusals in one sentence, masked secrets (DESIGN 4)."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from pydantic_settings import BaseSettings

from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.service.generation import server_limits
from dicomweb_gateway.setting_groups.caches import GIB
from dicomweb_gateway.settings import Settings, load_settings, source_of


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    names = {name.upper() for name in Settings.model_fields} | {
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "DB_SECRET_ARN",
    }
    for name in names & set(os.environ):
        monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path):
    def write(text):
        path = tmp_path / "gateway.toml"
        path.write_text(text)
        return path

    return write


def test_defaults():
    settings = load_settings()
    assert (settings.listen_host, settings.port, settings.ae_path) == ("127.0.0.1", 8080, ("/aetitle",))
    assert settings.index_url == f"sqlite:///{settings.data_dir}/index.sqlite"
    assert settings.cache_folder == settings.data_dir / "cache"
    assert settings.verify_checksums == "always"
    assert settings.web_process_count >= 1
    assert settings.fetcher_count in (1, 2)
    assert not settings.is_exposed


@pytest.mark.parametrize(
    ("line", "environment", "file", "port", "source"),
    [
        (1, "2", 3, 1, "command line"),
        (None, "2", 3, 2, "environment"),
        (None, None, 3, 3, "file"),
        (None, None, None, 8080, "default"),
        (None, "", 3, 3, "file"),
        (0, "2", 3, 0, "command line"),
    ],
)
def test_command_line_then_environment_then_file_then_default(
    monkeypatch, toml, line, environment, file, port, source
):
    if environment is not None:
        monkeypatch.setenv("PORT", environment)
    config = toml("" if file is None else f"port = {file}")
    overrides = {"port": line}
    assert load_settings(overrides, config).port == port
    assert source_of("port", overrides, config) == (str(config) if source == "file" else source)


@pytest.mark.parametrize(
    ("environment", "file", "region"),
    [
        ({"AWS_DEFAULT_REGION": "c"}, "", "c"),
        ({"AWS_DEFAULT_REGION": "c", "AWS_REGION": "b"}, "", "b"),
        ({"AWS_DEFAULT_REGION": "c", "AWS_REGION": "b", "AHI_REGION": "a"}, "", "a"),
        ({}, 'ahi_region = "f"', "f"),
        ({"AHI_REGION": "a"}, 'ahi_region = "f"', "a"),
        ({}, "", None),
    ],
)
def test_region_has_the_samples_names_too(monkeypatch, toml, environment, file, region):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load_settings({}, toml(file)).ahi_region == region


def test_the_command_line_beats_the_region_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "b")
    assert load_settings({"ahi_region": "x"}).ahi_region == "x"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AE_PATH", "/aetitle, dicomweb/,/rs", ("/aetitle", "/dicomweb", "/rs")),
        ("CORS_ORIGINS", "http://a, http://b", ("http://a", "http://b")),
        ("AHI_DATASTORE_IDS", "", ()),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1", ("10.0.0.0/8", "::1")),
        ("AUTH_MODE", "null", ("none",)),
        ("AUTH_MODE", "None", ("none",)),
        ("AUTH_MODE", "token, Basic,token", ("token", "basic")),
        ("PREFETCH", "false", False),
        ("MAX_RESULTS", "7", 7),
    ],
)
def test_values_of_the_environment(monkeypatch, name, text, value):
    monkeypatch.setenv(name, text)
    assert getattr(load_settings(), name.lower()) == value


def test_lists_in_a_file(toml):
    settings = load_settings({}, toml('ae_path = ["/a", "/b"]\ncors_origins = "http://x,http://y"'))
    assert (settings.ae_path, settings.cors_origins) == (("/a", "/b"), ("http://x", "http://y"))


REFUSED = [
    ("PORT", "70000", "PORT"),
    ("PORT", "http", "PORT"),
    ("AE_PATH", "/", "AE_PATH"),
    ("PUBLIC_URL", "gw.example.org", "PUBLIC_URL"),
    ("TRUSTED_PROXIES", "proxy.example.org", "TRUSTED_PROXIES"),
    ("AUTH_MODE", "cognito_jwt", "AUTH_MODE"),
    ("AUTH_MODE", "saml", "AUTH_MODE"),
    ("AUTH_MODE", "none,token", "AUTH_MODE"),
    ("AUTH_MODE", "oidc", "OIDC_ISSUER"),
    ("AUTH_MODE", "proxy", "TRUSTED_PROXIES"),
    ("OIDC_ISSUER", "http://idp.example.org", "OIDC_ISSUER"),
    ("OIDC_ISSUER", "https://idp.example.org", "OIDC_AUDIENCE"),
    ("OIDC_JWKS_URL", "ftp://idp.example.org", "OIDC_JWKS_URL"),
    ("OIDC_ALGORITHMS", "RS256,HS256", "OIDC_ALGORITHMS"),
    ("OIDC_ALGORITHMS", "none", "OIDC_ALGORITHMS"),
    ("OIDC_TOKEN_USE", "refresh", "OIDC_TOKEN_USE"),
    ("COGNITO_USER_POOL_ID", "evil.example.org/x_y", "COGNITO_USER_POOL_ID"),
    ("PROXY_USER_HEADER", "X_Forwarded_User", "PROXY_USER_HEADER"),
    ("PROXY_GROUPS_HEADER", "x-forwarded-user", "must differ"),
    ("VERIFY_CHECKSUMS", "sometimes", "VERIFY_CHECKSUMS"),
    ("WEB_PROCESSES", "0", "WEB_PROCESSES"),
    ("LOG_LEVEL", "loud", "LOG_LEVEL"),
    ("DB_SECRET_ARN", "arn:aws:secretsmanager:x", "DB_SECRET_ARN"),
    ("AHI_REGION", "", None),
]


@pytest.mark.parametrize(("name", "text", "named"), REFUSED)
def test_refusals_are_one_sentence_that_names_the_setting(monkeypatch, name, text, named):
    monkeypatch.setenv(name, text)
    if named is None:
        assert load_settings().ahi_region is None
        return
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port = [", "cannot be read"),
        ("port = 'x'", "PORT"),
        ("potr = 1", "potr is no setting"),
        ("PORT = 1", "lower-case"),
        ("[server]\nport = 1", "server is no setting"),
    ],
)
def test_unusable_files(toml, text, words):
    with pytest.raises(SettingsError, match=words):
        load_settings({}, toml(text))


def test_a_missing_file(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings({}, tmp_path / "none.toml")


def test_secrets_are_masked_and_values_frozen():
    settings = load_settings({"database_url": "mysql+pymysql://u:hunter2@h/d", "boundary_key": "s3cr3t"})
    assert "hunter2" not in repr(settings)
    assert "s3cr3t" not in f"{settings} {settings.model_dump()}"
    assert settings.index_url == "mysql+pymysql://u:hunter2@h/d"
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!cluster/index-AbCdEf"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"db_secret_arn": ARN}, f"mysql+pymysql://?secret_arn={quote_plus(ARN)}"),
        ({"database_url": "mysql://u@h/d", "db_tls": "required"}, "mysql://u@h/d?tls=required"),
        (
            {"database_url": "mysql://u@h/d?charset=utf8", "db_tls": "verify", "db_tls_ca": Path("/ca.pem")},
            "mysql://u@h/d?charset=utf8&tls=verify&tls_ca=%2Fca.pem",
        ),
        ({"database_url": "sqlite:////x.db", "db_tls": "required"}, "sqlite:////x.db"),
    ],
)
def test_the_database_as_one_url(given, url):
    assert load_settings(given).index_url == url


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"database_url": "mysql://h/d", "db_secret_arn": ARN}, "exclude each other"),
        ({"db_tls_ca": Path("/ca.pem")}, "DB_TLS_CA needs DB_TLS=verify"),
    ],
)
def test_contradictions_of_the_database(given, words):
    with pytest.raises(SettingsError, match=words):
        load_settings(given)


@pytest.mark.parametrize(
    ("host", "exposed"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("192.168.1.1", True),
        ("gw.org", True),
    ],
)
def test_exposure(host, exposed):
    assert load_settings({"host": host}).is_exposed is exposed


def test_the_frame_store_has_a_budget_before_its_folder_exists(tmp_path):
    assert load_settings({"data_dir": tmp_path / "not" / "yet"}).frame_store_bytes <= 20 * GIB
    assert load_settings({"cache_max_bytes": 1 << 20}).frame_store_bytes == 1 << 20


def test_names_in_the_settings_are_answered():
    settings = load_settings(
        {"allowed_hosts": "Viewer.example.org", "public_url": "https://PACS.example.org/x", "host": "node1"}
    )
    assert settings.answered_hosts == ("viewer.example.org", "node1", "pacs.example.org")


@pytest.mark.parametrize("value", ["200", "204"])
def test_the_status_of_no_match_is_one_of_two(monkeypatch, value):
    monkeypatch.setenv("EMPTY_STATUS", value)
    assert load_settings().empty_status == int(value)
    monkeypatch.setenv("EMPTY_STATUS", "404")
    with pytest.raises(SettingsError, match="EMPTY_STATUS"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "hours"), [({}, 0), ({"time_zone": "Asia/Kolkata"}, 5.5), ({"time_zone": "-0330"}, -3.5)]
)
def test_the_time_zone_of_moments(given, hours):
    assert load_settings(given).zone.utcoffset(datetime(2024, 1, 1)) == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["Nowhere", "Europe", "CEST+1", "+2500", "../UTC"])
def test_a_time_zone_that_is_none_is_refused(monkeypatch, name):
    monkeypatch.setenv("TIME_ZONE", name)
    with pytest.raises(
        SettingsError, match=r"^TIME_ZONE: must be an IANA time zone such as Europe/Berlin, or"
    ):
        load_settings()


def test_two_decoders_at_least(monkeypatch):
    """One of them may hang until it is killed."""
    monkeypatch.setattr("dicomweb_gateway.setting_groups.processes._cores", lambda: 16)
    assert load_settings({"web_processes": 4}).decoder_count == 4
    assert load_settings({"web_processes": 16}).decoder_count == 2


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "100000"])
def test_decode_timeout_is_bounded(seconds):
    with pytest.raises(SettingsError, match="DECODE_TIMEOUT"):
        load_settings({"decode_timeout": seconds})


@pytest.mark.parametrize("off", ["false", "0", "no", "off", "False"])
def test_false_means_false(monkeypatch, off):
    monkeypatch.setenv("MEMCACHED_ADDRESS", "cache.example.org:22322")
    assert load_settings().shared_cache is not None
    assert load_settings().level_bytes > 0
    monkeypatch.setenv("ENABLE_AMAZON_ELASTICACHE", off)
    monkeypatch.setenv("ENABLE_LOCAL_NODECACHE", off)
    assert load_settings().shared_cache is None
    assert load_settings().level_bytes == 0


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"memcached_address": "cache"}, "MEMCACHED_ADDRESS"),
        ({"memcached_address": "a:1,b"}, "MEMCACHED_ADDRESS"),
        ({"redis_url": "http://cache"}, "REDIS_URL"),
        ({"redis_url": "redis://"}, "REDIS_URL"),
        ({"redis_url": "redis://cache:99999"}, "REDIS_URL"),
        ({"memcached_address": "a:1", "redis_url": "redis://b"}, "exclude each other"),
        ({"session_store": "redis"}, "SESSION_STORE redis needs REDIS_URL"),
        ({"session_store": "redis", "memcached_address": "a:1"}, "SESSION_STORE redis needs REDIS_URL"),
        ({"session_store": "memcached"}, "SESSION_STORE"),
        ({"enable_local_nodecache": "perhaps"}, "ENABLE_LOCAL_NODECACHE"),
        ({"cdn_caching": "all"}, "CDN_CACHING"),
    ],
)
def test_unusable_caches_are_refused_by_name(given, name):
    with pytest.raises(SettingsError, match=name):
        load_settings(given)


def test_caches_as_they_are_written():
    assert load_settings({"memcached_address": "null"}).shared_cache is None
    off = {"memcached_address": "cache", "enable_amazon_elasticache": "false"}
    assert load_settings(off).shared_cache is None
    assert load_settings({"memcached_address": "a:1, b:2"}).shared_cache.memcached == ("a:1", "b:2")
    assert load_settings({"redis_url": "rediss://:pw@a/1"}).shared_cache.redis_url == "rediss://:pw@a/1"
    where = {"redis_url": "redis://:pw@a/1"}
    assert load_settings(where).session_redis is None
    # the AWS sample's switch is about the cache
    kept = load_settings({**where, "session_store": "redis", "enable_amazon_elasticache": False})
    assert (kept.session_redis, kept.shared_cache) == ("redis://:pw@a/1", None)
    assert load_settings().who_may_cache == "per-caller"
    assert load_settings({"cdn_caching": "shared"}).who_may_cache == "shared"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"cors_origins": "ohif.example.org"}, "CORS_ORIGINS: 'ohif.example.org' is no origin"),
        ({"cors_credentials": True}, "CORS_CREDENTIALS needs CORS_ORIGINS"),
        ({"cors_credentials": True, "cors_origins": "*"}, "CORS_CREDENTIALS needs CORS_ORIGINS"),
        ({"audit_required": True}, "AUDIT_REQUIRED needs AUDIT_LOG"),
        ({"audit_required": True, "audit_log": "off"}, "AUDIT_REQUIRED needs AUDIT_LOG"),
        ({"client_rate_limit": 0, "client_rate_burst": 5}, "CLIENT_RATE_BURST means nothing"),
        ({"max_headers": 1}, "MAX_HEADERS: "),
    ],
)
def test_exposure_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(SettingsError) as refused:
        load_settings(given)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_origins_are_kept_in_one_form():
    settings = load_settings({"cors_origins": "HTTPS://A.org:443, https://*.b.org"})
    assert settings.cors_origins == ("https://a.org", "https://*.b.org")


def test_limits_of_clients_are_for_those_whom_others_can_reach():
    alone, exposed = load_settings().client_rates, load_settings({"host": "0.0.0.0"}).client_rates
    assert (alone.rate, alone.at_once, alone.connections) == (0, 0, 0)
    assert (exposed.rate, exposed.burst, exposed.at_once, exposed.connections) == (2000, 120_000, 1024, 2048)
    assert load_settings({"client_rate_limit": 5}).client_rates.burst == 300
    assert load_settings({"client_rate_limit": 0.001}).client_rates.burst == 1
    assert load_settings({"host": "0.0.0.0", "client_concurrency": 0}).client_rates.at_once == 0


def test_the_audit_log_is_written_where_it_is_asked_for():
    assert load_settings().audit_path is None
    assert load_settings({"audit_log": "off"}).audit_path is None
    assert load_settings({"auth_mode": "token", "data_dir": "/d"}).audit_path == Path("/d/audit.log")
    assert load_settings({"auth_mode": "token", "audit_log": "off"}).audit_path is None
    assert load_settings({"audit_log": "/var/log/audit"}).audit_path == Path("/var/log/audit")


POOL = {"cognito_user_pool_id": "eu-west-1_AbC123"}


@pytest.mark.parametrize(
    ("given", "modes", "host"),
    [
        ({}, ("none",), "127.0.0.1"),
        (POOL, ("oidc",), "0.0.0.0"),
        ({"oidc_issuer": "https://i", "oidc_audience": "a"}, ("oidc",), "0.0.0.0"),
        ({"auth_mode": "cognito_jwt", **POOL}, ("oidc",), "0.0.0.0"),
        ({"auth_mode": "null", **POOL}, ("none",), "127.0.0.1"),
        ({"auth_mode": "token", "host": "127.0.0.1"}, ("token",), "127.0.0.1"),
        ({"auth_mode": "basic,oidc", **POOL}, ("basic", "oidc"), "0.0.0.0"),
        ({"cognito_user_pool_id": "null"}, ("none",), "127.0.0.1"),
    ],
)
def test_logins_and_where_to_listen(given, modes, host):
    settings = load_settings(given)
    assert (settings.login_modes, settings.listen_host) == (modes, host)
    assert settings.has_login is (modes != ("none",))


@pytest.mark.parametrize(
    ("given", "issuer", "clients", "names"),
    [
        (POOL, "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC123", set(), "username"),
        ({**POOL, "cognito_client_id": "null"}, None, set(), "username"),
        ({**POOL, "cognito_client_id": "a,b"}, None, {"a", "b"}, "username"),
        (
            {"cognito_user_pool_id": "cn-north-1_A"},
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_A",
            set(),
            "username",
        ),
        ({"oidc_issuer": "https://i/", "oidc_client_ids": "x"}, "https://i/", {"x"}, "sub"),
        ({"oidc_issuer": "https://i", "oidc_audience": "*"}, "https://i", set(), "sub"),
        ({**POOL, "oidc_name_claim": "email"}, None, set(), "email"),
    ],
)
def test_what_must_hold_of_tokens(given, issuer, clients, names):
    rules = load_settings(given).claim_rules
    assert issuer is None or rules.issuer == issuer
    assert (rules.clients, rules.audiences) == (clients, set())
    assert rules.names[0] == names


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "10.0.0.1,::/0"])
def test_not_everybody_may_name_users(networks):
    with pytest.raises(SettingsError, match="lets everybody name users"):
        load_settings({"auth_mode": "proxy", "trusted_proxies": networks})
    assert load_settings({"auth_mode": "none", "trusted_proxies": networks}).trusted_proxies


def test_issuers_exclude_each_other():
    with pytest.raises(SettingsError, match="exclude each other"):
        load_settings({**POOL, "oidc_issuer": "https://i", "oidc_audience": "a"})


def test_files_of_logins_lie_with_the_data(tmp_path):
    settings = load_settings({"data_dir": tmp_path, "users_file": "/etc/users.toml"})
    assert settings.tokens_path == tmp_path / "tokens.toml"
    assert settings.users_path == Path("/etc/users.toml")


@pytest.mark.parametrize("inside", ["", "dist"])
def test_ohif_is_found_in_its_package_and_itself(tmp_path, inside):
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / inside / "index.html").write_text("page")
    assert load_settings({"ohif_dist": tmp_path}).ohif_dist == tmp_path / inside


def test_a_folder_without_ohif_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"OHIF_DIST: there is no index\.html"):
        load_settings({"ohif_dist": tmp_path})


def test_ohif_logs_in_as_a_client_that_is_let_in(tmp_path):
    (tmp_path / "index.html").write_text("page")
    given = {"ohif_dist": tmp_path, "oidc_issuer": "https://login.example.org", "oidc_scopes": "imaging"}
    with pytest.raises(SettingsError, match="OHIF_CLIENT_ID"):
        load_settings({**given, "oidc_audience": "gateway", "oidc_client_ids": "*"})
    settings = load_settings({**given, "oidc_client_ids": "first,second"})
    assert settings.viewer_client == "first"
    assert settings.viewer_scopes == ("openid", "profile", "email", "imaging")
    named = load_settings({**given, "oidc_audience": "gateway", "ohif_client_id": "ohif"})
    assert named.viewer_client == "ohif"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"store_datastore_id": "mine"}, "id of a data store"),
        ({"store_datastore_id": "a" * 32, "ahi_datastore_ids": "b" * 32}, "none of AHI_DATASTORE_IDS"),
        ({"ahi_dicomweb_endpoint": "dicom.example.org"}, "absolute"),
        ({"store_max_bytes": 10}, "greater than or equal"),
    ],
)
def test_settings_of_storing_that_cannot_be_used(given, reason):
    with pytest.raises(ValueError, match=reason):
        Settings(**given)


def test_bodies_of_requests_that_store_have_limits_of_their_own():
    limits = server_limits(Settings(ae_path="/a,/b", store_max_bytes=5000))
    assert (limits.store_paths, limits.store_bytes, limits.store_credentials) == (("/a", "/b"), 5000, ())
    assert server_limits(Settings(store_enabled=False)).store_paths == ()
    assert server_limits(Settings(auth_mode="token")).store_credentials == (
        "AUTHORIZATION",
        "TOKEN",
        "X_CSRF_TOKEN",
    )


def test_no_check_of_one_group_replaces_that_of_another():
    """Checks are inherited by their names: of two with one name only one would be made."""
    groups = [one for one in Settings.__mro__ if issubclass(one, BaseSettings) and one is not BaseSettings]
    names = []
    for group in groups:
        checks = group.__pydantic_decorators__
        names += [*(checks.field_validators.keys() | checks.model_validators.keys()) & vars(group).keys()]
    assert len(names) > 30
    assert len(names) == len(set(names)), sorted(names)
