"""The goal, the floor that decides by probability, the walk through the stages, and the choice at its end."""
