"""What `loadtest` tells beside what wrk tells, and of a server that stands still; see scripts/bench-load.

Both have 50 connections whose users think for 25 ms in the mean between an answer and the next request, so the rate follows from
that and is the same for both; wrk's own correction of latencies, which takes longer answers for omitted requests, then has nothing
to correct. The server is nginx, with one answer at once and one after 5 to 45 ms.

What each tool adds itself is seen with one user who does not think: with 50, wrk's timers, which have steps of a millisecond, send
bursts of requests that wait for each other.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from goals import finish, goal
from nginx import write_settings
from servers import children, free_port, program, wait

USERS, THINK_MS, SECONDS = 50, 25, 12
SHOWN = (50, 90, 99)
PERIOD, STALL, STALL_RATE, STALL_SECONDS = 10, 1, 200, 30
HTTP = """
  access_log off;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /constant {{ return 200 '{body}'; }}
    location /slow {{ content_by_lua_block {{
      ngx.sleep(0.005 + 0.04 * math.random())
      ngx.print('{body}')
    }} }}
  }}
"""
# As the users of loadtest think: exponentially, and nobody longer than five times the mean.
SCRIPT = """
function delay() return math.floor(math.min(-math.log(1 - math.random()), 5) * THINK + 0.5) end
function done(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(90), latency:percentile(99)))
end
"""


def wrk(url, script, think=THINK_MS, seconds=SECONDS, users=USERS):
    """Requests per second, and percentiles in milliseconds."""
    text = script.replace("THINK", str(think)) if think else script[script.index("function done"):]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([program("wrk"), "-t1", f"-c{users}", f"-d{seconds}s", "-s", file.name, url],
                              capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        sys.exit(f"error: wrk of {url} ended with {done.returncode}: {done.stderr[-500:]}")
    out = done.stdout
    count, microseconds, failed, *percentiles = [int(n) for n in re.search(r"^RESULT (.*)$", out, re.M).group(1).split()]
    if failed:
        sys.exit(f"error: {failed} of wrk's requests of {url} failed")
    return {"rate": count / microseconds * 1e6, **{p: us / 1e3 for p, us in zip(SHOWN, percentiles)}}


def loadtest(folder, url, *options, seconds=SECONDS):
    """The same of `loadtest run`, and its own account of how late it was."""
    base, path = re.match(r"(http://[^/]+)(/.*)", url).groups()
    done = subprocess.run([f"{folder}/loadtest", "run", "--url", base, "--path", path, "--duration", f"{seconds}s", "--output", "json",
                           "--expect", "success>=100%", *options], capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode:
        sys.exit(f"error: loadtest run of {url} ended with {done.returncode}: {done.stderr[-500:]}")
    report = json.loads(done.stdout)
    percentiles = dict((p, ms) for p, ms in report["latency"]["percentiles"])
    return {"rate": report["totals"]["per_second"], "late": dict(report["lateness"]["percentiles"]).get(99.0, 0.0),
            **{p: percentiles[p] for p in SHOWN}}


def agreement(bin_folder, url, rounds, users, think):
    """Rounds of both in turn, of users who think and so ask at a rate that follows from it."""
    options = ("--users", str(users), "--think", f"{think}ms", "--encoding", "plain")
    found = {"wrk": [], "loadtest": []}
    for number in range(rounds):
        both = [("wrk", lambda: wrk(url, SCRIPT, think, users=users)), ("loadtest", lambda: loadtest(bin_folder, url, *options))]
        for name, measure in both[::-1 if number % 2 else 1]:
            found[name].append(measure())
    return found


def table(title, found):
    """Prints medians and the ratios of each round; gives the medians of these."""
    figures = ("rate", *SHOWN)
    print(f"\n{title:32}{'requests/s':>12}" + "".join(f"{f'p{p} ms':>10}" for p in SHOWN))
    for name, rounds in found.items():
        print(f"{name:32}" + "".join(f"{statistics.median(one[f] for one in rounds):{12 if f == 'rate' else 10}.{1 if f == 'rate' else 3}f}"
                                     for f in figures))
    ratios = {f: [ours[f] / theirs[f] for ours, theirs in zip(found["loadtest"], found["wrk"])] for f in figures}
    for name, pick in (("loadtest ÷ wrk, median", statistics.median), ("lowest", min), ("highest", max)):
        print(f"{name:32}" + "".join(f"{pick(ratios[f]):{12 if f == 'rate' else 10}.3f}" for f in figures), flush=True)
    return {f: statistics.median(values) for f, values in ratios.items()}


def answers(port):
    with contextlib.suppress(OSError):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/constant")
        return client.getresponse().status == 200
    return False


class Stalls:
    """Holds a process for a second at the end of every ten seconds."""

    def __init__(self, pids):
        self.pids, self.over = pids, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(PERIOD - STALL):
            for number in (signal.SIGSTOP, signal.SIGCONT):
                for pid in self.pids:
                    os.kill(pid, number)
                if number == signal.SIGSTOP:
                    # It must go on in any case.
                    self.over.wait(STALL)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def stalls(bin_folder, url, nginx):
    """What each tells of the server that stands still."""
    workers = children(nginx.pid)
    measures = [
        (f"loadtest, open loop, {STALL_RATE}/s", lambda: loadtest(bin_folder, url, "--rate", str(STALL_RATE), seconds=STALL_SECONDS)),
        (f"loadtest, {USERS} users, no pause", lambda: loadtest(bin_folder, url, "--users", str(USERS), "--think", "0s", seconds=STALL_SECONDS)),
        (f"wrk, {USERS} connections, no pause", lambda: wrk(url, SCRIPT, 0, STALL_SECONDS)),
    ]
    print(f"\n{f'stands still {STALL} s in {PERIOD} s':36}{'requests/s':>12}" + "".join(f"{f'p{p} ms':>10}" for p in SHOWN))
    found = []
    for name, measure in measures:
        with Stalls(workers):
            found.append(measure())
        print(f"{name:36}{found[-1]['rate']:12.1f}" + "".join(f"{found[-1][p]:10.1f}" for p in SHOWN), flush=True)
    return found


def main():
    bin_folder, rounds = sys.argv[1], int(sys.argv[2])
    folder = tempfile.mkdtemp(prefix="hotshelf-load-", dir=os.environ.get("TMPDIR", "/tmp"))
    os.chmod(folder, 0o755)
    port = free_port()
    # As long as a usual answer, compressed.
    body = json.dumps({"data": "x" * 1_200, "meta": {}})
    settings = write_settings(folder, 1, HTTP.format(port=port, body=body))
    nginx = subprocess.Popen([program("nginx"), "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: answers(port), f"nginx, see {folder}/nginx.log", 20)
        for name, path, users, think in (
                ("after 5 to 45 ms, 50 users", "slow", USERS, THINK_MS),
                ("at once, 50 users", "constant", USERS, THINK_MS),
                ("at once, 1 user, no pause", "constant", 1, 0)):
            ratios = table(name, agreement(bin_folder, f"{url}/{path}", rounds, users, think))
            for figure, ratio in ratios.items():
                what, limit = ("rate", 15) if figure == "rate" else (f"p{figure}", 10)
                goal(f"{path}_{users}_{what}_off_percent", round(abs(ratio - 1) * 100, 1), "<=", limit)
        opened, users, _ = stalls(bin_folder, f"{url}/constant", nginx)
        # A tenth of the requests are due in a stall; the last hundredth of all waits for at least nine tenths of it.
        goal("stall_open_p99_ms", round(opened[99]), ">=", STALL * 850)
        goal("stall_users_p99_ms", round(users[99]), "<=", STALL * 850)
    finally:
        nginx.terminate()
        nginx.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
    print()
    finish()


if __name__ == "__main__":
    main()
