"""The service that the soak runs: two gateways, a warmer that reads their logs, and a look at each."""
import contextlib
import hashlib
import os
import re
import secrets
import signal
import subprocess
import urllib.error
import urllib.request

from servers import steady_port, wait

# Connections that Redis takes, as a shared server would limit them: more than all of these need, far fewer than a leak would take.
REDIS_SETTINGS = ["--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru", "--maxclients", "64"]
POSTGRES_SETTINGS = ["max_connections=40"]
CAP = 4
# What is kept in memory has small bounds, so that it is full soon and further growth is a leak. Files of the access log are rotated
# by the gateways each minute at least, beside what an operator's logrotate does (`Rotations`), which the long form has
# more rarely: so both have as many files as they keep within some minutes.
GATEWAY = """
[redis]
url = "redis://127.0.0.1:{redis}"
[postgres]
url = "{postgres}"
connections = {cap}
[near]
bytes = "4MiB"
enabled = {near}
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = "127.0.0.1:{admin}"
known_bytes = "256KiB"
[access_log]
path = "{log}"
instance = "{name}"
max_size = "1MiB"
max_age = "1m"
keep = 2
"""
TOKEN = """
[[access.tokens]]
name = "soak"
sha256 = "{hash}"
stores = "*"
role = "operator"
rate = 0
"""
# Without Redis' help: every answer is computed from the database when it is asked for.
FRESH = """
[gateway]
directory_ttl = "0s"
"""
WARMER = """
[redis]
url = "redis://127.0.0.1:{redis}"
[postgres]
url = "{postgres}"
connections = {cap}
[changes]
mode = "trigger"
[warm]
interval = "{interval}"
lease = "2s"
rank_interval = "{rank}"
state = "{state}"
answers = 300
hot_answers = 50
[heat]
logs = ["{logs}/*/access.log*"]
questions = 2000
[admin]
listen = "127.0.0.1:{admin}"
"""
READER = "CREATE USER gateway_reader IN ROLE hotshelf_reader"
SAMPLE = re.compile(r"^(hotshelf_\w+)(\{[^}]*\})? (\S+)$", re.M)
LIMIT = 90


class Program:
    """One of our daemons, with its log and its admin listener."""

    def __init__(self, name, command, folder, admin):
        self.name, self.command, self.admin, self.log = name, [str(word) for word in command], admin, folder / f"{name}.log"
        self.starts, self.process = 0, None

    def start(self):
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=log, cwd="/")

    def runs(self):
        if self.process.poll() is not None:
            raise SystemExit(f"error: {self.name} ended by itself with {self.process.returncode}; see {self.log}")
        return True

    def ask(self, path):
        """What the admin listener says; nothing if nobody listens."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()
        return ""

    def ready(self):
        """Ready, and without a warning."""
        text = self.ask("/readyz")
        return text.startswith("ready") and "warning" not in text

    def metrics(self):
        """By name, without our prefix; of those with labels, by name and labels."""
        return {f"{name.split('_', 2)[2]}{labels or ''}": float(value) for name, labels, value in SAMPLE.findall(self.ask("/metrics"))}

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Its exit code."""
        self.send(number)
        return self.process.wait(LIMIT)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def uses(self):
        """What the system knows of it; nothing of one that is gone."""
        with contextlib.suppress(OSError, AttributeError):
            status, folder = open(f"/proc/{self.process.pid}/status", encoding="ascii").read(), f"/proc/{self.process.pid}/fd"
            open_files = []
            for name in os.listdir(folder):
                with contextlib.suppress(FileNotFoundError):
                    open_files.append(os.readlink(f"{folder}/{name}"))
            return {"mb": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
                    "files": len(open_files), "sockets": sum(path.startswith("socket:") for path in open_files),
                    "deleted": sum(path.endswith(" (deleted)") for path in open_files)}
        return None


class Gateway(Program):
    """One that serves."""

    def __init__(self, name, bin_folder, folder, postgres, redis, extra="", near=True):
        self.port, self.access_log = steady_port(), folder / "access" / name / "access.log"
        self.access_log.parent.mkdir(parents=True, exist_ok=True)
        settings, admin = folder / f"{name}.toml", steady_port()
        settings.write_text(GATEWAY.format(port=self.port, admin=admin, log=self.access_log, cap=CAP, name=name, redis=redis.port,
                                           postgres=postgres.url("gateway_reader"), near=str(near).lower()) + extra)
        super().__init__(name, [bin_folder / "gateway", "--config", settings], folder, admin)


class Stage:
    """All of them, of which `a` is never stopped, so that its memory can be judged over the whole time."""

    def __init__(self, bin_folder, folder, postgres, redis, shape):
        self.bin_folder, self.folder, self.postgres, self.redis, self.shape = bin_folder, folder, postgres, redis, shape
        self.token = secrets.token_hex(24)
        token = TOKEN.format(hash=hashlib.sha256(self.token.encode()).hexdigest())
        self.a = Gateway("gateway-a", bin_folder, folder, postgres, redis)
        self.b = Gateway("gateway-b", bin_folder, folder, postgres, redis, token)
        # A log that the warmer does not look for: what is asked of it is not asked by users.
        fresh = folder / "fresh.toml"
        fresh.write_text('[redis]\nprefix = "fresh:"\n' + FRESH)
        self.fresh = Gateway("fresh", bin_folder, folder / "beside", postgres, redis, near=False)
        self.fresh.command += ["--config", str(fresh)]
        settings, admin = folder / "warmer.toml", steady_port()
        settings.write_text(WARMER.format(redis=redis.port, postgres=postgres.url(), cap=CAP, state=folder / "state", logs=folder / "access",
                                          admin=admin, interval=shape.interval, rank=shape.rank))
        self.warmer = Program("warmer", [bin_folder / "warmer", "run", "--config", settings], folder, admin)
        self.programs = [self.a, self.b, self.warmer]

    def start(self):
        self.run("-f", "config/schema.sql")
        generate = [self.bin_folder / "loadtest", "generate", "--stores", self.shape.stores, "--days", self.shape.days, "--lines",
                    self.shape.lines, "--into", "postgres", "--postgres", self.postgres.url()]
        subprocess.run([str(word) for word in generate], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
        self.run("-f", "config/changes.sql", "-c", "SELECT hotshelf_watch('orders')", "-c", READER, "-c", "ANALYZE")
        self.dirty = self.run("-c", "SELECT dirty FROM hotshelf_watches")
        self.stores = self.run("-c", "SELECT DISTINCT store_id FROM orders ORDER BY 1").split("\n")
        for program in self.programs:
            program.start()
        self.recovered("the start")
        self.warm("the start")

    def run(self, *words):
        """What psql says."""
        done = subprocess.run([*self.postgres.psql, *words], capture_output=True, text=True, timeout=LIMIT)
        if done.returncode != 0:
            raise SystemExit(f"error: psql {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def end(self):
        for program in [*self.programs, self.fresh]:
            program.end()

    def recovered(self, after):
        """Waits until all say that they are ready, without a warning."""
        def all_ready():
            return all(program.runs() and program.ready() for program in self.programs)
        wait(all_ready, f"gateways and warmer ready after {after} (logs: {self.folder})", LIMIT)

    def is_warm(self):
        """The warmer's word counts only if Redis holds what it says: it may not have noticed yet that all is gone."""
        told = self.warmer.metrics()
        if not told.get("stores") or told["stores_ready"] != told["stores"] or told["stores_waiting"] != 0:
            return False
        keys = ["hs:1:directory", *(f"hs:1:cells:{{{store}}}" for store in self.stores)]
        return self.redis.command("EXISTS", *keys) == str(len(keys))

    def warm(self, after):
        """Waits until every store is ready."""
        wait(lambda: self.warmer.runs() and self.is_warm(), f"every store warm after {after} (logs: {self.folder})", LIMIT)

    def unwritten(self):
        """Notes of changes that the warmer has not seen to."""
        return int(self.run("-c", f"SELECT count(*) FROM {self.dirty}"))

    def caught_up(self):
        """Waits until the warmer has written all changes."""
        wait(lambda: self.warmer.runs() and self.unwritten() == 0, f"the warmer: changes of {self.dirty} written", LIMIT)
        self.warm("changes")
