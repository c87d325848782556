"""What questions and users cost, on one shop: ranking and memory by different questions, a gateway by users and connections."""
import contextlib
import json
import resource
import socket
import statistics
import subprocess
import time

import daemon
from processes import cpu, resident_mb
from scale_shop import LIMIT, Gateway, metric
from servers import wait

QUIET_SECONDS = 8
# All that is kept was made when for so long nothing was written; after the other time it is measured as it is.
STILL_SECONDS, MOST_SECONDS = 4, 40


def questions(shop, counts):
    """Figures by the number of different questions that the access logs hold."""
    rows = []
    log = shop.folder / "earlier-access.log"
    for count in counts:
        print(f"  {count} questions …", flush=True)
        data = daemon.Data(shop.postgres.psql)
        daemon.remember(data, log, count)
        data.close()
        rows.append((count, learned(shop, log, count)))
        log.unlink()
    return rows


def learned(shop, log, count):
    shop.redis.command("flushall")
    for file in (shop.folder / "state").glob("*"):
        file.unlink()
    program, settings, admin = shop.warmer("1s")
    warmer = daemon.Warmer(program, settings, shop.environment)
    try:
        warmer.wait_cycles(1)
        of = lambda name: metric(admin, f"hotshelf_warmer_{name}")
        wait(lambda: of("log_lines_total") >= count, f"{count} lines of the log", LIMIT)
        written, since, end = -1, time.monotonic(), time.monotonic() + MOST_SECONDS
        while time.monotonic() < min(since + STILL_SECONDS, end):
            now = of("written_entries_total")
            if now != written:
                written, since = now, time.monotonic()
            time.sleep(0.2)
        written = of("written_entries_total")
        pid, at, before, ranks = warmer.process.pid, len(warmer.cycles), cpu(warmer.process.pid), []
        end = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < end:
            ranks.append(of("last_cycle_rank_seconds") - of("last_cycle_changes_seconds"))
            time.sleep(1)
        cycles = max(1, len(warmer.cycles) - at)
        return {"log_kb_per_line": log.stat().st_size / count / 1e3, "rank_ms": statistics.median(ranks) * 1e3,
                "cycle_cpu_ms": (cpu(pid) - before) / cycles * 1e3, "learned_mb": resident_mb(pid),
                "kept": of("answers_kept"), "made_again": (of("written_entries_total") - written) / cycles, "plan_kb": int(shop.redis.command("strlen", "hs:1:status:plan")) / 1e3,
                "redis_mb": shop.redis_info("used_memory") / 1e6,
                "state_mb": sum(file.stat().st_size for file in (shop.folder / "state").glob("*")) / 1e6}
    finally:
        warmer.stop()


def users(shop, counts, seconds):
    """Figures by the number of users, who ask as `loadtest run` has them by default."""
    shop.redis.command("flushall")
    program, settings, _ = shop.warmer("5m")
    warmer = daemon.Warmer(program, settings, shop.environment)
    try:
        warmer.wait_cycles(1)
        gateway, rows = Gateway(shop, "users", True), []
        # What few ask for is asked for once before.
        load(shop, gateway, warmer, 100, 10)
        for count in counts:
            print(f"  {count} users …", flush=True)
            rows.append((count, load(shop, gateway, warmer, count, seconds)))
        gateway.stop()
        return rows
    finally:
        warmer.stop()


def load(shop, gateway, warmer, count, seconds):
    file, redis = shop.folder / "load.json", shop.redis.process.pid
    pids = gateway.pid, redis, warmer.process.pid
    before, logged = [cpu(pid) for pid in pids], size(gateway.log)
    subprocess.run([shop.program("loadtest"), "run", "--users", str(count), "--ramp", f"{max(1, seconds // 5)}s", "--duration", f"{seconds}s",
                    "--url", f"http://127.0.0.1:{gateway.port}", "--json", file, "--output", "json"], env=shop.environment, check=True,
                   timeout=LIMIT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used = [cpu(pid) - past for pid, past in zip(pids, before)]
    with open(file, encoding="utf-8") as text:
        report = json.load(text)
    # The log is written after the answer.
    time.sleep(0.5)
    totals, percentiles = report["totals"], dict(report["latency"]["percentiles"])
    requests = totals["requests"]
    return {"requests_per_s": totals["per_second"], "per_user_minute": requests / count / seconds * 60, "success": totals["success_percent"],
            "hit": totals["hit_percent"], "p50_ms": percentiles[50.0], "p99_ms": percentiles[99.0],
            "gateway_us": used[0] / requests * 1e6, "redis_us": used[1] / requests * 1e6, "warmer_us": used[2] / requests * 1e6,
            "near": report["outcomes"].get("near", 0) / requests * 100, "gateway_cores": used[0] / report["seconds"],
            "redis_cores": used[1] / report["seconds"], "warmer_cores": used[2] / report["seconds"], "gateway_mb": resident_mb(gateway.pid),
            "log_bytes": (size(gateway.log) - logged) / requests, "body_kb": totals["bytes"] / requests / 1e3}


def size(path):
    return path.stat().st_size if path.exists() else 0


def idle(shop, counts):
    """Memory of a gateway by connections that have asked once and keep quiet."""
    gateway, rows = Gateway(shop, "idle-connections", True), []
    most = max(counts) + 200
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < most:
        if hard != resource.RLIM_INFINITY and hard < most:
            raise SystemExit(f"error: {max(counts)} connections need {most} open files, and the limit is {hard}; raise it (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    with contextlib.ExitStack() as stack:
        made = 0
        for count in sorted(counts):
            for _ in range(count - made):
                one = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 30))
                one.sendall(b"GET /v1/metrics/overview HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n")
                if b" 200 " not in one.recv(65536)[:20]:
                    raise SystemExit(f"error: a connection beside {made} others got no 200")
                made += 1
            rows.append((count, {"idle_mb": resident_mb(gateway.pid)}))
    gateway.stop()
    return rows
