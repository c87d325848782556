"""A machine of its own for a package: a tree of Debian 12, in which commands run, with systemd as its first process or without."""
import contextlib
import os
import shutil
import subprocess
import time

# What a server of ours has anyway, and what the checks need.
PACKAGES = "systemd,systemd-sysv,dbus,redis-server,postgresql,curl,man-db,procps,python3-minimal"
MIRROR = "http://deb.debian.org/debian"
NSPAWN = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network"]


class Failed(Exception):
    """A command that should not have failed, or something that does not hold."""


def base(folder):
    """The tree that machines are copied from; made once."""
    tree = os.path.join(folder, "base")
    made = os.path.join(folder, "base.made")
    if not os.path.exists(made):
        shutil.rmtree(tree, ignore_errors=True)
        print("debootstrap: Debian 12, about two minutes", flush=True)
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", tree, MIRROR],
                       check=True, stdout=subprocess.DEVNULL)
        open(made, "w").close()
    return tree


class Machine:
    """A fresh copy of the tree."""

    def __init__(self, folder):
        self.tree, self.first = os.path.join(folder, "machine"), None
        shutil.rmtree(self.tree, ignore_errors=True)
        # With hard links a package could change the base.
        subprocess.run(["cp", "-a", "--reflink=auto", base(folder), self.tree], check=True)

    def path(self, inside):
        return os.path.join(self.tree, inside.lstrip("/"))

    def put(self, file):
        """Copies a file into /root; its path there."""
        shutil.copy(file, self.path("/root"))
        return os.path.join("/root", os.path.basename(file))

    def write(self, inside, text):
        with open(self.path(inside), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8") as file:
            return file.read()

    def command(self, script):
        shell = ["/bin/bash", "-euo", "pipefail", "-c", script]
        if self.first is None:
            return [*NSPAWN, "-D", self.tree, "--pipe", *shell]
        return ["nsenter", "--target", str(self.first), "--all", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "LANG=C.UTF-8", *shell]

    def run(self, script, code=0):
        """Runs a script, and gives all that it says. Any other exit code is a failure; None allows all of them."""
        done = subprocess.run(self.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300)
        if code is not None and done.returncode != code:
            raise Failed(f"{script}\nexit code {done.returncode}, not {code}:\n{done.stdout}")
        return done.stdout

    def waits(self, script, what, limit=90):
        """Until a script succeeds; what it said then."""
        end = time.monotonic() + limit
        while True:
            done = subprocess.run(self.command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > end:
                raise Failed(f"{what}: not within {limit} s\n{script}\n{done.stdout}{done.stderr}")
            time.sleep(0.2)

    @contextlib.contextmanager
    def booted(self):
        """With systemd as its first process, for as long as the block runs."""
        log = open(os.path.join(os.path.dirname(self.tree), "machine.log"), "w", encoding="utf-8")
        nspawn = subprocess.Popen([*NSPAWN, "-D", self.tree, "--boot", "--console=pipe"], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log)
        try:
            end = time.monotonic() + 60
            while self.first is None:
                children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(nspawn.pid)], capture_output=True, text=True).stdout
                self.first = int(children.split()[0]) if children.split() else None
                if nspawn.poll() is not None or time.monotonic() > end:
                    raise Failed(f"the machine does not start: see {log.name}")
                time.sleep(0.1)
            # Degraded is enough: a container misses some devices.
            self.waits("test -S /run/dbus/system_bus_socket && systemctl is-system-running | grep -E 'running|degraded'", "the boot")
            yield self
        finally:
            if self.first is not None:
                subprocess.run(["kill", "-s", "RTMIN+4", str(self.first)], check=False)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    nspawn.wait(60)
            if nspawn.poll() is None:
                nspawn.kill()
                nspawn.wait()
            self.first = None
            log.close()
