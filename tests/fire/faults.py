"""Lets calls of the operating system fail, one at a time."""

import collections
import errno
import shutil
import subprocess

from calls import ERRORS, Calls
from writers import Writers, differences


class Faults:
    """Has a call of one command fail, has it run again, and compares what it leaves."""

    def __init__(self, program, rng, root):
        self.program, self.rng = program, rng
        self.writers = Writers(program, program.home / "faults", root)
        self.calls = Calls(program, self.writers.home, rng)
        self.count, self.finished, self.missed = collections.Counter(), 0, 0
        self.kinds = [self.limited]
        if self.calls.library:
            self.kinds += [self.failing] * 6
        if self.can_trace():
            self.kinds.append(self.traced)
        else:
            print("no strace here that may trace: renames by system calls of their own do not fail")
        self.mount = self.mounted()
        if self.mount:
            self.kinds.append(self.full)

    def can_trace(self):
        """Whether there is a strace that may trace a program."""
        return shutil.which("strace") and subprocess.run(["strace", "-qq", "true"], capture_output=True).returncode == 0

    def mounted(self):
        """A small file system of its own; None where none can be mounted."""
        place = self.program.home / "full"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=4m", "fire", str(place)]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode != 0:
            print("no file system can be mounted here: no disk is full")
            return None
        return place

    def step(self):
        self.rng.choice(self.kinds)(self.rng.choice(self.writers.all))

    def disturbed(self, writer, what, happened, **options):
        """Runs a command that is disturbed. `happened` says whether it was, given the outcome."""
        outcome = self.program.run(writer.command(self.writers.home), cwd=self.writers.home, **options)
        if happened(outcome):
            self.count[what.split(" ")[0]] += 1
        else:
            self.missed += 1
        if outcome.code == 0:
            self.writers.check_ended(writer, what, 0)
            return
        if fault := outcome.fault():
            self.program.found(f"{writer.name}, {what}: {fault}")
        self.writers.check_partial(writer, what)
        self.writers.finish(writer, what)
        self.finished += 1

    def failing(self, writer):
        """A single call fails."""
        call, at = self.calls.choose(writer)
        number = self.rng.choice(ERRORS[call])
        environment = self.calls.environment(call, at, number)
        what = f"{call} {at} fails with {errno.errorcode[number]}"
        self.disturbed(writer, what, lambda _: self.calls.happened(writer, call, at), environment=environment)

    def traced(self, writer):
        """A rename fails, by whatever system call."""
        at = self.rng.randrange(1, 6)
        trace = self.program.home / "trace"
        trace.unlink(missing_ok=True)
        calls = "rename,renameat,renameat2,link,linkat"
        before = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={at}"]
        happened = lambda _: trace.exists() and "(INJECTED)" in trace.read_text()
        self.disturbed(writer, f"rename-call {at} fails with EIO", happened, before=before)

    def limited(self, writer):
        """No file may become longer than so many bytes."""
        most = self.rng.choice((0, 1, 100, 1000, 4096, 10_000, 30_000))
        self.disturbed(writer, f"length of files at most {most} bytes", lambda outcome: outcome.code != 0, file_size=most)

    def full(self, writer):
        """The disk is full, but for a few bytes."""
        home = self.mount / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.writers.home, home)
        free = shutil.disk_usage(self.mount).free
        (self.mount / "filler").write_bytes(bytes(max(0, free - self.rng.choice((0, 4096, 8192, 32768, 65536)))))
        outcome = self.program.run(writer.arguments, cwd=home)
        (self.mount / "filler").unlink()
        path = home / writer.target
        if outcome.code == 0:
            self.missed += 1
        else:
            self.count["disk"] += 1
            self.finished += 1
            if fault := outcome.fault():
                self.program.found(f"{writer.name}, full disk: {fault}")
            if writer.target in writer.whole and path.exists() and path.read_bytes() != writer.whole[writer.target]:
                self.program.found(f"{writer.name}, full disk: a part of {writer.target} has its name", path)
            outcome = self.program.run(writer.command(home), cwd=home)
        if outcome.code != 0:
            self.program.found(f"{writer.name}, full disk: the next run ends with {outcome.code}: {outcome.last_line()}", path)
        elif names := differences(writer.whole, writer.content(home)):
            self.program.found(f"{writer.name}, full disk: {', '.join(names)}", path)
        shutil.rmtree(home)

    def figures(self):
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.count.items()))
        yield f"{sum(self.count.values())} injected faults ({kinds})"
        yield f"  {self.finished} commands failed and were run again; in {self.missed} more runs nothing was left to disturb"

    def close(self):
        if self.mount:
            subprocess.run(["umount", str(self.mount)], check=False)
