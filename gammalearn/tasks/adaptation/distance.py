"""Proxy A-distance: how well a simple classifier tells two sets of events apart."""

import numpy as np

__all__ = ["FEWEST_EVENTS", "proxy_a_distance"]

N_FOLDS = 5

#: Events of each set, below which there is no distance.
FEWEST_EVENTS = 4 * N_FOLDS


def proxy_a_distance(a: np.ndarray, b: np.ndarray, seed: int = 1) -> float:
    """Proxy A-distance 2 (1 − 2ε) of two sets (Ben-David et al. 2010; Ganin et al. 2016, eq. 3).

    ε is the share of events that a logistic regression puts into the wrong set, where it has not
    learned from them (cross-validation), with as many events of each set. The distance is 0 for
    sets that cannot be told apart, and 2 for sets that always can. With few events it can be
    slightly negative.

    Parameters
    ----------
    a, b : ndarray, shape (n, d) and (m, d)
    seed : int
        Of the choice of events and of the folds.

    Returns
    -------
    float
        NaN if a set has fewer events than `FEWEST_EVENTS`.
    """
    n = min(len(a), len(b))
    if n < FEWEST_EVENTS:
        return np.nan
    # Here, as they take a second to import, which a prediction does not need.
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(seed)
    events = np.concatenate([x[random.choice(len(x), n, replace=False)] for x in (a, b)])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    accuracy = cross_val_score(classifier, events, np.repeat([0, 1], n), cv=folds).mean()
    return float(2 * (1 - 2 * (1 - accuracy)))
