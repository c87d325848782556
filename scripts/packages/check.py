"""Whether the Debian package holds what it promises: see scripts/package-check. Usage: check.py FOLDER-OF-THE-PACKAGES"""
import glob
import os
import re
import subprocess
import sys
import time

from machine import Failed, Machine

USERS = {"warmer": "hotshelf-warmer", "gateway": "hotshelf-gateway"}
# Of the package itself; what else is in the tree after it was purged, and was not there before, it left behind.
NOT_THE_PACKAGES = re.compile(r"^/(proc|sys|dev|run|tmp|root|var/(lib/(dpkg|systemd|redis|postgresql|apt|private)|log|cache|tmp|backups|mail)"
                              r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|etc/(\.pwd\.lock|machine-id|resolv\.conf|systemd|postgresql|redis)"
                              r"|home)(/|$)")
ROWS = ("INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, list_price, paid_price, cost,"
        " gross_profit, stock) SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', '',"
        " 'p' || n, 1, 10, 8, 5, 3, n FROM generate_series(1, 4) s, generate_series(0, 11) d, generate_series(1, 6) n")
ADMIN = "postgres://admin:of-admin@127.0.0.1/hotshelf"


def holds(condition, what):
    if not condition:
        raise Failed(what)


def contains(text, *parts):
    for part in parts:
        holds(part in text, f"{part!r} is not in\n{text}")


def everything(machine):
    """Paths of the tree that the package could be guilty of, and users and groups."""
    paths = machine.run("find / -xdev -path /proc -prune -o -path /sys -prune -o -print").splitlines()
    names = machine.run("cut -d: -f1 /etc/passwd /etc/group").split()
    return {path for path in paths if not NOT_THE_PACKAGES.match(path)} | set(names)


def servers(machine, how):
    """Starts Redis and PostgreSQL, with an administrator and an empty database."""
    machine.run(how)
    machine.waits("redis-cli ping | grep PONG", "Redis")
    psql = "runuser -u postgres -- psql -qAtX -v ON_ERROR_STOP=1"
    machine.waits(f"{psql} -c 'SELECT 1'", "PostgreSQL")
    machine.run(f"{psql} -c \"CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'of-admin'\" -c 'CREATE DATABASE hotshelf OWNER admin'")


def set_up(machine):
    """What the package tells to do after it was installed, and some orders."""
    machine.run("warmer setup redis --redis redis://127.0.0.1:6379 --apply")
    machine.run(f"warmer setup postgres --postgres {ADMIN} --apply")
    machine.run(f'psql -qAtX -v ON_ERROR_STOP=1 {ADMIN} -c "{ROWS}"')


def lint(packages):
    for package in packages:
        done = subprocess.run(["lintian", "--no-tag-display-limit", "--fail-on", "error", package], capture_output=True, text=True)
        errors = [line for line in done.stdout.splitlines() if line.startswith("E:")]
        holds(done.returncode == 0 and not errors, done.stdout + done.stderr)
    return f"no error; {sum(line.startswith('W:') for line in done.stdout.splitlines())} warnings"


class WithoutSystemd:
    """A tree in which systemd does not run, as in a container: programs are started by hand, as the users of the services."""

    def __init__(self, machine, first, second):
        self.machine, self.first, self.second = machine, first, second
        self.before = everything(machine)

    def installs(self):
        said = self.machine.run(f"dpkg -i {self.machine.put(self.first)}")
        contains(said, "nothing runs yet", "warmer setup redis")
        for user in USERS.values():
            contains(self.machine.run(f"id {user}"), "(hotshelf)")
        self.machine.run("man -w warmer gateway loadtest warmer-status; warmer --version; gateway --version; loadtest --version")
        return "users, pages, programs"

    def starts(self):
        """All in one shell: what runs ends with it."""
        services = " ".join(
            f"start-stop-daemon --start --background --chuid {user}:hotshelf --output /tmp/{name}.log --exec /usr/bin/{name} -- {line};"
            for name, user, line in [
                ("warmer", USERS["warmer"], "run --config /etc/hotshelf/warmer.toml"),
                ("gateway", USERS["gateway"], "--config /etc/hotshelf/gateway.toml --config /etc/hotshelf/gateway-1.toml")])
        said = self.machine.run(f"""
            redis-server --daemonize yes >/dev/null; pg_ctlcluster 15 main start
            for try in $(seq 100); do runuser -u postgres -- psql -qc 'SELECT 1' >/dev/null 2>&1 && break; sleep 0.2; done
            runuser -u postgres -- psql -q -c "CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'of-admin'" -c 'CREATE DATABASE hotshelf OWNER admin'
            warmer setup redis --redis redis://127.0.0.1:6379 --apply >/dev/null; warmer setup postgres --postgres {ADMIN} --apply >/dev/null
            psql -qAtX {ADMIN} -c "{ROWS}"
            chown hotshelf-warmer /etc/hotshelf/passwords/*-warmer; chown hotshelf-gateway /etc/hotshelf/passwords/*-gateway
            chmod 711 /etc/hotshelf/passwords
            install -d -m 750 -o hotshelf-gateway -g hotshelf /var/log/hotshelf; install -d -m 750 -o hotshelf-warmer /var/lib/hotshelf
            {services}
            curl -sS --retry 60 --retry-delay 1 --retry-all-errors --fail http://127.0.0.1:8081/readyz
            for try in $(seq 100); do warmer status --config /etc/hotshelf/warmer.toml | grep -q '4 of 4' && break; sleep 0.2; done
            curl -sS --fail http://127.0.0.1:8081/v1/metrics/overview -D - -o /dev/null | grep -i x-cache
            start-stop-daemon --stop --retry 30 --exec /usr/bin/gateway; start-stop-daemon --stop --retry 30 --exec /usr/bin/warmer
            tail -n 1 /tmp/warmer.log
            redis-cli shutdown nosave; pg_ctlcluster 15 main stop""")
        contains(said, "ready", "x-cache: l", "stopped")
        return "warm, answered, stopped"

    def upgrades(self):
        self.machine.write("/etc/hotshelf/gateway-1.toml", self.machine.read("/etc/hotshelf/gateway-1.toml") + "# of an administrator\n")
        self.machine.run(f"dpkg -i {self.machine.put(self.second)}")
        contains(self.machine.read("/etc/hotshelf/gateway-1.toml"), "# of an administrator")
        contains(self.machine.run("dpkg-query -W hotshelf"), "-2")
        return "settings stay"

    def leaves_nothing(self):
        self.machine.run("dpkg -r hotshelf; test -e /etc/hotshelf/gateway-1.toml; test ! -e /usr/bin/warmer; dpkg -P hotshelf")
        left = everything(self.machine) - self.before
        holds(not left, f"left behind: {sorted(left)}")
        return "removed and purged"


class WithSystemd:
    """A machine that systemd runs."""

    def __init__(self, machine, first, second):
        self.machine, self.first, self.second = machine, first, second
        self.before = everything(machine)

    def show(self, unit, key):
        return self.machine.run(f"systemctl show --value --property={key} {unit}").strip()

    def journal(self, unit, more=""):
        return self.machine.run(f"journalctl --no-pager -o cat -u {unit} {more}")

    def installs(self):
        self.machine.run(f"dpkg -i {self.machine.put(self.first)}")
        for unit in ["warmer.service", "gateway@1.service", "gateway@1.socket"]:
            contains(self.machine.run(f"systemctl is-enabled {unit}", None), "disabled")
        said = self.machine.run("cd /usr/lib/systemd/system; cp gateway@.service /tmp/gateway@1.service; cp gateway@.socket /tmp/gateway@1.socket;"
                                " systemd-analyze verify ./warmer.service /tmp/gateway@1.service /tmp/gateway@1.socket")
        holds(said == "", f"systemd-analyze verify says: {said}")
        return "nothing starts by itself; verify is silent"

    def says_what_is_missing(self):
        servers(self.machine, "systemctl start redis-server postgresql")
        self.machine.run("systemctl start warmer", 1)
        contains(self.journal("warmer"), "redis.password_file: /etc/hotshelf/passwords/redis-warmer")
        holds((self.show("warmer", "NRestarts"), self.show("warmer", "Result")) == ("0", "exit-code"), "it is tried again")
        return "no password yet: told, and not tried again"

    def starts(self):
        set_up(self.machine)
        self.machine.run("systemctl enable --now warmer gateway@1.socket gateway@1")
        self.machine.waits("warmer status --config /etc/hotshelf/warmer.toml | grep '4 of 4'", "all stores to be warm")
        contains(self.machine.run("curl -sS --fail http://127.0.0.1:8081/readyz"), "ready")
        contains(self.machine.run("curl -sS --fail http://127.0.0.1:8081/v1/stores"), "Store 4")
        contains(self.machine.run("systemctl status --no-pager warmer"), "4 of 4 stores ready")
        return self.show("warmer", "StatusText")

    def is_well(self):
        said = self.machine.run("warmer verify --config /etc/hotshelf/warmer.toml --gateway http://127.0.0.1:8081", None)
        failed = [line for line in said.splitlines() if "fail" in line.split()[:2]]
        holds(not failed and "host.service" in said, said)
        return "warmer verify: no fail"

    def is_confined(self):
        for name, unit in [("warmer", "warmer.service"), ("gateway", "gateway@1.service")]:
            pid = self.show(unit, "MainPID")
            status = self.machine.run(f"cat /proc/{pid}/status")
            contains(status, "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2")
            holds(self.machine.run(f"ps -o user:20= -p {pid}").strip() == USERS[name], "another user")
            # One line, "→ Overall exposure level for warmer.service: 1.2 OK".
            self.machine.run(f"systemd-analyze security --no-pager --threshold=25 {unit}")
            self.machine.run(f"runuser -u {USERS[name]} -- cat /etc/hotshelf/passwords/redis-{name}", 1)
        contains(self.machine.run("stat -c '%U:%G %a' /var/log/hotshelf/access-8081.log /var/lib/hotshelf"),
                 "hotshelf-gateway:hotshelf 640", "hotshelf-warmer:hotshelf-warmer 750")
        self.machine.waits("curl -sS --fail http://127.0.0.1:9180/metrics | grep -E '^hotshelf_warmer_log_bytes_total [1-9]'",
                           "the warmer to read what gateways write")
        machine = self.machine.run("curl -sS --fail http://127.0.0.1:8081/v1/status")
        holds(re.search(r'"memory_total"\s*:\s*[1-9]|"total_bytes"\s*:\s*[1-9]|"memory_bytes"\s*:\s*[1-9]', machine), machine[:2000])
        refused = self.machine.run("journalctl --no-pager -o cat -u warmer -u gateway@1 -p warning | grep -i 'not permitted|denied' || true")
        holds(refused == "", refused)
        return "users, no capabilities, system calls filtered"

    def restarts_what_hangs(self):
        """The kernel stops them; nothing tells systemd of life any more."""
        units = ["warmer.service", "gateway@1.service"]
        before = {unit: int(self.show(unit, "NRestarts")) for unit in units}
        for unit in units:
            self.machine.run(f"kill -STOP {self.show(unit, 'MainPID')}")
        start = time.monotonic()
        for unit in units:
            self.machine.waits(f"test $(systemctl show --value -p NRestarts {unit}) -gt {before[unit]} && systemctl is-active {unit}",
                               f"{unit} to be killed by the watchdog and started again", 120)
            contains(self.machine.run(f"journalctl --no-pager -u {unit}"), "Watchdog timeout")
        return f"killed and started again within {time.monotonic() - start:.0f} s"

    def loses_no_connection(self):
        """Systemd holds the socket."""
        asked = self.machine.run("""
            (while [ ! -e /tmp/enough ]; do curl -sS --max-time 30 http://127.0.0.1:8081/livez >>/tmp/asked 2>&1 || echo refused >>/tmp/asked; done) &
            for restart in $(seq 30); do systemctl restart gateway@1; done
            touch /tmp/enough; wait; sort /tmp/asked | uniq -c""").split()
        holds(asked[1::2] == ["alive"], f"not only answers: {asked}")
        return f"30 restarts, {asked[0]} requests answered, none refused"

    def reloads(self):
        settings = self.machine.read("/etc/hotshelf/warmer.toml")
        self.machine.write("/etc/hotshelf/warmer.toml", settings + '\n[changes]\npoll_interval = "7s"\n')
        self.machine.run("systemctl reload warmer")
        self.machine.waits("journalctl --no-pager -o cat -u warmer | grep 'changes.poll_interval: 30s → 7s'", "the reload")
        self.machine.write("/etc/hotshelf/warmer.toml", settings + '\n[changes]\npoll_interval = "7x"\n')
        self.machine.run("systemctl reload warmer", 1)
        contains(self.journal("warmer"), "changes.poll_interval")
        holds(self.show("warmer", "ActiveState") == "active", "wrong settings ended it")
        self.machine.write("/etc/hotshelf/warmer.toml", settings)
        self.machine.run("systemctl reload warmer gateway@1")
        return "new settings in force; wrong ones refused, the old ones stay"

    def logs(self):
        self.machine.run("systemctl restart redis-server")
        self.machine.waits("journalctl --no-pager -o cat -u warmer -p warning | grep -i redis", "a warning of Redis")
        grave, all_lines = self.journal("warmer", "-p warning"), self.journal("warmer")
        contains(all_lines, "this warmer writes now")
        holds("this warmer writes now" not in grave, "all lines are equally grave")
        holds(not re.search(r"^<\d>|^\d{4}-\d\d-\d\dT", all_lines, re.M), f"priority or time stand in the text:\n{all_lines}")
        self.machine.waits("curl -sS http://127.0.0.1:9180/readyz | grep '^ready'", "Redis to be used again")
        self.machine.run("warmer setup redis --redis redis://127.0.0.1:6379 --apply")
        return "warnings found by --priority"

    def upgrades(self):
        pids = {unit: self.show(unit, "MainPID") for unit in ["warmer", "gateway@1"]}
        self.machine.write("/etc/hotshelf/gateway-1.toml", self.machine.read("/etc/hotshelf/gateway-1.toml") + "# of an administrator\n")
        self.machine.run(f"dpkg -i {self.machine.put(self.second)}")
        contains(self.machine.read("/etc/hotshelf/gateway-1.toml"), "# of an administrator")
        for unit, pid in pids.items():
            holds(self.show(unit, "ActiveState") == "active" and self.show(unit, "MainPID") != pid, f"{unit} was not started anew")
        contains(self.machine.run("curl -sS --fail http://127.0.0.1:8081/v1/stores"), "Store 4")
        return "settings stay, services run anew"

    def stops(self):
        start = time.monotonic()
        self.machine.run("systemctl stop gateway@1.socket gateway@1 warmer")
        for unit in ["warmer", "gateway@1"]:
            holds((self.show(unit, "Result"), self.show(unit, "ExecMainStatus")) == ("success", "0"), f"{unit} did not stop well")
        self.machine.run("systemctl start warmer gateway@1")
        return f"in {time.monotonic() - start:.1f} s, with exit code 0"

    def leaves_nothing(self):
        self.machine.run("dpkg -r hotshelf; ! systemctl is-active --quiet warmer; ! systemctl is-active --quiet gateway@1;"
                         " test -e /etc/hotshelf/gateway-1.toml")
        self.machine.run(f"dpkg -i {self.machine.put(self.second)}; systemctl start warmer gateway@1; dpkg -P hotshelf")
        left = everything(self.machine) - self.before
        holds(not left, f"left behind: {sorted(left)}")
        return "removed, installed again with the settings, purged while it ran"


def steps(subject, names):
    """Does them in order; whether all held."""
    for name in names:
        start = time.monotonic()
        try:
            said, ok = getattr(subject, name)(), True
        except (Failed, subprocess.TimeoutExpired) as failure:
            said, ok = str(failure), False
            journal = subprocess.run(subject.machine.command("journalctl --no-pager -n 60 2>/dev/null || true"), capture_output=True, text=True)
            said += f"\n--- the machine's journal\n{journal.stdout}"
        kind = re.sub(r"(?<!^)([A-Z])", r" \1", type(subject).__name__).lower()
        print(f"{kind:16} {name.replace('_', ' '):22} {'pass' if ok else 'FAIL':4} {time.monotonic() - start:6.1f} s  {said}", flush=True)
        if not ok:
            return False
    return True


def main():
    folder = os.path.abspath(sys.argv[1])
    first, second = (sorted(glob.glob(f"{folder}/hotshelf_*-{revision}_*.deb"))[-1] for revision in (1, 2))
    start = time.monotonic()
    try:
        said, ok = lint([first]), True
    except Failed as failure:
        said, ok = str(failure), False
    print(f"{'lintian':16} {'':22} {'pass' if ok else 'FAIL':4} {time.monotonic() - start:6.1f} s  {said}", flush=True)
    ok &= steps(WithoutSystemd(Machine(folder), first, second), ["installs", "starts", "upgrades", "leaves_nothing"])
    with Machine(folder).booted() as machine:
        ok &= steps(WithSystemd(machine, first, second),
                    ["installs", "says_what_is_missing", "starts", "is_well", "is_confined", "restarts_what_hangs", "loses_no_connection",
                     "reloads", "logs", "upgrades", "stops", "leaves_nothing"])
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
