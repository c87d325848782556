"""How many instructions the hot paths take, against what is recorded; see scripts/bench-instructions.

callgrind counts what one function of the program `instructions` does, with each path in a process of its own. Counts do
not depend on how busy the machine is, and valgrind shows every x86-64 with AVX2 as the same processor, so that those of
one machine hold on another.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDED = ROOT / "instructions" / "counts.txt"
HEAD = """\
# Instructions of the hot paths for one walk, as scripts/bench-instructions counts them. After a change that is meant:
# scripts/bench-instructions --renew, and say in the commit why.
"""
# Measured: see "Instructions" in docs/performance.md.
MOST = 1.05
# Below this a path got so much better that it could get worse again unnoticed.
LEAST = 0.9
SECONDS = 180


def paths(program):
    """Names, and how many times each is walked."""
    listed = subprocess.run([program], check=True, capture_output=True, text=True, timeout=SECONDS).stdout
    return {name: int(times) for name, times in (line.split() for line in listed.splitlines())}


def count(program, name, times, folder):
    out = pathlib.Path(folder) / name
    # The size of the environment moves the stack, and with it how what is on it is copied.
    environment = {"PATH": "/usr/bin:/bin"}
    command = [shutil.which("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
               "--toggle-collect=*measured*", program, name]
    try:
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        sys.exit(f"error: {name} did not end under valgrind within {SECONDS} s; try it: {' '.join(command)}")
    if done.returncode != 0:
        sys.exit(f"error: {name} failed under valgrind (exit code {done.returncode}):\n{done.stderr}")
    total = re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)
    if not total or int(total[1]) == 0:
        sys.exit(f"error: callgrind counted nothing of {name}: is there still a function `measured` in instructions/src/main.rs?")
    return int(total[1]) // times


def recorded():
    lines = RECORDED.read_text().splitlines() if RECORDED.exists() else []
    return {name: int(number) for name, number in (line.split() for line in lines if line and line[0] != "#")}


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-instructions", description=__doc__.split(";")[0] + ".")
    parser.add_argument("program", help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", metavar="PATH", help="count only these (default: all)")
    parser.add_argument("--renew", action="store_true", help=f"write what is counted into {RECORDED.relative_to(ROOT)}")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.program)
    known = paths(program)
    for name in arguments.paths:
        if name not in known:
            sys.exit(f"error: {name} is no path; there are {', '.join(known)}")
    chosen = arguments.paths or list(known)
    with tempfile.TemporaryDirectory(prefix="hotshelf-instructions-") as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counted = dict(zip(chosen, pool.map(lambda name: count(program, name, known[name], folder), chosen)))
    before = recorded()
    print(f"{'path':20} {'instructions':>12} {'recorded':>12} {'ratio':>7}")
    for name, number in counted.items():
        of = before.get(name)
        print(f"{name:20} {number:12,} {f'{of:,}' if of else '-':>12} {f'{number / of:.3f}' if of else '-':>7}")
    if arguments.renew:
        kept = {name: number for name, number in {**before, **counted}.items() if name in known}
        RECORDED.write_text(HEAD + "".join(f"{name} {kept[name]}\n" for name in known if name in kept))
        print(f"written to {RECORDED.relative_to(ROOT)}")
        return
    missed = False
    for name, number in counted.items():
        limit = int(before.get(name, 0) * MOST)
        met = number <= limit
        missed |= not met
        print(f"goal instructions {name} {number} <= {limit} {'met' if met else 'missed'}")
    again = "scripts/bench-instructions --renew"
    for name in [name for name in counted if name not in before]:
        print(f"error: {name} is not recorded in {RECORDED.relative_to(ROOT)}; run {again} {name}", file=sys.stderr)
    for name in [name for name in before if name not in known]:
        missed = True
        print(f"error: {RECORDED.relative_to(ROOT)} has {name}, which is no path any more; run {again}", file=sys.stderr)
    for name in [name for name, number in counted.items() if number < before.get(name, 0) * LEAST]:
        print(f"note: {name} takes less than {LEAST} of what is recorded; keep the gain: {again} {name}")
    sys.exit(1 if missed else 0)


main()
