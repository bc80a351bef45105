"""Methods that change how pictures are prepared for a network."""
