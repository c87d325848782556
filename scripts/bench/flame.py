"""Flame graphs of the gateway under wrk; see scripts/flame."""
import argparse
import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import serving
from servers import program, servers

# Not a divisor of anything that ticks.
RATE = 499
LIMIT = 600
# Bytes of the stack that each sample takes along, all that perf can: futures within futures fill more than the usual 8 KiB.
STACK = 65528
# The period of a sample, in nanoseconds, as perf counts them.
PERIOD = 1_000_000_000 // RATE
# Threads that do the same are one.
NUMBER = re.compile(r"-\d+$")
# What a name need not say: the hash of a function, and types within types.
HASH = re.compile(r"::h[0-9a-f]{16}")
GENERIC = re.compile(r"<[^<>]*>")
# A name's own words come last; what leads to them repeats its frames.
LONGEST = 60


def folded(lines):
    """Stacks by their count, with names cut to what tells them apart."""
    stacks = collections.Counter()
    for line in lines:
        stack, count = line.rsplit(" ", 1)
        thread, *names = stack.split(";")
        stacks[";".join((NUMBER.sub("", thread), *(short(name) for name in names)))] += round(int(count) / PERIOD)
    return stacks


def short(name):
    name = HASH.sub("", name)
    # <A as B>::f is A::f; what else is between brackets is left out.
    name = re.sub(r"^<(.+?) as .+>::", r"\1::", name)
    while (found := GENERIC.sub("", name)) != name:
        name = found
    return name if len(name) <= LONGEST else "…" + name[-LONGEST:]


def profile(tools, folder, server, requests, name, seconds, out):
    """Records one gateway while wrk asks, and draws it."""
    data = f"{folder}/{name}.data"
    load = subprocess.Popen([program("wrk"), "-t2", f"-c{serving.CONNECTIONS}", f"-d{seconds + 4}s", "-s", f"{folder}/wrk.lua",
                             f"http://127.0.0.1:{server.port}", "--", requests], stdout=subprocess.DEVNULL)
    try:
        time.sleep(2)
        # Without frame pointers perf unwinds by the tables of the program, from a copy of the stack.
        done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(RATE), "--call-graph",
                               f"dwarf,{STACK}", "-p", str(server.process.pid), "-o", data, "--", "sleep", str(seconds)],
                              capture_output=True, text=True, timeout=seconds + 60)
    finally:
        load.terminate()
        load.wait(60)
    if done.returncode:
        sys.exit(f"error: perf record: {done.stderr.strip()}; as root, or with kernel.perf_event_paranoid 1")
    with open(f"{folder}/{name}.txt", "wb") as file:
        subprocess.run(["perf", "script", "--no-inline", "-i", data], stdout=file, stderr=subprocess.DEVNULL, check=True, timeout=LIMIT)
    collapsed = subprocess.run([f"{tools}/inferno-collapse-perf", f"{folder}/{name}.txt"], check=True, capture_output=True, text=True,
                               timeout=LIMIT).stdout
    stacks = folded(collapsed.splitlines())
    total = sum(stacks.values())
    title = {"near": "gateway, near hits", "redis": "gateway, answers from Redis, near cache off"}[name]
    drawn = subprocess.run([f"{tools}/inferno-flamegraph", "--title", title, "--subtitle", f"{total} samples at {RATE} Hz",
                            "--colors", "rust", "--hash", "--width", "1200", "--minwidth", "0.5"],
                           input="".join(f"{stack} {count}\n" for stack, count in sorted(stacks.items())), check=True,
                           capture_output=True, text=True, timeout=LIMIT).stdout
    pathlib.Path(out, f"flame-{name}.svg").write_text(drawn, encoding="utf-8")
    pathlib.Path("target/flame").mkdir(parents=True, exist_ok=True)
    pathlib.Path(f"target/flame/{name}.folded").write_text(
        "".join(f"{stack} {count}\n" for stack, count in sorted(stacks.items())), encoding="utf-8")
    print(f"{out}/flame-{name}.svg: {total} samples, {len(drawn) // 1000} kB")
    top(stacks, total)


def top(stacks, total):
    """The functions with most samples of their own, and those that most samples are below."""
    own, below = collections.Counter(), collections.Counter()
    for stack, count in stacks.items():
        names = stack.split(";")
        own[names[-1]] += count
        for name in set(names):
            below[name] += count
    for heading, found in (("own time", own), ("with what it calls", below)):
        print(f"  {heading}:")
        for name, count in found.most_common(25):
            print(f"    {count / total:6.1%}  {name}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/flame")
    parser.add_argument("bin", metavar="BIN")
    parser.add_argument("tools", metavar="TOOLS")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--out", default="docs/images")
    options = parser.parse_args()
    if not 1 <= options.seconds <= 120:
        parser.error(f"--seconds {options.seconds}: 1 to 120")
    os.makedirs(options.out, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    programs = {name: f"{options.bin}/{name}" for name in ("loadtest", "warmer", "gateway")}
    folder = tempfile.mkdtemp(prefix="hotshelf-flame-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        with servers(folder, "shared_buffers=512MB") as (psql, url, redis_port), contextlib.ExitStack() as stack:
            environment = {"HOTSHELF_POSTGRES_URL": url, "HOTSHELF_REDIS_URL": f"redis://127.0.0.1:{redis_port}"}
            shop = serving.shop(programs, folder, environment, psql, redis_port, stack)
            listed = serving.requests(folder, shop, "gateway", shop.paths.__getitem__)
            for name, server in (("near", shop.near), ("redis", shop.far)):
                serving.wrk(server.port, listed, folder, 2)
                profile(options.tools, folder, server, listed, name, options.seconds, options.out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
