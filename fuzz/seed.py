#!/usr/bin/env python3
"""Fills fuzz/corpus with one input a sample: from tests/data, and from $MELTLINE_RECORDED/wire if that is set."""

import gzip
import hashlib
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent
VENUES = {"binance": "BINANCE_FUTURES", "bybit": "BYBIT", "okx": "OKX", "hyperliquid": "HYPERLIQUID"}
FRAMES_PER_INPUT = 20


def keep(venue, text):
    folder = ROOT / "corpus" / venue
    folder.mkdir(parents=True, exist_ok=True)
    data = text.encode()[:65_536]
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def one_line(text):
    return " ".join(line.strip() for line in text.splitlines())


def main():
    count = 0
    for venue, recorder in VENUES.items():
        folders = [ROOT.parent / "tests" / "data" / venue]
        recorded = os.environ.get("MELTLINE_RECORDED")
        if recorded:
            samples = pathlib.Path(recorded) / "wire" / "samples"
            folders += samples.glob(f"{venue}*")
            for path in (pathlib.Path(recorded) / "wire" / "recordings").glob(f"{recorder}*.gz"):
                lines = gzip.open(path, "rt", errors="replace").read().splitlines()
                frames = [m.group(1) for m in (re.match(r"[\d.]+: (?:<- )?([\[{].*)", l) for l in lines) if m]
                for start in range(0, min(len(frames), 400), FRAMES_PER_INPUT):
                    keep(venue, "\n".join(frames[start:start + FRAMES_PER_INPUT]))
                    count += 1
        for folder in folders:
            for path in sorted(folder.rglob("*.json")) if folder.exists() else []:
                text = path.read_text(errors="replace")
                keep(venue, one_line(text))
                keep(venue, "?" + path.stem + "\t" + one_line(text))
                count += 2
    print(f"{count} seeds")


if __name__ == "__main__":
    main()
