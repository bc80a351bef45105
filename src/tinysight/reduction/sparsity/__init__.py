"""Single weights set to zero: which (``scores``), when (``schedule``), and holding them there (``masks``)."""
