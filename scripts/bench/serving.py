"""The gateway and its peers, each with the same bodies for the same questions, measured in turn: for serve.py and peers.py.

The peers serve the very bodies that the gateway has for the same questions: a bare hyper and nginx one of them, of
median size, webdis and nginx with Lua each its own from the same Redis. A bare hyper gets the very requests that the
gateway gets, and answers twice: with the head of the gateway's answer, which makes answers of equal size, and with the
body alone. wrk asks with 64 connections, Zipf over 10,000 questions.
"""
import collections
import contextlib
import dataclasses
import hashlib
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import questions
from nginx import write_settings
from servers import free_port, program, wait

STORES = [str(1001 + number) for number in range(100)]
QUESTIONS, REQUESTS, CONNECTIONS = 10_000, 100_000, 64
ROUNDS, SECONDS = 8, 3
# Seconds for a question to be ready, after most are.
PATIENCE = 10
# What every request brings; its rate is that of a balancer, not of a person.
TOKEN = "hs_bench"
WARMER = """
[changes]
mode = "poll"
[warm]
answers = 20000
hot_answers = 20000
budget = "4GiB"
budget_time = "30m"
rank_interval = "1s"
interval = "1h"
[heat]
logs = ["{log}"]
questions = 40000
[admin]
listen = ""
"""
# Sends what a file lists, over and over; each thread starts elsewhere.
SCRIPT = """
local requests, headers = {}, {["Accept-Encoding"] = "gzip", ["Authorization"] = "Bearer %s"}
local threads = 0
function setup(thread) thread:set("number", threads); threads = threads + 1 end
function init(args)
  for path in io.lines(args[1]) do requests[#requests + 1] = wrk.format("GET", path, headers) end
  at = number * math.floor(#requests / 2)
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d\\n", summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max, summary.bytes))
end
"""
HTTP = """
  access_log {folder}/nginx-access.log combined buffer=64k;
  sendfile on; open_file_cache max=1000;
  server {{
    listen 127.0.0.1:{static} reuseport backlog=4096;
    root {folder}/static;
    location / {{ try_files /body =404; add_header Content-Encoding gzip; }}
  }}
  server {{
    listen 127.0.0.1:{lua} reuseport backlog=4096;
    location /q/ {{ content_by_lua_block {{
      local redis = require("nginx.redis"):new()
      redis:set_timeout(1000)
      if not redis:connect("127.0.0.1", {redis}) then return ngx.exit(503) end
      local body = redis:get("bench:" .. ngx.var.uri:sub(4))
      if not body or body == ngx.null then return ngx.exit(404) end
      redis:set_keepalive(60000, 64)
      ngx.header["Content-Encoding"] = "gzip"
      ngx.print(body)
    }} }}
  }}
"""
PLAIN, ALIKE = "bare hyper, body alone", "bare hyper, same answer"
WEBDIS, LUA, STATIC = "webdis", "nginx + Lua + Redis", "nginx, static file"
NEAR, FAR = "gateway, near cache", "gateway, from Redis"


class Server:
    """A server that listens on a port."""

    def __init__(self, command, port, folder, name, environment=None):
        self.port, self.log = port, open(os.path.join(folder, f"{name}.log"), "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **(environment or {})})

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def get(port, path):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", path, headers={"Accept-Encoding": "gzip", "Authorization": f"Bearer {TOKEN}"})
    response = client.getresponse()
    body = response.read()
    client.close()
    return response.status, response.headers, body


def ready(port, path="/readyz"):
    with contextlib.suppress(OSError):
        return get(port, path)[0] == 200
    return False


def wrk(port, requests, folder, seconds=SECONDS, connections=CONNECTIONS):
    """Requests per second, and latencies in milliseconds; every answer must be a 200."""
    out = subprocess.run([program("wrk"), "-t2", f"-c{connections}", f"-d{seconds}s", "-s", f"{folder}/wrk.lua",
                          f"http://127.0.0.1:{port}", "--", requests], check=True, capture_output=True, text=True,
                         timeout=seconds + 60).stdout
    numbers = [int(number) for number in re.search(r"^RESULT (.*)$", out, re.M).group(1).split()]
    count, microseconds, refused, broken, median, p99, most, size = numbers
    if refused or broken:
        sys.exit(f"error: {refused} answers on port {port} were no 200, {broken} connections broke")
    return {"requests": count, "rps": count / microseconds * 1e6, "p50": median / 1e3, "p99": p99 / 1e3, "max": most / 1e3, "size": size / count}


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


@dataclasses.dataclass
class Shop:
    """Two gateways, with and without near cache, before a Redis that has every answer; what they are asked, and answer."""

    near: Server
    far: Server
    redis_port: int
    paths: list
    order: list
    bodies: list


def shop(programs, folder, environment, psql, redis_port, stack):
    generate(programs, environment, psql, len(STORES), 60, 6_000)
    paths = questions.different(QUESTIONS, STORES, 1)
    order = questions.zipf(paths, REQUESTS, 2)
    warm(programs, folder, environment, redis_port, paths, stack)
    with open(f"{folder}/wrk.lua", "w", encoding="ascii") as script:
        script.write(SCRIPT.replace("%s", TOKEN))
    near = gateway(programs, folder, environment, "near", True, stack)
    far = gateway(programs, folder, environment, "redis", False, stack)
    bodies = [get(far.port, path) for path in paths]
    # Ready responses of other questions were counted, too: some of these may still be on their way.
    for number, path in enumerate(paths):
        end = time.monotonic() + PATIENCE
        while bodies[number][1]["X-Cache"] != "l4" and time.monotonic() < end:
            time.sleep(0.2)
            bodies[number] = get(far.port, path)
    outcomes = collections.Counter(headers["X-Cache"] for _, headers, _ in bodies)
    print(f"the {QUESTIONS} questions, asked once: {dict(outcomes)}")
    return Shop(near, far, redis_port, paths, order, bodies)


def generate(programs, environment, psql, stores, days, lines):
    subprocess.run([programs["loadtest"], "generate", "--stores", str(stores), "--days", str(days), "--lines", str(lines),
                    "--into", "postgres", "--yes"], check=True, env={**os.environ, **environment},
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([*psql, "-c", "VACUUM ANALYZE orders"], check=True)


def warm(programs, folder, environment, redis_port, paths, stack):
    """Runs a warmer on the log of all questions until each has its ready response."""
    log = write_lines(f"{folder}/access.log", questions.log_lines(paths, int(time.time() * 1000)))
    settings = f"{folder}/warmer.toml"
    with open(settings, "w", encoding="utf-8") as file:
        file.write(WARMER.format(log=log))
    warmer = Server([programs["warmer"], "run", "--config", settings], 0, folder, "warmer", environment)
    stack.callback(warmer.stop)
    scan = [program("redis-cli"), "-p", str(redis_port), "--scan", "--pattern", "hs:1:hot*"]

    def count():
        time.sleep(1)
        return len(subprocess.run(scan, check=True, capture_output=True).stdout.splitlines()) >= len(paths)

    start = time.monotonic()
    wait(count, f"{len(paths)} ready responses", 600)
    print(f"{len(paths)} questions warmed from the log {time.monotonic() - start:.0f} s after the start of the warmer")


def gateway(programs, folder, environment, name, near, stack):
    port, admin = free_port(), free_port()
    settings = f"{folder}/{name}.toml"
    with open(settings, "w", encoding="utf-8") as file:
        file.write(f'[gateway]\nlisten = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nmax_connections = 20000\n'
                   f'max_in_flight = 10000\n'
                   f'[access_log]\npath = "{folder}/{name}-access.log"\nmax_size = "1GiB"\n'
                   f'[near]\nenabled = {str(near).lower()}\nbytes = "256MiB"\n'
                   f'[[access.tokens]]\nname = "bench"\nsha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n'
                   f'stores = "*"\nrate = 1000000\nburst = 1000000\n')
    server = Server([programs["gateway"], "--config", settings], port, folder, name, environment)
    server.admin = admin
    stack.callback(server.stop)
    wait(lambda: ready(port), f"the gateway, see {folder}/{name}.log")
    return server


def constant(bench, folder, name, head, stack):
    """The port of a bare hyper that answers all requests alike."""
    write_lines(f"{folder}/{name}.head", head)
    server = subprocess.Popen([bench, "constant", f"{folder}/body", f"{folder}/{name}.head"], stdout=subprocess.PIPE, text=True)
    stack.callback(server.kill)
    return int(server.stdout.readline().rsplit(":", 1)[1])


def feed(redis_port, pairs):
    command = [program("redis-cli"), "-p", str(redis_port), "--pipe"]
    words = b"".join(protocol(b"SET", key.encode(), value) for key, value in pairs)
    subprocess.run(command, input=words, check=True, capture_output=True, timeout=120)


def targets(bench, folder, shop, stack):
    """Starts the peers: ports and files of requests, those that are compared one after the other."""
    feed(shop.redis_port, ((f"bench:{number}", body) for number, (_, _, body) in enumerate(shop.bodies)))
    _, head, typical = median_body(shop)
    os.mkdir(f"{folder}/static")
    for name in ("static/body", "body"):
        pathlib.Path(folder, name).write_bytes(typical)
    os.chmod(f"{folder}/static", 0o755)
    own = [f"{name}: {value}" for name, value in head.items() if name not in ("date", "content-length")]
    alike = constant(bench, folder, "alike", own, stack)
    plain = constant(bench, folder, "plain", ["content-type: application/json"], stack)
    static, lua, webdis = free_port(), free_port(), free_port()
    settings = write_settings(folder, 2, HTTP.format(folder=folder, static=static, lua=lua, redis=shop.redis_port))
    pathlib.Path(folder, "webdis.json").write_text(json.dumps({
        "redis_host": "127.0.0.1", "redis_port": shop.redis_port, "http_host": "127.0.0.1", "http_port": webdis, "threads": 2,
        "pool_size": 10, "daemonize": False, "database": 0, "logfile": f"{folder}/webdis.log", "verbosity": 0,
        "acl": [{"enabled": ["GET"]}]}), encoding="ascii")
    stack.callback(Server([program("nginx"), "-c", settings], static, folder, "nginx-out").stop)
    stack.callback(Server([program("webdis"), f"{folder}/webdis.json"], webdis, folder, "webdis-out").stop)
    of_gateway = requests(folder, shop, "gateway", shop.paths.__getitem__)
    of_redis = requests(folder, shop, "keys", lambda number: f"/q/{number}")
    of_webdis = requests(folder, shop, "webdis", lambda number: f"/GET/bench:{number}.raw")
    return {
        PLAIN: (plain, of_gateway), ALIKE: (alike, of_gateway), NEAR: (shop.near.port, of_gateway), WEBDIS: (webdis, of_webdis),
        FAR: (shop.far.port, of_gateway), LUA: (lua, of_redis), STATIC: (static, of_redis),
    }


def median_body(shop):
    return sorted(shop.bodies, key=lambda answer: len(answer[2]))[len(shop.bodies) // 2]


def requests(folder, shop, name, path):
    """A file of the requests as a server wants them."""
    return write_lines(f"{folder}/{name}.txt", (path(number) for number in shop.order))


def measured(targets, folder, rounds):
    """What wrk says of each in each round."""
    for port, listed in targets.values():
        with open(listed, encoding="utf-8") as file:
            path = file.readline().strip()
        wait(lambda: ready(port, path), f"port {port}")
        wrk(port, listed, folder, 2)
    found = {name: [] for name in targets}
    for number in range(rounds):
        # Forth and back, so that a machine that gets slower wrongs nobody.
        for name, (port, listed) in list(targets.items())[::-1 if number % 2 else 1]:
            found[name].append(wrk(port, listed, folder))
    return found


def ratios(measured, one, other):
    """Of the two rates of each round: the machine's speed differs more from round to round than within one."""
    return [a["rps"] / b["rps"] for a, b in zip(measured[one], measured[other])]


def protocol(*words):
    """A command as Redis reads it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
