"""Kills the program at random moments."""

import collections
import time

from writers import Writers


class Kills:
    """Kills one command a few times, has it finish, and compares what it leaves."""

    def __init__(self, program, rng, root):
        self.program, self.rng = program, rng
        self.writers = Writers(program, program.home / "kills", root)
        self.count, self.late, self.finished = collections.Counter(), 0, 0

    def step(self):
        writer, home = self.rng.choice(self.writers.all), self.writers.home
        kills = self.rng.randrange(1, 6) if writer.resume else 1
        for _ in range(kills):
            child = self.program.start(writer.command(home), cwd=home)
            time.sleep(self.rng.random() * writer.seconds * (0.5 if writer.resume else 1.0))
            child.kill()
            child.communicate()
            if child.returncode == 0:
                self.late += 1
                break
            self.count[writer.name] += 1
            self.writers.check_partial(writer, "killed")
        self.writers.finish(writer, "killed")
        self.finished += 1

    def figures(self):
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.count.items()))
        yield f"{sum(self.count.values())} kills ({kinds}), {self.finished} commands finished after them"

    def close(self):
        pass
