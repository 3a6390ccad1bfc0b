"""The valid files that are damaged: fixtures of the tests, and what the program writes itself."""

import base64
import gzip
import io
import pathlib
import shutil
import struct
import zipfile
import zlib
from dataclasses import dataclass

# A photograph of 32x32 pixels as JPEG, which Python's standard library does not write.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P//////////////////////////////////////////////////"
    "////////2wBDAaq0tPDS8P//////////////////////////////////////////////////////////////////////////////wAARCAAgACAD"
    "ASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKB"
    "kaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZ"
    "mqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQF"
    "BgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5"
    "OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX"
    "2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwAx6D9P6ijr7/kR+vNGPQfp/UUdff8AIj9eaADp7fmP58UY9v0/mRR09vzH8+KMe36f"
    "zIoAMeg/T+oo6+/5EfrzRj0H6f1FHX3/ACI/XmgA6e35j+fFGPb9P5kUdPb8x/PijHt+n8yKAP/Z"
)


@dataclass
class Case:
    """A file that is damaged, and the command that reads it."""

    kind: str
    # A directory that is copied for each run, where the command writes into it; else it is used as it is.
    directory: pathlib.Path
    file: str
    arguments: list
    writes: bool = False


def npy(kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x.npy", npy("<f4", "(4, 1, 8, 8)", struct.pack("<256f", *range(256))))
        archive.writestr("labels.npy", npy("<i8", "(4,)", struct.pack("<4q", 0, 1, 2, 3)))
    return file.getvalue()


def png(side, palette=False):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    width = side if palette else 3 * side
    rows = b"".join(bytes([0]) + bytes((7 * x + y) % (4 if palette else 256) for x in range(width)) for y in range(side))
    header = struct.pack(">2I5B", side, side, 8, 3 if palette else 2, 0, 0, 0)
    colours = chunk(b"PLTE", bytes(range(12))) if palette else b""
    body = chunk(b"IHDR", header) + colours + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def field(number, data):
    """A field of a protocol buffer."""
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def node(op, inputs, output):
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, op))


def chain(blocks, external=None):
    """An ONNX file of so many residual blocks, and the bytes of the file that its arrays lie in, if one is named."""
    side, parts, arrays = 4, [node("MatMul", ["x", "w"], "v0")], b""

    def array(name, shape, values):
        nonlocal arrays
        raw = struct.pack(f"<{len(values)}f", *values)
        where = [("location", external), ("offset", str(len(arrays))), ("length", str(len(raw)))]
        entries = b"".join(field(13, field(1, key) + field(2, value)) for key, value in where if external)
        arrays += raw if external else b""
        content = entries + field(14, 1) if external else field(9, raw)
        return field(5, b"".join(field(1, dim) for dim in shape) + field(2, 1) + field(8, name) + content)

    values = [((7 * i) % 11 - 5) / 40 for i in range(side * side)]
    for block in range(blocks):
        parts.append(node("MatMul", [f"v{block}", f"w{block}" if external else "w"], f"m{block}"))
        parts.append(node("Relu", [f"m{block}"], f"r{block}"))
        parts.append(node("Add", [f"v{block}", f"r{block}"], f"v{block + 1}"))
    parts.append(node("MatMul", [f"v{blocks}", "head"], "y"))
    names = ["w"] + [f"w{block}" for block in range(blocks) if external]
    parts += [array(name, [side, side], values) for name in names] + [array("head", [side, 3], values[:12])]
    for number, name, dims in [(11, "x", ["N", side]), (12, "y", ["N", 3])]:
        shape = b"".join(field(1, field(1, dim) if isinstance(dim, int) else field(2, dim)) for dim in dims)
        parts.append(field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))))
    graph = b"".join(parts) + field(2, "chain")
    return field(1, 8) + field(8, field(1, "") + field(2, 17)) + field(7, graph), arrays


# The classes of CIFAR-10, and the network of the fixture that is evaluated.
CLASSES = "airplane automobile bird cat deer dog frog horse ship truck".split()
ARCHITECTURE = '"resnet"\ndepth = 8\nwidth = 4\nwiring = "residual"'
EXPERIMENT = """[model]
kind = "mlp"
depth = 4
width = 8
wiring = "highway"

[data]
source = "digits"

[train]
epochs = 1
rate = 0.05
checkpoint_steps = 5
"""


class Corpus:
    """Makes the files, once."""

    def __init__(self, program, home, root):
        self.program, self.home, self.cases = program, home, []
        home.mkdir()
        tests = root / "tests"
        (home / "experiment.toml").write_text(EXPERIMENT)
        program.succeed(["train", home / "experiment.toml", "--out", home / "run"])
        self.run = home / "run"
        self.networks(tests)
        self.data(tests)
        self.own_files()
        self.folders(tests)

    def directory(self, name):
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def case(self, kind, directory, file, arguments, writes=False):
        self.cases.append(Case(kind, directory, file, arguments, writes))

    def networks(self, tests):
        """Files of others that hold networks."""
        place = self.directory("networks")
        for path in sorted((tests / "open").iterdir()) + sorted((tests / "foreign").iterdir()):
            if path.is_file() and path.suffix not in (".json", ".rs") and path.stat().st_size < 70_000:
                shutil.copy(path, place / path.name)
                self.case("PyTorch, safetensors", place, path.name, ["show", path.name])
        shards = place / "sharded"
        shutil.copytree(tests / "open" / "cifar-a.sharded.dir", shards)
        for path in shards.iterdir():
            self.case("safetensors in parts", place, f"sharded/{path.name}", ["show", "sharded"])
        for path in sorted((tests / "onnx").glob("*.onnx")) + sorted((tests / "answers").glob("*.onnx")):
            if path.name.startswith("plain"):
                continue
            shutil.copy(path, place / path.name)
            self.case("ONNX", place, path.name, ["show", path.name])
        graph, arrays = chain(3, "chain.onnx.data")
        (place / "chain.onnx").write_bytes(graph)
        (place / "chain.onnx.data").write_bytes(arrays)
        for name in ("chain.onnx", "chain.onnx.data"):
            self.case("ONNX with external data", place, name, ["show", "chain.onnx"])
        (place / "experiment.toml").write_text(EXPERIMENT.replace('"mlp"\ndepth = 4\nwidth = 8\nwiring = "highway"', ARCHITECTURE))
        self.case("experiment", place, "experiment.toml", ["show", "cifar-a.zip.pt", "--arch", "experiment.toml"])
        self.program.succeed(["show", "post.onnx", "--save-cut", "cut.toml"], cwd=place)
        self.case("cut", place, "cut.toml", ["show", "post.onnx", "--cut", "cut.toml"])

    def data(self, tests):
        """Data sets."""
        place = self.directory("data")
        evaluate = lambda network, spec: ["eval", network, "--data", spec, "--limit", "4"]
        own, colour = self.run / "model.safetensors", tests / "open" / "cifar-a.safetensors.safetensors"
        images = npy("<f4", "(4, 1, 8, 8)", struct.pack("<256f", *range(256)))
        for name, content in [
            ("x.npy", images),
            ("bytes.npy", npy("|u1", "(4, 1, 8, 8)", bytes(range(256)))),
            ("stored.npz", npz(zipfile.ZIP_STORED)),
            ("deflated.npz", npz(zipfile.ZIP_DEFLATED)),
        ]:
            (place / name).write_bytes(content)
            measure = ["measure", own, "--data", f"arrays:{name}", "--only", "estimation"]
            self.case("arrays", place, name, evaluate(own, f"arrays:{name}") if name.endswith("z") else measure)
        for name, content in [("x.png", png(32)), ("palette.png", png(32, True)), ("x.jpg", JPEG)]:
            for label in CLASSES:
                (self.directory(f"data/{name}.folder/{label}") / name).write_bytes(content)
            options = ["--resize", "32", "--crop", "32"]
            file = f"{name}.folder/airplane/{name}"
            self.case("images", place, file, evaluate(colour, f"folder:{name}.folder") + options)
        images = struct.pack(">4I", 0x803, 20, 28, 28) + bytes(range(196)) * 80
        labels = struct.pack(">2I", 0x801, 20) + bytes(range(10)) * 2
        for suffix, pack in [("", bytes), (".gz", gzip.compress)]:
            mnist = self.directory(f"data/mnist{suffix}")
            for name, content in [("t10k-images-idx3-ubyte", images), ("t10k-labels-idx1-ubyte", labels)]:
                (mnist / (name.replace("t10k", "train") + suffix)).write_bytes(pack(content))
                (mnist / (name + suffix)).write_bytes(pack(content))
                self.case("MNIST", place, f"mnist{suffix}/{name}{suffix}", evaluate("digits", f"mnist:mnist{suffix}"))
            cifar = self.directory(f"data/cifar{suffix}")
            (cifar / f"test_batch.bin{suffix}").write_bytes(pack(bytes([3]) + bytes(range(256)) * 12))
            self.case("CIFAR", place, f"cifar{suffix}/test_batch.bin{suffix}", evaluate(colour, f"cifar10:cifar{suffix}"))
        self.program.succeed(
            ["train", self.home / "experiment.toml", "--set", "data.source=mnist:mnist", "--out", "digits"], cwd=place
        )
        text = place / "text"
        shutil.copytree(tests / "cmd" / "text.in" / "corpus", text / "corpus")
        shutil.copy(tests / "cmd" / "text.in" / "experiment.toml", text)
        self.program.succeed(["train", "experiment.toml", "--out", "reader"], cwd=text)
        self.case("text", text, "corpus/test.txt", ["eval", "reader", "--data", "text:corpus", "--limit", "9"])
        labels = place / "labels.txt"
        labels.write_text("".join(f"{number}\n" for number in range(10)))
        self.case("labels", place, "labels.txt", ["eval", own, "--data", "digits", "--limit", "4", "--labels", "labels.txt"])

    def own_files(self):
        """Files that the program wrote."""
        place, program = self.home, self.program
        evaluate = ["eval", "run", "--data", "digits", "--limit", "4"]
        for name in ("model.safetensors", "config.toml", "versions.json", "metrics.jsonl"):
            self.case("run", place, f"run/{name}", evaluate)
        copy = self.directory("resumed")
        shutil.copytree(self.run, copy / "run")
        (copy / "run" / "model.safetensors").unlink()
        for path in (copy / "run" / "checkpoints").iterdir():
            file = f"run/checkpoints/{path.name}"
            self.case("checkpoint", copy, file, ["train", "../experiment.toml", "--resume", "--out", "run"], True)
        measure = ["measure", "run", "--data", "digits", "--limit", "40", "--only", "lesion,estimation"]
        for number in (1, 2):
            program.succeed([*measure, "--shard", f"{number}/2", "--out", f"shard{number}"], cwd=place)
        shards = self.directory("shards")
        for number in (1, 2):
            shutil.move(place / f"shard{number}", shards / f"shard{number}")
        for path in sorted((shards / "shard1").rglob("*")):
            if path.is_file():
                file = str(path.relative_to(shards))
                self.case("shard", shards, file, ["merge", "shard1", "shard2", "--out", "merged"], True)
        report = self.directory("reports")
        shutil.copytree(self.run, report / "run")
        program.succeed([*measure, "--out", "whole"], cwd=report)
        for name in ("whole/plan.json", "whole/measurements.json"):
            self.case("report", report, name, ["report", "whole"], True)
        stopped = self.stopped(measure)
        for path in sorted((stopped / "part").rglob("*")):
            if path.is_file() and not path.name.endswith(".tmp"):
                file = str(path.relative_to(stopped))
                self.case("store", stopped, file, [*measure, "--out", "part", "--resume"], True)
        program.succeed([*measure[:1], "run", "--data", "digits", "--only", "lesion", "--out", "ranking"], cwd=place)
        slim = ["slim", "run", "--data", "digits", "--limit", "40"]
        block = ["--blocks", "stage1.block2", "--dry-run"]
        program.succeed([*slim, *block, "--save-plan", "plan.toml"], cwd=place)
        self.case("plan", place, "plan.toml", [*slim, "--plan", "plan.toml", "--dry-run"])

    def stopped(self, measure):
        """A measurement that was killed with a store."""
        place = self.directory("stopped")
        shutil.copytree(self.run, place / "run")
        for wait in range(400):
            shutil.rmtree(place / "part", ignore_errors=True)
            child = self.program.start([*measure, "--save-every", "0", "--out", "part"], cwd=place)
            while child.poll() is None and not any((place / "part" / "store").glob("*.bin")):
                pass
            child.kill()
            child.communicate()
            if any((place / "part" / "store").glob("*.bin")):
                return place
        raise SystemExit("no measurement could be killed while it had a store")

    def folders(self, tests):
        """Folders of Transformers."""
        place = self.directory("folders")
        for path in sorted((tests / "folders").iterdir()):
            shutil.copytree(path, place / path.name)
            for file in sorted(path.iterdir()):
                if file.is_file():
                    self.case("Transformers", place, f"{path.name}/{file.name}", ["show", path.name])
