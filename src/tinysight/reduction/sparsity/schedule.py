"""How the share of zeros grows while a network trains."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PolynomialDecay"]


@dataclass(frozen=True)
class PolynomialDecay:
    """Zhu & Gupta 2017, eq. 1: from ``initial`` at step ``begin`` to ``final`` at step ``end``, fast at first.

    The share changes at every ``frequency``-th step from ``begin`` on, and at ``end``. Before ``begin`` it is 0; from
    ``end`` on, and everywhere where ``end`` is ``begin``, it is ``final``.
    """

    initial: float
    final: float
    begin: int
    end: int
    frequency: int = 1
    power: float = 3.0

    def at(self, step: int) -> float:
        """Return the share of zeros after ``step`` steps of training."""
        if step < self.begin:
            return 0.0
        if step >= self.end:
            return self.final
        changed = step - (step - self.begin) % self.frequency
        left = 1 - (changed - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * float(left**self.power)

    def changes(self, step: int) -> bool:
        """Tell whether the share after ``step`` steps differs from the one before."""
        return self.at(step) != (self.at(step - 1) if step else 0.0)
