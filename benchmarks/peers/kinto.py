"""Kinto on PostgreSQL: storage, permissions and cache there, as its documentation has it for production.

One process of waitress with 8 threads. Anybody may write, so that no password is hashed with each request. Its limit of
25 requests in a batch is raised. Writers have a collection each: in one collection, concurrent writers violate a unique
index on the time of the change, and some of their requests fail.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.http_driver import Answer, Connection, request_bytes
from benchmarks.harness.processes import Server, free_port, started
from benchmarks.peers import postgresql
from benchmarks.peers.install import python_of, versions_of_python

__all__ = [
    "Kinto",
    "check_page",
    "check_push",
    "make_collections",
    "next_page",
    "push",
    "read",
    "running",
    "seed",
    "versions",
]

_REQUIREMENTS: Final = ("kinto[postgresql]==26.5.0", "setuptools<81")
_MOST_IN_BATCH: Final = 1000
_THREADS: Final = 8
_BUCKET: Final = "/buckets/bench"
_PAGE: Final = 10_000

_SETTINGS: Final = """
[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = {threads}

[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {url}
kinto.cache_backend = kinto.core.cache.postgresql
kinto.cache_url = {url}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {url}
kinto.userid_hmac_secret = bench
kinto.bucket_create_principals = system.Everyone
kinto.batch_max_requests = {most}
kinto.storage_max_fetch_size = {page}

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = ERROR
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain

[formatter_plain]
format = %(asctime)s %(name)s %(message)s
"""


@dataclass(slots=True)
class Kinto(Server):
    """Kinto, with the PostgreSQL below it counted in."""

    database: Server

    def cpu_s(self) -> float:
        """Processor time of both."""
        return Server.cpu_s(self) + self.database.cpu_s()

    def rss_bytes(self) -> int:
        """Memory of both."""
        return Server.rss_bytes(self) + self.database.rss_bytes()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Kinto]:
    """A running server on a database of its own. Raises `Unavailable` if it cannot be had here."""
    command = python_of("kinto", _REQUIREMENTS).with_name("kinto")
    async with postgresql.running(folder) as database:
        port = free_port()
        settings = folder / "kinto.ini"
        url = postgresql.url(database)
        settings.write_text(_SETTINGS.format(port=port, threads=_THREADS, url=url, most=_MOST_IN_BATCH, page=_PAGE))
        migrate = [str(command), "migrate", "--ini", str(settings)]
        done = await asyncio.to_thread(subprocess.run, migrate, capture_output=True, text=True, cwd=folder, timeout=120)
        if done.returncode:
            raise RuntimeError(f"kinto migrate fails: {done.stderr.strip()[-800:]}")
        serve = [str(command), "start", "--ini", str(settings)]
        async with started(serve, port=port, folder=folder, name="kinto") as server:
            yield Kinto(server.process, server.port, server.log, database)


async def make_collections(connection: Connection, port: int, names: Sequence[str]) -> None:
    """Make collections that anybody may write to."""
    body = b'{"permissions":{"write":["system.Everyone"]}}'
    for path in (_BUCKET, *(f"{_BUCKET}/collections/{name}" for name in names)):
        answer = await connection.ask(request_bytes("PUT", port, f"/v1{path}", body))
        if answer.status not in (200, 201):
            raise RuntimeError(f"PUT {path} was answered {answer.status}: {answer.body[:400]!r}")


def push(port: int, records: Sequence[tuple[str, str]], collection: str) -> bytes:
    """A request that writes `records`, each an id and the inside of the JSON object of its other fields."""
    path = f"{_BUCKET}/collections/{collection}/records/"
    if len(records) == 1:
        key, inside = records[0]
        return request_bytes("PUT", port, f"/v1{path}{key}", f'{{"data":{{{inside}}}}}'.encode())
    requests = [f'{{"path":"{path}{key}","body":{{"data":{{{inside}}}}}}}' for key, inside in records]
    body = f'{{"defaults":{{"method":"PUT"}},"requests":[{",".join(requests)}]}}'
    return request_bytes("POST", port, "/v1/batch", body.encode())


def check_push(answer: Answer, batch: int) -> None:
    """Raise `RuntimeError` unless all were created."""
    created = answer.status == 201 if batch == 1 else answer.body.count(b'"status":201') == batch
    if not created:
        raise RuntimeError(f"a write of {batch} was answered {answer.status}: {answer.body[:600]!r}")


def read(port: int, collection: str, key: str) -> bytes:
    """A request for one record by its id."""
    return request_bytes("GET", port, f"/v1{_BUCKET}/collections/{collection}/records/{key}")


async def seed(kinto: Kinto, collection: str, records: Sequence[tuple[str, str]]) -> None:
    """Put `records` straight into the table: through the API it takes 5 ms for each."""
    parent = f"{_BUCKET}/collections/{collection}"
    rows = "".join(
        f"{key}\t{parent}\trecord\tepoch\t{{{inside}}}\tf\n".replace("epoch", _moment(place))
        for place, (key, inside) in enumerate(records)
    )
    columns = "id, parent_id, resource_name, last_modified, data, deleted"
    # The trigger looks for the newest row before each insert, and would leave times as they are given.
    script = (
        "ALTER TABLE objects DISABLE TRIGGER USER;\n"
        f"COPY objects ({columns}) FROM stdin;\n{rows}\\.\n"
        "ALTER TABLE objects ENABLE TRIGGER USER;\nVACUUM ANALYZE objects;\n"
    )
    await postgresql.run_sql(kinto.database, script.encode())


def _moment(place: int) -> str:
    """A time of its own for each record, a millisecond after the one before, within one day of the past."""
    seconds, ms = divmod(place, 1000)
    return f"2026-01-01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


def next_page(port: int, collection: str, answer: Answer | None) -> bytes | None:
    """The request for the page after `answer`, for the first if there is none yet; None: that was the last."""
    if answer is None:
        return request_bytes("GET", port, f"/v1{_BUCKET}/collections/{collection}/records?_limit={_PAGE}")
    following = answer.headers.get("next-page")
    return None if following is None else request_bytes("GET", port, following.partition(f":{port}")[2])


def check_page(answer: Answer) -> int:
    """How many records a page has."""
    return len(json.loads(answer.body)["data"])


def versions() -> dict[str, str]:
    """What is installed, with PostgreSQL."""
    return versions_of_python("kinto", _REQUIREMENTS, ("kinto", "sqlalchemy", "waitress")) | postgresql.versions()
