"""A run's folder: records, provenance, resume. Everything a run makes lies in it, and nothing outside."""
