"""Restarts of two gateways behind nginx under load; see scripts/restarts. Uses servers of its own on free ports."""
import asyncio
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from orders import rows
from servers import both, free_port, program, steady_port, wait

STORES, DAYS, LINES = 8, 14, 6
CLIENTS, REFRESHERS = 12, 1
# One in so many is killed.
KILLS = 5
SETTINGS = """
[gateway]
listen = "127.0.0.1:{port}"
admin_listen = ""
[access_log]
path = "{log}"
"""
PATHS = ["/v1/stores", "/v1/metrics/overview", "/v1/metrics/channels", "/v1/metrics/stores", "/v1/diagnosis",
         *(f"/v1/metrics/trend?stores=s{store}" for store in range(1, STORES + 1)),
         *(f"/v1/stores/s{store}/orders?limit=50" for store in range(1, STORES + 1))]


class Gateway:
    """One of the two."""

    def __init__(self, name, bin_folder, folder, postgres, redis):
        self.port, self.access_log, self.log = steady_port(), folder / name / "access.log", folder / f"{name}.log"
        settings = folder / f"{name}.toml"
        settings.write_text(SETTINGS.format(port=self.port, log=self.access_log))
        self.command = [bin_folder / "gateway", "--config", settings, "--postgres", postgres.url(), "--redis",
                        f"redis://127.0.0.1:{redis.port}"]

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=self.log.open("ab"))
        wait(self.listens, "the gateway")

    def listens(self):
        if self.process.poll() is not None:
            sys.exit(f"error: the gateway ended with {self.process.returncode}; see {self.log}")
        with socket.socket() as stream:
            return stream.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number=signal.SIGTERM):
        """Its exit code."""
        self.process.send_signal(number)
        return self.process.wait()

    def refreshes(self):
        files = self.access_log.parent.glob("access.log*")
        return sum(json.loads(line)["type"] == "refresh" for file in files for line in file.read_text().splitlines() if line.endswith("}"))


class Nginx:
    """With the configuration that is shipped."""

    def __init__(self, folder, gateways):
        self.port, text = free_port(), pathlib.Path("config/nginx.conf").read_text()
        own = folder / "nginx"
        own.mkdir()
        paths = "".join(f"{name}_temp_path {own}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        for shipped, port in [(8080, self.port), (8081, gateways[0].port), (8082, gateways[1].port)]:
            text = text.replace(f"127.0.0.1:{shipped}", f"127.0.0.1:{port}")
        (own / "nginx.conf").write_text(text.replace("\nhttp {\n", f"\nhttp {{\n{paths}"))
        user = "user root; " if os.getuid() == 0 else ""
        path = os.environ["PATH"] + ":/usr/sbin"
        self.process = subprocess.Popen(
            [shutil.which("nginx", path=path) or program("nginx"), "-p", own, "-c", own / "nginx.conf", "-g",
             f"{user}daemon off; pid {own}/pid; error_log {own}/error.log warn;"])

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Load:
    """Clients that each ask one question after the other over one connection."""

    def __init__(self, port):
        self.port, self.right, self.stopped = port, {}, False
        self.counts, self.wrong, self.times = collections.Counter(), [], []

    async def ask(self, connection, head, body=b""):
        reader, writer = connection
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = answer.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        return int(status.split()[1]), await reader.readexactly(int(headers["content-length"]))

    def connect(self):
        return asyncio.open_connection("127.0.0.1", self.port)

    async def learn(self):
        connection = await self.connect()
        for path in PATHS:
            status, self.right[path] = await self.ask(connection, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
            if status != 200:
                sys.exit(f"error: {path}: {status}")

    async def client(self, number):
        connection, paths = await self.connect(), PATHS[number:] + PATHS[:number]
        while not self.stopped:
            for path in paths:
                begin = time.monotonic()
                try:
                    status, body = await self.ask(connection, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
                    if status != 200 or body != self.right[path]:
                        self.wrong.append(f"{path}: {status} {body[:200]}")
                except (OSError, asyncio.IncompleteReadError) as error:
                    self.wrong.append(f"{path}: {error!r}")
                    connection = await self.connect()
                self.counts["answers"] += 1
                self.times.append(time.monotonic() - begin)

    async def refresher(self):
        connection = await self.connect()
        head = "POST /v1/refresh HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"
        while not self.stopped:
            status, _ = await self.ask(connection, head, b"{}")
            self.counts[status] += 1
            if status not in (202, 503):
                self.wrong.append(f"a refresh: {status}")


async def run(restarts, gateways, load):
    await load.learn()
    tasks = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
    tasks += [asyncio.create_task(load.refresher()) for _ in range(REFRESHERS)]
    begin, codes = time.monotonic(), collections.Counter()
    for number in range(restarts):
        gateway, kills = gateways[number % 2], random.randrange(KILLS) == 0
        code = await asyncio.to_thread(gateway.stop, signal.SIGKILL if kills else signal.SIGTERM)
        codes["killed" if kills else code] += 1
        answers = load.counts["answers"]
        while load.counts["answers"] < answers + 20:
            await asyncio.sleep(0.001)
        await asyncio.to_thread(gateway.start)
    took = time.monotonic() - begin
    load.stopped = True
    await asyncio.gather(*tasks)
    return codes, took


def judge(restarts, codes, took, load, gateways):
    """Prints what was measured; whether a goal was missed."""
    taken, refused, lines = load.counts[202], load.counts[503], sum(gateway.refreshes() for gateway in gateways)
    times = sorted(load.times)
    print(f"{restarts} restarts in {took:.0f} s: {codes[0]} by SIGTERM, {codes['killed']} killed; {load.counts['answers']} answers by {CLIENTS} "
          f"clients, p50 {times[len(times) // 2] * 1000:.1f} ms, p99 {times[len(times) * 99 // 100] * 1000:.1f} ms, most "
          f"{times[-1] * 1000:.0f} ms; refreshes: {taken} taken, {refused} refused")
    for wrong in load.wrong[:5]:
        print(wrong)
    goals = [("answers", f"{len(load.wrong)} of {load.counts['answers']} wrong <= 0", not load.wrong),
             ("refreshes", f"{lines} lines, {taken} to {taken + refused}", taken <= lines <= taken + refused),
             ("exit", f"{dict(codes)}", codes[0] + codes["killed"] == restarts)]
    for name, value, met in goals:
        print(f"goal {name} {value} {'met' if met else 'missed'}")
    return not all(met for *_, met in goals)


def main():
    bin_folder, restarts, seed = pathlib.Path(sys.argv[1]).absolute(), int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    print(f"seed {seed}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hotshelf-restarts-"))
    failed = True
    try:
        with both(folder) as (postgres, redis):
            subprocess.run([*postgres.psql, "-f", "config/schema.sql", "-c", rows(STORES, DAYS, LINES)], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([bin_folder / "warmer", "once", "--postgres", postgres.url(), "--redis", f"redis://127.0.0.1:{redis.port}"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            gateways = [Gateway(name, bin_folder, folder, postgres, redis) for name in "ab"]
            for gateway in gateways:
                gateway.start()
            nginx = Nginx(folder, gateways)
            try:
                load = Load(nginx.port)
                wait(lambda: socket.socket().connect_ex(("127.0.0.1", nginx.port)) == 0, "nginx")
                codes, took = asyncio.run(run(restarts, gateways, load))
                for gateway in gateways:
                    gateway.stop()
                failed = judge(restarts, codes, took, load, gateways)
            finally:
                nginx.stop()
                for gateway in gateways:
                    gateway.process.kill()
    finally:
        if failed:
            print(f"the logs are kept: {folder}", file=sys.stderr)
            shutil.rmtree(folder / "pg", ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)


main()
