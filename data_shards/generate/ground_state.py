"""Ground states: a sparse symmetric matrix in, its lowest eigenvector and how good it is out.

The sign is fixed by the largest amplitude, which is positive; the matrices here have no positive
entries beside their diagonal, so all amplitudes are (Perron and Frobenius).
"""

from dataclasses import dataclass

import numpy as np
from pydantic import PositiveFloat
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh

from data_shards.config import Config
from data_shards.generate.solution import Array

DENSE = 256  # states up to which the whole spectrum is as cheap


class EigensolverOptions(Config):
    """What bounds the error of an eigenvector."""

    tolerance: PositiveFloat = 1e-12  # relative, of eigenvalues


@dataclass(frozen=True)
class GroundState:
    """The lowest eigenvector of a matrix.

    Attributes:
        amplitudes: (S,), of length 1.
        energy: its eigenvalue.
        gap: to the next eigenvalue.
        residual: `||H c - E c||`.
    """

    amplitudes: Array
    energy: float
    gap: float
    residual: float

    @property
    def figures(self) -> dict[str, float]:
        """What is stored beside the amplitudes, by name."""
        return {"energy": self.energy, "gap": self.gap, "residual": self.residual}


def ground_state(hamiltonian: csr_matrix, tolerance: float = 1e-12) -> GroundState:
    """The lowest eigenvector of a symmetric matrix (S, S), by the Lanczos method if it is large.

    Args:
        hamiltonian: without positive entries beside the diagonal.
        tolerance: relative, of the eigenvalues; of small matrices it is round-off.

    Raises:
        ArithmeticError: no convergence.
    """
    states = hamiltonian.shape[0]
    if states <= DENSE:
        values, vectors = np.linalg.eigh(hamiltonian.toarray())
    else:
        # A first vector of its own: ARPACK's is random.
        values, vectors = _lanczos(hamiltonian, np.full(states, states**-0.5), tolerance)
    lowest, next_one = np.argsort(values)[:2]
    c = vectors[:, lowest]
    c = c * np.sign(c[np.abs(c).argmax()])
    energy = float(values[lowest])
    residual = float(np.linalg.norm(hamiltonian @ c - energy * c))
    return GroundState(c, energy, float(values[next_one]) - energy, residual)


def _lanczos(hamiltonian: csr_matrix, first: Array, tolerance: float) -> tuple[Array, Array]:
    try:
        values, vectors = eigsh(hamiltonian, k=2, which="SA", v0=first, tol=tolerance)
    except RuntimeError as error:  # ARPACK's, such as no convergence
        raise ArithmeticError(f"no eigenvector: {error}") from error
    return values, vectors
