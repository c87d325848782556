"""Hotshelf beside its peers: tables, a picture, goals; see scripts/bench-peers.

All that is compared takes its turn in each round, forth and back; ratios are those within each round. What each part found
stays in target/peers/PART.json, from which the picture is drawn.
"""
import argparse
import contextlib
import datetime
import gzip
import importlib.metadata
import json
import os
import pathlib
import pickle
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import duckdb

import computing
import peers_picture
import serving
import views
import warming
from goals import finish, goal
from servers import free_port, program, servers

OUT = pathlib.Path("target/peers")
LINES = "target/bench/orders.parquet"
FLASK, FLASKS = "Flask + Waitress, 16 threads", "Flask + Waitress, two processes"
CELLS = "Hotshelf: all cells"
ONCE, COPY, VIEW = "`warmer once`", "binary COPY, one connection", "materialized views"
# Rounds within one process of the computing part, after one that warms up.
WITHIN = 2
LIMIT = 1800


def part(name, unit, rows, columns=()):
    """What a part found: of each row its values, and how many times as fast it was as the first of ours in each round."""
    return {"part": name, "unit": unit, "date": str(datetime.date.today()), "rows": rows, "columns": list(columns)}


def row(name, values, speed, *extra):
    return {"name": name, "values": values, "speed": speed, "extra": list(extra)}


def serve(bin_folder, folder, rounds):
    programs = {name: f"{bin_folder}/{name}" for name in ("loadtest", "warmer", "gateway")}
    with servers(folder, "shared_buffers=512MB") as (psql, url, redis_port), contextlib.ExitStack() as stack:
        environment = {"HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
        shop = serving.shop(programs, folder, environment, psql, redis_port, stack)
        targets = serving.targets(f"{bin_folder}/serve", folder, shop, stack)
        targets |= flask(folder, shop, stack)
        alike(shop, targets)
        found = serving.measured(targets, folder, rounds)
    rows = []
    for name, measured in found.items():
        of = lambda key: statistics.median(one[key] for one in measured)
        rows.append(row(name, [one["rps"] for one in measured], serving.ratios(found, name, serving.NEAR),
                        f"{statistics.median(serving.ratios(found, name, serving.FAR)):.2f}", f"{of('p50'):.2f}", f"{of('p99'):.2f}",
                        f"{of('size'):,.0f}"))
    goal("near_vs_flask", round(statistics.median(serving.ratios(found, serving.NEAR, FLASK)), 1), ">=", 20)
    return part("serving", "requests/s", rows, ("of from Redis", "p50 ms", "p99 ms", "bytes"))


def flask(folder, shop, stack):
    """The stack that was replaced, with one process and with two that share a port."""
    serving.feed(shop.redis_port, (
        (f"flask:{path}", gzip.compress(pickle.dumps(json.loads(plain(body))), 6))
        for path, (_, _, body) in zip(shop.paths, shop.bodies)))
    found = {}
    for name, processes in ((FLASK, 1), (FLASKS, 2)):
        port = free_port()
        command = [sys.executable, str(HERE / "flask_stack.py"), str(port), str(shop.redis_port)]
        for number in range(processes):
            stack.callback(serving.Server(command, port, folder, f"flask-{processes}-{number}").stop)
        found[name] = (port, f"{folder}/gateway.txt")
    return found


def plain(body):
    """Short bodies are not compressed."""
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def alike(shop, targets):
    """Those with a body for each question have the gateway's."""
    for name, path, equal in (
            (serving.WEBDIS, lambda number: f"/GET/bench:{number}.raw",
             # Within what Redis' protocol puts around it.
             lambda got, body: got == b"$%d\r\n%s\r\n" % (len(body), body)),
            (serving.LUA, lambda number: f"/q/{number}", lambda got, body: got == body),
            (FLASK, shop.paths.__getitem__, lambda got, body: plain(got) == plain(body) + b"\n")):
        port = targets[name][0]
        serving.wait(lambda: serving.ready(port, path(0)), f"{name} on port {port}")
        for number in range(0, len(shop.paths), len(shop.paths) // 200):
            status, _, got = serving.get(port, path(number))
            if status != 200 or not equal(got, shop.bodies[number][2]):
                sys.exit(f"error: {name} answers {path(number)} with status {status} and another body than the gateway; see "
                         f"scripts/bench/peers.py, `alike`")


def compute(bin_folder, folder, rounds):
    seconds, parts = {name: [] for name in (CELLS, *computing.ENGINES)}, {}
    for name in computing.ENGINES:
        os.mkdir(f"{folder}/{name}")
    for number in range(rounds):
        for name in list(seconds)[::-1 if number % 2 else 1]:
            if name == CELLS:
                one = computing.rust([f"{bin_folder}/compute"], LINES, WITHIN, folder)
            else:
                one = engine(name, f"{folder}/{name}")
                parts.setdefault(name, []).append(one)
            seconds[name].append(one["seconds"])
            print(f"round {number + 1}: {name} {statistics.median(one['seconds']):.3f} s", flush=True)
    connection, rows = duckdb.connect(), []
    for name, of in seconds.items():
        speed = [statistics.median(ours) / statistics.median(theirs) for ours, theirs in zip(seconds[CELLS], of)]
        differ = "" if name == CELLS else sum(
            computing.compare(connection, f"{folder}/{kind}.csv", f"SELECT * FROM '{folder}/{name}/{kind}.parquet'", kind)
            for kind in ("channels", "products"))
        label = name if name == CELLS else f"{name} {importlib.metadata.version(name.lower())}"
        rows.append(row(label, [one for each in of for one in each], speed, str(differ)))
        if name != CELLS:
            goal(f"compute_vs_{name.lower()}", round(statistics.median(speed), 3), "<=", 0.7)
    goal("compute_different_rows", sum(int(one["extra"][0] or 0) for one in rows), "<=", 0)
    for name, ended in parts.items():
        of = {step: statistics.median(one for each in ended for one in each["parts"][step]) for step in ended[0]["parts"]}
        print(f"{name}: " + "; ".join(f"{step} {value:.3f} s" for step, value in of.items()))
    return part("computing", "s", rows, ("rows that differ",))


def engine(name, folder):
    command = [sys.executable, str(HERE / "computing.py"), name, LINES, str(WITHIN), folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    if done.returncode:
        sys.exit(f"error: {name} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def warm(bin_folder, folder, rounds):
    warmer = f"{bin_folder}/warmer"
    seconds, each = {ONCE: [], COPY: [], VIEW: []}, {}
    with servers(folder, "shared_buffers=1GB", "max_wal_size=8GB") as (psql, url, redis_port):
        redis_cli = [program("redis-cli"), "-p", str(redis_port)]
        environment = {**os.environ, "HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
        warming.imported(warmer, LINES, psql, environment)
        views.make(psql)

        def refreshed():
            total, of = views.refreshed(psql)
            for view, value in of.items():
                each.setdefault(view, []).append(value)
            return total

        steps = {ONCE: lambda: warming.warmed(warmer, environment, redis_cli)[0], COPY: lambda: warming.copied(psql), VIEW: refreshed}
        for number in range(rounds + 1):
            for name in list(steps)[::-1 if number % 2 else 1]:
                one = steps[name]()
                print(f"round {number}: {name} {one:.2f} s", flush=True)
                if number:  # the first round warms up
                    seconds[name].append(one)
        for kind in views.VIEWS:
            views.export(psql, kind, f"{folder}/{kind}-view.csv")
    computing.rust([f"{bin_folder}/compute"], LINES, 1, folder)
    connection = duckdb.connect()
    differ = sum(computing.compare(connection, f"{folder}/{kind}.csv",
                                   f"SELECT * FROM read_csv('{folder}/{kind}-view.csv', header=true, nullstr='\\0', "
                                   f"types={{'store_id': 'VARCHAR', 'ch': 'VARCHAR'{extra}}})", kind)
                 for kind, extra in (("channels", ""), ("products", ", 'key': 'VARCHAR', 'name': 'VARCHAR'")))
    print("\nof the views: " + "; ".join(f"{view} {statistics.median(of):.2f} s" for view, of in each.items()))
    speed = {name: [ours / theirs for ours, theirs in zip(seconds[ONCE], of)] for name, of in seconds.items()}
    goal("warm_vs_copy", round(statistics.median(speed[COPY]), 3), "<=", 1.5)
    goal("warm_vs_views", round(statistics.median(speed[VIEW]), 3), "<=", 1)
    goal("views_different_rows", differ, "<=", 0)
    return part("warming", "s", [row(name, of, speed[name], str(differ) if name == VIEW else "") for name, of in seconds.items()],
                ("rows that differ",))


PARTS = {"serving": (serve, serving.ROUNDS), "computing": (compute, 5), "warming": (warm, 5)}


def cells(found):
    """The table of a part: its head and its rows as texts."""
    digits = 0 if found["unit"] == "requests/s" else 3
    head = ["", f"{found['unit']}, median", "min", "max", "× Hotshelf's speed", "min", "max", *found["columns"]]
    rows = []
    for one in found["rows"]:
        of = [f"{f(one['values']):,.{digits}f}" for f in (statistics.median, min, max)]
        of += [f"{f(one['speed']):.3g}" for f in (statistics.median, min, max)]
        rows.append([one["name"], *of, *one["extra"]])
    return head, rows


def text(found):
    head, rows = cells(found)
    widths = [max(len(line[at]) for line in (head, *rows)) for at in range(len(head))]
    return "\n".join("  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(zip(line, widths)))
                     for line in (head, *rows))


def markdown(found):
    head, rows = cells(found)
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in (head, ["---"] * len(head), *rows))


def write(path, found):
    """Puts a part's table between its comments in a document."""
    start, end = f"<!-- peers {found['part']}, written by scripts/bench-peers --write -->", f"<!-- peers {found['part']} end -->"
    before = path.read_text(encoding="utf-8")
    if before.count(start) != 1 or before.count(end) != 1:
        sys.exit(f"error: {path} must have the lines {start} and {end} once each, for the table to stand between; put them there")
    head, rest = before.split(start)
    body = f"{start}\n{markdown(found)}\n\nMeasured on {found['date']}, {found['rounds']} rounds.\n{end}"
    path.write_text(head + body + rest.split(end)[1], encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-peers", description="Hotshelf beside its peers")
    parser.add_argument("bin", metavar="BIN")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.rounds is not None and not 1 <= options.rounds <= 100:
        parser.error(f"--rounds {options.rounds}: 1 to 100")
    chosen = [options.only] if options.only else list(PARTS)
    need = {"gateway", "warmer", "loadtest", "serve"} if "serving" in chosen else {"warmer"}
    need |= {"compute"} if {"computing", "warming"} & set(chosen) else set()
    if missing := sorted(name for name in need if not os.access(f"{options.bin}/{name}", os.X_OK)):
        sys.exit(f"error: {options.bin} lacks {', '.join(missing)}; without BIN they are built")
    # Ends as an interrupt does: servers are stopped, folders removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not os.path.exists(LINES) and chosen != ["serving"]:
        subprocess.run([f"{options.bin}/loadtest", "generate", "--stores", "100", "--days", "30", "--lines", "30000", "--out", LINES],
                       check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
    for name in chosen:
        measure, rounds = PARTS[name]
        folder = tempfile.mkdtemp(prefix=f"hotshelf-peers-{name}-", dir=os.environ.get("TMPDIR", "/tmp"))
        try:
            found = measure(options.bin, folder, options.rounds or rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found["rounds"] = options.rounds or rounds
        (OUT / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(f"\n{text(found)}\n", flush=True)
        if options.write:
            write(pathlib.Path("docs/performance.md"), found)
    results = [json.loads((OUT / f"{name}.json").read_text(encoding="utf-8")) for name in PARTS if (OUT / f"{name}.json").exists()]
    picture = pathlib.Path("docs/images/peers.svg") if options.write else OUT / "peers.svg"
    peers_picture.draw(results, picture)
    print(f"the picture is {picture}")
    finish()


main()
