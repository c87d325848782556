"""What is seen of the service while it runs: its answers, by its own logs and from outside, and what it takes."""
import collections
import contextlib
import http.client
import json
import re
import threading
import time

# An answer takes its record to the log within that time, and a writer notices that its file was renamed.
LATE = 2.0


class Watcher(threading.Thread):
    """Looks again and again until told to end, and once more then."""

    def __init__(self, every):
        super().__init__(daemon=True)
        self.every, self.done, self.error = every, threading.Event(), None

    def run(self):
        try:
            while not self.done.wait(self.every):
                self.look()
            self.look()
        # A watcher that died would have seen nothing wrong.
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.done.set()
        self.join(60)
        if self.error or self.is_alive():
            raise SystemExit(f"error: {type(self).__name__} failed: {self.error or 'it hangs'}")


class LogFollower(Watcher):
    """Reads a gateway's access log through its rotations; keeps counts and every record of a server's failure."""

    def __init__(self, gateway):
        super().__init__(0.2)
        self.gateway, self.path = gateway, gateway.access_log
        self.file, self.rest, self.old = None, b"", []
        self.requests, self.failures, self.files, self.torn = [], [], 0, 0
        # Questions that were answered, the last ones.
        self.asked = collections.deque(maxlen=2000)

    def look(self):
        # Who was renamed is written to until the writer notices; after that what follows is in the new file.
        for entry in list(self.old):
            entry["rest"] = self.take(entry["file"], entry["rest"])
            if time.monotonic() > entry["until"]:
                entry["file"].close()
                self.old.remove(entry)
        if self.file:
            self.rest = self.take(self.file, self.rest)
        with contextlib.suppress(FileNotFoundError):
            there = self.path.stat()
            if self.file is None or (there.st_ino, there.st_dev) != self.identity:
                if self.file:
                    self.old.append({"file": self.file, "rest": self.rest, "until": time.monotonic() + LATE})
                self.file, self.rest, self.files = self.path.open("rb"), b"", self.files + 1
                # As long as it is open its inode is nobody else's.
                self.identity = (there.st_ino, there.st_dev)
                self.rest = self.take(self.file, self.rest)

    def take(self, file, rest):
        *lines, rest = (rest + file.read()).split(b"\n")
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                # A gateway that is killed may leave half a line; the next one ends it.
                self.torn += 1
                continue
            if record.get("type") != "request":
                continue
            begin = record["time"] / 1000
            self.requests.append((begin, record["status"]))
            if record["status"] == 200 and record.get("kind"):
                self.asked.append(f"{record['path']}?{record.get('query', '')}")
            if record["status"] >= 500:
                self.failures.append({"gateway": self.gateway.name, "begin": begin, "end": begin + record.get("duration_ms", 0) / 1000,
                                      "status": record["status"], "kind": record.get("kind") or record["path"],
                                      "path": f"{record['path']}?{record.get('query', '')}"})
        return rest


class Prober(Watcher):
    """Asks one gateway small questions all the time and notes when nobody answered: refused, broken off, or too late. What was
    answered with a 5xx is in its log."""

    def __init__(self, gateway, paths, every, token):
        super().__init__(every)
        self.gateway, self.paths, self.headers = gateway, paths, {"Authorization": f"Bearer {token}"}
        self.client, self.fresh, self.asked, self.failures = None, True, 0, []

    def look(self):
        path, begin = self.paths[self.asked % len(self.paths)], time.time()
        self.asked += 1
        try:
            try:
                status = self.ask(path)
            except (ConnectionError, http.client.BadStatusLine):
                # As every client does: a connection that was closed while idle costs another attempt.
                if self.fresh:
                    raise
                self.client.close()
                self.client = None
                status = self.ask(path)
            self.fresh = False
            if status not in (200, 503):
                self.note(path, begin, f"status {status}")
        except (OSError, http.client.HTTPException) as error:
            self.note(path, begin, repr(error))
            if self.client:
                self.client.close()
            self.client = None

    def note(self, path, begin, what):
        self.failures.append({"gateway": self.gateway.name, "begin": begin, "end": time.time(), "path": path, "what": what})

    def ask(self, path):
        if self.client is None:
            self.client, self.fresh = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=40), True
        self.client.request("GET", path, headers=self.headers)
        answer = self.client.getresponse()
        answer.read()
        if answer.will_close:
            self.client.close()
            self.client = None
        return answer.status

    def end(self):
        super().end()
        if self.client:
            self.client.close()


# Gauges of what must come to an end, by program; all of them are 0 when nobody asks anything.
ENDS = {"gateway": ["connections", "requests_in_flight", "flights", "compute_queue", "postgres_waiting"], "warmer": ["stores_waiting"]}


class Sampler(Watcher):
    """What each program takes, and the servers."""

    def __init__(self, stage, every):
        super().__init__(every)
        self.stage, self.rows = stage, []

    def look(self):
        self.rows.append(self.sample())

    def sample(self):
        """Time, each program's figures with the number of its start, and how many are connected to the servers. Questions to
        servers have time limits, for one of them may be stopped."""
        row = {"time": time.time()}
        for program in self.stage.programs:
            start = program.starts
            uses = program.uses()
            if uses:
                told = program.metrics()
                row[program.name] = {"start": start, **uses, "postgres": told.get("postgres_connections"), "tasks": told.get("tasks")}
                row[program.name] |= {name: told.get(name) for name in ENDS[program.name.split("-")[0]]}
        clients = re.search(r"connected_clients:(\d+)", self.stage.redis.command("INFO", "clients"))
        # The one who asks is one of them.
        row["redis_clients"] = int(clients[1]) - 1 if clients else None
        keys = self.stage.redis.command("DBSIZE")
        row["redis_keys"] = int(keys) if keys.isdigit() else None
        row["postgres_clients"] = self.stage.postgres.clients()
        return row
