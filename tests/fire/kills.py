"""Kills the program at random moments, and at random calls of the operating system."""

import collections
import signal
import time

from calls import KILL, Calls
from writers import Writers


class Kills:
    """Kills one command a few times, has it finish, and compares what it leaves."""

    def __init__(self, program, rng, root):
        self.program, self.rng = program, rng
        self.writers = Writers(program, program.home / "kills", root)
        self.calls = Calls(program, self.writers.home, rng)
        self.count, self.at_calls, self.ended, self.finished = collections.Counter(), 0, 0, 0

    def step(self):
        writer = self.rng.choice(self.writers.all)
        for attempt in range(self.rng.randrange(1, 6)):
            is_at_call = self.calls.library and self.rng.random() < 0.5
            code, said = self.killed_at_call(writer, attempt == 0) if is_at_call else self.killed_at_moment(writer)
            if code != -signal.SIGKILL:
                # It was done before it was killed, and is judged as a run that nobody disturbed.
                self.ended += 1
                self.writers.check_ended(writer, "ended before a kill", code, said)
                return
            self.count[writer.name] += 1
            self.at_calls += is_at_call
            self.writers.check_partial(writer, "killed")
        self.writers.finish(writer, "killed")
        self.finished += 1

    def killed_at_moment(self, writer):
        child = self.program.start(writer.command(self.writers.home), cwd=self.writers.home)
        time.sleep(self.rng.random() * writer.seconds * (0.5 if writer.resume else 1.0))
        child.kill()
        return self.outcome(child)

    def killed_at_call(self, writer, is_first):
        call, at = self.calls.choose(writer)
        environment = self.calls.environment(call, at, KILL)
        child = self.program.start(writer.command(self.writers.home), cwd=self.writers.home, environment=environment)
        outcome = self.outcome(child)
        self.calls.happened(writer, call, at, is_first)
        return outcome

    def outcome(self, child):
        """How a child ended, and what it said last."""
        lines = child.communicate()[1].decode(errors="replace").strip().splitlines()
        return child.returncode, lines[-1] if lines else ""

    def figures(self):
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.count.items()))
        yield f"{sum(self.count.values())} kills ({kinds}), {self.at_calls} of them at a call of the operating system"
        yield f"  {self.finished} commands finished after them; {self.ended} more ended before they were killed"
        yield f"  {self.writers.had_ended} were killed when they had done all, and said so when they were run again"

    def close(self):
        pass
