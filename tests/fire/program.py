"""Runs the program within bounds, and judges how it ended."""

import os
import resource
import shutil
import signal
import subprocess

# The most bytes of address space, and seconds, that a run may take.
MEMORY = 2 << 30
SECONDS = 10
# Exit codes that the program knows: done, a file at fault, a request at fault, interrupted.
CODES = (0, 1, 2, 130)


class Outcome:
    """How a run ended: its exit code (negative for a signal, None for too long), and what it said."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    def fault(self):
        """What is wrong with the way in which it ended; None for nothing."""
        if self.code is None:
            return f"longer than {SECONDS} s"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}: {self.last_line()}"
        if self.code not in CODES or "panicked" in self.stderr:
            return f"exit code {self.code}: {self.last_line()}"
        lines = [line for line in self.stderr.splitlines() if line.startswith("error: ")]
        if self.code in (1, 2) and (len(lines) != 1 or not self.last_line().startswith("error: ")):
            return f"exit code {self.code} with {len(lines)} lines of error: {self.last_line()}"
        return None

    def last_line(self):
        return (self.stderr.strip().splitlines() or [""])[-1][:300]


class Program:
    """The program that is tested, a directory for its files, and what was found."""

    def __init__(self, path, home, keep):
        self.path, self.home, self.keep, self.findings = path, home, keep, []
        # Two threads, as few address ranges as possible, and no proxy.
        self.environment = {**os.environ, "RAYON_NUM_THREADS": "2", "MALLOC_ARENA_MAX": "2"}

    def start(self, arguments, cwd=None, memory=None, file_size=None, environment=None, before=()):
        """Starts the program. `before` are words of a command that runs it."""

        def limit():
            # Where a file grows too large, writing fails instead of ending the process.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if memory:
                resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
            if file_size is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

        return subprocess.Popen(
            [*before, str(self.path), *map(str, arguments)],
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **(environment or {})},
            preexec_fn=limit,
            restore_signals=False,
        )

    def run(self, arguments, timeout=120, **options):
        """Runs the program to its end."""
        child = self.start(arguments, **options)
        try:
            stdout, stderr = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            stdout, stderr = child.communicate()
            return Outcome(None, stdout.decode(errors="replace"), stderr.decode(errors="replace"))
        return Outcome(child.returncode, stdout.decode(errors="replace"), stderr.decode(errors="replace"))

    def run_bounded(self, arguments, **options):
        """Runs the program within the bounds. A run that takes too long is repeated once: the machine may be busy."""
        outcome = self.run(arguments, timeout=SECONDS, memory=MEMORY, **options)
        if outcome.code is None:
            outcome = self.run(arguments, timeout=SECONDS, memory=MEMORY, **options)
        return outcome

    def succeed(self, arguments, **options):
        """Runs what has to succeed: without it nothing can be tested."""
        outcome = self.run(arguments, **options)
        if outcome.code != 0:
            raise SystemExit(f"unrolled {' '.join(map(str, arguments))}: exit code {outcome.code}: {outcome.stderr}")
        return outcome

    def found(self, what, evidence=None):
        """Notes a finding, and keeps the file that shows it."""
        number = len(self.findings)
        if self.keep and evidence is not None and evidence.exists():
            self.keep.mkdir(parents=True, exist_ok=True)
            target = self.keep / f"{number:03d}-{evidence.name}"
            if evidence.is_dir():
                shutil.copytree(evidence, target, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy(evidence, target)
        self.findings.append(what)
        print(f"FOUND {what}", flush=True)


def files(directory):
    """Every file below a directory with its content, but for temporary files; of files that tell the time the name alone."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.name.endswith((".tmp", ".lock")):
            continue
        is_timed = path.name in ("metrics.jsonl", "versions.json") or path.parent.name == "checkpoints"
        content = b"" if is_timed else path.read_bytes()
        found[str(path.relative_to(directory))] = content.split(b"<footer")[0] if path.suffix == ".html" else content
    return found
