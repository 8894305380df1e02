"""Rank correlation of `levels --every 1h --format json` with an independent implementation of the estimator, learning off.

usage: rank_correlation.py REFERENCE_DIR SCENARIO SEED DAYS LEVELS.ndjson

REFERENCE_DIR holds sim.py and cgp.py (numpy, scipy, numba); the levels were made from the events that sim_events.py writes for the same
scenario, seed and days. Compared are USD in 0.25 % steps within 12 % of the mark, for each whole hour and side.
"""
import json
import sys

import numpy as np
from scipy.stats import spearmanr

sys.path.insert(0, sys.argv[1])
import cgp  # noqa: E402
from sim import simulate  # noqa: E402

scenario, seed, days = sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
START, STEPS, STEP = 1_759_996_800_000, 48, 0.0025
market = simulate(scenario, seed, days=days, burn_days=min(2, days / 3))
level, position, *_ = cgp.run(market, t0=1, learn=0)
maps = {}
for line in open(sys.argv[5]):
    row = json.loads(line)
    maps[(row["ts"] - START) // 1000] = row


def steps(prices, usd, mark, sign):
    """USD by step of distance from the mark, on the side where `sign` points."""
    at = sign * (np.asarray(prices) - mark) / (STEP * mark)
    inside = (at > 0) & (at < STEPS)
    out = np.zeros(STEPS)
    np.add.at(out, at[inside].astype(int), np.asarray(usd)[inside])
    return out


for key, reference in (("usd", level), ("position_usd", position)):
    found = []
    for i, second in enumerate(market["snt"]):
        row = maps.get(int(second))
        if row is None or second % 3600:
            continue
        mark = market["mk"][second]
        for side, (name, sign) in enumerate((("long", -1), ("short", 1))):
            ours = [level for level in row["levels"] if level["side"] == name]
            middle = [(float(level["price_low"]) + float(level["price_high"])) / 2 for level in ours]
            x = steps(middle, [level[key] for level in ours], mark, sign)
            y = steps((np.arange(reference.shape[2]) + 0.5) * 50, reference[i, side], mark, sign)
            found.append(spearmanr(x, y)[0])
    print(f"{key}: mean {np.mean(found):.3f}, lowest {np.min(found):.3f}, over {len(found)} maps")
