"""Makes src/feed/venue/binance/margin.tsv from leverage brackets in CCXT's shape.

usage: binance_margin.py BRACKETS.json > margin.tsv

BRACKETS.json maps unified symbols ("BTC/USDT:USDT") to lists of tiers, each with the venue's own row under "info": initialLeverage,
notionalCap, notionalFloor, maintMarginRatio, cum. Symbols that share a ladder share a line, the commonest ladder first.
"""
import json
import re
import sys
from decimal import Decimal

HEAD = """\
# Leverage brackets of Binance USD-M, September 2026. Made by contrib/binance_margin.py.
# A line is a ladder and the symbols that have it; the first is the commonest. A tier is leverage:cap:rate:deduction, in USD.
"""


def symbol_of(unified):
    """BTC/USDT:USDT-260925 is BTCUSDT_260925 to the venue."""
    base, quote, _, expiry = re.fullmatch(r"([^/]+)/([^:]+):([^-]+)(?:-(\d+))?", unified).groups()
    return base + quote + (f"_{expiry}" if expiry else "")


def plain(number):
    """The number without exponent and trailing zeros."""
    text = f"{Decimal(str(number)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ladder_of(tiers):
    rows = [tier["info"] for tier in tiers]
    floors = [0] + [row["notionalCap"] for row in rows[:-1]]
    assert floors == [row["notionalFloor"] for row in rows]
    keys = ("initialLeverage", "notionalCap", "maintMarginRatio", "cum")
    return " ".join(":".join(plain(row[key]) for key in keys) for row in rows)


ladders = {}
with open(sys.argv[1], encoding="utf-8") as file:
    for unified, tiers in json.load(file).items():
        ladders.setdefault(ladder_of(tiers), []).append(symbol_of(unified))
print(HEAD, end="")
for ladder, symbols in sorted(ladders.items(), key=lambda item: (-len(item[1]), min(item[1]))):
    print(ladder, " ".join(sorted(symbols)), sep="\t")
