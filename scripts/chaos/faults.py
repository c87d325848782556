"""Faults under a steady load; see scripts/faults. Uses servers of its own on free ports."""
import asyncio
import contextlib
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from load import Load
from orders import rows
from servers import both, free_port, wait

STORES, DAYS, LINES, CAP = 8, 14, 6, 4
SLOW, RECOVERY = 0.2, 2.0
BEFORE, AFTER = 2.0, 4.0
SETTINGS = """
[postgres]
connections = {cap}
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = ""
[access_log]
path = "{log}"
[log]
filter = "info"
"""
# After that many, one request in a hundred panics.
PANICS = "handler=1500*off->1%panic(asked for by scripts/faults)"
READER = "CREATE USER gateway_reader IN ROLE hotshelf_reader"
WARM = ["/v1/metrics/overview", "/v1/metrics/trend", "/v1/metrics/channels", "/v1/metrics/stores", "/v1/stores",
        *(f"/v1/metrics/overview?stores=s{store}" for store in range(1, STORES + 1)),
        *(f"/v1/diagnosis?stores=s{store}" for store in range(1, STORES + 1))]
# Raw lines of the stores that are not among the largest: only the database has them.
COLD = [f"/v1/stores/s{store}/orders?from=2026-03-{day:02}&to=2026-03-{day:02}&limit=20"
        for store in range(3, STORES + 1) for day in range(1, DAYS + 1)]


class Gateway:
    """A running gateway."""

    def __init__(self, bin_folder, folder, postgres, redis, name="gateway"):
        self.port, self.postgres, self.environment = free_port(), postgres, {}
        self.log_folder, self.log = folder / f"{name}-access", folder / f"{name}.log"
        self.log_folder.mkdir()
        settings = folder / f"{name}.toml"
        settings.write_text(SETTINGS.format(cap=CAP, port=self.port, log=self.log_folder / "access.log"))
        self.command = [bin_folder / name, "--config", settings, "--postgres", postgres.url("gateway_reader"), "--redis",
                        f"redis://127.0.0.1:{redis.port}"]
        self.warmer = [bin_folder / "warmer", "once", "--postgres", postgres.url(), "--redis", f"redis://127.0.0.1:{redis.port}"]

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log.open("ab"), env={**os.environ, **self.environment})
        wait(self.ready, "the gateway")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def ready(self):
        if self.process.poll() is not None:
            sys.exit(f"error: the gateway ended with {self.process.returncode}; see {self.log}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as stream:
            stream.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            return b" 200 " in stream.recv(64)
        return False

    def warm(self):
        subprocess.run(self.warmer, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def database_connections(self):
        """Sockets of anybody to PostgreSQL that are open or opening: only the gateway has some."""
        port = f":{self.postgres.port:04X}"
        lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(remote.endswith(port) and state in ("01", "02") for _, _, remote, state, *_ in fields)


async def quietly(call, *args):
    """Something that blocks, beside the load."""
    return await asyncio.to_thread(call, *args)


class Faults:
    """Each gives when the trouble began to end; whatever it changed is as before then."""

    def __init__(self, postgres, redis, gateway, load):
        self.postgres, self.redis, self.gateway, self.load = postgres, redis, gateway, load

    async def redis_killed(self):
        self.redis.kill()
        await asyncio.sleep(3)
        self.redis.start()

    async def redis_stopped_10_s(self):
        self.redis.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        self.redis.process.send_signal(signal.SIGCONT)

    async def redis_emptied(self):
        await quietly(self.redis.command, "FLUSHALL")

    async def redis_out_of_memory(self):
        await quietly(self.redis.command, "CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb")
        await asyncio.sleep(3)
        await quietly(self.redis.command, "CONFIG", "SET", "maxmemory", "0")

    async def redis_clients_killed(self):
        for _ in range(5):
            await quietly(self.redis.command, "CLIENT", "KILL", "TYPE", "normal")
            await asyncio.sleep(0.5)

    async def postgres_killed(self):
        await quietly(self.postgres.kill)
        await asyncio.sleep(3)
        self.postgres.start()
        await quietly(wait, self.postgres.answers, "PostgreSQL")

    async def postgres_stopped_10_s(self):
        self.postgres.signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        self.postgres.signal(signal.SIGCONT)

    async def postgres_out_of_connections(self):
        await quietly(self.sql, "ALTER ROLE gateway_reader CONNECTION LIMIT 0; SELECT pg_terminate_backend(pid) "
                                "FROM pg_stat_activity WHERE usename = 'gateway_reader'")
        await asyncio.sleep(3)
        await quietly(self.sql, "ALTER ROLE gateway_reader CONNECTION LIMIT -1")

    async def both_killed(self):
        self.redis.kill()
        await quietly(self.postgres.kill)
        await asyncio.sleep(3)
        self.redis.start()
        self.postgres.start()
        await quietly(wait, self.postgres.answers, "PostgreSQL")

    async def access_log_disk_full(self):
        filler = self.gateway.log_folder / "filler"
        with filler.open("wb", 0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        await asyncio.sleep(3)
        filler.unlink()

    async def file_descriptors_used_up(self):
        pid, idle = self.gateway.process.pid, []
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 8, before[1]))
        for _ in range(30):
            idle.append(socket.create_connection(("127.0.0.1", self.gateway.port), 1))
        await asyncio.sleep(3)
        for stream in idle:
            stream.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    async def sigterm_under_load(self):
        self.gateway.process.send_signal(signal.SIGTERM)
        code = await quietly(self.gateway.process.wait)
        self.exit_code = code
        await quietly(self.gateway.start)
        self.load.forget_connections()

    async def handlers_panic(self):
        await asyncio.sleep(5)

    def sql(self, text):
        subprocess.run([*self.postgres.psql, "-c", text], check=True, stdout=subprocess.DEVNULL)


# Name, what is emptied by it, and whether what is warm must keep being answered. When both are gone, nobody can.
ROWS_OF_FAULTS = [
    ("redis_killed", True, True), ("redis_stopped_10_s", False, True), ("redis_emptied", True, True),
    ("redis_out_of_memory", False, True), ("redis_clients_killed", False, True), ("postgres_killed", False, True),
    ("postgres_stopped_10_s", False, True), ("postgres_out_of_connections", False, True), ("both_killed", True, False),
    ("access_log_disk_full", False, True), ("file_descriptors_used_up", False, True), ("sigterm_under_load", False, False),
    ("handlers_panic", False, True),
]


async def row(faults, name, load):
    """The outcomes while one fault comes and goes, when it went, and the most connections to PostgreSQL."""
    most, watching = 0, True

    async def watch():
        nonlocal most
        while watching:
            most = max(most, await quietly(faults.gateway.database_connections))
            await asyncio.sleep(0.05)

    load.outcomes, load.stopped = [], False
    running, watcher = asyncio.create_task(load.run()), asyncio.create_task(watch())
    await asyncio.sleep(BEFORE)
    began = time.monotonic()
    await getattr(faults, name)()
    gone = time.monotonic()
    await asyncio.sleep(AFTER)
    load.stopped = True
    await running
    watching = False
    await watcher
    return load.outcomes, began, gone, most


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def judge(name, must_serve, outcomes, began, gone, most):
    """One row of the table, and what was missed."""
    warm = [outcome for outcome in outcomes if outcome.warm]
    wrong = sum(not outcome.sound for outcome in outcomes)
    failed = [o for o in warm if o.status is None or o.status >= 500]
    other = [o for o in outcomes if not o.warm and (o.status is None or o.status >= 500)]
    bare = sum(o.status is not None and o.status >= 500 and not o.retry for o in outcomes)
    p99 = percentile([o.took for o in warm if o.status == 200], 0.99)
    # The last request after the trouble went that was not answered; slow ones are in the percentile.
    recovery = max((o.due - gone for o in outcomes if o.due >= gone and o.status != 200), default=0.0)
    print(f"{name:28}{gone - began:7.1f}{len(outcomes):9}{wrong:7}{len(failed):12}{p99 * 1000:9.1f}{len(other):12}{bare:9}"
          f"{recovery:10.2f}{most:9}", flush=True)
    missed = []
    if wrong:
        missed.append(f"{wrong} wrong answers, such as {next(o.path for o in outcomes if not o.sound)}")
    if must_serve and failed:
        missed.append(f"{len(failed)} warm questions failed, such as {failed[0].path}: {failed[0].status}")
    if must_serve and p99 >= SLOW:
        missed.append(f"warm p99 {p99 * 1000:.0f} ms")
    if bare:
        missed.append(f"{bare} 5xx without Retry-After")
    if recovery > RECOVERY:
        missed.append(f"recovery after {recovery:.1f} s")
    if most > CAP:
        missed.append(f"{most} connections to PostgreSQL, more than {CAP}")
    return missed


@contextlib.contextmanager
def small_disk(folder):
    """A full disk needs one that is small; gives whether there is one."""
    done = os.getuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder],
                                               capture_output=True).returncode == 0
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "-l", folder], check=True)


async def handlers_panic(bin_folder, rate, folder, postgres, redis):
    """The row of handlers that panic, of a gateway that was built for it; what was missed."""
    gateway = Gateway(bin_folder, folder, postgres, redis, "gateway-failpoints")
    gateway.environment = {"FAILPOINTS": PANICS}
    gateway.start()
    try:
        load = Load(gateway.port, rate, WARM, COLD)
        await load.learn()
        outcomes, *rest = await row(Faults(postgres, redis, gateway, load), "handlers_panic", load)
    finally:
        gateway.stop()
    # A 500 is what such a request comes to; it must touch no other.
    panicked = sum(outcome.status == 500 for outcome in outcomes)
    missed = judge("handlers_panic", True, [outcome for outcome in outcomes if outcome.status != 500], *rest)
    told = gateway.log.read_text().count("a handler panicked")
    if not panicked or panicked != told:
        missed.append(f"{panicked} requests were a 500, but {told} handlers panicked")
    return missed


async def run(bin_folder, rate, wanted, folder, postgres, redis):
    subprocess.run([*postgres.psql, "-f", "config/schema.sql", "-c", rows(STORES, DAYS, LINES), "-c", READER], check=True, stdout=subprocess.DEVNULL)
    gateway = Gateway(bin_folder, folder, postgres, redis)
    gateway.warm()
    failed = False
    with small_disk(gateway.log_folder) as has_disk:
        gateway.start()
        try:
            load = Load(gateway.port, rate, WARM, COLD)
            await load.learn()
            faults = Faults(postgres, redis, gateway, load)
            print(f"{rate}/s, nine in ten of them warm; {STORES} stores, {DAYS} days, {STORES * DAYS * LINES} lines; at most {CAP} "
                  f"connections to PostgreSQL\n\n{'fault':28}{'s':>7}{'requests':>9}{'wrong':>7}{'warm failed':>12}"
                  f"{'p99 ms':>9}{'cold failed':>12}{'bare 5xx':>9}{'recovery':>10}{'pg most':>9}", flush=True)
            goals = []
            for name, empties, must_serve in ROWS_OF_FAULTS:
                if wanted and name not in wanted:
                    continue
                if name == "handlers_panic":
                    if not (bin_folder / "gateway-failpoints").exists():
                        print(f"{name:28} SKIPPED: {bin_folder} has no gateway-failpoints; run without BIN", flush=True)
                        continue
                    goals.append((name, await handlers_panic(bin_folder, rate, folder, postgres, redis)))
                    continue
                if name == "access_log_disk_full" and not has_disk:
                    print(f"{name:28} SKIPPED: a small disk cannot be mounted here; run as root", flush=True)
                    continue
                missed = judge(name, must_serve, *await row(faults, name, load))
                if name == "sigterm_under_load" and faults.exit_code != 0:
                    missed.append(f"exit code {faults.exit_code}")
                goals.append((name, missed))
                if empties:
                    await quietly(gateway.warm)
            print()
            for name, missed in goals:
                failed |= bool(missed)
                print(f"goal {name}: {'missed: ' + '; '.join(missed) if missed else 'met'}")
        finally:
            gateway.stop()
    return failed


def main():
    bin_folder, rate, wanted = pathlib.Path(sys.argv[1]).absolute(), int(sys.argv[2]), sys.argv[3:]
    unknown = set(wanted) - {name for name, *_ in ROWS_OF_FAULTS}
    if unknown:
        sys.exit(f"error: {', '.join(unknown)}: no such fault; there are {', '.join(name for name, *_ in ROWS_OF_FAULTS)}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hotshelf-faults-", dir=os.environ.get("TMPDIR", "/tmp")))
    failed = True
    try:
        with both(folder) as (postgres, redis):
            failed = asyncio.run(run(bin_folder, rate, wanted, folder, postgres, redis))
    finally:
        if failed:
            print(f"the gateway's log is kept: {folder}/gateway.log", file=sys.stderr)
            shutil.rmtree(folder / "pg", ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


main()
