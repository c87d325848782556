"""What a shop costs by its stores and lines: a warm-up, what lies in Redis, answers over all stores, cycles and changes."""
import json
import statistics
import time

import daemon
from processes import cpu, cpu_with_children, resident_mb, run_measured
from scale_shop import DAYS, LIMIT, Gateway, cost, each

# Warm-ups of one size: as many as end within so many seconds, at most so many.
WARM_SECONDS, WARM_MOST = 12, 3
QUIET_SECONDS, CHANGES = 8, 25
# Stores of which each is asked for once, at most.
ONE_MOST = 200
# Different questions after which a gateway's memory is looked at, at most.
ASKED = 2000
ALL = {"stores": "/v1/stores", "table": "/v1/metrics/stores", "overview": "/v1/metrics/overview", "trend": "/v1/metrics/trend",
       "products": "/v1/metrics/products", "diagnosis": "/v1/diagnosis"}
LEVELS = {"L1 orders": "l1_mb", "L2 day cells": "day_cells_mb", "L2 product cells": "product_cells_mb", "L3 partials": "partials_mb",
          "L3 answers": "answers_mb", "directory": "directory_mb"}


def measure(shop):
    """All figures of one shop by name."""
    found = {"lines_all": shop.stores * shop.lines, "pg_mb": int(shop.sql("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('orders')")) / 1e6}
    once(shop, found)
    serving(shop, found)
    running(shop, found)
    return found


def once(shop, found):
    """`warmer once` into an empty Redis."""
    rounds, start = [], time.perf_counter()
    shop.redis.command("flushall")
    empty = shop.redis_info("used_memory")
    while len(rounds) < WARM_MOST and (not rounds or time.perf_counter() - start < WARM_SECONDS):
        shop.redis.command("flushall")
        before = cpu_with_children(shop.postgres.process.pid), cpu(shop.redis.process.pid)
        out, took, used, peak = run_measured([shop.program("warmer"), "once", "--output", "json"], shop.environment, LIMIT)
        report = json.loads(out.splitlines()[-1])
        rounds.append({"once_s": took, "once_cpu_s": used, "once_peak_mb": peak,
                       "once_pg_cpu_s": cpu_with_children(shop.postgres.process.pid) - before[0],
                       "once_redis_cpu_s": cpu(shop.redis.process.pid) - before[1],
                       "directory_s": report["seconds"]["directory"], "fleet_s": report["seconds"]["fleet"]})
    for name in rounds[0]:
        found[name] = statistics.median(one[name] for one in rounds)
    found["redis_mb"] = (shop.redis_info("used_memory") - empty) / 1e6
    found["redis_keys"] = int(shop.redis.command("dbsize"))
    for level in report["levels"]:
        if level["name"] in LEVELS:
            found[LEVELS[level["name"]]] = level["bytes"] / 1e6


def serving(shop, found):
    """A gateway without near cache, so that each answer comes from Redis, and one with it."""
    far, near = Gateway(shop, "far", False), Gateway(shop, "near", True)
    redis, pids = shop.redis.process.pid, (far.pid, shop.redis.process.pid)
    found["gateway_start_mb"] = resident_mb(near.pid)
    # By the gateway that is told of changes: the other one reads the directory of all stores every 0.2 s.
    near.client.answer("/v1/stores")
    some = shop.ids[:ONE_MOST]
    found["one_far_us"], found["one_far_redis_us"] = each(near.client, [f"/v1/metrics/overview?stores={store}" for store in some],
                                                          (near.pid, redis), "l2-compose")
    found["one_diagnosis_us"] = each(near.client, [f"/v1/diagnosis?stores={store}" for store in some], (near.pid,), "l3-compose")[0]
    for name, path in ALL.items():
        took, size, used = cost(far.client, path, pids, 0.3)
        found.update({f"{name}_kb": size / 1e3, f"{name}_far_ms": took, f"{name}_far_us": used[0]})
        _, _, used = cost(near.client, path, (near.pid,), 0.2)
        found[f"{name}_near_us"] = used[0]
    one = f"/v1/metrics/overview?stores={shop.ids[len(shop.ids) // 2]}"
    found["one_near_us"] = cost(near.client, one, (near.pid,), 0.4)[2][0]
    kinds = ("overview", "trend", "channels", "products")
    for path in [f"/v1/metrics/{kind}?stores={store}" for kind in kinds for store in shop.ids][:ASKED]:
        near.client.answer(path)
    found["gateway_asked_mb"] = resident_mb(near.pid)
    # Without the documents: composed from cells, and from partials.
    shop.forget("hs:1:answer:*")
    for name, of in (("overview", "l2-compose"), ("table", "l2-compose"), ("diagnosis", "l3-compose")):
        _, _, used = cost(far.client, ALL[name], pids, 0.3, of, least=3)
        found[f"{name}_compose_cpu_ms"] = used[0] / 1e3
    cold = []
    for store in shop.ids[:3]:
        for kind in ("cells", "products", "partial", "orders"):
            shop.forget(f"hs:1:{kind}:{{{store}}}*")
        start = time.perf_counter()
        far.client.answer(f"/v1/diagnosis?stores={store}", "source")
        cold.append((time.perf_counter() - start) * 1e3)
    found["cold_ms"] = statistics.median(cold)
    far.stop()
    near.stop()


def running(shop, found):
    """`warmer run`: the first cycle, cycles with nothing to do, and changes of one line each."""
    shop.redis.command("flushall")
    shop.watch_changes()
    program, settings, _ = shop.warmer("1s")
    warmer = daemon.Warmer(program, settings, shop.environment)
    shop.stack.callback(warmer.stop)
    warmer.wait_cycles(1)
    first = warmer.cycles[0]
    if first["ready"] != shop.stores:
        raise SystemExit(f"error: the first cycle left stores out: {first}")
    found["first_cycle_s"] = first["duration_ms"] / 1e3
    # It may still make what the plan adds.
    warmer.wait_cycles(4)
    pid, pg = warmer.process.pid, shop.postgres.process.pid
    began, used, at = time.perf_counter(), (cpu(pid), cpu(shop.redis.process.pid)), len(warmer.cycles)
    time.sleep(QUIET_SECONDS)
    quiet = warmer.cycles[at:]
    found["quiet_ms"] = statistics.median(cycle["duration_ms"] for cycle in quiet)
    found["quiet_cpu_ms"] = (cpu(pid) - used[0]) / len(quiet) * 1e3
    found["quiet_redis_cpu_ms"] = (cpu(shop.redis.process.pid) - used[1]) / len(quiet) * 1e3
    found["run_mb"] = resident_mb(pid)
    asked, idle = Gateway(shop, "asked", True), Gateway(shop, "idle", True)
    idle.client.answer("/v1/metrics/overview")
    for name, all_stores in (("change", False), ("change_all", True)):
        at, used = len(warmer.cycles), (cpu(pid), cpu_with_children(pg), cpu(idle.pid))
        waits = daemon.changes(shop.postgres.psql, asked.port, CHANGES, all_stores)
        found[f"{name}_ms"] = statistics.median(waits) * 1e3
        own = cpu(pid) - used[0] - found["quiet_cpu_ms"] / 1e3 * (len(warmer.cycles) - at)
        if not all_stores:
            found["change_cpu_ms"] = max(own, 0) / CHANGES * 1e3
            found["change_pg_cpu_ms"] = (cpu_with_children(pg) - used[1]) / CHANGES * 1e3
            found["change_gateway_cpu_ms"] = (cpu(idle.pid) - used[2]) / CHANGES * 1e3
    warmer.stop()


def sizes(stores, lines):
    return f"{stores} stores × {DAYS} days × {lines} lines per store"
