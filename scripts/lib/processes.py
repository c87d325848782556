"""What programs take: seconds of the processor and memory, as the kernel tells."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time


def cpu(pid):
    """Seconds of the processor that a running process has used, all its threads, exactly."""
    # The clock that clock_getcpuclockid(3) gives.
    return time.clock_gettime((~pid << 3) | 2)


def cpu_with_children(pid):
    """Of a process, of its children, and of those that it had: PostgreSQL has one for each connection. In steps of 10 ms."""

    def ticks(one, fields):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            after_name = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            return sum(int(after_name[field]) for field in fields)
        return 0

    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, timeout=60).stdout
    return (ticks(pid, (11, 12, 13, 14)) + sum(ticks(child, (11, 12)) for child in found.split())) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def run_measured(command, environment, limit):
    """Runs a program to its end: what it printed, seconds, seconds of the processor, and its peak memory in MB."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=errors)
        try:
            # wait4 tells of this child alone; resource.getrusage of the largest of all.
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                if time.perf_counter() - start > limit:
                    sys.exit(f"error: {command[0]} {command[1]}: not done within {limit} s")
                time.sleep(0.005)
            took = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(ended[1])
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            sys.exit(f"error: {command[0]} {command[1]} ended with {process.returncode}: {errors.read()[-2000:]}")
        return out.read(), took, ended[2].ru_utime + ended[2].ru_stime, ended[2].ru_maxrss / 1024
