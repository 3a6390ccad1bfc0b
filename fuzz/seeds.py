"""Writes the files that fuzzing begins with to `fuzz/corpus`: fixtures of the tests, and small ones of every format.

    python fuzz/seeds.py
"""

import gzip
import io
import pathlib
import struct
import zipfile
import zlib

ROOT = pathlib.Path(__file__).parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
# Longer files are cut by the fuzzer, and cut files are refused at once.
LONGEST = 1 << 16
PLAN = 'network = "resnet-20 residual, width 2"\nblocks = [3, 3, 3]\nseed = 7\nremove = ["stage1.block2"]\n'
CUTS = ['stages = [[["relu", "relu_2"]], [["a", "b"]]]', 'stages = [[["relu", "relu_2"], ["relu_2", "relu_4"]]]']
TEXTS = ["1-3 / 1,3,2 / 1-2,2", "- / 1 / 1-3", "arrays:x.npz", "train.rate=0.5"]


def npy(kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x.npy", npy("<f4", "(2, 3)", struct.pack("<6f", *range(6))))
        archive.writestr("labels.npy", npy("<i8", "(2,)", struct.pack("<2q", 0, 1)))
    return file.getvalue()


def png(width, height):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(bytes([0]) + bytes((7 * x) % 256 for x in range(3 * width)) for _ in range(height))
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def jpeg():
    """None where there is no Pillow to write one."""
    try:
        from PIL import Image
    except ImportError:
        return None
    file = io.BytesIO()
    Image.frombytes("RGB", (9, 8), bytes(range(216))).save(file, "jpeg")
    return file.getvalue()


def data():
    """By the first byte of `fuzz_targets/data.rs`."""
    images = struct.pack(">4I", 0x803, 2, 3, 3) + bytes(18)
    files = [
        (0, npy("<f4", "(2, 1, 2, 2)", bytes(32))),
        (0, npy("|u1", "(3,)", b"abc")),
        (1, npz(zipfile.ZIP_STORED)),
        (1, npz(zipfile.ZIP_DEFLATED)),
        (2, png(5, 4)),
        (2, jpeg()),
        (3, bytes([3]) + bytes(3072)),
        (3, gzip.compress(bytes([3]) + bytes(3072))),
        (4, images),
        (4, gzip.compress(images)),
        (5, bytes([1, 2]) + bytes(3072)),
    ]
    return [bytes([format]) + file for format, file in files if file]


def main():
    read = lambda folder, pattern: [path.read_bytes() for path in sorted((ROOT / folder).rglob(pattern)) if path.is_file()]
    seeds = {
        "open": read("tests/open", "cifar*") + read("tests/open", "*.safetensors"),
        "onnx": read("tests/onnx", "*.onnx"),
        "text": read("configs", "*.toml") + [text.encode() for text in TEXTS],
        "data": data(),
        "images": [bytes([0]) + png(5, 4)] + [bytes([1]) + file for file in [jpeg()] if file],
        "npz": [bytes([127]) + 2 * npy("<f4", "(2, 3)", bytes(24)), bytes([255]) + npy("|u1", "(3,)", b"abc")],
        "plans": [PLAN.encode()],
        "cuts": [text.encode() for text in CUTS],
    }
    for target, files in seeds.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        short = [file for file in files if len(file) <= LONGEST]
        for number, file in enumerate(short):
            (CORPUS / target / f"seed{number:02d}").write_bytes(file)
        print(f"{target}: {len(short)} files")


if __name__ == "__main__":
    main()
