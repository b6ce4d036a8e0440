"""How far a policy has moved from the one last promoted."""

import math
from collections.abc import Iterable


def relative_distance(parameters: Iterable[float], reference: Iterable[float]) -> float:
    """Return ‖θ - θ_ref‖₂ / ‖θ_ref‖₂ (domain definition, section 8).

    Sums are exact (``math.fsum``), so every machine gets the same number. A reference of
    norm 0 gives 0 for itself and infinity for anything else.
    """
    pairs = list(zip(parameters, reference, strict=True))
    moved = math.sqrt(math.fsum((a - b) * (a - b) for a, b in pairs))
    norm = math.sqrt(math.fsum(b * b for _, b in pairs))
    if norm == 0.0:
        return 0.0 if moved == 0.0 else math.inf
    return moved / norm
