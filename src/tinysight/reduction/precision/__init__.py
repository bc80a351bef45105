"""Methods that change number formats, the one record they share, and the one writer."""
