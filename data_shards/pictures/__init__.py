"""Pictures of trajectories: a contact sheet and an animation, for looking at data.

`view` says what of a trajectory is drawn and in which colours; `sheet` and
`animation` draw it. Matplotlib is imported here and nowhere else in the package.
"""
