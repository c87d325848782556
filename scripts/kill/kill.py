"""Kills a working warmer again and again; see scripts/kill-test. Uses servers of its own on free ports."""
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from entries import Damaged, Redis, decode
from orders import rows
from servers import servers, wait

STORES, DAYS, LINES = 20, 20, 40
MODES = ["trigger", "poll"]
# Entries without an envelope.
PLAIN = ("version:", "fresh:", "{warmer}:", "status:")
SETTINGS = """
[changes]
mode = "{mode}"
poll_days = 30
poll_interval = "1s"
sweep_interval = "1s"
keepalive = "500ms"
[warm]
lease = "1s"
interval = "1s"
state = "{state}"
[log]
filter = "info"
"""


def change(chance):
    """A random statement, of every kind that there is."""
    store, other = (f"'s{chance.randint(1, STORES)}'" for _ in range(2))
    day = f"'2026-03-{chance.randint(1, DAYS):02}'"
    of = f"store_id = {store} AND ordered_at::date = {day}"
    some = f"{of} AND order_id = 'o{chance.randint(1, LINES)}'"
    return chance.choice([
        f"UPDATE orders SET paid_price = {chance.randint(1, 20)}, quantity = {chance.randint(1, 9)} WHERE {some};",
        f"UPDATE orders SET cost = cost + 1 WHERE {of};",
        f"UPDATE orders SET paid_price = paid_price + 1 WHERE ordered_at::date = {day};",
        "INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, paid_price) VALUES "
        f"('n{chance.randint(1, 10**9)}', {store}, {store}, {day}::timestamp + interval '13 hours', 'p1', 3);",
        f"DELETE FROM orders WHERE {some};",
        f"DELETE FROM orders WHERE {of};",
        f"UPDATE orders SET store_id = {other}, store_name = {other} WHERE {some};",
        f"UPDATE orders SET ordered_at = ordered_at + interval '1 day' WHERE {some};",
        f"BEGIN; DELETE FROM orders WHERE {of}; INSERT INTO orders (order_id, store_id, store_name, ordered_at, product_name, "
        f"paid_price) SELECT 'r' || n, {store}, {store}, {day}::timestamp + n * interval '1 minute', 'p' || n % 5, n "
        "FROM generate_series(1, 20) n; COMMIT;",
    ])


class Changes(threading.Thread):
    """Applies changes until told to stop."""

    def __init__(self, psql, seed):
        super().__init__(daemon=True)
        self.psql = subprocess.Popen(psql, stdin=subprocess.PIPE, text=True)
        self.chance, self.done, self.count = random.Random(seed), threading.Event(), 0

    def run(self):
        while not self.done.wait(self.chance.expovariate(20)):
            self.psql.stdin.write(change(self.chance) + "\n")
            self.psql.stdin.flush()
            self.count += 1

    def end(self):
        self.done.set()
        self.join()
        self.psql.stdin.close()
        if self.psql.wait() != 0:
            sys.exit("error: a change failed")


class Warmer:
    """A running `warmer run`."""

    def __init__(self, command, log):
        self.log = log.open("ab")
        self.begin = log.stat().st_size
        self.path = log
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def said(self, words):
        if self.process.poll() is not None:
            sys.exit(f"error: the warmer ended by itself with {self.process.returncode}; see {self.path}")
        return words in self.path.read_bytes()[self.begin:]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()


def examine(content):
    """Entries, those that are damaged, and the stores of which only a part was written."""
    entries, damaged, torn = 0, [], []
    versions = collections.defaultdict(dict)
    for key, value in content.items():
        if key.startswith(PLAIN):
            continue
        level, _, store = key.partition(":")
        for field, entry in value.items() if isinstance(value, dict) else [(None, value)]:
            entries += 1
            try:
                version, _ = decode(entry)
            except Damaged as error:
                damaged.append(f"{key} {field or ''}: {error}")
                continue
            if level in ("cells", "products"):
                versions[store, field][level] = version
    for store_day, of in versions.items():
        if of.keys() != {"cells", "products"} or len(set(of.values())) != 1:
            torn.append(f"{store_day}: {' and '.join(sorted(of))} of different data")
    return entries, damaged, torn


def differences(live, fresh):
    """What a fresh run makes and is not the same here. Which order lines are kept is up to the plan."""
    differ, compared = [], 0
    for key, value in fresh.items():
        if key.startswith(PLAIN) or key.startswith("orders:") and key not in live:
            continue
        pairs = [(field, entry, live.get(key, {}).get(field)) for field, entry in value.items()] if isinstance(value, dict) \
            else [(None, value, live.get(key))]
        if isinstance(value, dict) and len(live.get(key, {})) != len(value):
            differ.append(f"{key}: {len(live.get(key, {}))} fields, not {len(value)}")
        for field, entry, here in pairs:
            compared += 1
            if here is None or decode(here) != decode(entry):
                differ.append(f"{key} {field or ''}: {'missing' if here is None else 'other data'}")
    return compared, differ


def main():
    warmer, kills, seed, modes = os.path.abspath(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:] or MODES
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hotshelf-kill-", dir=os.environ.get("TMPDIR", "/tmp")))
    folder.chmod(0o755)
    faults = 1
    try:
        with servers(folder) as (psql, url, redis_port):
            faults = run(warmer, kills, seed, modes, folder, psql, url, redis_port)
    finally:
        if faults:
            print(f"the warmer's log is kept: {folder}/log", file=sys.stderr)
            shutil.rmtree(folder / "pg", ignore_errors=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if faults else 0)


def run(warmer, kills, seed, modes, folder, psql, url, redis_port):
    subprocess.run([*psql, "-f", "config/schema.sql", "-c", rows(STORES, DAYS, LINES), "-f", "config/changes.sql", "-c",
                    "SELECT hotshelf_watch('orders')"], check=True, stdout=subprocess.DEVNULL)
    (folder / "state").mkdir()
    commands = {}
    for mode in modes:
        settings = folder / f"{mode}.toml"
        settings.write_text(SETTINGS.format(mode=mode, state=folder / "state"))
        commands[mode] = [warmer, "run", "--config", settings, "--postgres", url, "--redis", f"redis://127.0.0.1:{redis_port}"]
    print(f"{kills} kills, seed {seed}; {STORES} stores, {DAYS} days, {STORES * DAYS * LINES} lines\n")
    print(f"{'kill':>4} {'mode':8}{'after ms':>9}{'changes':>9}{'stores written':>15}{'entries':>9}{'damaged':>9}{'half':>6}")
    chance, redis, faults, written, changed = random.Random(seed), Redis(redis_port), 0, 0, 0
    changes = Changes(psql, seed)
    changes.start()
    for number in range(1, kills + 1):
        mode = chance.choice(list(commands))
        running = Warmer(commands[mode], folder / "log")
        wait(lambda: running.said(b"this warmer writes now"), "the lease")
        # Some in the first steps, some in the midst of it.
        moment = chance.choice([chance.uniform(0, 0.3), chance.uniform(0, 2)])
        time.sleep(moment)
        running.kill()
        content = redis.everything("hs:1:")
        entries, damaged, torn = examine(content)
        before, written = written, sum(int(value) for key, value in content.items() if key.startswith("version:{"))
        print(f"{number:4} {mode:8}{moment * 1000:9.0f}{changes.count - changed:9}{written - before:15}{entries:9}"
              f"{len(damaged):9}{len(torn):6}", flush=True)
        changed = changes.count
        faults += len(damaged) + len(torn)
        for what in [*damaged, *torn][:5]:
            print(f"     {what}")
    changes.end()
    for mode in commands:
        faults += ends_equal(commands[mode], folder, warmer, url, redis_port, mode)
    print(f"\n{kills} kills, {changes.count} changes, {written} stores written: {faults} faults")
    return faults


def ends_equal(command, folder, warmer, url, redis_port, mode):
    """After all, the warmer makes everything as a fresh run does. Gives the number of faults."""
    redis = Redis(redis_port)
    fresh_settings = folder / "fresh.toml"
    fresh_settings.write_text('[redis]\nprefix = "fresh:"\n')
    subprocess.run([warmer, "once", "--config", fresh_settings, "--postgres", url, "--redis", f"redis://127.0.0.1:{redis_port}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    fresh = redis.everything("fresh:")
    running = Warmer(command, folder / "log")
    end = time.monotonic() + 60
    while True:
        compared, differ = differences(redis.everything("hs:1:"), fresh)
        if not differ or time.monotonic() > end:
            break
        time.sleep(0.2)
    running.kill()
    print(f"\n{mode}: {compared - len(differ)} of {compared} entries are as a fresh run makes them")
    for what in differ[:10]:
        print(f"     {what}")
    return len(differ)


main()
