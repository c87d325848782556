"""What the gateway serves, beside its peers (serving.py), in one run; see scripts/bench-serve.

The rounds of all servers are interleaved, and each figure is the median of its rounds, ratios that of the ratios within
each round.
"""
import contextlib
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
from goals import finish, goal
from servers import program, servers
from serving import (ALIKE, CONNECTIONS, FAR, LUA, NEAR, QUESTIONS, ROUNDS, SECONDS, STORES, TOKEN, WEBDIS, gateway, generate, get,
                     measured, median_body, ratios, shop, targets, write_lines, wrk)

# The first of the stores get 30,000 lines in 30 days for the cold questions.
LARGE = 8
# Of questions that are all different; there are 161,700.
COMPOSED_ROUNDS = 4


def main():
    release, dist, bench = sys.argv[1:4]
    programs = {"loadtest": f"{release}/loadtest", "warmer": f"{release}/warmer", "gateway": f"{dist}/gateway"}
    folder = tempfile.mkdtemp(prefix="hotshelf-serve-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder, "shared_buffers=512MB") as (psql, url, redis_port):
            run(programs, bench, folder, psql, url, redis_port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    finish()


def run(programs, bench, folder, psql, url, redis_port):
    environment = {"HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    with contextlib.ExitStack() as stack:
        served = shop(programs, folder, environment, psql, redis_port, stack)
        near, redis = served.near, served.far
        hits(bench, folder, served, stack)
        clients(bench, folder, served.paths, near)
        idle(bench, programs, folder, environment)
        composed(folder, near, redis)
        dropped(near, redis)
    generate(programs, environment, psql, LARGE, 30, 30_000)
    crowd(programs, bench, folder, environment, redis_port)
    changed(programs, folder, environment, psql, redis_port)


def hits(bench, folder, shop, stack):
    """The throughput table."""
    found = measured(targets(bench, folder, shop, stack), folder, ROUNDS)
    _, _, typical = median_body(shop)
    print(f"\n{CONNECTIONS} connections, Zipf over {QUESTIONS} questions, bodies of {len(typical)} bytes (median, gzip), "
          f"median of {ROUNDS} rounds of {SECONDS} s\n")
    print(f"{'':24}{'requests/s':>12}{'min':>10}{'max':>10}{'of bare hyper':>15}{'p50 ms':>9}{'p99 ms':>9}")
    ratio = lambda one, other: round(statistics.median(ratios(found, one, other)), 3)
    for name, rounds in found.items():
        rates = [one["rps"] for one in rounds]
        print(f"{name:24}{statistics.median(rates):12.0f}{min(rates):10.0f}{max(rates):10.0f}{ratio(name, ALIKE):15.2f}"
              f"{statistics.median(one['p50'] for one in rounds):9.2f}{statistics.median(one['p99'] for one in rounds):9.2f}")
    goal("near_vs_bare_hyper", ratio(NEAR, ALIKE), ">=", 0.7)
    goal("near_vs_webdis", ratio(NEAR, WEBDIS), ">=", 1.5)
    goal("redis_vs_webdis", ratio(FAR, WEBDIS), ">=", 0.9)
    goal("redis_vs_nginx_lua", ratio(FAR, LUA), ">=", 1.2)


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
