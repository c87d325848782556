"""PostgreSQL and Redis of a script's own, on free ports, for as long as it needs them."""
import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


@contextlib.contextmanager
def servers(folder, *postgres_settings):
    """Starts both with their data in `folder`; gives psql's command, PostgreSQL's address, and Redis's port."""
    os.chmod(folder, 0o755)
    port, redis_port = free_port(), free_port()
    data = os.path.join(folder, "pg")
    os.mkdir(data)
    # PostgreSQL refuses to run as root.
    user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    if user:
        os.chown(data, user.pw_uid, user.pw_gid)
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([program("initdb"), "-D", data, "-A", "trust", "-U", "hotshelf", "-E", "UTF8", "--locale=C.UTF-8"],
                   check=True, **quiet, **as_user)
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", *postgres_settings]
    postgres = subprocess.Popen([program("postgres"), "-D", data, "-p", str(port),
                                 *(part for setting in settings for part in ("-c", setting))], **quiet, **as_user)
    redis = subprocess.Popen([program("redis-server"), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", "",
                              "--appendonly", "no", "--dir", folder], **quiet)
    psql = [program("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(port), "-U", "hotshelf", "postgres"]
    ping = [program("redis-cli"), "-p", str(redis_port), "ping"]
    try:
        wait(lambda: subprocess.run([*psql, "-c", "SELECT 1"], capture_output=True).returncode == 0, "PostgreSQL")
        wait(lambda: subprocess.run(ping, capture_output=True).stdout.strip() == b"PONG", "Redis")
        yield psql, f"postgres://hotshelf@127.0.0.1:{port}/postgres", redis_port
    finally:
        postgres.terminate()
        redis.terminate()
        postgres.wait()
        redis.wait()
