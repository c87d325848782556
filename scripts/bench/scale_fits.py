"""Straight lines through what was measured, and how fast it grows."""
import math

# One-sided 90 % of Student's distribution by degrees of freedom.
STUDENT = {1: 3.08, 2: 1.89, 3: 1.64, 4: 1.53, 5: 1.48, 6: 1.44}
# What grew by less than this share over the whole sweep did not grow.
STILL = 0.25


def solve(rows, values):
    """The solution of a small system of equations; none if there is not one."""
    table = [[*row, value] for row, value in zip(rows, values)]
    size = len(table)
    for column in range(size):
        best = max(range(column, size), key=lambda row: abs(table[row][column]))
        if abs(table[best][column]) < 1e-12:
            return None
        table[column], table[best] = table[best], table[column]
        for row in range(size):
            if row != column:
                factor = table[row][column] / table[column][column]
                table[row] = [a - factor * b for a, b in zip(table[row], table[column])]
    return [table[row][size] / table[row][row] for row in range(size)]


def linear(points, scales):
    """Of points (terms, value): what each term costs, and the largest share by which a point is off.

    Least squares of the shares by which points are off, so that small sizes count as much as large ones. A term that would be
    negative is left out: nothing gets cheaper by more work. `scales` are typical sizes of the terms."""
    points = [(terms, value) for terms, value in points if value > 0]
    used = [n for n in range(len(scales)) if any(terms[n] for terms, _ in points)]
    while used:
        rows = [[terms[n] / scales[n] / value for n in used] for terms, value in points]
        squares = [[sum(row[a] * row[b] for row in rows) for b in range(len(used))] for a in range(len(used))]
        found = solve(squares, [sum(row[a] for row in rows) for a in range(len(used))])
        if found and min(found) >= 0:
            break
        used.pop(found.index(min(found)) if found else 0)
    each = [0.0] * len(scales)
    for n, factor in zip(used, found if used else []):
        each[n] = factor / scales[n]
    off = max((abs(at(each, terms) / value - 1) for terms, value in points), default=0.0)
    return each, off


def at(each, terms):
    return sum(factor * term for factor, term in zip(each, terms))


def slope(points):
    """Slope of y over x in logarithms, and its error: half of an interval that holds it in 80 of 100 cases."""
    points = [(math.log(x), math.log(y)) for x, y in points]
    count = len(points)
    mean_x, mean_y = (sum(values) / count for values in zip(*points))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    found = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    if count < 3:
        return found, math.inf
    left = sum((y - mean_y - found * (x - mean_x)) ** 2 for x, y in points)
    return found, STUDENT.get(count - 2, 1.4) * math.sqrt(left / (count - 2) / spread)


def exponent(points):
    """The exponent p of what grows as x^p beside a fixed part, with its error; (0, 0) if it did not grow.

    The smallest size is taken off first, so that a fixed part does not hide how the rest grows: of a straight line, whatever
    its begin, exactly 1 is left."""
    (x0, y0), *rest = sorted(points)
    if not rest or y0 <= 0 or max(y for _, y in rest) < y0 * (1 + STILL):
        return 0.0, 0.0
    grown = [(x - x0, y - y0) for x, y in rest if y - y0 > STILL / 5 * y0]
    return slope(grown) if len(grown) > 1 else (0.0, math.inf)
