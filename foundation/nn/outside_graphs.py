"""What a compiled network calls as it is: sizes of the moment, and what is kept by values.

torch's own decorator imports all of its compiler where it is used, which takes seconds that most
commands have no use for; this one, torch's for its own modules, does so at the first call.
"""

from torch._compile import _disable_dynamo as outside_graphs

__all__ = ["outside_graphs"]
