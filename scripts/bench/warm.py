"""Times `warmer once` over 3,000,000 lines in PostgreSQL against a plain binary COPY of the same columns, and what
`warmer run` does after it (daemon.py), in one run.

Uses servers of its own on free ports: PostgreSQL 15 or later and Redis from PATH or Debian's folders.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import daemon
from servers import free_port, program, servers
from warming import copied, imported, warmed

ROUNDS = 5


def main():
    warmer, gateway, orders = sys.argv[1:4]
    soak_minutes = float(sys.argv[4])
    folder = tempfile.mkdtemp(prefix="hotshelf-bench-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder, "shared_buffers=1GB", "max_wal_size=8GB") as (psql, url, redis_port):
            run(warmer, gateway, orders, folder, psql, url, redis_port, soak_minutes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(warmer, gateway, orders, folder, psql, url, redis_port, soak_minutes):
    redis_cli = [program("redis-cli"), "-p", str(redis_port)]
    environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
    lines = imported(warmer, orders, psql, environment)
    copies, warmings, report = [], [], None
    for number in range(ROUNDS + 1):
        copy = copied(psql)
        seconds, report = warmed(warmer, environment, redis_cli)
        if number:  # the first round warms up
            copies.append(copy)
            warmings.append(seconds)
    # The largest child is psql, the importing warmer or the warming one; run once more alone in a child of its own.
    peak = int(subprocess.run([sys.executable, "-c",
                               "import resource,subprocess,sys; subprocess.run(sys.argv[1:],check=True,"
                               "stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL);"
                               "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)", warmer, "once"],
                              check=True, env=environment, capture_output=True, text=True).stdout) // 1024
    memory = subprocess.run([*redis_cli, "info", "memory"], check=True, capture_output=True, text=True).stdout
    used = next(int(line.split(":")[1]) for line in memory.splitlines() if line.startswith("used_memory:")) / 1e6
    levels = {level["name"]: level for level in report["levels"]}
    hot_lines = lines // 5
    print(f"\n{lines} lines, {report['stores']} stores, median of {ROUNDS} rounds after a warm-up\n")
    print(f"{'':44}{'median s':>10}{'min':>9}{'max':>9}")
    for name, times in (("COPY of the cells' columns, one connection", copies), ("warmer once", warmings)):
        print(f"{name:44}{statistics.median(times):10.2f}{min(times):9.2f}{max(times):9.2f}")
    print(f"\n{'level':20}{'entries':>10}{'bytes':>14}")
    for name, level in levels.items():
        print(f"{name:20}{level['entries']:10}{level['bytes']:14}")
    per_line = levels["L1 orders"]["bytes"] / hot_lines
    print(f"\nsteps: {', '.join(f'{step} {seconds:.2f} s' for step, seconds in report['seconds'].items())}")
    print(f"L1: {per_line:.1f} bytes per line; peak memory of the warmer: {peak} MB; Redis: {used:.1f} MB\n")
    ratio = round(statistics.median(warmings) / statistics.median(copies), 3)
    measured = daemon.measure(warmer, gateway, psql, redis_cli, environment, folder, free_port(),
                              soak_minutes)
    goals = [("warm_vs_copy", ratio, "<=", 1.5), ("warmer_peak_mb", peak, "<", 600), ("redis_mb", round(used, 1), "<", 150)]
    goals += daemon.goals(statistics.median(warmings), *measured)
    failed = False
    for name, value, operator, limit in goals:
        met = value < limit if operator == "<" else value <= limit
        failed |= not met
        print(f"goal {name} {value} {operator} {limit} {'met' if met else 'missed'}")
    sys.exit(1 if failed else 0)


main()
