"""Damages valid files of every kind that the program reads."""

import collections
import shutil
import struct
import sys
import zlib

from corpus import Corpus

# Numbers at which lengths and counts go wrong.
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def damaged(content, other, rng):
    """The content with one to four faults. `other` is another file, of which parts are taken."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not content:
            return bytes(content)
        # The beginning of a file has most of its structure.
        size = len(content) if rng.random() < 0.5 else min(len(content), 256)
        at = rng.randrange(size)
        fault = rng.randrange(9)
        if fault == 0:
            content[at] ^= 1 << rng.randrange(8)
        elif fault == 1:
            content[at] = rng.randrange(256)
        elif fault == 2:
            del content[at:]
        elif fault == 3:
            del content[at : at + rng.choice((1, 2, 4, 8, 64, 1024))]
        elif fault == 4:
            content[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 4, 8, 64))))
        elif fault == 5:
            width, form = rng.choice([(1, "B"), (2, "H"), (4, "I"), (8, "Q")])
            number = rng.choice(NUMBERS) & ((1 << (8 * width)) - 1)
            content[at : at + width] = struct.pack(rng.choice("<>") + form, number)
        elif fault == 6:
            length = rng.choice((4, 16, 256))
            content[at:at] = content[at : at + length] * rng.choice((1, 2, 16))
        elif fault == 7:
            start = rng.randrange(len(other)) if other else 0
            content[at : at + 64] = other[start : start + 64]
        else:
            # A number in a text, such as a shape in a header.
            digits = [place for place in range(at, min(at + 256, len(content))) if 48 <= content[place] <= 57]
            if digits:
                content[digits[0] : digits[0] + 1] = str(rng.choice(NUMBERS + [-1])).encode()
    return bytes(content)


def signed(content):
    """A file of a store with a checksum that is right again, so that what follows it is read."""
    if content[:8] != b"UNROLLED" or len(content) < 20:
        return content
    return content[:16] + struct.pack("<I", zlib.crc32(content[20:])) + content[20:]


class Mutations:
    """Damages one file after the other, and has the program read it."""

    def __init__(self, program, rng, root):
        self.program, self.rng = program, rng
        self.corpus = Corpus(program, program.home / "corpus", root)
        self.count = collections.Counter()
        self.refused = collections.Counter()
        self.check()

    def check(self):
        """What is not damaged has to be read: what is refused as it is tells nothing. Other fixtures show what is refused."""
        for case in self.corpus.cases:
            outcome = self.read(case, (case.directory / case.file).read_bytes())
            if outcome.code != 0 and case.kind != "PyTorch, safetensors":
                sys.exit(f"{case.kind}: {case.file} is refused as it is: {outcome.last_line()}")

    def step(self):
        kinds = sorted({case.kind for case in self.corpus.cases})
        # Every kind of file has its turn, however many examples there are of it.
        kind = self.rng.choice(kinds)
        case = self.rng.choice([case for case in self.corpus.cases if case.kind == kind])
        other = self.rng.choice([other for other in self.corpus.cases if other.kind == kind])
        valid = (case.directory / case.file).read_bytes()
        content = damaged(valid, (other.directory / other.file).read_bytes(), self.rng)
        outcome = self.read(case, content if self.rng.random() < 0.5 else signed(content))
        self.count[kind] += 1
        self.refused[kind] += outcome.code != 0

    def read(self, case, content):
        """Has the program read a file with this content in the place of a valid one."""
        directory = case.directory
        if case.writes:
            directory = self.program.home / "work"
            shutil.rmtree(directory, ignore_errors=True)
            shutil.copytree(case.directory, directory)
        path = directory / case.file
        valid = path.read_bytes()
        path.write_bytes(content)
        try:
            outcome = self.program.run_bounded([self.up(part, case) for part in case.arguments], cwd=directory)
            if fault := outcome.fault():
                command = " ".join(map(str, case.arguments))
                self.program.found(f"{case.kind}: {case.file} ({command}): {fault}", path)
            return outcome
        finally:
            if not case.writes:
                path.write_bytes(valid)

    def up(self, part, case):
        """A path beside the copy leads to where the original lies."""
        text = str(part)
        return str(case.directory / text) if case.writes and text.startswith("../") else text

    def figures(self):
        yield f"{sum(self.count.values())} damaged files read, {sum(self.refused.values())} of them refused"
        for kind, count in sorted(self.count.items()):
            yield f"  {kind}: {count}, {self.refused[kind]} refused"

    def close(self):
        pass
