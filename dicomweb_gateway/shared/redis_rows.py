"""Rows in Redis that are found by the SHA-256 of what opens them, and that end.

A row is a string that ends by itself, and counts only as long as it stands in the sorted sets of all its
crowds, where its score is when it was seen last. So a crowd is ended at once by removing its set, and what
the server loses or drops ends logins and never brings one back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import orjson

from dicomweb_gateway.shared.redis_keeper import RedisKeeper
from dicomweb_gateway.shared.sealing import Sealer

_CROWD_SECONDS = 31 * 86_400
"""A set outlives its rows, none of which may last for more than 30 days."""
_APART = ("digest", "seen_at")


class KeptRow(Protocol):
    """A dataclass of texts and numbers; times in seconds since 1970."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def digest(self) -> str:
        """The SHA-256 by which it is found, in hexadecimal."""
        ...

    @property
    def begun_at(self) -> int:
        """When it was made."""
        ...

    @property
    def seen_at(self) -> int:
        """When it was used last."""
        ...

    @property
    def ends_at(self) -> int:
        """When it ends whatever happens."""
        ...


Row = TypeVar("Row", bound=KeptRow)


class RedisRows(Generic[Row]):
    """The rows of `kind`, called `name`, in `server`; sealed, so that nobody else makes or stretches one.

    `crowds`: fields whose values rows share, and how many of one value there may be. Safe from any thread;
    all raise LoginUnavailable.
    """

    def __init__(
        self, server: RedisKeeper, secret: bytes, name: str, kind: type[Row], crowds: Mapping[str, int]
    ) -> None:
        self._server = server
        self._sealer = Sealer(secret)
        self._called = name
        self._kind = kind
        self._crowds = crowds
        self._told = [field.name for field in fields(kind) if field.name not in _APART]

    def _add(
        self,
        row: Row,
        unseen_since: int,
        watched: Sequence[str] = (),
        holds: Callable[[Any], bool] = lambda _: True,
    ) -> bool:
        """Keep a new row, and forget those of its crowds that were last seen before `unseen_since`.

        Where a crowd is full those stay that were seen last. `holds`, of what is `watched`, says whether it
        is kept, and so does the answer.
        """
        values = asdict(row)
        name, seconds = self.row_name(row.digest), max(1, row.ends_at - row.begun_at)
        sealed = self._sealer.seal(name, orjson.dumps([values[one] for one in self._told]), seconds)

        def fill(pipeline: Any) -> None:
            pipeline.set(name, sealed, ex=seconds)
            for field, most in self._crowds.items():
                crowd = self.crowd(field, values[field])
                pipeline.zremrangebyscore(crowd, "-inf", unseen_since)
                pipeline.zremrangebyrank(crowd, 0, -most)
                pipeline.zadd(crowd, {row.digest: row.seen_at})
                pipeline.expire(crowd, _CROWD_SECONDS)

        return self._server.run_as_one(fill, watched, holds)

    def find(self, digest: str) -> Row | None:
        """The row of that digest; None without one."""
        row = self._row(digest)
        if row is None:
            return None
        crowds = self._crowds_of(row)
        scores = self._server.run(lambda pipeline: [pipeline.zscore(crowd, digest) for crowd in crowds])
        return None if None in scores else replace(row, seen_at=int(min(scores)))

    def touch(self, digest: str, seen_at: int) -> None:
        """Note that it was seen at that moment; never an earlier one than is known."""
        row = self._row(digest)
        if row is None:
            return
        crowds, score = self._crowds_of(row), {digest: seen_at}
        self._server.run(lambda pipeline: [pipeline.zadd(crowd, score, xx=True, gt=True) for crowd in crowds])

    def row_name(self, digest: str) -> str:
        """What the string of that row is called; without it there is no row."""
        return self._sealer.name((self._called, digest))

    def crowd(self, field: str, value: str) -> str:
        """What the set of the rows is called whose `field` is `value`; without it they are none."""
        return self._sealer.name((f"{self._called}s-by-{field}", value))

    def _remove(self, digest: str, *also: str) -> None:
        """End the row, and what lies under `also`, at once; what follows makes room in its crowds."""
        row = self._row(digest)
        crowds = () if row is None else self._crowds_of(row)

        def fill(pipeline: Any) -> None:
            pipeline.delete(self.row_name(digest), *also)
            for crowd in crowds:
                pipeline.zrem(crowd, digest)

        self._server.run(fill)

    def _row(self, digest: str) -> Row | None:
        """As it was when it was made, whether or not it still counts."""
        name = self.row_name(digest)
        sealed = self._server.run(lambda pipeline: pipeline.get(name))[0]
        told = None if sealed is None else self._sealer.opened(name, sealed)
        if told is None:
            return None
        values: dict[str, Any] = dict(zip(self._told, orjson.loads(told), strict=True))
        values.update(digest=digest, seen_at=values["begun_at"])
        return self._kind(**values)

    def _crowds_of(self, row: Row) -> tuple[str, ...]:
        return tuple(self.crowd(field, getattr(row, field)) for field in self._crowds)
