"""What heat costs, and hit rates of `warmer simulate` against libCacheSim, an independent simulator.

Two traces are made here, from seeds: one like a web site's (Zipf, favourites that drift, visits to everything once) and
one like an ORM's (recurring loops over tables among random look-ups). One parameter set for all traces.
"""
import gzip
import json
import multiprocessing
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from goals import finish, goal, goals

SHARES = (0.01, 0.05, 0.2)
# Online policies of libCacheSim. Left out: LFUDA, which does not end on some traces, and those that train a model (LRB,
# 3LCache, GLCache), which take minutes for a million requests.
POLICIES = ("LRU", "LFU", "ARC", "SLRU", "S3FIFO", "Sieve", "WTinyLFU", "LHD", "TwoQ", "LIRS", "LeCaR", "Cacheus",
            "Hyperbolic", "GDSF", "MQ", "Clock", "ClockPro", "Clock2QPlus", "LRUK")
SECONDS = 300
OURS = ("LRU", "LFU", "top by count")


def web_like(numbers):
    """200,000 requests, Zipf of exponent 0.9 over 20,000 pages; every 2,000 requests 20 ranks go to pages never seen
    before, and every 20,000 requests somebody reads 3,000 pages one after the other."""
    pages = list(range(20_000))
    weights, total = [], 0.0
    for rank in range(len(pages)):
        total += (rank + 1) ** -0.9
        weights.append(total)
    fresh, visited, keys = len(pages), 0, []
    while len(keys) < 200_000:
        keys += (pages[rank] for rank in numbers.choices(range(len(pages)), cum_weights=weights, k=2_000))
        for _ in range(20):
            pages[int(len(pages) ** numbers.random()) - 1] = fresh
            fresh += 1
        if len(keys) % 20_000 < 2_000:
            keys += range(1_000_000 + visited, 1_003_000 + visited)
            visited += 1_500
    return keys[:200_000]


def orm_like(numbers):
    """300,000 requests: programs that read rows of their table in the same order again and again, for a while, and look
    up rows of others at random in between."""
    tables = [range(start, start + numbers.choice((50, 200, 800, 3_000))) for start in range(0, 400_000, 10_000)]
    keys = []
    while len(keys) < 300_000:
        table = tables[int(len(tables) ** numbers.random()) - 1]
        for _ in range(numbers.randint(1, 6)):
            for row in table:
                keys.append(row)
                if numbers.random() < 0.3:
                    other = numbers.choice(tables)
                    keys.append(other[int(len(other) ** numbers.random()) - 1])
    return keys[:300_000]


def written(folder, name, keys):
    path = os.path.join(folder, name + ".csv")
    with open(path, "w") as file:
        file.write("seq,key\n")
        file.writelines(f"{number},{key}\n" for number, key in enumerate(keys))
    return path


def numbered(path, folder):
    """The trace as libCacheSim reads it: keys as numbers, all of one size."""
    numbers = {}
    target = os.path.join(folder, "numbered.csv")
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as source, open(target, "w") as file:
        file.write("time,key,size\n")
        count = 0
        for line in source:
            seq, key = line.rstrip("\r\n").split(",", 1)
            if seq == "seq":
                continue
            file.write(f"{count},{numbers.setdefault(key, len(numbers) + 1)},1\n")
            count += 1
    return target


def replay(path, policy, entries, answer):
    """In a process of its own: it writes to both outputs, and may not end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    import libcachesim
    fields = libcachesim.ReaderInitParam(ignore_obj_size=True, has_header=True, delimiter=",")
    fields.time_field, fields.obj_id_field, fields.obj_size_field = 1, 2, 3
    reader = libcachesim.TraceReader(path, libcachesim.TraceType.CSV_TRACE, fields)
    misses, _ = getattr(libcachesim, policy)(entries).process_trace(reader)
    answer.send(1 - misses)


def independent(path, entries):
    """Hit rates of libCacheSim's policies; those that fail or do not end have none."""
    rates = {}
    for policy in POLICIES:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=replay, args=(path, policy, entries, sender))
        process.start()
        sender.close()
        try:
            rates[policy] = receiver.recv() if receiver.poll(SECONDS) else None
        except EOFError:
            rates[policy] = None
        if rates[policy] is None:
            process.kill()
        process.join()
    return rates


def simulate(warmer, path):
    shares = ",".join(f"{share:.0%}" for share in SHARES)
    done = subprocess.run([warmer, "simulate", "--trace", path, "--budget", shares, "--output", "json"], check=True,
                          stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def compare(warmer, name, path, folder, available):
    report = simulate(warmer, path)
    print(f"\n{name}: {report['requests']} requests, {report['distinct']} distinct keys")
    sheet, columns = numbered(path, folder) if available else None, {}
    for budget in report["budgets"]:
        share = f"{budget['share']:.0%}"
        ours = {policy["policy"]: policy["hit_rate"] for policy in budget["policies"]}
        theirs = independent(sheet, budget["entries"]) if available else {}
        columns[share] = {**ours, **{f"libCacheSim {policy}": rate for policy, rate in theirs.items()}}
        place = f"{name}_{share.rstrip('%')}"
        for other in OURS:
            goal(f"{place}_over_{other.replace(' ', '_').lower()}", round(ours["hotshelf"] - ours[other], 4), ">=", 0)
        ended = {policy: rate for policy, rate in theirs.items() if rate is not None}
        if ended:
            best = max(ended, key=ended.get)
            goal(f"{place}_over_best_libcachesim_{best.lower()}", round(ours["hotshelf"] - ended[best], 4), ">=", -0.01)
            # Two simulators of the same policy: that the replays compare at all.
            if "LRU" in ended:
                goal(f"{place}_lru_differs", round(abs(ours["LRU"] - ended["LRU"]), 4), "<=", 0.0001)
        else:
            goals.append((f"goal {place}_over_best_libcachesim skipped: PyPI libcachesim 0.3.5 cannot be used here", True))
    print(f"{'':24}" + "".join(f"{share + ' = ' + str(budget['entries']):>14}"
                                for share, budget in zip(columns, report["budgets"])))
    for policy in next(iter(columns.values())):
        rates = [columns[share][policy] for share in columns]
        print(f"{policy:24}" + "".join(f"{'none':>14}" if rate is None else f"{rate:14.4f}" for rate in rates))


def costs(bench):
    def measured(name):
        return json.loads(subprocess.run([bench, name, "--bench"], check=True, stdout=subprocess.PIPE, text=True).stdout)

    rank, heat, keeper, period = (measured(name) for name in ("rank", "heat", "keeper", "period"))
    print(f"{rank['lines']} log lines, one thread, seconds of the processor, {len(rank['heat'])} rounds")
    print(f"{'':44}{'median':>10}{'min':>9}{'max':>9}")
    rows = (("read", "read"), ("read, recorded per store and question, ranked", "heat"),
            ("all that the daemon learns, ranked", "interest"))
    for name, key in rows:
        times = rank[key]
        print(f"{name:44}{statistics.median(times):10.3f}{min(times):9.3f}{max(times):9.3f}")
    megabytes = lambda result: round(result["peak"] / 1e6, 1)
    print(f"\npeak memory after {heat['distinct']} distinct questions: Heat of {heat['kept']}: {megabytes(heat)} MB; Keeper of "
          f"{keeper['budget']} ({keeper['watched']} watched): {megabytes(keeper)} MB; the process before: "
          f"{heat['before'] / 1e6:.1f} MB")
    ends = period["milliseconds"]
    print(f"end of a period of Keeper, {period['watched']} to {period['watched_at_most']} watched keys, {len(ends)} of them: "
          f"median {statistics.median(ends):.1f} ms, max {max(ends):.1f} ms")
    goal("rank_1m_lines_s", round(statistics.median(rank["heat"]), 3), "<", 2)
    goal("heat_10m_distinct_mb", megabytes(heat), "<", 64)
    goal("keeper_10m_distinct_mb", megabytes(keeper), "<", 64)
    goal("keeper_period_end_ms", round(statistics.median(ends), 1), "<", 50)


def main():
    bench, warmer, traces = sys.argv[1], sys.argv[2], sys.argv[3:]
    try:
        import libcachesim  # noqa: F401
        available = True
    except ImportError:
        available = False
    costs(bench)
    with tempfile.TemporaryDirectory() as folder:
        made = [("web_like", web_like), ("orm_like", orm_like)]
        named = [(name, written(folder, name, make(random.Random(1)))) for name, make in made]
        named += [(os.path.basename(path).split(".")[0], path) for path in traces]
        for name, path in named:
            compare(warmer, name, path, folder, available)
    print()
    finish()


main()
