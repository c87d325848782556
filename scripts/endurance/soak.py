"""Mixed load for as long as wanted, while data change, servers fail and logs rotate; see scripts/soak."""
import argparse
import collections
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
import truth
from report import Report
from servers import both
from slopes import slope
from stage import CAP, POSTGRES_SETTINGS, REDIS_SETTINGS, Stage
from troubles import TROUBLES, Rotations, Trouble, excused, nobody, unreachable
from watching import ENDS, LATE, LogFollower, Prober, Sampler
from writes import Changes

Shape = collections.namedtuple("Shape", "stores days lines users think interval rank pause check_s check_questions sample_s rotate_s "
                                        "changes new_day_s")
# What a debug build on two busy cores carries; its verdict is about rightness and leaks, not about growth.
SHORT = Shape(stores=6, days=40, lines=400, users=6, think="1s", interval="10s", rank="3s", pause=(1, 3), check_s=50, check_questions=25,
              sample_s=2, rotate_s=15, changes=2, new_day_s=45)
LONG = Shape(stores=20, days=70, lines=4200, users=24, think="1s", interval="30s", rank="5s", pause=(5, 20), check_s=240,
             check_questions=80, sample_s=5, rotate_s=150, changes=3, new_day_s=600)
# From that many minutes on memory is judged: shorter ones are all warm-up.
LONG_MINUTES = 20
SAMPLES = pathlib.Path("target/soak/samples.json")
# Seconds of load without trouble at the end.
QUIET_S = 8
REST = 100
# Memory: what the slope is at least, with confidence, may not come to this share in a day; and it may not have grown by more in this run.
GROWTH_A_DAY, GROWTH = 50, 10
# At the end there may be as many more than at the start: connections to servers are opened when they are first needed, and stay;
# threads that wait for files end after 10 s without work, which the warmer, who looks into logs all the time, does not leave them.
SPARE = {"sockets": CAP + 3, "threads": 2, "tasks": 4}


class Soak:
    """One run."""

    def __init__(self, stage, minutes, shape, seed, only):
        self.stage, self.seconds, self.shape, self.seed = stage, minutes * 60, shape, seed
        # Questions have chances of their own: how many are drawn depends on time, and troubles must come again in the same order.
        self.choice, self.curious, self.names = random.Random(seed), random.Random(seed), only or list(TROUBLES)
        self.troubles, self.checks, self.deck = [], [], []
        self.is_long, self.start_row = minutes >= LONG_MINUTES, None

    def run(self):
        stage, shape = self.stage, self.shape
        begin = time.monotonic()
        stage.start()
        self.followers = [LogFollower(gateway) for gateway in (stage.a, stage.b)]
        self.sampler = Sampler(stage, shape.sample_s)
        self.changes = Changes(stage, shape.changes, shape.new_day_s, self.seed)
        self.probers = [Prober(gateway, self.probes(), 0.2, stage.token) for gateway in (stage.a, stage.b)]
        for follower in self.followers:
            follower.start()
        # The first check opens every connection that there is, so that what is open at the end can be compared.
        self.check()
        self.start_row = self.at_rest()
        self.say(f"{shape.stores} stores, {shape.days} days, {shape.stores * shape.lines} lines are warm after {time.monotonic() - begin:.0f} s")
        for watcher in (self.sampler, self.changes, *self.probers):
            watcher.start()
        self.load_report = stage.folder / "load.json"
        with (stage.folder / "load.log").open("wb") as log:
            self.load = subprocess.Popen(
                [str(word) for word in (stage.bin_folder / "loadtest", "run", "--scenario", "mixed", "--users", shape.users, "--think", shape.think,
                 "--duration", f"{round(self.seconds)}s", "--refresh", 5, "--seed", self.seed, "--json", self.load_report, "--url",
                 f"http://127.0.0.1:{stage.a.port}", "--url", f"http://127.0.0.1:{stage.b.port}")],
                env={**os.environ, "HOTSHELF_TOKEN": stage.token}, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.begin = time.time()
        self.conduct()
        if self.load.wait(120) not in (0, 1) or not self.load_report.exists():
            sys.exit(f"error: loadtest ended with {self.load.returncode}; see {stage.folder}/load.log")
        self.took = time.time() - self.begin
        for watcher in (*self.probers, self.changes):
            watcher.end()
        self.check()
        self.sampler.end()
        self.end_row = self.at_rest()
        time.sleep(LATE)
        for follower in self.followers:
            follower.end()

    def end(self):
        """Whatever happened."""
        if hasattr(self, "load") and self.load.poll() is None:
            self.load.kill()
            self.load.wait()
        self.stage.end()

    def probes(self):
        stores = self.stage.stores
        return ["/readyz", "/v1/stores", "/v1/metrics/overview", *(f"/v1/metrics/trend?stores={store}" for store in stores[:4]),
                *(f"/v1/stores/{store}/orders?limit=5" for store in stores[-2:])]

    def conduct(self):
        """One trouble after the other; renames of logs and checks in between."""
        rotations, next_check = Rotations(self.stage), self.shape.check_s
        next_rotation = self.shape.rotate_s
        time.sleep(3)
        while (elapsed := time.time() - self.begin) < self.seconds - QUIET_S:
            if self.load.poll() is not None:
                sys.exit(f"error: loadtest ended early; see {self.stage.folder}/load.log")
            if elapsed >= next_rotation:
                rotations.rotate()
                next_rotation = elapsed + self.shape.rotate_s
            if elapsed >= next_check:
                self.check()
                next_check = time.time() - self.begin + self.shape.check_s
            else:
                self.befall(self.draw(elapsed))
            time.sleep(self.choice.uniform(*self.shape.pause))
        self.renamed = rotations.count

    def draw(self, elapsed):
        """The next trouble: each once, in an order of chance, then again."""
        while True:
            if not self.deck:
                self.deck = list(self.names)
                self.choice.shuffle(self.deck)
            name = self.deck.pop()
            early = TROUBLES[name][3]
            if not (self.is_long and early and elapsed > self.seconds / 3):
                return Trouble(name, self.choice)
            # All that is left may be of that kind.
            if all(TROUBLES[other][3] for other in self.names):
                return Trouble(name, self.choice)

    def befall(self, trouble):
        self.troubles.append(trouble)
        trouble.happen(self.stage)
        ready = trouble.end
        # The next one begins when Redis is warm: else two would work together, and excuse what only both explain.
        self.stage.warm(trouble.name)
        trouble.warm = time.time()
        self.say(f"{trouble.name:22} {trouble.gone - trouble.begin:5.1f} s, ready {ready - trouble.gone:5.1f} s later, warm "
                 f"{trouble.warm - trouble.gone:5.1f} s")

    def check(self):
        asked = sorted({path for follower in self.followers for path in list(follower.asked)})
        done = truth.check(self.stage, self.changes, asked, self.curious, self.shape.check_questions)
        self.checks.append(done)
        self.say(f"{'check':22} {len(done.wrong)} of {done.questions} answers are not as a fresh gateway's; {done.took:.1f} s")
        for wrong in done.wrong[:5]:
            self.say(f"    {wrong}")

    def say(self, text):
        at = time.time() - self.begin if hasattr(self, "begin") else 0
        bar = ""
        if sys.stdout.isatty() and hasattr(self, "begin"):
            done = min(20, int(20 * at / self.seconds))
            bar = f"[{'#' * done}{'.' * (20 - done)}] "
        print(f"{bar}{int(at) // 60:3}:{int(at) % 60:02}  {text}", flush=True)

    def open_ends(self, row):
        """What is still under way, or more than there was at the start."""
        found = []
        for program in self.stage.programs:
            now = row[program.name]
            gauges = ENDS[program.name.split("-")[0]]
            found += [f"{program.name}: {name} {now[name]}, not 0" for name in (*gauges, "deleted") if now[name] != 0]
            if self.start_row:
                then = self.start_row[program.name]
                found += [f"{program.name}: {now[name]:.0f} {name}, {then[name]:.0f} at the start" for name in ("sockets", "threads", "tasks")
                          if now[name] is not None and now[name] > then[name] + SPARE[name]]
        return found

    def at_rest(self):
        """A sample when nobody asks any more: as soon as nothing is under way, or when that does not come."""
        until = time.monotonic() + REST
        while True:
            row = self.sampler.sample()
            if not self.open_ends(row) or time.monotonic() > until:
                return row
            time.sleep(0.5)

    def judge(self):
        """Tables and goals."""
        report, stage = Report(), self.stage
        requests = sorted(request for follower in self.followers for request in follower.requests)
        failures = [failure for follower in self.followers for failure in follower.failures]
        unexcused = [failure for failure in failures if not excused(failure, self.troubles)]
        broken = [failure for prober in self.probers for failure in prober.failures]
        unreached = [failure for failure in broken if not unreachable(failure, self.troubles)]
        load = json.loads(self.load_report.read_text())
        report.title("What befell the service")
        report.table(["trouble", "at", "away s", "ready after s", "warm after s", "requests", "5xx excused", "5xx not"],
                     [self.row(trouble, requests, failures, unexcused) for trouble in self.troubles])
        between = [failure for failure in failures if not any(trouble.covers(failure["begin"], failure["end"]) for trouble in self.troubles)]
        rotated = sum(follower.files for follower in self.followers)
        wrong = [line for check in self.checks for line in check.wrong]
        refused = {status: sum(1 for _, found in requests if found == status) for status in sorted({status for _, status in requests})}
        report.text(f"{len(requests)} requests, by status: {', '.join(f'{status} {count}' for status, count in refused.items())}; "
                    f"{len(between)} 5xx between the troubles. {sum(prober.asked for prober in self.probers)} questions from outside, "
                    f"{len(broken)} without an answer. {self.changes.committed} changes committed, {self.changes.failed} not, while PostgreSQL was away; "
                    f"{self.changes.new_days} new last days. {rotated} files of access logs, of which {self.renamed} were renamed from outside. "
                    f"{len(self.checks)} comparisons with a gateway that has nothing stored: {sum(check.questions for check in self.checks)} answers.")
        told = load["totals"]
        report.text(f"loadtest: {told['requests']} requests, {told['failures']} failures "
                    f"({', '.join(f'{kind}: {count}' for kind, count in load['failures'].items()) or 'none'}), {told['wrong']} wrong; "
                    f"hit {told['hit_percent']:.1f} %, p99 {dict(map(tuple, load['latency']['percentiles']))[99.0]:.0f} ms.")
        self.resources(report)
        report.title("Goals")
        report.goal("answers_unlike_the_database", len(wrong), "<=", 0, wrong)
        report.goal("wrong_answers_under_load", told["wrong"], "<=", 0, load["examples"])
        report.goal("unexcused_5xx", len(unexcused), "<=", 0, map(self.tell, unexcused))
        report.goal("questions_without_an_answer", len(unreached), "<=", 0, map(self.tell, unreached))
        outside = self.failures_outside(load)
        report.goal("failures_of_the_load_outside_troubles", sum(outside.values()), "<=", 0,
                    [f"{count} at {self.clock(at)}" for at, count in outside.items()])
        ends = self.open_ends(self.end_row)
        report.goal("left_open_at_the_end", len(ends), "<=", 0, ends)
        self.leaks(report)
        if self.is_long:
            self.growth(report)
        return report

    def row(self, trouble, requests, failures, unexcused):
        def within(found):
            return sum(trouble.covers(failure["begin"], failure["end"]) for failure in found)
        inside = sum(trouble.begin <= at <= trouble.end for at, _ in requests)
        return [trouble.name, self.clock(trouble.begin), trouble.gone - trouble.begin, trouble.end - trouble.gone, trouble.warm - trouble.gone, inside,
                within(failures) - within(unexcused), within(unexcused)]

    def clock(self, at):
        seconds = max(0, int(at - self.begin))
        return f"{seconds // 60}:{seconds % 60:02}"

    def tell(self, failure):
        what = failure.get("what") or failure["status"]
        return f"{self.clock(failure['begin'])} {failure['gateway']} {failure['path']}: {what}, after {failure['end'] - failure['begin']:.2f} s"

    def failures_outside(self, load):
        """Failures of the load by second, but while a trouble explains some: refused connections, or a 5xx, which its log tells apart."""
        series, found = load["series"], {}
        seconds = series["row_seconds"]
        may = [trouble for trouble in self.troubles if trouble.away or trouble.excuses is not nobody]
        for number, count in enumerate(series["failures"]):
            begin = load["started_at"] / 1000 + number * seconds
            # A row holds what ended within it; the load tester's start takes a part of a second.
            if count and not any(trouble.covers(begin - 1, begin + seconds + 1) for trouble in may):
                found[begin] = count
        return found

    def resources(self, report):
        report.title("What the programs took")
        rows = []
        for program in self.stage.programs:
            for name, unit in (("mb", "resident MB"), ("files", "open files"), ("threads", "threads"), ("tasks", "tasks"), ("postgres", "connections to PostgreSQL")):
                values = [row[program.name][name] for row in self.sampler.rows if row.get(program.name) and row[program.name][name] is not None]
                if not values:
                    continue
                grown = slope(self.samples(program.name, name)) if name in ("mb", "files", "threads", "tasks") else None
                rows.append([f"{program.name} {unit}", self.start_row[program.name][name], min(values), max(values), self.end_row[program.name][name],
                             *([grown.slope, f"{grown.low:.1f} to {grown.high:.1f}"] if grown else [None, None])])
        for name in ("redis_clients", "redis_keys", "postgres_clients"):
            values = [row[name] for row in self.sampler.rows if row[name] is not None]
            rows.append([name.replace("_", " "), self.start_row[name], min(values, default=None), max(values, default=None), self.end_row[name], None, None])
        report.table(["", "start", "least", "most", "end", "slope a day", "95 % of it"], rows)

    def samples(self, name, of):
        """Since the program was last started, with the load on."""
        last = max((row[name]["start"] for row in self.sampler.rows if row.get(name)), default=0)
        until = self.begin + self.seconds
        return [(row["time"], row[name][of]) for row in self.sampler.rows
                if row.get(name) and row[name]["start"] == last and row[name][of] is not None and row["time"] < until]

    def leaks(self, report):
        """By counts when all is over, whatever came in between."""
        start, end = self.start_row, self.end_row
        report.goal("redis_clients_more_than_at_the_start", end["redis_clients"] - start["redis_clients"], "<=", CAP)
        report.goal("postgres_clients_at_the_end", end["postgres_clients"], "<=", 3 * CAP + 2)
        most = max((row[program.name]["postgres"] or 0 for row in self.sampler.rows for program in (self.stage.a, self.stage.b) if row.get(program.name)))
        report.goal("postgres_connections_of_a_gateway", most, "<=", CAP)
        told = {program.name: program.metrics() for program in self.stage.programs}
        lost = sum(told[gateway.name][f"access_log_{what}_total"] for gateway in (self.stage.a, self.stage.b) for what in ("dropped", "failed"))
        report.goal("lines_that_access_logs_lost", lost, "<=", 0)
        report.goal("panics", sum(told[gateway.name]["panics_total"] for gateway in (self.stage.a, self.stage.b)), "<=", 0)
        unread = told["warmer"]["log_backlog_bytes"] + told["warmer"]["log_files_unreadable"]
        report.goal("log_bytes_and_files_that_the_warmer_cannot_read", unread, "<=", 0)

    def growth(self, report):
        """Of the gateway that was never stopped, and of the warmer since its last start."""
        for name in (self.stage.a.name, self.stage.warmer.name):
            for of, share, grown in (("mb", GROWTH_A_DAY, GROWTH), ("files", GROWTH_A_DAY, GROWTH)):
                found = slope(self.samples(name, of))
                label = f"{name.replace('-', '_')}_{of}"
                report.goal(f"{label}_slope_at_least_percent_a_day", found and found.low / found.middle * 100, "<=", share)
                report.goal(f"{label}_grown_percent", found and (found.last / found.first - 1) * 100, "<=", grown)


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    total = next(int(line.split()[1]) for line in open("/proc/meminfo", encoding="utf-8") if line.startswith("MemTotal"))
    return f"{os.cpu_count()} cores of {model}, {total / 1024 ** 2:.0f} GiB, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser(prog="scripts/soak", add_help=False)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("minutes", nargs="?", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 6))
    parser.add_argument("--report", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=list(TROUBLES), default=[], metavar="TROUBLE")
    wanted = parser.parse_args()
    if not 1 <= wanted.minutes <= 1440:
        parser.error(f"{wanted.minutes:g} minutes: 1 to 1440 are possible")
    # So that servers are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by SIGTERM"))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hotshelf-soak-", dir=os.environ.get("TMPDIR", "/tmp")))
    shape, began, failed = LONG if wanted.minutes >= LONG_MINUTES else SHORT, time.monotonic(), True
    only = f" --only {' '.join(wanted.only)}" if wanted.only else ""
    command = f"scripts/soak {wanted.minutes:g} --seed {wanted.seed}{only}"
    print(f"{command}\n{machine()}\n", flush=True)
    try:
        (folder / "beside").mkdir(parents=True)
        with both(folder, *POSTGRES_SETTINGS, redis_settings=REDIS_SETTINGS) as (postgres, redis):
            soak = Soak(Stage(wanted.bin.absolute(), folder, postgres, redis, shape), wanted.minutes, shape, wanted.seed, wanted.only)
            try:
                soak.run()
                keep(soak)
                report = soak.judge()
            finally:
                soak.end()
        report.print()
        failed = bool(report.missed)
        if wanted.report:
            wanted.report.write_text(soak_page(report, command, shape, soak))
    finally:
        if failed:
            print(f"repeat it with --seed {wanted.seed}; the logs are kept: {folder}", file=sys.stderr)
            shutil.rmtree(folder / "pg", ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if failed else 0


def keep(soak):
    """What was sampled, for whoever wants to see how it came to the figures."""
    SAMPLES.parent.mkdir(parents=True, exist_ok=True)
    troubles = [{"name": trouble.name, "begin": trouble.begin, "end": trouble.end} for trouble in soak.troubles]
    SAMPLES.write_text(json.dumps({"begin": soak.begin, "samples": soak.sampler.rows, "troubles": troubles}))


def soak_page(report, command, shape, soak):
    settings = Report()
    settings.text(f"{machine()}; {time.strftime('%Y-%m-%d', time.gmtime(soak.begin))}. Two gateways, the second with a token; a warmer that reads their logs; "
                  f"Redis with {' '.join(REDIS_SETTINGS)}; PostgreSQL with {' '.join(POSTGRES_SETTINGS)}. {shape.stores} stores, {shape.days} days, "
                  f"{shape.stores * shape.lines} lines; {shape.users} users who think {shape.think}, {shape.changes} changes a second, a new last day every "
                  f"{shape.new_day_s} s; logs are renamed every {shape.rotate_s} s, beside the gateways' own rotation.")
    settings.parts += report.parts
    return settings.markdown("Endurance", command)


try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit("error: interrupted, nothing was judged")
