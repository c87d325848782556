"""What Hotshelf costs by stores, lines, questions and users, how it grows, and what that comes to for large ones; see scripts/bench-scale."""
import argparse
import json
import os
import pathlib
import platform
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import scale_page
import scale_stores
import scale_users
from scale_figures import FIGURES, OF_IDLE, OF_QUESTIONS, OF_USERS, extended, fits, goals, growth, points
from scale_fits import at, linear
from scale_shop import DAYS, Shop

SWEEPS = ("stores", "lines", "questions", "users")
# The shop on which questions and users are measured.
SHOP = (100, 3_000)
FAR = [(100, 30_000), (1_000, 30_000), (10_000, 30_000)]
USERS = 10_000


def numbers(text):
    try:
        found = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers such as 10,30,100")
    return sorted(set(found))


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench-scale", formatter_class=argparse.ArgumentDefaultsHelpFormatter,
                                     description="What Hotshelf costs by stores, lines, questions and users, and whether anything grows faster.")
    parser.add_argument("bin", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--stores", type=numbers, default="10,30,100,300,1000", metavar="N,…", help="sizes of the sweep over stores")
    parser.add_argument("--lines", type=int, default=3_000, metavar="N", help=f"lines per store in {DAYS} days in that sweep")
    parser.add_argument("--lines-sweep", type=numbers, default="1000,3000,10000,30000", metavar="N,…", help="lines per store in the sweep over lines")
    parser.add_argument("--lines-stores", type=int, default=30, metavar="N", help="stores in that sweep")
    parser.add_argument("--questions", type=numbers, default="1000,10000,100000", metavar="N,…", help="different questions in the access log")
    parser.add_argument("--users", type=numbers, default="30,100,300,1000,2000", metavar="N,…", help="virtual users")
    parser.add_argument("--seconds", type=int, default=15, help="how long each number of users asks")
    parser.add_argument("--connections", type=numbers, default="100,1000,5000", metavar="N,…", help="idle connections")
    parser.add_argument("--only", choices=SWEEPS, nargs="+", default=SWEEPS, help="these sweeps only")
    parser.add_argument("--results", type=pathlib.Path, default="target/bench/scale.json", metavar="FILE", help="where what was measured is kept")
    parser.add_argument("--saved", action="store_true", help="measure nothing: tables, goals and page from --results")
    parser.add_argument("--write", action="store_true", help="write tables and fits into docs/scaling.md, and the picture beside it")
    return parser.parse_args()


def measure(options):
    """Everything that was measured; kept in a file as it comes, so that an end before the end loses little."""

    def keep():
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(found, indent=1))

    found = {"machine": f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}", "date": time.strftime("%Y-%m-%d"),
             "by_stores": [], "by_lines": [], "by_questions": [], "by_users": [], "by_idle": []}
    sizes = []
    if "stores" in options.only:
        sizes += [("by_stores", stores, options.lines) for stores in options.stores]
    if "lines" in options.only:
        sizes += [("by_lines", options.lines_stores, lines) for lines in options.lines_sweep]
    known = {}
    for sweep, stores, lines in sizes:
        if (stores, lines) not in known:
            print(f"{scale_stores.sizes(stores, lines)} …", flush=True)
            start = time.monotonic()
            with Shop(options.bin, stores, lines) as shop:
                known[stores, lines] = {"stores": stores, "lines": lines, **scale_stores.measure(shop)}
            print(f"  took {time.monotonic() - start:.0f} s", flush=True)
        found[sweep].append(known[stores, lines])
        keep()
    if {"questions", "users"} & set(options.only):
        print(f"{scale_stores.sizes(*SHOP)}: questions and users …", flush=True)
        with Shop(options.bin, *SHOP) as shop:
            shop.watch_changes()
            if "questions" in options.only:
                found["by_questions"] = scale_users.questions(shop, options.questions)
                keep()
            if "users" in options.only:
                found["by_users"] = scale_users.users(shop, options.users, options.seconds)
                found["by_idle"] = scale_users.idle(shop, options.connections)
                keep()
    return found


def figure(value):
    """Three digits that say something."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def power(grown):
    return f"{grown[0]:.2f} ± {grown[1]:.2f}" if grown else ""


def tables(found):
    """(title, heads, rows) of everything, as texts."""
    made = []
    for sweep, key, column, title in (("by_stores", "stores", 2, "stores, {lines} lines each in 30 days"),
                                      ("by_lines", "lines", 3, "lines per store in 30 days, {stores} stores")):
        rows = found[sweep]
        if rows:
            of = lambda row: row[key]
            table = [(entry[1], *(figure(row[entry[0]]) for row in rows), power(growth(points(rows, entry[0], of), entry[column])))
                     for entry in FIGURES]
            made.append((title.format(**rows[0]), ["", *(f"{row[key]:,}" for row in rows), "exponent"], table))
    for sweep, names, title in (("by_questions", OF_QUESTIONS, "different questions"), ("by_users", OF_USERS, "users"),
                                ("by_idle", OF_IDLE, "idle connections")):
        rows = found[sweep]
        if rows:
            made.append((title, ["", *(f"{count:,}" for count, _ in rows)],
                         [(label, *(figure(row[name]) for _, row in rows)) for name, label in names]))
    made += [table for table in (fitted(found), far_users(found)) if table]
    return made


def fitted(found):
    made = fits(found["by_stores"], found["by_lines"]) if found["by_stores"] and found["by_lines"] else {}
    rows = []
    for name, label, *_ in FIGURES:
        if name in made:
            each, off = made[name]
            rows.append((label, figure(each[0]), figure(each[1] * 1000) if each[1] else "", figure(each[2] * 1e6) if each[2] else "",
                         figure(each[3] * 1e3) if each[3] else "",
                         f"{off:.0%}", *(figure(extended(made[name], *size)) for size in FAR)))
    heads = ["", "fixed", "1,000 stores", "million lines", "1,000 lines of each", "off by", *(f"{stores:,} × {lines // 1000}k" for stores, lines in FAR)]
    return ("fitted and extended", heads, rows) if rows else None


def far_users(found):
    """What users come to for many more, by the lines through those that were measured."""
    if not found["by_users"]:
        return None
    _, most = found["by_users"][-1]
    rate = most["per_user_minute"] * USERS / 60

    def cores(name):
        each, _ = linear([((1, count), row[name]) for count, row in found["by_users"]], (1, 100))
        return figure(at(each, (1, USERS)))

    rows = [("requests per second", figure(rate)), ("gateways, cores", cores("gateway_cores")), ("Redis, cores", cores("redis_cores")),
            ("warmer for what was asked, cores", cores("warmer_cores")), ("sent, MB/s", figure(rate * most["body_kb"] / 1e3)),
            ("access logs in 10 hours, GB", figure(rate * most["log_bytes"] * 36_000 / 1e9))]
    if len(found["by_idle"]) > 1:
        (few, before), *_, (many, after) = found["by_idle"]
        each = (after["idle_mb"] - before["idle_mb"]) / (many - few)
        rows.append(("a connection, kB", figure(each * 1e3)))
        rows.append(("all connections, MB", figure(each * USERS)))
    return f"extended to {USERS:,} users", ["", f"{USERS:,} users"], rows


def show(title, heads, rows):
    first = max(len(row[0]) for row in [heads, *rows]) + 2
    widths = [max(len(row[n]) for row in [heads, *rows]) + 2 for n in range(1, len(heads))]
    print(f"\n{title}\n")
    for row in [heads, *rows]:
        print(f"{row[0]:{first}}" + "".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths)))


def main():
    options = arguments()
    # So that an end from outside cleans up, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by a signal"))
    if options.saved:
        if not options.results.exists():
            sys.exit(f"error: {options.results} is missing; run without --saved first, or name the file with --results")
        found = json.loads(options.results.read_text())
    else:
        missing = [name for name in ("warmer", "gateway", "loadtest") if not (options.bin / name).exists()]
        if missing:
            sys.exit(f"error: {options.bin} has no {', '.join(missing)}; name a folder of built programs with BIN, or leave it out")
        found = measure(options)
    made = tables(found)
    for table in made:
        show(*table)
    print("\nGoals: exponents less their errors.\n")
    failed = False
    for name, value, limit in goals(*(found[f"by_{sweep}"] for sweep in (*SWEEPS, "idle"))):
        failed |= value > limit
        print(f"goal {name} {value} <= {limit} {'missed' if value > limit else 'met'}")
    if options.write:
        scale_page.write(found, made)
    sys.exit(1 if failed else 0)


main()
