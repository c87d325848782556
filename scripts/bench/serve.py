"""What the gateway serves, beside its peers, in one run; see scripts/bench-serve.

The peers serve the very bodies that the gateway has for the same questions: a bare hyper and nginx one of them, of
median size, webdis and nginx with Lua each its own from the same Redis. A bare hyper gets the very requests that the
gateway gets, and answers twice: with the head of the gateway's answer, which makes answers of equal size, and with the
body alone. wrk asks with 64 connections, Zipf over 10,000
questions; the rounds of all servers are interleaved, and each figure is the median of its rounds, ratios that of the ratios within
each round.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import changes
import questions
from servers import free_port, program, servers, wait

STORES = [str(1001 + number) for number in range(100)]
# The first of them get 30,000 lines in 30 days for the cold questions.
LARGE = 8
QUESTIONS, REQUESTS, CONNECTIONS = 10_000, 100_000, 64
ROUNDS, SECONDS = 8, 3
# Of questions that are all different; there are 161,700.
COMPOSED_ROUNDS = 4
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
NGINX = """
daemon off; worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
events {{ worker_connections 8192; }}
http {{
  access_log {folder}/nginx-access.log combined buffer=64k;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  sendfile on; tcp_nodelay on; keepalive_requests 10000000; open_file_cache max=1000;
  lua_package_path "/usr/share/lua/5.1/?.lua;;";
  server {{
    listen 127.0.0.1:{static} reuseport backlog=4096;
    default_type application/json; root {folder}/static;
    location / {{ try_files /body =404; add_header Content-Encoding gzip; }}
  }}
  server {{
    listen 127.0.0.1:{lua} reuseport backlog=4096;
    default_type application/json;
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
}}
"""
ALIKE = "bare hyper, same answer"
NEAR, FAR = "gateway, near cache", "gateway, from Redis"
goals = []


def goal(name, value, operator, limit):
    met = {"<": value < limit, "<=": value <= limit, ">=": value >= limit}[operator]
    goals.append((f"goal {name} {value} {operator} {limit} {'met' if met else 'missed'}", met))


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


def main():
    release, dist, bench = sys.argv[1:4]
    programs = {"loadtest": f"{release}/loadtest", "warmer": f"{release}/warmer", "gateway": f"{dist}/gateway"}
    folder = tempfile.mkdtemp(prefix="hotshelf-serve-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder, "shared_buffers=512MB") as (psql, url, redis_port):
            run(programs, bench, folder, psql, url, redis_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line, _ in goals:
        print(line)
    sys.exit(0 if all(met for _, met in goals) else 1)


def run(programs, bench, folder, psql, url, redis_port):
    environment = {"HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    generate(programs, environment, psql, len(STORES), 60, 6_000)
    paths = questions.different(QUESTIONS, STORES, 1)
    order = questions.zipf(paths, REQUESTS, 2)
    with contextlib.ExitStack() as stack:
        warm(programs, folder, environment, redis_port, paths, stack)
        with open(f"{folder}/wrk.lua", "w", encoding="ascii") as script:
            script.write(SCRIPT.replace("%s", TOKEN))
        near = gateway(programs, folder, environment, "near", True, stack)
        redis = gateway(programs, folder, environment, "redis", False, stack)
        bodies = [get(redis.port, path) for path in paths]
        outcomes = {}
        for _, headers, _ in bodies:
            outcomes[headers["X-Cache"]] = outcomes.get(headers["X-Cache"], 0) + 1
        print(f"the {QUESTIONS} questions, asked once: {outcomes}")
        hits(bench, folder, redis_port, paths, order, bodies, near, redis, stack)
        clients(bench, folder, paths, near)
        idle(bench, programs, folder, environment)
        composed(folder, near, redis)
        dropped(near, redis)
    generate(programs, environment, psql, LARGE, 30, 30_000)
    crowd(programs, bench, folder, environment, redis_port)
    changed(programs, folder, environment, psql, redis_port)


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


def hits(bench, folder, redis_port, paths, order, bodies, near, redis, stack):
    """The throughput table."""
    command = [program("redis-cli"), "-p", str(redis_port), "--pipe"]
    feed = b"".join(protocol(b"SET", f"bench:{number}".encode(), body) for number, (_, _, body) in enumerate(bodies))
    subprocess.run(command, input=feed, check=True, capture_output=True)
    _, head, typical = sorted(bodies, key=lambda answer: len(answer[2]))[len(bodies) // 2]
    os.mkdir(f"{folder}/static")
    for name in ("static/body", "body"):
        pathlib.Path(folder, name).write_bytes(typical)
    os.chmod(f"{folder}/static", 0o755)
    own = [f"{name}: {value}" for name, value in head.items() if name not in ("date", "content-length")]
    alike = constant(bench, folder, "alike", own, stack)
    plain = constant(bench, folder, "plain", ["content-type: application/json"], stack)
    static, lua, webdis = free_port(), free_port(), free_port()
    pathlib.Path(folder, "nginx.conf").write_text(
        NGINX.format(folder=folder, static=static, lua=lua, redis=redis_port), encoding="ascii")
    pathlib.Path(folder, "webdis.json").write_text(json.dumps({
        "redis_host": "127.0.0.1", "redis_port": redis_port, "http_host": "127.0.0.1", "http_port": webdis, "threads": 2,
        "pool_size": 10, "daemonize": False, "database": 0, "logfile": f"{folder}/webdis.log", "verbosity": 0,
        "acl": [{"enabled": ["GET"]}]}), encoding="ascii")
    stack.callback(Server([program("nginx"), "-c", f"{folder}/nginx.conf"], static, folder, "nginx-out").stop)
    stack.callback(Server([program("webdis"), f"{folder}/webdis.json"], webdis, folder, "webdis-out").stop)
    of_gateway = write_lines(f"{folder}/gateway.txt", (paths[number] for number in order))
    of_redis = write_lines(f"{folder}/keys.txt", (f"/q/{number}" for number in order))
    of_webdis = write_lines(f"{folder}/webdis.txt", (f"/GET/bench:{number}.raw" for number in order))
    # Those that are compared come one after the other.
    targets = {
        "bare hyper, body alone": (plain, of_gateway), ALIKE: (alike, of_gateway), NEAR: (near.port, of_gateway),
        "webdis": (webdis, of_webdis), FAR: (redis.port, of_gateway), "nginx + Lua + Redis": (lua, of_redis),
        "nginx, static file": (static, of_redis),
    }
    for port, requests in targets.values():
        with open(requests, encoding="utf-8") as file:
            path = file.readline().strip()
        wait(lambda: ready(port, path), f"port {port}")
        wrk(port, requests, folder, 2)
    measured = {name: [] for name in targets}
    for number in range(ROUNDS):
        # Forth and back, so that a machine that gets slower wrongs nobody.
        for name, (port, requests) in list(targets.items())[::-1 if number % 2 else 1]:
            measured[name].append(wrk(port, requests, folder))
    print(f"\n{CONNECTIONS} connections, Zipf over {QUESTIONS} questions, bodies of {len(typical)} bytes (median, gzip), "
          f"median of {ROUNDS} rounds of {SECONDS} s\n")
    print(f"{'':24}{'requests/s':>12}{'min':>10}{'max':>10}{'of bare hyper':>15}{'p50 ms':>9}{'p99 ms':>9}")
    rates = {name: [one["rps"] for one in rounds] for name, rounds in measured.items()}
    # Of the two rates of each round: the machine's speed differs more from round to round than within one.
    ratio = lambda one, other: round(statistics.median(a / b for a, b in zip(rates[one], rates[other])), 3)
    for name, rounds in measured.items():
        print(f"{name:24}{statistics.median(rates[name]):12.0f}{min(rates[name]):10.0f}{max(rates[name]):10.0f}"
              f"{ratio(name, ALIKE):15.2f}"
              f"{statistics.median(one['p50'] for one in rounds):9.2f}{statistics.median(one['p99'] for one in rounds):9.2f}")
    goal("near_vs_bare_hyper", ratio(NEAR, ALIKE), ">=", 0.7)
    goal("near_vs_webdis", ratio(NEAR, "webdis"), ">=", 1.5)
    goal("redis_vs_webdis", ratio(FAR, "webdis"), ">=", 0.9)
    goal("redis_vs_nginx_lua", ratio(FAR, "nginx + Lua + Redis"), ">=", 1.2)


def protocol(*words):
    """A command as Redis reads it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def measure(bench, *arguments):
    done = subprocess.run([bench, *map(str, arguments)], check=True, capture_output=True, text=True,
                          env={**os.environ, "BENCH_TOKEN": TOKEN})
    return json.loads(done.stdout)


def clients(bench, folder, paths, near):
    """Users who think, many connections, idle ones."""
    listed = write_lines(f"{folder}/paths.txt", paths)
    address = f"127.0.0.1:{near.port}"
    users = measure(bench, "users", address, listed, 200, 20)
    many = measure(bench, "many", address, listed, 2_000, 20)
    print(f"\n{'':32}{'requests':>10}{'median ms':>11}{'p99 ms':>9}{'max ms':>9}")
    for name, one in (("200 users, 1 s think time", users), ("2,000 connections, no pause", many)):
        print(f"{name:32}{one['requests']:10}{one['median_ms']:11.2f}{one['p99_ms']:9.2f}{one['max_ms']:9.2f}")
    goal("users_200_p99_ms", round(users["p99_ms"], 2), "<", 5)
    print(f"2,000 connections: {many['statuses']}, {many['outcomes']}")
    goal("connections_2000_errors", sum(n for status, n in many["statuses"].items() if status != "200"), "<=", 0)


def idle(bench, programs, folder, environment):
    """Memory of a gateway on which all are idle: of its own, for what another keeps near is no connection's."""
    with contextlib.ExitStack() as stack:
        server = gateway(programs, folder, environment, "idle", True, stack)
        one = measure(bench, "idle", f"127.0.0.1:{server.port}", 10_000, server.process.pid)
    each = (one["after_mb"] - one["before_mb"]) * 1024 / one["connections"]
    print(f"10,000 idle connections: {one['after_mb']:.0f} MB resident, {one['before_mb']:.0f} MB before, {each:.1f} KB each")
    goal("idle_10000_mb", round(one["after_mb"]), "<", 150)


def composed(folder, near, redis):
    """Overviews of three random stores, composed from day cells: no two of the same, or the second would be a near hit."""
    rates = {}
    for name, server, limit in (("from Redis", redis, 400), ("decoded in the near cache", near, 3_000)):
        rates[name] = []
        for number, part in enumerate(questions.composed(STORES, 3, COMPOSED_ROUNDS + 1)):
            one = wrk(server.port, write_lines(f"{folder}/composed.txt", part), folder)
            if one["requests"] > len(part):
                sys.exit(f"error: {len(part)} questions were too few for {SECONDS} s; take fewer rounds")
            # The first round decodes the cells.
            if number > 0:
                rates[name].append(one)
        rate = statistics.median(one["rps"] for one in rates[name])
        key = "composed_redis_per_s" if server is redis else "composed_near_per_s"
        goal(key, round(rate), ">=", limit)
    print(f"\n{'overview of 3 random stores':32}{'per second':>11}{'p50 ms':>9}{'p99 ms':>9}")
    for name, rounds in rates.items():
        print(f"{name:32}" + "".join(f"{statistics.median(one[key] for one in rounds):{width}.{digits}f}"
                                     for key, width, digits in (("rps", 11, 0), ("p50", 9, 2), ("p99", 9, 2))))


def metric(server, name):
    """The sum of a metric's values, from the admin listener."""
    _, _, text = get(server.admin, "/metrics")
    values = re.findall(rf"^hotshelf_gateway_{name}(?:{{[^}}]*}})? (\S+)$", text.decode(), re.M)
    return sum(float(value) for value in values)


def dropped(*gateways):
    """Records that the access logs lost."""
    goal("access_log_drops", sum(metric(server, "access_log_dropped_total") for server in gateways), "<=", 0)


def crowd(programs, bench, folder, environment, redis_port):
    """A store that is not cached, its diagnosis asked for once, and then another's by a thousand at the same moment."""
    subprocess.run([program("redis-cli"), "-p", str(redis_port), "flushall"], check=True, capture_output=True)
    with contextlib.ExitStack() as stack:
        server = gateway(programs, folder, environment, "cold", True, stack)
        get(server.port, "/v1/stores")
        cold = []
        for store in STORES[:5]:
            start = time.perf_counter()
            status, headers, _ = get(server.port, f"/v1/diagnosis?stores={store}")
            cold.append((time.perf_counter() - start) * 1e3)
            if status != 200 or not headers["X-Cache"].startswith("source"):
                sys.exit(f"error: a cold diagnosis is {status} from {headers['X-Cache']}")
        before = metric(server, "store_days_read_total"), metric(server, "flights_total")
        one = measure(bench, "crowd", f"127.0.0.1:{server.port}", f"/v1/diagnosis?stores={STORES[LARGE - 1]}", 1_000)
        print(f"\na cold store's diagnosis from PostgreSQL, 30,000 lines: {statistics.median(cold):.0f} ms, max {max(cold):.0f}")
        print(f"1,000 askers of one cold question: {one['answers']['statuses']}, {one['answers']['outcomes']}, the last "
              f"{one['last_after_first_ms']:.0f} ms after the first")
        flights = metric(server, "flights_total") - before[1]
        print(f"computations: {flights:.0f}, store-days read: {metric(server, 'store_days_read_total') - before[0]:.0f}")
        goal("crowd_computations", flights, "<=", 1)
        goal("cold_diagnosis_ms", round(statistics.median(cold)), "<", 150)
        goal("crowd_last_after_first_ms", round(one["last_after_first_ms"]), "<", 50)
        goal("crowd_not_200", sum(n for status, n in one["answers"]["statuses"].items() if status != "200"), "<=", 0)


def changed(programs, folder, environment, psql, redis_port):
    """A store's lines change, a warmer writes what follows, and two gateways that keep answers near show it."""
    warm = lambda *of: subprocess.run([programs["warmer"], "once", *of], check=True, env={**os.environ, **environment},
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    warm()

    def change():
        update = (f"UPDATE orders SET paid_price = paid_price + 1 WHERE store_id = '{STORES[0]}' AND "
                  f"ordered_at >= '{questions.LAST_DAY}'")
        subprocess.run([*psql, "-c", update], check=True)
        warm("--stores", STORES[0])

    with contextlib.ExitStack() as stack:
        ports = [gateway(programs, folder, environment, name, True, stack).port for name in ("first", "second")]
        shown, outcomes = changes.shown(redis_port, ports, STORES[0], TOKEN, change, 20)
    print(f"a change shows on both of two gateways {statistics.median(shown):.0f} ms after it is written (median of {len(shown)}), at most "
          f"{max(shown):.0f} ms; answered until then from {', '.join(sorted(outcomes))}")
    goal("change_shown_ms", round(max(shown)), "<", 100)


main()
