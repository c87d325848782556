"""Starts PostgreSQL, Redis and a gateway with a few stores, and lets schemathesis loose on it; see scripts/check-api.

Usage: check.py PROGRAMS SCHEMATHESIS EXAMPLES [OPTION…]; options are those of `schemathesis run`.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from servers import free_port, servers, wait

# One worker, since CPython before 3.12.3 fails in `ast` when several threads parse (python/cpython#106905). Where it
# began is printed, so that a run can be repeated with --seed.
# A stream does not end, and would be waited for.
OPTIONS = ["--exclude-path", "/v1/status/stream", "--checks", "all", "--mode", "all", "--workers", "1", "--request-timeout", "30", "--no-color"]
# With 200 examples it takes 3 to 5 minutes.
LIMIT_SECONDS = 30 * 60


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def main():
    programs, st, examples, *options = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="hotshelf-api-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder) as (_, url, redis_port):
            code = run(os.path.abspath(programs), os.path.abspath(st), [*OPTIONS, "--max-examples", examples, *options],
                       folder, url, redis_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def run(programs, st, options, folder, url, redis_port):
    environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    for command in (["loadtest", "generate", "--stores", "3", "--days", "40", "--lines", "1200", "--into", "postgres",
                     "--yes"], ["warmer", "once"]):
        subprocess.run([f"{programs}/{command[0]}", *command[1:]], check=True, env=environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = free_port()
    settings = pathlib.Path(folder, "gateway.toml")
    settings.write_text(f'[gateway]\nlisten = "127.0.0.1:{port}"\n[access_log]\npath = "{folder}/access.log"\n',
                        encoding="utf-8")
    with open(f"{folder}/gateway.log", "wb") as log:
        gateway = subprocess.Popen([f"{programs}/gateway", "--config", str(settings)], env=environment, stdout=log, stderr=log)
    try:
        wait(lambda: ready(port), "the gateway")
        # In the folder, where it leaves what it remembers.
        return bounded([st, "run", f"http://127.0.0.1:{port}/openapi.json", *options], folder, {**environment, **known(port)})
    finally:
        gateway.terminate()
        gateway.wait()


def bounded(command, folder, environment):
    """The exit code of a command; one that takes too long is ended, and shows first what each of its threads does."""
    process = subprocess.Popen(command, cwd=folder, env={**environment, "PYTHONFAULTHANDLER": "1"})
    try:
        return process.wait(LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"error: not done within {LIMIT_SECONDS} s; where it was follows. Try fewer examples", file=sys.stderr)
        return 1
    finally:
        # Nothing is left to end if it is done.
        process.send_signal(signal.SIGABRT)
        process.wait()


def known(port):
    """What the hooks must know of the data."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/stores", timeout=5) as response:
        stores = json.load(response)["data"]["stores"]
    return {"SCHEMATHESIS_HOOKS": str(pathlib.Path(__file__).with_name("hooks.py").resolve()),
            "CHECK_API_STORES": ",".join(store["store_id"] for store in stores),
            "CHECK_API_LAST_DAY": max(store["last_day"] for store in stores)}


main()
