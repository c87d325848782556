"""A shop of some size on servers of its own, and the programs that are measured on it."""
import contextlib
import http.client
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from processes import cpu
from servers import both, free_port, wait

DAYS = 30
# Longest wait for a program, an answer.
LIMIT, ANSWER_LIMIT = 900, 60
WARMER = """
[log]
format = "json"
[changes]
mode = "trigger"
[warm]
interval = "{interval}"
state = "{folder}/state"
[admin]
listen = "127.0.0.1:{admin}"
[heat]
logs = ["{folder}/*access.log"]
questions = 200000
"""
GATEWAY = """
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = ""
[near]
enabled = {near}
[access_log]
path = "{folder}/{name}-access.log"
max_size = "1GiB"
"""


class Client:
    """One connection to a server of HTTP on this machine."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_LIMIT)

    def get(self, path):
        """Status, where the answer came from, and its body as it was sent."""
        self.connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = self.connection.getresponse()
        body = response.read()
        return response.status, response.headers["X-Cache"], body

    def answer(self, path, of=None):
        """The body of a 200, which came from `of` if that is told."""
        status, outcome, body = self.get(path)
        if status != 200 or (of and outcome != of):
            sys.exit(f"error: {path} answers {status} from {outcome}, not 200{f' from {of}' if of else ''}")
        return body


class Gateway:
    def __init__(self, shop, name, near):
        self.port = free_port()
        settings = shop.folder / f"{name}.toml"
        settings.write_text(GATEWAY.format(port=self.port, near=str(near).lower(), folder=shop.folder, name=name))
        self.log = shop.folder / f"{name}-access.log"
        self.process = subprocess.Popen([shop.program("gateway"), "--config", settings], env={**shop.environment, "HOTSHELF_LOG": "error"},
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        shop.stack.callback(self.stop)
        wait(self.ready, f"the gateway on port {self.port}")
        self.client = Client(self.port)

    def ready(self):
        if self.process.poll() is not None:
            sys.exit(f"error: the gateway ended with {self.process.returncode}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return Client(self.port).get("/readyz")[0] == 200
        return False

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


class Shop:
    """Servers with order lines of so many stores, in a folder; all of it ends with the block."""

    def __init__(self, programs, stores, lines):
        self.programs, self.stores, self.lines = programs, stores, lines

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix="hotshelf-scale-", dir=os.environ.get("TMPDIR", "/tmp")))
            self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.postgres, self.redis = self.stack.enter_context(both(str(self.folder), "shared_buffers=1GB", "max_wal_size=8GB"))
            self.environment = {**os.environ, "HOTSHELF_POSTGRES_URL": self.postgres.url(),
                                "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{self.redis.port}"}
            subprocess.run([self.program("loadtest"), "generate", "--stores", str(self.stores), "--days", str(DAYS), "--lines",
                            str(self.lines), "--into", "postgres", "--yes"], check=True, env=self.environment, timeout=LIMIT,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.sql("VACUUM ANALYZE orders")
            self.ids = self.sql("SELECT DISTINCT store_id FROM orders ORDER BY 1").split()
            return self
        except BaseException:
            self.stack.close()
            raise

    def __exit__(self, *_):
        self.stack.close()

    def program(self, name):
        return self.programs / name

    def sql(self, *statements):
        commands = (part for statement in statements for part in ("-c", statement))
        return subprocess.run([*self.postgres.psql, *commands], check=True, capture_output=True, text=True, timeout=LIMIT).stdout

    def watch_changes(self):
        path = pathlib.Path(__file__).resolve().parents[2] / "config" / "changes.sql"
        subprocess.run([*self.postgres.psql, "-f", path, "-c", "SELECT hotshelf_watch('orders')"], check=True, timeout=LIMIT,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def redis_info(self, name):
        return int(re.search(rf"^{name}:(\d+)", self.redis.command("info", "all"), re.M)[1])

    def forget(self, pattern):
        """Removes keys from Redis behind the warmer's back."""
        self.redis.command("eval", "local found = redis.call('keys', ARGV[1]) for _, key in ipairs(found) do redis.call('unlink', key) end", "0",
                           pattern)

    def warmer(self, interval):
        """Command, settings and admin port of a `warmer run` that cycles so often."""
        admin, settings = free_port(), self.folder / "warmer.toml"
        settings.write_text(WARMER.format(interval=interval, folder=self.folder, admin=admin))
        return self.program("warmer"), settings, admin


def metric(port, name):
    """The sum of a metric's values, from an admin listener."""
    text = Client(port).answer("/metrics").decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))


def each(client, paths, pids, of):
    """Microseconds of the processor that each of the processes takes for one of some questions, each asked once."""
    before = [cpu(pid) for pid in pids]
    for path in paths:
        client.answer(path, of)
    return [(cpu(pid) - past) / len(paths) * 1e6 for pid, past in zip(pids, before)]


def cost(client, path, pids, seconds, of=None, least=10):
    """Of a question that is asked over and over: median milliseconds, bytes of the body, and microseconds of the processor that
    each of the processes takes for it."""
    took = []
    # What comes first finds nothing in the caches of the processor, and may be a connection's first.
    for _ in range(least):
        client.answer(path, of)
    before, end = [cpu(pid) for pid in pids], time.perf_counter() + seconds
    while len(took) < least or time.perf_counter() < end:
        start = time.perf_counter()
        body = client.answer(path, of)
        took.append(time.perf_counter() - start)
    used = [(cpu(pid) - past) / len(took) * 1e6 for pid, past in zip(pids, before)]
    return sorted(took)[len(took) // 2] * 1e3, len(body), used
