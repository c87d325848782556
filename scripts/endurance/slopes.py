"""Whether a series of samples grows, with confidence."""
import collections
import math
import statistics

# Samples are not independent of those right before; blocks nearly are. Of each the least counts: what a process holds on to it has
# when it takes least, too, while what it takes for a question without Redis comes and goes with the troubles.
BLOCK_S = 60
# Fewer blocks say nothing.
MOST_UNCERTAIN = 10
DAY = 86_400
# Per day: the slope and the bounds between which it is with 95 % confidence.
Slope = collections.namedtuple("Slope", "middle first last slope low high")


def student(freedom):
    """The 97.5 % quantile of Student's t, by the Cornish-Fisher expansion: exact to a hundredth from four degrees on."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2)


def blocks(samples):
    """Median of time and least value of each block."""
    found = collections.defaultdict(list)
    for at, value in samples:
        found[(at - samples[0][0]) // BLOCK_S].append((at, value))
    return [(statistics.median(at for at, _ in block), min(value for _, value in block)) for _, block in sorted(found.items())]


def slope(samples):
    """Of (seconds, value), without their first third, in which a process still grows into its work. Nothing if they are too few."""
    points = blocks(samples[len(samples) // 3:]) if samples else []
    if len(points) < MOST_UNCERTAIN:
        return None
    at, values = zip(*points)
    line = statistics.linear_regression(at, values)
    rest = [value - line.slope * time - line.intercept for time, value in points]
    squares = sum(value * value for value in rest)
    # What is left of independence: neighbours that are alike count for less (AR(1)).
    alike = sum(a * b for a, b in zip(rest, rest[1:])) / squares if squares else 0.0
    alike = min(max(alike, 0.0), 0.9)
    effective = max(4.0, len(points) * (1 - alike) / (1 + alike))
    mean = statistics.fmean(at)
    spread = sum((time - mean) ** 2 for time in at) * effective / len(points)
    freedom = max(2.0, effective - 2)
    error = math.sqrt(squares / len(points) * effective / freedom / spread) * student(freedom)
    sixth = max(1, len(values) // 6)
    return Slope(statistics.median(values), statistics.median(values[:sixth]), statistics.median(values[-sixth:]), line.slope * DAY,
                 (line.slope - error) * DAY, (line.slope + error) * DAY)
