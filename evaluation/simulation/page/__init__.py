"""A page to explore a checkpoint with: truth, forecast, error and experts, frame by frame.

`samples` and files give simulations; `scrub` computes everything that is shown; `pictures`,
`curve` and `render` draw it; `app` answers a browser on this machine.
"""
