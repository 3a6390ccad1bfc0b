"""Lets calls of the operating system fail, one at a time."""

import collections
import errno
import pathlib
import shutil
import subprocess

from writers import Writers, differences

SOURCE = pathlib.Path(__file__).with_name("fail.c")
# ENOSPC for a disk that is full, EIO for one that is broken.
ERRORS = {"write": [errno.ENOSPC, errno.EIO], "fsync": [errno.EIO], "rename": [errno.EIO, errno.EACCES]}


class Faults:
    """Has a call of one command fail, has it run again, and compares what it leaves."""

    def __init__(self, program, rng, root):
        self.program, self.rng = program, rng
        self.writers = Writers(program, program.home / "faults", root)
        self.count, self.finished, self.missed = collections.Counter(), 0, 0
        self.kinds = [self.limited]
        self.preload = self.compiled()
        if self.preload:
            self.kinds += [self.failing] * 6
        if shutil.which("strace"):
            self.kinds.append(self.traced)
        else:
            print("no strace here: renames by system calls of their own do not fail")
        self.mount = self.mounted()
        if self.mount:
            self.kinds.append(self.full)
        # At which call of each command nothing is left that could fail.
        self.last = {}

    def compiled(self):
        """A library that lets calls fail; None where there is no compiler."""
        target = self.program.home / "fail.so"
        if not shutil.which("cc"):
            print("no cc here: single calls of write, fsync and rename do not fail")
            return None
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", target, SOURCE, "-ldl"], check=True)
        return target

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
        writer = self.rng.choice(self.writers.all)
        self.rng.choice(self.kinds)(writer)
        self.finished += 1

    def disturbed(self, writer, what, happened, **options):
        """Runs a command that is disturbed. `happened` says whether it was, given the outcome."""
        outcome = self.program.run(writer.command(self.writers.home), cwd=self.writers.home, **options)
        if not happened(outcome):
            self.missed += 1
        else:
            self.count[what.split(" ")[0]] += 1
            if outcome.code == 0:
                if names := self.writers.differences(writer):
                    self.program.found(f"{writer.name}, {what}: success, and {', '.join(names)}", self.writers.home / writer.target)
            elif fault := outcome.fault():
                self.program.found(f"{writer.name}, {what}: {fault}")
            if outcome.code != 0:
                self.writers.check_partial(writer, what)
        self.writers.finish(writer, what)

    def failing(self, writer):
        """A single call fails."""
        calls = [call for call in sorted(ERRORS) if self.last.get((writer.name, call)) != 0]
        call = self.rng.choice(calls)
        last = self.last.get((writer.name, call), 64)
        at = self.rng.randrange(1, last + 1)
        number = self.rng.choice(ERRORS[call])
        note = self.program.home / "note"
        note.unlink(missing_ok=True)
        environment = {
            "LD_PRELOAD": str(self.preload),
            "FIRE_CALL": call,
            "FIRE_AT": str(at),
            "FIRE_ERROR": str(number),
            "FIRE_BELOW": str(self.writers.home.resolve()),
            "FIRE_NOTE": str(note),
        }
        what = f"{call} {at} fails with {errno.errorcode[number]}"
        self.disturbed(writer, what, lambda _: note.exists(), environment=environment)
        if not note.exists():
            self.last[writer.name, call] = at - 1

    def traced(self, writer):
        """A rename fails, by whatever system call."""
        at = self.rng.randrange(1, 6)
        trace = self.program.home / "trace"
        calls = "rename,renameat,renameat2,link,linkat"
        before = ["strace", "-f", "-qq", "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when={at}"]
        happened = lambda _: "(INJECTED)" in trace.read_text()
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
        if outcome.code != 0:
            self.count["disk"] += 1
            if fault := outcome.fault():
                self.program.found(f"{writer.name}, full disk: {fault}")
            if writer.target in writer.whole and path.exists() and path.read_bytes() != writer.whole[writer.target]:
                self.program.found(f"{writer.name}, full disk: a part of {writer.target} has its name", path)
        again = self.program.run(writer.command(home) if outcome.code else ["show", "run"], cwd=home)
        if again.code != 0:
            self.program.found(f"{writer.name}, full disk: the next run ends with {again.code}: {again.last_line()}", path)
        elif names := differences(writer.whole, writer.content(home)):
            self.program.found(f"{writer.name}, full disk: {', '.join(names)}", path)
        shutil.rmtree(home)

    def figures(self):
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.count.items()))
        yield f"{sum(self.count.values())} injected faults ({kinds}), {self.finished} commands finished after them"

    def close(self):
        if self.mount:
            subprocess.run(["umount", str(self.mount)], check=False)
