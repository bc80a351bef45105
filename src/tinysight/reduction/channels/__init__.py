"""Which channels of which layers go together, and cutting them out.

``flow`` runs a network once and follows every channel through it by ``rules``, one for each operator; ``graph`` says
what can be cut, what cannot, and why; ``cut`` makes tensors smaller; ``proof`` compares with the original that ignores
what was cut; ``transaction`` does both and rolls back what fails.
"""

from __future__ import annotations
