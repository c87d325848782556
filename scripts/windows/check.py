"""Builds the programs for Windows and tries them under Wine; see scripts/windows-check."""
import collections
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lib"))
from servers import both, free_port

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = ROOT / "scripts/windows"
WORK = ROOT / "target/windows"
TOOLCHAIN, DEBS, PROGRAMS = WORK / "toolchain", WORK / "debs", WORK / "programs"
PREFIX = WORK / "prefix"
DRIVE = PREFIX / "drive_c"
TARGET = "x86_64-pc-windows-gnu"
# Debian has no Rust for Windows, and rustup's may not be reachable: this is a compiler whose library Cargo builds itself.
COMPILER = ("rustc-web", "libstd-rust-web-dev", "rust-web-src")
WINE, WINESERVER = "/usr/lib/wine/wine64", "/usr/lib/wine/wineserver64"
LIMIT = 120

Step = collections.namedtuple("Step", "name result seconds note")


class Failed(Exception):
    """A step did not do what it should."""


class NotHere(Exception):
    """Wine cannot show it, for this reason."""


def expect(true, what):
    if not true:
        raise Failed(what)


def run(command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise Failed(f"{command[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-6000:]}")
    return done.stdout.decode(errors="replace")


def wait(check, what, limit=LIMIT):
    end = time.monotonic() + limit
    while True:
        found = check()
        if found:
            return found
        expect(time.monotonic() < end, f"{what}: not within {limit} s")
        time.sleep(0.05)


# Toolchain and programs.

def library_package():
    """The library's package has the version in its name."""
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", "libstd-rust-web-dev"], capture_output=True, text=True).stdout
    found = re.search(r"libstd-rust-web-[0-9][0-9.]*", shown)
    expect(found, "apt does not know libstd-rust-web-dev of Debian 12's security updates; try apt-get update")
    return found.group()


def llvm_package(folder):
    """That of the deb which was downloaded."""
    deb = next(iter(folder.glob("libstd-rust-web-[0-9]*.deb")))
    return re.search(r"libllvm[0-9]+", run(["dpkg-deb", "-f", deb, "Depends"])).group()


def toolchain():
    stamp = TOOLCHAIN / "complete"
    if not stamp.exists():
        shutil.rmtree(TOOLCHAIN, ignore_errors=True)
        DEBS.mkdir(parents=True, exist_ok=True)
        download = lambda *names: run(["apt-get", "download", *names], cwd=DEBS)
        download(*COMPILER, library_package())
        download(llvm_package(DEBS))
        for deb in DEBS.glob("*.deb"):
            run(["dpkg", "-x", deb, TOOLCHAIN])
        stamp.touch()
    wrapper = WORK / "rustc"
    wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{TOOLCHAIN}/usr/lib/x86_64-linux-gnu" exec "{TOOLCHAIN}/usr/bin/rustc" "$@"\n')
    wrapper.chmod(0o755)
    return run([wrapper, "--version"]).strip()


def build():
    environment = {**os.environ, "RUSTC": str(WORK / "rustc"), "RUSTC_BOOTSTRAP": "1", "CARGO_PROFILE_DEV_DEBUG": "0",
                   "CARGO_INCREMENTAL": "0", "CARGO_TERM_COLOR": "never"}
    out = run(["nice", "-n", "5", "cargo", "build", "--locked", "-Zbuild-std=std,panic_unwind", "--target", TARGET, "--target-dir",
               WORK / "build", "-p", "warmer", "-p", "gateway", "-p", "standalone"], cwd=ROOT, env=environment)
    # Cargo tells warnings of what was built before, too; those of Debian's library and of other crates are not ours.
    ours = [line for line in re.findall(r"^ +--> (.*)$", out, re.M) if re.match(r"(shared|warmer|gateway|standalone)/", line)]
    expect(not ours, f"warnings in {', '.join(sorted(set(ours)))}:\n{out[-6000:]}")
    PROGRAMS.mkdir(exist_ok=True)
    for program in ("warmer", "gateway", "standalone"):
        shutil.copy2(WORK / "build" / TARGET / f"debug/{program}.exe", PROGRAMS)
    return "no warnings"


def shims():
    compiler = "x86_64-w64-mingw32-gcc"
    run([compiler, "-shared", "-O2", "-o", PROGRAMS / "bcryptprimitives.dll", HERE / "bcryptprimitives.c", "-ladvapi32"])
    run([compiler, "-shared", "-O2", "-o", PROGRAMS / "pdh.dll", HERE / "pdh.c"])
    run([compiler, "-municode", "-O2", "-o", PROGRAMS / "control.exe", HERE / "control.c", "-ladvapi32"])
    return "bcryptprimitives.dll and pdh.dll beside the programs"


# Wine.

def environment(**more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "WINEPREFIX": str(PREFIX), "WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", **more}


def end_wine():
    # Nothing runs if it has nothing to end.
    subprocess.run([WINESERVER, "-k"], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run([WINESERVER, "-w"], env=environment(), timeout=60)


def begin_wine():
    """A program that waits for ever: two seconds after the last one Wine ends its services, as if the machine stopped."""
    subprocess.Popen([WINE, "cmd.exe"], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prefix():
    end_wine()
    shutil.rmtree(PREFIX, ignore_errors=True)
    run([WINE, "wineboot.exe", "--init"], env=environment(), timeout=300)
    begin_wine()
    return run([WINE, "--version"], env=environment()).strip()


def wine(program, *arguments, limit=LIMIT):
    """Exit code and what was printed."""
    command = [WINE, str(PROGRAMS / f"{program}.exe"), *arguments]
    # Through files: services that live on would hold pipes open.
    with tempfile.TemporaryFile() as out:
        try:
            code = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=limit).returncode
        except subprocess.TimeoutExpired:
            raise Failed(f"{program} {' '.join(arguments)}: not done within {limit} s") from None
        out.seek(0)
        return code, out.read().decode(errors="replace").replace("\r", "").strip()


def wine_expect(code, *command, **options):
    ended, text = wine(*command, **options)
    expect(ended == code, f"{' '.join(command)} ended with {ended}, not {code}:\n{text}")
    return text


def windows_path(path):
    return "Z:" + str(path).replace("/", "\\")


def version(program):
    declared = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
    text = wine_expect(0, program, "--version")
    expect(text == f"{program} {declared}", text)
    return text


def check_config(program, folder):
    command = ["run"] if program == "warmer" else []
    good = windows_path(ROOT / f"config/{program}.toml")
    text = wine_expect(0, program, *command, "--check-config", "--config", good)
    expect(text == "the settings fit", text)
    bad = pathlib.Path(folder, "bad.toml")
    bad.write_text('[log]\nkeep = 0\n[warm]\ninterval = "soon"\n')
    text = wine_expect(78, program, *command, "--check-config", "--config", windows_path(bad))
    expect("log.keep: 0 is outside 1 to 100" in text and "warm.interval" in text, text)
    return "those shipped fit; wrong ones: 78, both named"


def ask(port, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST" if body else "GET", target, body)
    response = connection.getresponse()
    return response.status, response.read().decode()


def status_of(port, target):
    try:
        return ask(port, target)[0]
    except OSError:
        return None


def standalone(_folder):
    port = free_port()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([WINE, str(PROGRAMS / "standalone.exe"), "--stores", "3", "--days", "20", "--listen", f"127.0.0.1:{port}"],
                                   env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            # Not the status of /readyz alone: a process that has ended would be waited for in vain.
            wait(lambda: process.poll() is not None or status_of(port, "/readyz") == 200, "standalone is ready")
            out.seek(0)
            expect(process.poll() is None, f"standalone ended:\n{out.read().decode(errors='replace')}")
            status, body = ask(port, "/v1/stores")
            stores = json.loads(body)
            expect(status == 200 and len(stores["data"]["stores"]) == 3, f"{status} {body[:500]}")
            process.send_signal(signal.SIGINT)
            code = wait(lambda: (process.poll() is not None) and (process.returncode,), "standalone ends on Ctrl-C", 30)[0]
            out.seek(0)
            text = out.read().decode(errors="replace")
            expect(code == 0 and "Ctrl-C" in text and "stopped" in text, f"exit code {code}:\n{text[-2000:]}")
        finally:
            process.kill()
            process.wait()
    return "3 stores over /v1/stores; drains on Ctrl-C, 0"


# Services.

class Service:
    """A daemon as a service of this prefix, with settings for these servers."""

    def __init__(self, program, settings):
        self.program, self.name, self.settings = program, f"hotshelf-{program}", settings
        self.log = DRIVE / f"ProgramData/Hotshelf/logs/{self.name}.log"

    def command(self, code, verb, *arguments):
        return wine_expect(code, self.program, "service", verb, *arguments)

    def status(self):
        return json.loads(wine(self.program, "service", "status", "--output", "json")[1])

    def logged(self):
        """With what was rotated, the oldest first."""
        files = sorted(self.log.parent.glob(f"{self.log.name}*"), reverse=True)
        return "".join(file.read_text(errors="replace") for file in files)

    def install(self):
        text = self.command(1, "status")
        expect("service install" in text, text)
        wrong = self.settings.with_name("wrong.toml")
        wrong.write_text("[log]\nkeep = 0\n")
        self.command(78, "install", "--config", windows_path(wrong))
        text = self.command(0, "install", "--config", windows_path(self.settings))
        expect(f"installed {self.name}" in text and f"NT SERVICE\\{self.name}" in text, text)
        refused = re.findall(r"Windows does not take (.*?):|may not be able to use (.*?):", text)
        text = self.command(1, "install", "--config", windows_path(self.settings))
        expect("uninstall it first" in text, text)
        expect(self.status()["state"] == "stopped", self.status())
        return "Wine refuses: " + ", ".join("".join(parts) for parts in refused) if refused else "all taken"

    def start(self):
        text = self.command(0, "start")
        expect("running, process" in text, text)
        expect(self.command(0, "start") == self.command(0, "status"), "a second start changes nothing")
        return text

    def stop(self):
        text = self.command(0, "stop")
        expect(text.startswith(f"{self.name}: stopped, exit code 0"), text)
        lines = self.logged()
        begun, ended = lines.rfind("stopping;"), lines.rfind("stopped")
        expect(0 <= begun < ended and 'signal="stop control"' in lines, lines[-2000:])
        expect("\x1b" not in lines, "the log has colours")
        self.command(1, "status")
        return text

    def paramchange(self, more, told):
        """Other settings, and what the log says of them."""
        self.settings.write_text(self.settings.read_text() + more)
        wine_expect(0, "control", self.name)
        wait(lambda: told in self.logged(), f"the log says {told!r}")
        return told

    def wrong_settings(self):
        good = self.settings.read_text()
        self.settings.write_text("[log]\nkeep = 0\n")
        text = self.command(1, "start")
        expect("exit code 78" in text, text)
        expect("log.keep: 0 is outside 1 to 100" in self.logged(), self.logged()[-1000:])
        self.settings.write_text(good)
        return "exit code 78, and the log says which"

    def fill_log(self):
        self.log.write_text("as it was before\n" * ((1 << 20) // 17))

    def crash(self):
        self.command(0, "start")
        pid = self.status()["pid"]
        run([WINE, "taskkill.exe", "/f", "/pid", pid], env=environment(), timeout=30)
        again = lambda: self.status()["state"] == "running" and self.status()["pid"] != pid
        try:
            wait(again, "it runs again", 10)
        except Failed:
            told = self.status()
            # Its service manager does not get over it.
            end_wine()
            begin_wine()
            raise NotHere(f"Wine starts nothing again; of the dead process it says: {told['state']}, process {told['pid']}") from None
        return "runs again"

    def uninstall(self):
        self.command(0, "start")
        self.command(0, "uninstall")
        self.command(1, "status")
        expect(self.log.exists(), "the log is gone")
        return "stopped, removed; its log is still there"


def orders(folder):
    """An export of three stores and ten days."""
    path = pathlib.Path(folder, "orders.csv")
    head = "order_id,store_id,store_name,ordered_at,channel,product_name,barcode,category1,quantity,list_price,paid_price,cost,stock"
    lines = [head]
    for store in range(1, 4):
        for day in range(1, 11):
            for order in range(20):
                lines.append(f"o{store}-{day}-{order},s{store},Store {store},2026-03-{day:02} {8 + order % 12:02}:15:00,自营,"
                             f"p{order % 7},b{order % 7},c{order % 3},1,10,8,5,{order}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def import_orders(folder, postgres):
    text = wine_expect(0, "warmer", "import", windows_path(orders(folder)), "--postgres", postgres)
    expect("600" in text, text)
    return "600 lines into PostgreSQL"


def import_into_folder(folder):
    into = pathlib.Path(folder, "imported")
    text = wine_expect(0, "warmer", "import", windows_path(orders(folder)), "--into", windows_path(into))
    days = len(list(into.glob("**/*.parquet")))
    expect(days == 10, f"{days} files:\n{text}")
    wine_expect(0, "warmer", "import", windows_path(orders(folder)), "--into", windows_path(into))
    return "10 days, 10 files; a second time too"


def no_unix_socket():
    text = wine_expect(1, "gateway", "--listen", "unix:C:\\gateway.sock")
    return text.splitlines()[-1]


def warms(service, redis):
    wait(lambda: int(redis.command("dbsize") or 0) > 6, "Redis is filled")
    state = DRIVE / f"ProgramData/Hotshelf/state/{service.name}"
    expect(state.is_dir(), f"{state} is not there")
    return f"{redis.command('dbsize')} keys in Redis; {state.relative_to(DRIVE)} is there"


def serves(port):
    wait(lambda: status_of(port, "/readyz") == 200, "the gateway is ready")
    status, body = ask(port, "/v1/stores")
    expect(status == 200 and len(json.loads(body)["data"]["stores"]) == 3, f"{status} {body[:500]}")
    return "3 stores over /v1/stores"


def rotates(gateway, port, admin):
    """The log, which was full up to a line, and the access log, while the warmer reads it: none of its lines may be lost or
    counted twice."""
    access_log = gateway.log.with_name("access.log")
    rotated = [gateway.log.with_name(gateway.log.name + ".1"), access_log.with_name("access.log.1")]
    connection, asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30), 0
    while not all(file.exists() for file in rotated):
        expect(asked < 50_000, f"not rotated after {asked} requests: {sorted(file.name for file in gateway.log.parent.iterdir())}")
        connection.request("GET", "/v1/stores")
        response = connection.getresponse()
        expect(response.status == 200, f"{response.status} after {asked} requests: {response.read()}")
        response.read()
        asked += 1
    connection.close()
    written = lambda: sum(file.read_bytes().count(b"\n") for file in access_log.parent.glob("access.log*"))
    read = lambda: int(re.search(r"^hotshelf_warmer_log_lines_total (\d+)", ask(admin, "/metrics")[1], re.M).group(1))
    wait(lambda: read() == written() >= asked, "the warmer has read all lines")
    time.sleep(1)
    expect(read() == written(), f"{written()} lines were written, {read()} read")
    return f"{gateway.log.name} and access.log; the warmer read all {written()} lines, each once"


def drains(service, port):
    """A request whose body comes after the stop was asked for is answered, and new connections are not taken."""
    body = b'{"stores":["s1"]}'
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest("POST", "/v1/refresh")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body[:5])
    # Its head was read when another request, sent later, is answered.
    expect(ask(port, "/livez")[0] == 200, "the gateway does not answer")
    stop = subprocess.Popen([WINE, str(PROGRAMS / f"{service.program}.exe"), "service", "stop"], env=environment(),
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait(lambda: "stopping;" in service.logged(), "the log says that it stops")
    expect(service.status()["state"] == "stopping", service.status())
    connection.send(body[5:])
    status = connection.getresponse().status
    expect(status == 202, f"the request in flight got {status}")
    expect(stop.wait(LIMIT) == 0, f"service stop ended with {stop.returncode}")
    return "a request in flight is answered (202) while the service is \"stopping\""


def starts_by_itself(service):
    """Ends Wine and begins it again, as a machine does."""
    end_wine()
    begin_wine()
    try:
        wait(lambda: service.status()["state"] == "running", "it runs", 20)
    except Failed:
        raise NotHere("Wine started again does not start it") from None
    return "runs after Wine was ended and started"


NOT_HERE = [
    ("account NT SERVICE\\NAME", "Wine runs every service as its one user"),
    ("rights of the folders", "Wine's icacls says yes to everything and does nothing"),
    ("shutdown and preshutdown", "Wine's service manager sends neither; the code is that of the stop control"),
    ("how busy the processor is", "Wine's pdh.dll ends a program that asks; the shim says that it has no counters"),
    ("closing the console, Ctrl-Break", "Wine without a display has no console to close or to press it in"),
]


def main():
    steps = []

    def step(name, what, *arguments):
        if any(step.result == "failed" for step in steps):
            steps.append(Step(name, "left out", 0, "after the failure above"))
            return
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        try:
            result, note = "ok", what(*arguments) or ""
        except Failed as error:
            result, note = "failed", str(error)
        except NotHere as error:
            result, note = "not here", str(error)
        except Exception as error:  # pylint: disable=broad-except # whatever it is, the table says where
            result, note = "failed", f"{type(error).__name__}: {error}"
        steps.append(Step(name, result, time.monotonic() - begun, note))
        print(f"   {result}: {note}", flush=True)

    WORK.mkdir(parents=True, exist_ok=True)
    step("toolchain", toolchain)
    step("build", build)
    step("shims for Wine", shims)
    step("Wine", prefix)
    folder = tempfile.mkdtemp(prefix="hotshelf-windows-", dir=os.environ.get("TMPDIR", "/tmp"))
    try:
        for program in ("warmer", "gateway", "standalone"):
            step(f"{program} --version", version, program)
        for program in ("warmer", "gateway"):
            step(f"{program} --check-config", check_config, program, folder)
        step("standalone, in memory", standalone, folder)
        if all(step.result == "ok" for step in steps):
            with both(folder) as (postgres, redis):
                try:
                    services(step, folder, postgres, redis)
                finally:
                    # PostgreSQL ends once nobody is connected.
                    end_wine()
    finally:
        end_wine()
        shutil.rmtree(folder, ignore_errors=True)
    table([*steps, *(Step(name, "not here", 0, why) for name, why in NOT_HERE)])
    sys.exit(any(step.result == "failed" for step in steps))


def services(step, folder, postgres, redis):
    port, admin = free_port(), free_port()
    address = postgres.url()
    servers = f'[redis]\nurl = "redis://127.0.0.1:{redis.port}"\n[postgres]\nurl = "{address}"\n'
    access_log = "C:\\\\ProgramData\\\\Hotshelf\\\\logs\\\\access.log"
    settings = pathlib.Path(folder, "warmer.toml")
    settings.write_text(f'{servers}[admin]\nlisten = "127.0.0.1:{admin}"\n[heat]\nlogs = ["{access_log}*"]\n')
    warmer = Service("warmer", settings)
    settings = pathlib.Path(folder, "gateway.toml")
    settings.write_text(f'{servers}[gateway]\nlisten = "127.0.0.1:{port}"\nadmin_listen = ""\n[access_log]\npath = "{access_log}"\n'
                        'max_size = "1MiB"\nkeep = 100\n[log]\nmax_size = "1MiB"\nkeep = 100\n')
    gateway = Service("gateway", settings)
    step("warmer import", import_orders, folder, address)
    step("warmer import, into a folder", import_into_folder, folder)
    step("gateway, a Unix socket", no_unix_socket)
    for service in (warmer, gateway):
        step(f"{service.program} service install", service.install)
        if service is gateway:
            step("its log is full up to a line", gateway.fill_log)
        step(f"{service.program} service start, status", service.start)
    step("warmer service warms", warms, warmer, redis)
    step("gateway service serves", serves, port)
    step("warmer service, paramchange", warmer.paramchange, '[log]\nfilter = "info,warmer=debug"\n', 'log.filter: "info" → "info,warmer=debug"')
    step("gateway service, paramchange", gateway.paramchange, "[access]\nrate = 400\n", "paramchange: access.rate")
    step("logs are rotated while they are read", rotates, gateway, port, admin)
    step("gateway service drains", drains, gateway, port)
    step("gateway service start again", gateway.start)
    for service in (warmer, gateway):
        step(f"{service.program} service stop", service.stop)
        step(f"{service.program} service, wrong settings", service.wrong_settings)
    step("gateway service starts with the machine", starts_by_itself, gateway)
    step("gateway service starts after a crash", gateway.crash)
    for service in (warmer, gateway):
        step(f"{service.program} service uninstall", service.uninstall)


def table(steps):
    width = max(len(step.name) for step in steps)
    print(f"\n{'step':{width}}  {'result':8}  seconds")
    for step in steps:
        lines = step.note.splitlines() or [""]
        seconds = f"{step.seconds:7.1f}" if step.result in ("ok", "failed") else " " * 7
        print(f"{step.name:{width}}  {step.result:8}  {seconds}  {lines[0]}")


if __name__ == "__main__":
    main()
