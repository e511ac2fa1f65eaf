"""Regressors from pair features to quality, with hyper-parameters chosen inside the labelled set."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from causaliqa.errors import DataError

_FOLDS = 5
#: Defined for folds of a single pair too, where R^2 is not.
_SCORING = "neg_mean_squared_error"


def _log(features: np.ndarray) -> np.ndarray:
    # Sensation grows with the logarithm of a stimulus (Fechner); the offset keeps an identical pair finite.
    return np.log(np.asarray(features, dtype=np.float64) + 1e-3)


def fit_regressor(name: str, features: np.ndarray, labels: np.ndarray, references: np.ndarray) -> Pipeline:
    """Fit a regressor.

    Parameters
    ----------
    name : ``ridge`` or ``svr`` (RBF kernel).
    features : (N, F).
    labels : (N,), larger is better.
    references : (N,), the content of each pair: folds never share a reference.

    Returns
    -------
    Pipeline
        With ``predict(features) -> (N,)``.

    Notes
    -----
    Hyper-parameters are chosen by cross-validation over the references of the labelled set; with fewer than three
    references they keep middle values, because there is nothing honest to choose them on.
    """
    groups = len(np.unique(references))
    if len(features) != len(labels) or len(labels) < 2:
        raise DataError(f"a regressor needs at least two labelled pairs, found {len(labels)}")
    prepare = (FunctionTransformer(_log), StandardScaler())
    folds = list(GroupKFold(min(_FOLDS, groups)).split(features, labels, references)) if groups >= 3 else None
    if name == "ridge":
        model = make_pipeline(
            *prepare, RidgeCV(np.logspace(-1, 4, 11), cv=folds, scoring=_SCORING) if folds else RidgeCV([30.0])
        )
    elif name == "svr":
        model = make_pipeline(*prepare, SVR(C=1.0, gamma="scale", epsilon=0.02))
        if folds:
            # A small grid: few labels do not support more.
            model = GridSearchCV(model, {"svr__C": [0.1, 1.0, 10.0]}, cv=folds, scoring=_SCORING)
    else:
        raise DataError(f"no regressor {name!r}; known are ridge, svr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return model.fit(features, labels)
