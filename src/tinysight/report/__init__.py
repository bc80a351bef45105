"""What a run looks like to a person: the table in the terminal, the page, the model card."""
