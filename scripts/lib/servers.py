"""PostgreSQL and Redis of a script's own, on free ports, for as long as it needs them."""
import contextlib
import glob
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def steady_port():
    """A free port that the kernel gives to nobody by itself, so that it is free still after a restart: whoever tries again and again
    to reach a server that is away could get its very port for his own end, and be connected to himself."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    # Not those of a seeded script: two that run side by side would take the same.
    choice = random.SystemRandom()
    while True:
        port = choice.randrange(min(20000, first - 5000), first)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def program(name):
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if not found:
        sys.exit(f"error: {name} is missing; apt-get install redis-server postgresql")
    return found


def wait(check, what, limit=60):
    end = time.monotonic() + limit
    while not check():
        if time.monotonic() > end:
            sys.exit(f"error: {what}: not within {limit} s")
        time.sleep(0.02)


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}


class Postgres:
    """A PostgreSQL server with its data in `folder`/pg, on a free port, with the superuser `hotshelf` and no passwords."""

    def __init__(self, folder, *settings):
        self.port, self.data, self.settings = steady_port(), os.path.join(folder, "pg"), settings
        os.mkdir(self.data)
        # PostgreSQL refuses to run as root.
        user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        if user:
            os.chown(self.data, user.pw_uid, user.pw_gid)
        self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        subprocess.run([program("initdb"), "-D", self.data, "-A", "trust", "-U", "hotshelf", "-E", "UTF8",
                        "--locale=C.UTF-8"], check=True, **QUIET, **self.as_user)
        self.psql = [program("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hotshelf",
                     "postgres"]
        self.start()

    def start(self):
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", *self.settings]
        # A session of its own, so that all its processes can be stopped together.
        self.process = subprocess.Popen(
            [program("postgres"), "-D", self.data, "-p", str(self.port),
             *(part for setting in settings for part in ("-c", setting))], start_new_session=True, **QUIET, **self.as_user)

    def url(self, user="hotshelf"):
        return f"postgres://{user}@127.0.0.1:{self.port}/postgres"

    def answers(self):
        # One that is stopped takes connections, and then says nothing.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run([*self.psql, "-c", "SELECT 1"], capture_output=True, timeout=5).returncode == 0
        return False

    def clients(self):
        """How many are connected, beside who asks; nothing if it does not say."""
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            return int(subprocess.run([*self.psql, "-c", query], capture_output=True, text=True, timeout=5).stdout)
        return None

    def signal(self, number):
        """To the server and every process of it."""
        for pid in [self.process.pid, *children(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        """As a crash would."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def end(self):
        self.signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


class Redis:
    """A Redis server without persistence on a free port; settings are options of its command line."""

    def __init__(self, folder, *settings):
        self.port, self.folder, self.settings = steady_port(), folder, settings
        self.start()

    def start(self):
        self.process = subprocess.Popen([program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                                         "--appendonly", "no", "--dir", self.folder, *self.settings], **QUIET)

    def command(self, *words):
        """What it says; nothing if it says nothing for 5 s."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run([program("redis-cli"), "-p", str(self.port), *words], capture_output=True, text=True,
                                  timeout=5).stdout.strip()
        return ""

    def answers(self):
        return self.command("ping") == "PONG"

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.wait()


def children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in found.split()]


@contextlib.contextmanager
def both(folder, *postgres_settings, redis_settings=()):
    """Starts both with their data in `folder`; they end with the block."""
    os.chmod(folder, 0o755)
    postgres = Postgres(folder, *postgres_settings)
    redis = Redis(folder, *redis_settings)
    try:
        wait(postgres.answers, "PostgreSQL")
        wait(redis.answers, "Redis")
        yield postgres, redis
    finally:
        postgres.end()
        redis.end()


@contextlib.contextmanager
def servers(folder, *postgres_settings):
    """As `both`; gives psql's command, PostgreSQL's address, and Redis's port."""
    with both(folder, *postgres_settings) as (postgres, redis):
        yield postgres.psql, postgres.url(), redis.port
