"""What `warmer run` costs and how soon a change shows: cycles with nothing changed, random changes through a gateway, and
resident memory. Used by warm.py, on its servers and data."""
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time

from processes import resident_mb

# Random changes of one order line each, committed one after the other.
CHANGES = 200
# Cycles with nothing changed that are timed.
CYCLES = 20
# Longest wait for anything.
LIMIT = 120
# Different questions of the log that a soak begins with: more than are remembered (`heat.questions`), so that memory is
# as full as it gets.
REMEMBERED = 60_000
KINDS = ("overview", "trend", "channels", "products")


class Warmer:
    """A running `warmer run` and what its log says of its cycles."""

    def __init__(self, program, settings, environment):
        self.cycles = []
        self.process = subprocess.Popen([program, "run", "--config", settings], env=environment, text=True,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stderr:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            fields = record.get("fields", record)
            if fields.get("message") == "cycle ended":
                self.cycles.append(fields)

    def resident_mb(self):
        return resident_mb(self.process.pid)

    def wait_cycles(self, count):
        wait(lambda: len(self.cycles) >= count, "a cycle of the warmer", self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait(LIMIT)


def wait(check, what, process=None):
    end = time.monotonic() + LIMIT
    while not check():
        if time.monotonic() > end or (process and process.poll() is not None):
            sys.exit(f"error: {what} did not come")
        time.sleep(0.02)


def measure(warmer, gateway, psql, redis_cli, environment, folder, port, soak_minutes):
    """What `goals` makes goals of: the first cycle, quiet cycles, waits for changes, resident memory, the soak's memory."""
    settings = os.path.join(folder, "settings.toml")
    log, earlier = os.path.join(folder, "access.log"), os.path.join(folder, "earlier.log")
    with open(settings, "w") as file:
        file.write('[log]\nformat = "json"\n[changes]\nmode = "trigger"\n[warm]\ninterval = "1s"\n'
                   f'state = "{folder}/state"\n[admin]\nlisten = ""\n[access_log]\npath = "{log}"\n'
                   f'[heat]\nlogs = ["{log}", "{earlier}"]\n')
    subprocess.run([*psql, "-f", os.path.join(os.path.dirname(__file__), "../../config/changes.sql"),
                    "-c", "SELECT hotshelf_watch('orders')"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([*redis_cli, "flushall"], check=True, capture_output=True)
    running = Warmer(warmer, settings, environment)
    serving = subprocess.Popen([gateway, "--config", settings, "--listen", f"127.0.0.1:{port}"], env={**environment, "HOTSHELF_LOG": "error"},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        running.wait_cycles(1)
        first = running.cycles[0]
        if first["ready"] != first["stores"] or first["stores"] == 0:
            sys.exit(f"error: the first cycle left stores out: {first}")
        # The first ones after a cold start may still make what the plan adds.
        running.wait_cycles(4)
        at = len(running.cycles)
        running.wait_cycles(at + CYCLES)
        quiet = running.cycles[at:at + CYCLES]
        waits = changes(psql, port)
        resident = running.resident_mb()
        return first, quiet, waits, resident, soak(psql, port, running, earlier, soak_minutes)
    finally:
        serving.terminate()
        serving.wait()
        running.stop()


class Data:
    """Stores and days, and a session that changes lines of them."""

    def __init__(self, psql):
        def query(sql):
            return subprocess.run([*psql, "-c", sql], check=True, capture_output=True, text=True).stdout

        self.stores = query("SELECT DISTINCT store_id FROM orders ORDER BY 1").split("\n")[:-1]
        first, last = query("SELECT min(ordered_at)::date, max(ordered_at)::date FROM orders").strip().split("|")
        self.days = query(f"SELECT generate_series('{first}'::date, '{last}', interval '1 day')::date").split("\n")[:-1]
        self.session = subprocess.Popen([*psql], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.choice = random.Random(7)

    def pick(self):
        return self.choice.choice(self.stores), self.choice.choice(self.days)

    def change(self, store, day):
        """Changes one line of an order that counts, and commits."""
        self.session.stdin.write(
            f"UPDATE orders SET quantity = quantity + 1 WHERE ctid = (SELECT ctid FROM orders WHERE store_id = '{store}' "
            f"AND ordered_at >= '{day}' AND ordered_at < '{day}'::date + 1 AND platform_fee > 0 AND category1 <> '耗材' "
            f"LIMIT 1) RETURNING 1;\n")
        self.session.stdin.flush()
        if self.session.stdout.readline().strip() != "1":
            sys.exit(f"error: nothing was changed of {store} on {day}")

    def close(self):
        self.session.stdin.close()
        self.session.wait()


def ask(client, path):
    client.request("GET", path)
    response = client.getresponse()
    return response.status, response.read()


def changes(psql, port, count=CHANGES, all_stores=False):
    """Seconds from each commit to the gateway's new answer, about the store that changed or about all stores."""
    data, client, waits = Data(psql), http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT), []
    wait(lambda: ready(client), "the gateway")
    for _ in range(count):
        store, day = data.pick()
        path = "/v1/metrics/trend" if all_stores else f"/v1/metrics/trend?stores={store}&from={day}&to={day}"
        status, old = ask(client, path)
        if status != 200:
            sys.exit(f"error: {path} answers {status}")
        data.change(store, day)
        start = time.perf_counter()
        while ask(client, path)[1] == old:
            if time.perf_counter() - start > LIMIT:
                sys.exit(f"error: the change of {store} on {day} never showed")
            time.sleep(0.002)
        waits.append(time.perf_counter() - start)
    data.close()
    return waits


def remember(data, path, count=REMEMBERED):
    """A log of so many different questions (by default as fill what is remembered), all of the last minute."""
    now = int(time.time() * 1000)
    with open(path, "w", encoding="utf-8") as log:
        for number in range(count):
            (store, day), (other, _) = data.pick(), data.pick()
            query = f"stores={store},{other}&from={min(day, data.days[-7])}&to={day if day > data.days[-7] else data.days[-1]}"
            log.write(json.dumps({"v": 1, "type": "request", "time": now - 60_000 + number * 60_000 // count, "path": "/v1/metrics/" +
                                  data.choice.choice(KINDS), "query": query, "last_day": data.days[-1], "status": 200,
                                  "outcome": "source"}, separators=(",", ":")) + "\n")


def soak(psql, port, running, earlier, minutes):
    """Resident memory in MB every 10 s while one line a second changes and twenty questions a second are asked."""
    data, client, samples = Data(psql), http.client.HTTPConnection("127.0.0.1", port), []
    if minutes:
        remember(data, earlier)
    end = time.monotonic() + minutes * 60
    tick = 0
    while time.monotonic() < end:
        start = time.monotonic()
        data.change(*data.pick())
        for _ in range(20):
            store, day = data.pick()
            other, _ = data.pick()
            path = f"/v1/metrics/{data.choice.choice(KINDS)}?stores={store},{other}&from={min(day, data.days[-7])}"
            status, _ = ask(client, path)
            if status != 200:
                sys.exit(f"error: {path} answers {status}")
        if tick % 10 == 0:
            samples.append(running.resident_mb())
        tick += 1
        time.sleep(max(0.0, start + 1 - time.monotonic()))
    data.close()
    return samples


def ready(client):
    try:
        client.request("GET", "/readyz")
        response = client.getresponse()
        response.read()
        return response.status == 200
    except OSError:
        client.close()
        return False


def goals(once, first, quiet, waits, resident, soaked):
    """Prints the tables; gives the goals."""
    durations = [cycle["duration_ms"] / 1000 for cycle in quiet]
    waits = sorted(waits)
    share = statistics.median(durations) / once
    p99 = waits[int(len(waits) * 0.99) - 1]
    print(f"\n{'warmer run':44}{'median s':>10}{'p99':>9}{'max':>9}")
    print(f"{'first cycle, Redis empty':44}{first['duration_ms'] / 1000:10.2f}")
    print(f"{'cycle with nothing changed':44}{statistics.median(durations):10.3f}{'':9}{max(durations):9.3f}")
    print(f"{f'commit to fresh answer, {len(waits)} changes':44}{statistics.median(waits):10.3f}{p99:9.3f}{waits[-1]:9.3f}")
    print(f"resident memory after that: {resident:.0f} MB\n")
    found = [("unchanged_cycle_vs_once", round(share, 4), "<", 0.05),
             ("unchanged_lines_read", sum(cycle["lines_read"] for cycle in quiet), "<=", 0),
             ("commit_to_answer_p99_s", round(p99, 3), "<", 1),
             ("warmer_run_resident_mb", round(resident), "<", 300)]
    if len(soaked) >= 9:
        # The first third still grows into its work.
        third = len(soaked) // 3
        middle, last = (statistics.median(soaked[third:2 * third]), statistics.median(soaked[2 * third:]))
        print(f"soak of {len(soaked) / 6:.0f} min: resident memory {min(soaked):.0f} to {max(soaked):.0f} MB, median "
              f"{middle:.1f} in the second third, {last:.1f} in the last\n")
        found += [("soak_resident_mb", round(max(soaked)), "<", 300), ("soak_growth", round(last / middle, 3), "<", 1.05)]
    return found
