"""Hand-made features and shallow classifiers, with recentring of subjects by their own unlabelled windows."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from unimontage.errors import UserError
from unimontage.signal.alignment import recentring_matrices
from unimontage.signal.bands import BANDS, FLOOR_UV2, band_power, differential_entropy

MOTOR_BAND_HZ = (8.0, 30.0)
"""Mu and beta rhythms: the band of the spatial methods."""
BATCH = 2048
"""Windows that are filtered or transformed at a time, to bound the memory of the intermediate arrays."""
SHRINKAGE = 0.01
"""Part of a class covariance that becomes a multiple of the identity, so that an average reference, an interpolated
channel or few windows leave it invertible."""

MEAN_WINDOWS = 1000
"""Most windows that a Riemannian mean is computed from: it is iterative, and more do not move it."""

# Matrices of some tens of channels are too small to share out, and on a busy node waiting threads cost a factor of ten.
one_thread = threadpool_limits.wrap(limits=1)

Statistic = Callable[[np.ndarray], np.ndarray]
Recentring = Callable[[np.ndarray, np.ndarray], np.ndarray]


class DomainPipeline(BaseEstimator):
    """Features of single windows, recentred for each domain, then a classifier.

    A domain is whatever shares a montage fit and a day, as a rule one subject's session. Recentring looks at no label:
    with it, a domain's centre is taken once, from the windows passed to :meth:`fit`, or for a domain that was not
    there from the windows passed to :meth:`predict_proba`.

    Parameters
    ----------
    features : callable
        Windows (N, C, T) to features (N, ...), each window by itself.
    statistic : callable
        Features of one domain to its centre.
    shift : callable
        Features of one domain and its centre to recentred features.
    classifier : scikit-learn classifier
        Fitted on recentred features.
    recentre : bool
        Whether domains are recentred at all.

    Attributes
    ----------
    classes_ : ndarray of int
        Class of each column of the probabilities: those that occur in training.
    centres_ : dict
        Centre of each domain seen in training.
    """

    def __init__(
        self,
        features: Callable[[np.ndarray], np.ndarray],
        statistic: Statistic,
        shift: Recentring,
        classifier: BaseEstimator,
        recentre: bool = False,
    ) -> None:
        self.features = features
        self.statistic = statistic
        self.shift = shift
        self.classifier = classifier
        self.recentre = recentre

    @one_thread
    def fit(self, X: np.ndarray, y: np.ndarray, domains: Sequence[str] | np.ndarray) -> "DomainPipeline":
        """Fit on labelled windows; windows with label -1 take part in the centres only.

        Parameters
        ----------
        X : ndarray, shape (N, C, T)
            Windows in microvolt.
        y : ndarray of int, shape (N,)
            Class of each window, -1 where unknown.
        domains : sequence of str, length N
            Domain of each window.

        Returns
        -------
        DomainPipeline
            Itself.

        Raises
        ------
        UserError
            Fewer than two classes among the labelled windows.
        """
        y, domains = np.asarray(y), np.asarray(domains)
        labelled = y >= 0
        present = np.unique(y[labelled])
        if len(present) < 2:
            raise UserError(
                f"training windows of {len(present)} class(es): {present.tolist()}",
                expected="at least two classes among the labelled training windows",
                mend="a larger label budget, or fewer folds",
            )
        used = np.ones(len(y), dtype=bool) if self.recentre else labelled
        features, domains = self.features(X[used]), domains[used]
        self.centres_ = self._centres(features, domains, known={}) if self.recentre else {}
        self.classifier.fit(self._recentred(features, domains, self.centres_)[labelled[used]], y[labelled])
        self.classes_ = self.classifier.classes_
        return self

    @one_thread
    def predict_proba(self, X: np.ndarray, domains: Sequence[str] | np.ndarray) -> np.ndarray:
        """Probabilities of :attr:`classes_`; shape (N, len(classes_)). Windows X (N, C, T), domains of length N."""
        domains = np.asarray(domains)
        features = self.features(X)
        centres = self._centres(features, domains, known=self.centres_) if self.recentre else {}
        return self.classifier.predict_proba(self._recentred(features, domains, centres))

    def predict(self, X: np.ndarray, domains: Sequence[str] | np.ndarray) -> np.ndarray:
        """Most probable class of each window; shape (N,)."""
        return self.classes_[self.predict_proba(X, domains).argmax(axis=1)]

    def _centres(self, features: np.ndarray, domains: np.ndarray, known: Mapping[str, Any]) -> dict[str, Any]:
        fresh = [name for name in np.unique(domains).tolist() if name not in known]
        return dict(known) | {name: self.statistic(features[domains == name]) for name in fresh}

    def _recentred(self, features: np.ndarray, domains: np.ndarray, centres: Mapping[str, Any]) -> np.ndarray:
        if not self.recentre:
            return features
        out = np.empty_like(features)
        for name in np.unique(domains).tolist():
            rows = domains == name
            out[rows] = self.shift(features[rows], centres[name])
        return out


class CalibratedSVM(ClassifierMixin, BaseEstimator):
    """Support vector machine with probabilities that no random draw enters.

    The sigmoid of Platt (1999) is fitted on decision values out of consecutive, unshuffled folds: windows arrive in the
    order of trials, so a fold is mostly other trials than the rest. With a single window in a class there is nothing to
    calibrate on, and the probabilities are the softmax of the decision values.

    Parameters
    ----------
    kernel : {"linear", "rbf"}
        Kernel.
    C : float
        Weight of the errors.
    folds : int
        Most folds of the calibration.
    """

    def __init__(self, kernel: str = "linear", C: float = 1.0, folds: int = 5) -> None:
        self.kernel = kernel
        self.C = C
        self.folds = folds

    def fit(self, X: np.ndarray, y: np.ndarray) -> "CalibratedSVM":
        """Fit on features (N, F) and classes (N,)."""
        self.classes_, counts = np.unique(y, return_counts=True)
        self.machine_ = SVC(kernel=self.kernel, C=self.C, cache_size=500)
        self.calibrated_ = bool(counts.min() >= 2)
        if self.calibrated_:
            folds = int(min(self.folds, counts.min()))
            self.machine_ = CalibratedClassifierCV(self.machine_, method="sigmoid", cv=folds, n_jobs=1, ensemble=False)
        self.machine_.fit(X, y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities (N, classes)."""
        if self.calibrated_:
            return self.machine_.predict_proba(X)
        decision = self.machine_.decision_function(X)
        scores = np.c_[-decision, decision] / 2 if decision.ndim == 1 else decision  # (N, classes)
        exponential = np.exp(scores - scores.max(axis=1, keepdims=True))
        return exponential / exponential.sum(axis=1, keepdims=True)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable class (N,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def build_pipeline(
    name: str, *, sfreq_hz: float, channels: Sequence[str], seed: int, recentre: bool = False, **options: Any
) -> DomainPipeline:
    """Build an unfitted pipeline.

    Parameters
    ----------
    name : str
        One of :data:`PIPELINES`.
    sfreq_hz : float
        Sampling rate of the windows.
    channels : sequence of str, length C
        Electrode names; the spatial methods need two.
    seed : int
        Seed of what a solver draws; none of the present ones draws anything that changes the result.
    recentre : bool
        Recentre each domain by its own unlabelled windows.
    **options
        ``bands`` (name to edges; de_svm, band_power), ``kernel`` (de_svm), ``band_hz`` (csp_lda, tangent_space),
        ``components`` (csp_lda).

    Returns
    -------
    DomainPipeline
        With ``fit(X, y, domains)`` and ``predict_proba(X, domains)``.

    Raises
    ------
    UserError
        No such pipeline or option, a band beyond Nyquist, or too few channels.
    """
    if name not in _BUILDERS:
        close = difflib.get_close_matches(name, _BUILDERS, n=1, cutoff=0.3) or list(_BUILDERS)
        raise UserError(f"no pipeline {name!r}", expected=", ".join(_BUILDERS), mend=f"pipeline: {close[0]}")
    builder, known = _BUILDERS[name]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"{name} has no option {unknown[0]!r}", expected=" or ".join(known))
    return builder(float(sfreq_hz), len(channels), seed, recentre, **options)


def _de_svm(
    sfreq_hz: float, channels: int, seed: int, recentre: bool, bands: Mapping[str, Any] = BANDS, kernel: str = "linear"
) -> DomainPipeline:
    features = partial(_entropy_features, sfreq_hz=sfreq_hz, bands=dict(bands))
    return DomainPipeline(features, _mean, _subtract, make_pipeline(StandardScaler(), CalibratedSVM(kernel)), recentre)


def _band_power(
    sfreq_hz: float, channels: int, seed: int, recentre: bool, bands: Mapping[str, Any] = BANDS
) -> DomainPipeline:
    features = partial(_power_features, sfreq_hz=sfreq_hz, bands=dict(bands))
    regression = LogisticRegression(class_weight="balanced", max_iter=1000, random_state=seed)
    return DomainPipeline(features, _mean, _subtract, make_pipeline(StandardScaler(), regression), recentre)


def _csp_lda(
    sfreq_hz: float,
    channels: int,
    seed: int,
    recentre: bool,
    band_hz: tuple[float, float] = MOTOR_BAND_HZ,
    components: int = 6,
) -> DomainPipeline:
    _check_spatial("csp_lda", channels, band_hz, sfreq_hz)
    features = partial(band_pass, sfreq_hz=sfreq_hz, band_hz=band_hz)
    classifier = make_pipeline(_QuietCSP(min(components, channels)), LinearDiscriminantAnalysis())
    return DomainPipeline(features, _euclidean_whitener, _whiten_windows, classifier, recentre)


def _tangent_space(
    sfreq_hz: float, channels: int, seed: int, recentre: bool, band_hz: tuple[float, float] = MOTOR_BAND_HZ
) -> DomainPipeline:
    _check_spatial("tangent_space", channels, band_hz, sfreq_hz)
    features = partial(_covariance_features, sfreq_hz=sfreq_hz, band_hz=band_hz)
    classifier = make_pipeline(_Tangent(), LogisticRegression(max_iter=1000, random_state=seed))
    return DomainPipeline(features, _riemannian_whitener, _whiten_covariances, classifier, recentre)


_BUILDERS: dict[str, tuple[Callable[..., DomainPipeline], tuple[str, ...]]] = {
    "de_svm": (_de_svm, ("bands", "kernel")),
    "band_power": (_band_power, ("bands",)),
    "csp_lda": (_csp_lda, ("band_hz", "components")),
    "tangent_space": (_tangent_space, ("band_hz",)),
}
PIPELINES = tuple(_BUILDERS)
"""Names that :func:`build_pipeline` knows."""


def band_pass(X: np.ndarray, sfreq_hz: float, band_hz: tuple[float, float]) -> np.ndarray:
    """Zero-phase Butterworth band-pass (order 4, applied both ways) of windows (N, C, T), each by itself; float64."""
    from scipy.signal import butter, sosfiltfilt

    sos = butter(4, band_hz, "bandpass", fs=sfreq_hz, output="sos")
    padding = min(3 * (2 * len(sos) + 1), X.shape[-1] - 1)  # scipy's own choice, or less in a short window
    return _in_batches(lambda batch: sosfiltfilt(sos, batch.astype(np.float64), axis=-1, padlen=padding), X)


class _QuietCSP(BaseEstimator):
    """Log power of mne's common spatial patterns, regularised, without its log lines."""

    def __init__(self, components: int) -> None:
        self.components = components

    def fit(self, X: np.ndarray, y: np.ndarray) -> "_QuietCSP":
        import mne
        from mne.decoding import CSP

        with mne.utils.use_log_level("ERROR"):
            # Shrinkage makes the rank full, and a rank estimate would call the rounding of float32 signal.
            self.csp_ = CSP(self.components, reg=SHRINKAGE, log=True, rank="full").fit(X, y)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        filters = self.csp_.filters_[: self.components]  # (components, C)
        return np.log(np.square(filters @ X).mean(axis=-1))  # (N, components)


class _Tangent(BaseEstimator):
    """Covariances (N, C, C) as tangent vectors (N, C (C + 1) / 2) at their mean (Barachant et al. 2012)."""

    def fit(self, covariances: np.ndarray, y: np.ndarray | None = None) -> "_Tangent":
        self.reference_ = _riemannian_mean(covariances)
        return self

    def transform(self, covariances: np.ndarray) -> np.ndarray:
        from pyriemann.geometry.tangentspace import tangent_space

        return _in_batches(lambda batch: tangent_space(batch, self.reference_), covariances)


def _entropy_features(X: np.ndarray, sfreq_hz: float, bands: Mapping[str, tuple[float, float]]) -> np.ndarray:
    entropy = _in_batches(lambda batch: differential_entropy(batch, sfreq_hz, bands), X)
    return entropy.reshape(len(X), -1).astype(np.float64)  # (N, C * B)


def _power_features(X: np.ndarray, sfreq_hz: float, bands: Mapping[str, tuple[float, float]]) -> np.ndarray:
    power = _in_batches(lambda batch: band_power(batch, sfreq_hz, bands), X)
    return np.log(np.maximum(power, FLOOR_UV2)).reshape(len(X), -1).astype(np.float64)  # (N, C * B)


def _covariance_features(X: np.ndarray, sfreq_hz: float, band_hz: tuple[float, float]) -> np.ndarray:
    from pyriemann.estimation import Covariances

    return _in_batches(Covariances("oas").transform, band_pass(X, sfreq_hz, band_hz))  # (N, C, C)


def _in_batches(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray) -> np.ndarray:
    return np.concatenate([function(X[i : i + BATCH]) for i in range(0, len(X), BATCH)])


def _mean(features: np.ndarray) -> np.ndarray:
    return features.mean(axis=0)


def _subtract(features: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return features - centre


def _euclidean_whitener(signal: np.ndarray) -> np.ndarray:
    """Inverse root of the mean covariance; shape (C, C). Its singular directions, if any, are floored there."""
    return recentring_matrices(signal, None, np.zeros(len(signal), dtype=np.int64))[0]


def _whiten_windows(signal: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    return whitener @ signal


def _riemannian_whitener(covariances: np.ndarray) -> np.ndarray:
    """Inverse root of the affine-invariant mean; shape (C, C) (Zanini et al. 2018, recentring)."""
    from pyriemann.geometry.base import invsqrtm

    return invsqrtm(_riemannian_mean(covariances))


def _riemannian_mean(covariances: np.ndarray) -> np.ndarray:
    """Affine-invariant mean of evenly spaced covariances; shape (C, C)."""
    from pyriemann.geometry.mean import mean_riemann

    spaced = np.unique(np.linspace(0, len(covariances) - 1, MEAN_WINDOWS).astype(int))
    return mean_riemann(covariances[spaced], tol=1e-4)


def _whiten_covariances(covariances: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    return whitener @ covariances @ whitener


def _check_spatial(name: str, channels: int, band_hz: tuple[float, float], sfreq_hz: float) -> None:
    if channels < 2:
        raise UserError(f"{name} on {channels} channel", expected="at least two", mend="pipeline: band_power")
    if not 0 < band_hz[0] < band_hz[1] < sfreq_hz / 2:
        raise UserError(
            f"{name}: band_hz {band_hz[0]:g} to {band_hz[1]:g} does not fit a rate of {sfreq_hz:g} Hz",
            expected=f"two edges below {sfreq_hz / 2:g} Hz",
            mend="a narrower band_hz, or a higher resample_hz",
        )
