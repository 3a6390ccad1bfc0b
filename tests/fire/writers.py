"""The commands that write, and what they leave when nothing disturbs them."""

import shutil
from dataclasses import dataclass, field

from corpus import EXPERIMENT
from program import files

# Everything random at once, and everything that is remembered; checkpoints every few steps.
TRAINING = """[model]
kind = "mlp"
depth = 12
width = 24
wiring = "highway"
norm = true
dropout = [0.1]
layer_dropout = 0.3

[data]
source = "digits"
select_on_test = true

[train]
epochs = 4
batch = 32
rate = 0.05
schedule = "plateau"
ema = 0.9
weight_decay = 1e-4
checkpoint_steps = 7
"""


@dataclass
class Writer:
    """A command that writes. `resume` is added where it was disturbed before; a command without it is run as it was."""

    name: str
    arguments: list
    target: str
    resume: list = field(default_factory=list)
    # What of the target has to exist, so that there is something to resume.
    resumable: str = ""
    # What is there when nothing disturbed the command, and how long it took.
    whole: dict = field(default_factory=dict)
    seconds: float = 0.0

    def command(self, home):
        is_begun = self.resume and (home / self.target / self.resumable).exists()
        return self.arguments + (self.resume if is_begun else [])

    def content(self, home):
        """The files that it wrote, by their names."""
        path = home / self.target
        if path.is_file():
            return {self.target: path.read_bytes()}
        return files(path)

    def clear(self, home):
        path = home / self.target
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        # The marks of a command that did not end are those of the file.
        for left in home.glob(f".whole-*{self.target}.*"):
            shutil.rmtree(left, ignore_errors=True)
            left.unlink(missing_ok=True)


def differences(whole, found):
    """How files differ, given by their names."""
    how = lambda name: "missing" if name not in found else "too many" if name not in whole else "other bytes"
    return [f"{name}: {how(name)}" for name in sorted(whole | found) if found.get(name) != whole.get(name)]


class Writers:
    """A directory in which all writers can run."""

    def __init__(self, program, home, root):
        import time

        self.program, self.home, self.had_ended = program, home, 0
        home.mkdir()
        (home / "experiment.toml").write_text(EXPERIMENT)
        (home / "training.toml").write_text(TRAINING)
        program.succeed(["train", "experiment.toml", "--out", "run"], cwd=home)
        shutil.copy(root / "tests" / "onnx" / "post.onnx", home)
        measure = ["measure", "run", "--data", "digits", "--limit", "60", "--only", "lesion,estimation,influence"]
        for number in (1, 2):
            program.succeed([*measure, "--shard", f"{number}/2", "--out", f"shard{number}"], cwd=home)
        block = ["--data", "digits", "--limit", "60", "--blocks", "stage1.block2"]
        self.all = [
            Writer("train", ["train", "training.toml", "--out", "trained"], "trained", ["--resume"], "config.toml"),
            Writer("measure", [*measure, "--save-every", "0", "--out", "report"], "report", ["--resume"], "plan.json"),
            Writer("merge", ["merge", "shard1", "shard2", "--out", "merged"], "merged"),
            Writer("slim", ["slim", "run", *block, "--out", "slim.safetensors"], "slim.safetensors"),
            Writer("plan", ["slim", "run", *block, "--dry-run", "--save-plan", "plan.toml"], "plan.toml"),
            Writer("cut", ["show", "post.onnx", "--save-cut", "cut.toml"], "cut.toml"),
        ]
        for writer in self.all:
            begun = time.monotonic()
            program.succeed(writer.arguments, cwd=home)
            writer.seconds = time.monotonic() - begun
            writer.whole = writer.content(home)
            writer.clear(home)

    def differences(self, writer):
        """How the files differ from those that are there where nothing disturbed the command."""
        return differences(writer.whole, writer.content(self.home))

    def check_partial(self, writer, what):
        """Checks what a disturbed command left: a single file is whole or not there."""
        path = self.home / writer.target
        if writer.target in writer.whole and path.exists() and path.read_bytes() != writer.whole[writer.target]:
            self.program.found(f"{writer.name}, {what}: a part of {writer.target} has its name", path)

    def finish(self, writer, what):
        """Has a disturbed command run to its end, and compares what it leaves."""
        outcome = self.program.run(writer.command(self.home), cwd=self.home)
        self.check_ended(writer, f"{what}, then run again", outcome.code, outcome.last_line())

    def check_ended(self, writer, what, code, said=""):
        """Checks that a command has ended well and left what it leaves where nothing disturbs it. One that was killed when it had done
        all may say so: it replaces nothing."""
        had_ended = code == 2 and "there already" in said and not self.differences(writer)
        self.had_ended += had_ended
        if code != 0 and not had_ended:
            self.program.found(f"{writer.name}, {what}: ends with {code}: {said}", self.home / writer.target)
        elif names := self.differences(writer):
            self.program.found(f"{writer.name}, {what}: {', '.join(names)}", self.home / writer.target)
        writer.clear(self.home)
