"""Which caller sees what: the access rules, from a TOML file to a Sight.

    [paths."/research"]                     # behind one base path; others have all that are served
    data_stores = ["..."]
    cors_origins = ["https://..."]          # pages that may read it, in the place of CORS_ORIGINS

    [[rules]]
    groups = ["radiologists"]               # to whom: users, clients, groups, scopes, modes
    paths = ["/aetitle"]                    # where: base paths; without it all
    data_stores = ["..."]                   # what: without it all
    operations = ["search", "rendered"]     # without it search, retrieve, rendered and tlm
    [rules.only]                            # series whose attributes match one of the patterns of each
    Modality = ["CT", "MR"]

A caller may do what one of the rules grants, and nothing without any. Where no rules are configured, all who
are known may read everything; only where no login is asked may they change and administer too. The user
`admin` of the settings may administer in any case, and do everything where no rules are configured.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from dicomweb_gateway.access.caller import ADMIN_MODE, Caller
from dicomweb_gateway.access.operations import GRANTED, READING, Operation
from dicomweb_gateway.access.origins import listed_origin
from dicomweb_gateway.errors import SettingsError
from dicomweb_gateway.sight import EVERYTHING, TRAITS, Grant, Sight

Stores = frozenset[str] | None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_Text = Annotated[str, Field(min_length=1)]
_Texts = Annotated[tuple[_Text, ...], BeforeValidator(_listed), Field(min_length=1)]


class Rule(BaseModel):
    """One rule: to whom, where, what. A list that is not given does not restrict, an empty one is refused.

    `users` and `clients` are patterns with `*` and `?`; a caller needs one of `groups`, but all of `scopes`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    users: _Texts | None = None
    clients: _Texts | None = None
    groups: _Texts | None = None
    scopes: _Texts | None = None
    modes: _Texts | None = None
    paths: _Texts | None = None
    data_stores: _Texts | None = None
    operations: Annotated[tuple[Operation, ...], BeforeValidator(_listed), Field(min_length=1)] = READING
    only: dict[str, _Texts] = Field(default_factory=dict)

    @field_validator("operations")
    @classmethod
    def _grantable(cls, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        if any(one not in GRANTED for one in operations):
            raise ValueError(f"can grant only {', '.join(GRANTED)}")
        return operations

    @field_validator("only")
    @classmethod
    def _known_traits(cls, only: dict[str, _Texts]) -> dict[str, _Texts]:
        for keyword in only:
            if keyword not in TRAITS:
                raise ValueError(f"cannot ask for {keyword!r}; it can for {', '.join(TRAITS)}")
        return only

    def is_for(self, caller: Caller) -> bool:
        """Whether it grants anything to `caller`."""
        return (
            _is_named(self.users, caller.name)
            and _is_named(self.clients, caller.client)
            and (self.modes is None or caller.mode in self.modes)
            and (self.groups is None or not caller.groups.isdisjoint(self.groups))
            and (self.scopes is None or caller.scopes.issuperset(self.scopes))
        )


class _Path(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    data_stores: _Texts | None = None
    cors_origins: _Texts | None = None

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if origins is None else tuple(map(listed_origin, origins))

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.data_stores is None and self.cors_origins is None:
            raise ValueError("needs data_stores or cors_origins")
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: dict[str, _Path] = Field(default_factory=dict)
    rules: tuple[Rule, ...] | None = None


@dataclass(frozen=True)
class AccessRules:
    """The rules of one gateway with base paths `ae_paths`; `rules` None where none are configured.

    `stores_of`: the data stores behind base paths; one that is not in it has all. `origins`: the pages that
    may read what is below a base path; one that is not in it follows CORS_ORIGINS.
    """

    ae_paths: tuple[str, ...]
    rules: tuple[Rule, ...] | None = None
    stores_of: dict[str, frozenset[str]] = field(default_factory=dict)
    origins: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def hide_something(self) -> bool:
        """Whether there may be a caller who does not see all that is served."""
        return bool(self.stores_of) or any(one.only or one.data_stores for one in self.rules or ())

    def origins_of(self, path: str | None) -> tuple[str, ...] | None:
        """The origins listed for the base path `path`, None where it has no list of its own."""
        return None if path is None else self.origins.get(path)

    def sight_of(self, caller: Caller, path: str | None, operation: Operation) -> Sight:
        """What `caller` may see when it does `operation` below the base path `path`.

        `path` None: by one of HealthImaging's own addresses, which show what lies behind any base path that a
        rule names.
        """
        if caller.mode == ADMIN_MODE and (operation is Operation.ADMIN or self.rules is None):
            return EVERYTHING.within(self._behind(path, None))
        if self.rules is None:
            may = operation in READING or caller.mode == "none"
            return Sight(tuple(EVERYTHING.grants)).within(self._behind(path, None)) if may else Sight()
        rules = (rule for rule in self.rules if operation in rule.operations and rule.is_for(caller))
        return Sight(tuple(dict.fromkeys(self._grants(rules, path))))

    def _grants(self, rules: Iterable[Rule], path: str | None) -> Iterable[Grant]:
        for rule in rules:
            if path is not None and rule.paths is not None and path not in rule.paths:
                continue
            own = None if rule.data_stores is None else frozenset(rule.data_stores)
            stores = _both(own, self._behind(path, rule.paths))
            if stores is None or stores:
                yield Grant(stores, tuple(sorted(rule.only.items())))

    def _behind(self, path: str | None, paths: Sequence[str] | None) -> Stores:
        """The data stores behind `path`, without one behind any of `paths`, by default of all there are."""
        if not self.stores_of:
            return None
        behind = [self.stores_of.get(one) for one in ([path] if path else paths or self.ae_paths)]
        if any(stores is None for stores in behind):
            return None
        return frozenset().union(*(stores for stores in behind if stores is not None))


def read_rules(path: Path | None, ae_paths: tuple[str, ...]) -> AccessRules:
    """The rules in the TOML file `path`, none configured without one.

    Raises SettingsError, one sentence that names what is wrong, for a file that cannot be used as a whole.
    """
    if path is None:
        return AccessRules(ae_paths)
    try:
        read = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise SettingsError(f"ACCESS_RULES: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"ACCESS_RULES: {path} is no TOML file: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"ACCESS_RULES: {path}: {_first(error)}") from None
    if not read.paths and read.rules is None:
        raise SettingsError(f"ACCESS_RULES: {path} holds neither rules nor paths")
    named = [*read.paths, *(one for rule in read.rules or () for one in rule.paths or ())]
    for one in named:
        if one not in ae_paths:
            raise SettingsError(f"ACCESS_RULES: {path}: {one!r} is none of the base paths in AE_PATH")
    stores_of = {one: frozenset(table.data_stores) for one, table in read.paths.items() if table.data_stores}
    origins = {one: table.cors_origins for one, table in read.paths.items() if table.cors_origins is not None}
    return AccessRules(ae_paths, read.rules, stores_of, origins)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"


def _is_named(patterns: Sequence[str] | None, name: str) -> bool:
    return patterns is None or any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)


def _both(first: Stores, second: Stores) -> Stores:
    if first is None or second is None:
        return second if first is None else first
    return first & second
