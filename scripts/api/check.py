"""Starts PostgreSQL, Redis and a gateway with a few stores, and lets schemathesis loose on it; see scripts/check-api."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from servers import free_port, servers, wait


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def main():
    programs, st, examples = sys.argv[1:4]
    folder = tempfile.mkdtemp(prefix="hotshelf-api-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder) as (_, url, redis_port):
            code = run(programs, st, examples, folder, url, redis_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(code)


def run(programs, st, examples, folder, url, redis_port):
    environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}",
                   "SCHEMATHESIS_HOOKS": str(pathlib.Path(__file__).with_name("hooks.py"))}
    for command in (["loadtest", "generate", "--stores", "3", "--days", "40", "--lines", "1200", "--into", "postgres",
                     "--yes"], ["warmer", "once"]):
        subprocess.run([f"{programs}/{command[0]}", *command[1:]], check=True, env=environment,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = free_port()
    settings = pathlib.Path(folder, "gateway.toml")
    settings.write_text(f'[gateway]\nlisten = "127.0.0.1:{port}"\n', encoding="ascii")
    with open(f"{folder}/gateway.log", "wb") as log:
        gateway = subprocess.Popen([f"{programs}/gateway", "--config", str(settings)], env=environment, stdout=log, stderr=log)
    try:
        wait(lambda: ready(port), "the gateway")
        return subprocess.run([st, "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "all", "--mode", "all",
                               "--max-examples", examples, "--workers", "2", "--no-color"], env=environment).returncode
    finally:
        gateway.terminate()
        gateway.wait()


main()
