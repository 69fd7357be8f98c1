"""Pictures of figures: scales and axes, lines, bars and heat maps as SVG, and PNG made of that.

Rules: a Figure says what is to be seen, in numbers and words; its table, its SVG and its PNG are made of the same
Figure, so they cannot differ. Nothing here knows what a simulation is.
"""
