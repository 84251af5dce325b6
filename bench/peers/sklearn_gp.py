"""The peer `sklearn` of the case `gp20k`: scikit-learn's exact process, fitted without a search for parameters, and its mean."""
import peer


def describe():
    import sklearn
    return f"scikit-learn {sklearn.__version__}, GaussianProcessRegressor"


def prepare(job):
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern
    x, y, v = (job["arrays"][name] for name in ("x", "y", "v"))

    def call():
        process = GaussianProcessRegressor(Matern(0.1, nu=2.5), alpha=0.1, optimizer=None, copy_X_train=False)
        return process.fit(y, v[:, 0]).predict(x)

    return call


if __name__ == "__main__":
    peer.serve(describe, prepare)
