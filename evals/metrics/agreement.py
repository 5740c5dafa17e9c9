"""Whether judges agree beyond chance."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import cohen_kappa_score


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Of two judges of the same cases (Cohen 1960), 1 at best and 0 at chance.

    `None` without cases, and where both say one and the same thing always: chance alone would agree as well.
    """
    if len(first) != len(second):
        raise ValueError(f"expected judgements of the same cases, got {len(first)} and {len(second)}")
    if len({*first, *second}) < 2:
        return None
    return float(cohen_kappa_score(first, second))


def fleiss_kappa(judgements: Sequence[Sequence[str]]) -> float | None:
    """Of several judges (Fleiss 1971): one row a case with the judgements of all, as many in every row and at least two.

    With n_ij judges who call case i j: P_i = (sum_j n_ij^2 - n) / (n (n - 1)), p_j the share of all judgements that are
    j, and kappa = (mean P_i - sum_j p_j^2) / (1 - sum_j p_j^2). `None` without cases, and where all say one thing.
    """
    judges = {len(row) for row in judgements}
    if len(judges) > 1 or min(judges, default=2) < 2:
        raise ValueError(f"expected as many judges of every case, two at least, got {sorted(judges)}")
    kinds = sorted({kind for row in judgements for kind in row})
    if len(kinds) < 2:
        return None
    counts = np.array([[row.count(kind) for kind in kinds] for row in map(list, judgements)], np.float64)
    n = judges.pop()
    agreed = ((counts**2).sum(axis=1) - n) / (n * (n - 1))
    by_chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((agreed.mean() - by_chance) / (1 - by_chance))
