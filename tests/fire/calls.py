"""Calls of the operating system that fail, or at which the program is killed: a library that is loaded before others."""

import errno
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).with_name("fail.c")
# ENOSPC for a disk that is full, EIO for one that is broken.
ERRORS = {
    "write": [errno.ENOSPC, errno.EIO],
    "fsync": [errno.EIO],
    "rename": [errno.EIO, errno.EACCES],
    "remove": [errno.EIO, errno.EACCES],
}
# What FIRE_ERROR is where the program is killed in place of the call.
KILL = 0


class Calls:
    """Disturbs one call of a command that writes, and learns how many calls each command makes."""

    def __init__(self, program, home, rng):
        self.program, self.home, self.rng = program, home, rng
        self.note = home / "note"
        # At which call of each command nothing is left that could be disturbed.
        self.last = {}
        self.library = None
        if shutil.which("cc"):
            self.library = program.home / "fail.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE, "-ldl"], check=True)
        else:
            print("no cc here: single calls of write, fsync, rename and unlink are not disturbed")

    def choose(self, writer):
        """A kind of call that the command makes, and the number of one of them."""
        call = self.rng.choice(sorted(ERRORS))
        return call, self.rng.randrange(1, max(1, self.last.get((writer.name, call), 64)) + 1)

    def environment(self, call, at, error):
        """The environment in which that call of the next run is disturbed."""
        self.note.unlink(missing_ok=True)
        return {
            "LD_PRELOAD": str(self.library),
            "FIRE_CALL": call,
            "FIRE_AT": str(at),
            "FIRE_ERROR": str(error),
            "FIRE_BELOW": str(self.home.resolve()),
            "FIRE_NOTE": str(self.note),
        }

    def happened(self, writer, call, at, is_first=True):
        """Whether the last run made that call. Where the first run of a command did not, the command makes fewer; one that goes on
        makes fewer anyway."""
        if is_first and not self.note.exists():
            self.last[writer.name, call] = at - 1
        return self.note.exists()
