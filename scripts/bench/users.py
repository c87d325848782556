"""Users of a chain against one gateway after a warm-up; see scripts/bench-users.

Warmer and gateway have the settings they have without a file, but for addresses, the access log and tokens. The users of the warm-up are
others (another seed) than those who are measured.
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from goals import finish, goal
from servers import free_port, program, servers, wait

STORES, DAYS, LINES = 100, 60, 30_000
WARM_UP = 120
# Name, users, time to think, highest p99 in milliseconds: a tenth of the old goals of 500 ms, 1 s and 2 s.
LOADS = [("30 users", 30, "5s", 50), ("50 users", 50, "5s", 50), ("100 users", 100, "5s", 100), ("200 users", 200, "5s", 200),
         ("200 users who hurry", 200, "1s", 200)]
SECURE = ("200 users who hurry, tokens, TLS, HTTP/2", 200, "1s", 200)
REPORTS = "docs/load-reports.md"


def start(command, log, environment, stack):
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)

    def stop():
        process.terminate()
        process.wait(60)

    stack.callback(stop)
    return process


def ready(port):
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/readyz")
        return client.getresponse().status == 200
    return False


def cycles(port):
    """Cycles that the warmer has ended."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/metrics")
        found = re.search(r"^hotshelf_warmer_cycles_total (\d+)$", client.getresponse().read().decode(), re.M)
        return int(found.group(1)) if found else 0
    return 0


class Bench:
    """Servers with a warm shelf, and a gateway with and without TLS."""

    def __init__(self, bin_folder, folder, environment, stack):
        self.bin, self.folder, self.environment, self.stack = bin_folder, folder, environment, stack
        self.port, self.secure_port, self.warmer_port = free_port(), free_port(), free_port()

    def prepare(self, psql):
        print(f"making {STORES} stores of {LINES} lines in {DAYS} days", flush=True)
        self.quietly("loadtest", "generate", "--stores", STORES, "--days", DAYS, "--lines", LINES, "--into", "postgres", "--yes")
        schema = pathlib.Path(__file__).resolve().parent.parent.parent / "config/changes.sql"
        subprocess.run([*psql, "-c", "VACUUM ANALYZE orders", "-f", schema, "-c", "SELECT hotshelf_watch('orders')"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def quietly(self, name, *arguments):
        subprocess.run([f"{self.bin}/{name}", *map(str, arguments)], check=True, env=self.environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def write(self, name, text):
        path = f"{self.folder}/{name}"
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return path

    def start_all(self):
        log, secure_log = f"{self.folder}/access.log", f"{self.folder}/secure-access.log"
        warmer = self.write("warmer.toml", f'[changes]\nmode = "trigger"\n[warm]\nstate = "{self.folder}/state"\n'
                                           f'[heat]\nlogs = ["{log}", "{secure_log}"]\n[admin]\nlisten = "127.0.0.1:{self.warmer_port}"\n')
        plain = self.write("gateway.toml", f'[gateway]\nlisten = "127.0.0.1:{self.port}"\nadmin_listen = ""\n[access_log]\npath = "{log}"\n')
        made = subprocess.run([f"{self.bin}/gateway", "token", "new", "--name", "bench", "--role", "operator", "--output", "json"], check=True,
                              capture_output=True, text=True)
        made = json.loads(made.stdout)
        self.token = made["token"]
        self.certificate()
        secure = self.write("secure.toml", f'[gateway]\nlisten = "127.0.0.1:{self.secure_port}"\nadmin_listen = ""\n[access_log]\n'
                                           f'path = "{secure_log}"\n[tls]\ncertificate = "{self.folder}/cert.pem"\n'
                                           f'key = "{self.folder}/key.pem"\n[[access.tokens]]\nname = "bench"\n'
                                           f'sha256 = "{made["sha256"]}"\nstores = "*"\nrole = "operator"\n'
                                           'rate = 100000\nburst = 100000\n')
        for name, settings in (("warmer", warmer), ("gateway", plain), ("gateway", secure)):
            command = [f"{self.bin}/{name}", *(["run"] if name == "warmer" else []), "--config", settings]
            start(command, f"{settings}.log", self.environment, self.stack)
        wait(lambda: ready(self.port), f"the gateway, see {self.folder}/gateway.toml.log")
        wait(lambda: cycles(self.warmer_port) > 0, f"the warmer's first cycle, see {self.folder}/warmer.toml.log", 600)

    def certificate(self):
        """An authority, and a certificate of it for the gateway."""
        def openssl(*arguments):
            subprocess.run([program("openssl"), *arguments], check=True, capture_output=True, cwd=self.folder, timeout=60)

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=bench", "-keyout", "ca-key.pem", "-out", "ca.pem")
        openssl("req", *key, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem")
        names = self.write("names", "subjectAltName=DNS:localhost\n")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-days", "2", "-extfile", names, "-out", "cert.pem")

    def load(self, name, users, think, seconds, seed, out, secure=False, expect=None):
        """The report of a load, its JSON and its text."""
        where = ["--url", f"https://localhost:{self.secure_port}", "--ca", f"{self.folder}/ca.pem", "--http", "2"] if secure else \
            ["--url", f"http://127.0.0.1:{self.port}"]
        told = ["loadtest", "run", "--users", str(users), "--think", think, "--ramp", "10s", "--duration", f"{seconds}s", "--seed", str(seed)]
        command = [f"{self.bin}/{told[0]}", *told[1:], *where, "--json", f"{out}.json", "--html", f"{out}.html"]
        if expect:
            command += ["--expect", expect]
            told += ["--expect", f'"{expect}"']
        environment = {**self.environment, "HOTSHELF_TOKEN": self.token} if secure else self.environment
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=seconds + 300)
        if done.returncode not in (0, 1) or not os.path.exists(f"{out}.json"):
            sys.exit(f"error: {name}: loadtest ended with {done.returncode}: {done.stderr[-1000:]}")
        report = json.loads(pathlib.Path(f"{out}.json").read_text(encoding="utf-8"))
        if secure:
            told += ["--url", "https://…", "--ca", "ca.pem", "--http", "2"]
        return report, done.stdout, " ".join(told)


def percentile(report, wanted):
    return next(ms for percent, ms in report["latency"]["percentiles"] if percent == wanted)


def row(name, report):
    totals = report["totals"]
    cpu = [value for server in report["servers"] for value in server["cpu_percent"] if value is not None]
    return [name, str(totals["requests"]), f"{totals['per_second']:.0f}", f"{totals['success_percent']:.2f}", f"{totals['hit_percent']:.2f}",
            str(totals["wrong"]), *(f"{percentile(report, p):.1f}" for p in (50.0, 95.0, 99.0)), f"{report['latency']['max']:.1f}",
            f"{sum(cpu) / max(len(cpu), 1):.0f}"]


HEADS = ["", "requests", "answers/s", "success %", "hit %", "wrong", "p50 ms", "p95", "p99", "max", "CPU %"]


def text_table(rows):
    widths = [max(len(row[column]) for row in [HEADS, *rows]) for column in range(len(HEADS))]
    return "\n".join("  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(cells, widths))) for cells in [HEADS, *rows])


def document(rows, reports):
    """The page of the reports."""
    head = "| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS) + "\n"
    table = head + "".join("| " + " | ".join(cells) + " |\n" for cells in rows)
    here = reports[0][1]["environment"]
    parts = [f"""# Reports of load tests

Made by `scripts/bench-users --write` on {time.strftime('%Y-%m-%d')}: {STORES} stores with {LINES:,} order lines each in {DAYS} days in PostgreSQL, one Redis,
one `warmer run` and one gateway with the settings they have without a file, and the load tester beside them on the same machine:
{here['processor']}, {here['cpus']} cores, {here['memory'] / (1 << 30):.0f} GiB, {here['system']}.
Before the first, others asked for {WARM_UP} s. What the figures mean: [loadtest.md](loadtest.md). CPU is that of the whole machine, load tester, PostgreSQL and Redis
included.

{table}"""]
    for name, _, text, command in reports:
        parts.append(f"## {name[0].upper()}{name[1:]}\n\n```console\n$ {command}\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-users")
    parser.add_argument("bin")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    out = pathlib.Path("target/users")
    out.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="hotshelf-users-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder, "shared_buffers=512MB") as (psql, url, redis_port), contextlib.ExitStack() as stack:
            environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
            bench = Bench(args.bin, folder, environment, stack)
            bench.prepare(psql)
            begun = time.monotonic()
            bench.start_all()
            print(f"warm {time.monotonic() - begun:.0f} s after the start; {WARM_UP} s of other users", flush=True)
            bench.load("warm-up", 50, "2s", WARM_UP, 1, f"{folder}/warm-up")
            rows, reports = [], []
            loads = [(*load, False) for load in LOADS] + [(*SECURE, True)]
            for number, (name, users, think, most, secure) in enumerate(loads):
                expect = f"success>=100% hit>=95% p99<{most}ms wrong<=0"
                slug = re.sub("[^a-z0-9]+", "-", name.lower())
                report, text, command = bench.load(name, users, think, args.seconds, 10 + number, out / slug, secure, expect)
                print(f"\n{name}: {command}\n{text}", flush=True)
                reports.append((name, report, text, command))
                rows.append(row(name, report))
                key = slug.replace("-", "_")
                goal(f"{key}_success_percent", report["totals"]["success_percent"], ">=", 100)
                goal(f"{key}_hit_percent", round(report["totals"]["hit_percent"], 2), ">=", 95)
                goal(f"{key}_p99_ms", round(percentile(report, 99.0), 1), "<=", most)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + text_table(rows) + f"\n\npages with plots: {out}/*.html\n")
    if args.write:
        pathlib.Path(REPORTS).write_text(document(rows, reports), encoding="utf-8")
        print(f"{REPORTS} is written\n")
    finish()


if __name__ == "__main__":
    main()
