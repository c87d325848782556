"""Asks for all expected answers in every way on every rung of the ladder; see scripts/check-answers."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from servers import free_port, servers, wait

# Seconds until the warmer has read the log, made what was asked for, and ranked it.
WARMED = 300
COLUMNS = ("http", "format", "encoding", "requests", "equal", "different", "failed", "unreachable")


def ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


class Check:
    """The programs over a folder, and what was found so far."""

    def __init__(self, programs, folder, url, redis_port, expected):
        self.programs, self.folder, self.expected, self.wrong = pathlib.Path(programs).resolve(), folder, expected, []
        # Answers by outcome that need nothing, since their days have no lines: they are composed on every rung.
        self.empty = {}
        self.environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url,
                            "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}

    def file(self, name, text):
        path = pathlib.Path(self.folder, name)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run(self, program, *arguments):
        done = subprocess.run([self.programs / program, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"error: {program} {' '.join(arguments)}: {done.stderr or done.stdout}")

    @contextlib.contextmanager
    def program(self, name, *arguments):
        """A program that runs for the block."""
        with open(f"{self.folder}/{name}.log", "ab") as log:
            process = subprocess.Popen([self.programs / name, *arguments], env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    @contextlib.contextmanager
    def gateway(self, name, settings):
        port = free_port()
        config = self.file(f"{name}.toml", f'[gateway]\nlisten = "127.0.0.1:{port}"\n{settings}')
        with self.program("gateway", "--config", config) as process:
            wait(lambda: process.poll() is not None or ready(port), "the gateway")
            if process.poll() is not None:
                sys.exit("error: the gateway does not start: " + pathlib.Path(self.folder, "gateway.log").read_text())
            yield f"http://127.0.0.1:{port}"

    def ask(self, url, *options):
        done = subprocess.run([self.programs / "loadtest", "check", self.expected, "--url", url, "--all-ways", "--output", "json",
                               *options], env=self.environment, capture_output=True, text=True)
        if not done.stdout:
            sys.exit(f"error: loadtest check: {done.stderr}")
        return json.loads(done.stdout)["ways"]

    def rung(self, name, url, of, never=(), near=None):
        """Asks in every way; `of` must be among the rungs that each way's answers came from, `never` not. Then asks the gateway
        `near`, too, whose answers may come from anywhere but must be the same."""
        ways = self.ask(url)
        outcomes = sorted({outcome for way in ways for outcome in way["x_cache"]})
        rows = [(*COLUMNS, *outcomes)]
        for way in ways:
            rows.append((*(str(way[column]) for column in COLUMNS), *(str(way["x_cache"].get(o, 0)) for o in outcomes)))
            place = f"{name}, HTTP/{way['http']} {way['format']} {way['encoding']}"
            if way["equal"] != way["requests"]:
                self.wrong.append(f"{place}: {way.get('error') or json.dumps(way['findings'][:3], ensure_ascii=False)}")
            # Ready responses are JSON.
            wanted = "l3" if of == "l4" and way["format"] == "msgpack" else of
            if wanted not in way["x_cache"] or any(way["x_cache"].get(o, 0) > self.empty.get(o, 0) for o in never):
                self.wrong.append(f"{place}: should come from {wanted}{' and not ' + ', '.join(never) if never else ''}")
        widths = [max(map(len, column)) for column in zip(*rows)]
        print(f"\n{name}")
        for row in rows:
            print("  ".join(cell.rjust(width) for cell, width in zip(row, widths)), flush=True)
        if near:
            kept = self.ask(near)
            for way in kept:
                if way["equal"] != way["requests"]:
                    self.wrong.append(f"{name}, kept near: {way.get('error') or json.dumps(way['findings'][:3], ensure_ascii=False)}")
            equal, requests = (sum(way[column] for way in kept) for column in ("equal", "requests"))
            print(f"with what is kept near: {equal} of {requests} equal, in {len(kept)} ways", flush=True)
        return ways

    def are_documents(self, url):
        """Whether nothing has to be composed any more, and what is JSON is ready."""
        (way,) = self.ask(url, "--http", "1.1", "--encoding", "plain", "--format", "json")
        return "l4" in way["x_cache"] and not any(outcome in way["x_cache"] for outcome in ("l2-compose", "l3-compose"))


def ladder(check, orders, mapping):
    check.run("warmer", "import", orders, "--into", "postgres", "--yes", *(("--mapping", mapping) if mapping else ()))
    log = f"{check.folder}/access.log"
    far = f"[near]\nenabled = false\n[access_log]\npath = {json.dumps(log)}\n"
    warmer = check.file("warmer.toml", '[changes]\nmode = "poll"\n[warm]\nhot_share = 1.0\nrank_interval = "5s"\n'
                                       f"[heat]\nlogs = [{json.dumps(log)}]\n")
    with check.gateway("far", far) as url, check.gateway("near", "") as near:
        ways = check.rung("Redis empty", url, "source", ("near", "l4", "l3", "l1"), near)
        check.empty = {outcome: count for outcome, count in ways[0]["x_cache"].items() if outcome != "source"}
        check.run("warmer", "once", "--config", warmer)
        check.rung("after warmer once", url, "l2-compose", ("near", "l4"), near)
        with check.program("warmer", "run", "--config", warmer):
            end = time.monotonic() + WARMED
            while not check.are_documents(url):
                if time.monotonic() > end:
                    check.wrong.append(f"what was asked for is not ready after {WARMED} s")
                    break
                time.sleep(1)
        check.rung("what was asked for, ready", url, "l4", ("near",), near)
        check.rung("near, asked again", near, "near", ("l4", "l3", "l3-compose", "l2-compose"))
        for level, of, never in (("hot", "l3", ("near", "l4")), ("answers", "l2-compose", ("near", "l4", "l3-compose")),
                                 ("cells", "l1", ("near", "l4", "l3-compose", "l2-compose"))):
            check.run("warmer", "flush", "--level", level, "--yes")
            check.rung(f"without {level}", url, of, never, near)


def main():
    programs, orders, expected, mapping = sys.argv[1:5]
    folder = tempfile.mkdtemp(prefix="hotshelf-answers-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder) as (_, url, redis_port):
            check = Check(programs, folder, url, redis_port, expected)
            ladder(check, orders, mapping)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for wrong in check.wrong:
        print(f"error: {wrong}", file=sys.stderr)
    sys.exit(1 if check.wrong else 0)


main()
