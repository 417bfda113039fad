"""A scientist's own simulation: a file of a common format in, fields of one layout out, and back.

`arrays` opens a file, `packing` says what its numbers mean, `runs` which arrays are of one run,
`axes` which axis is which, `places` where frames, rows and columns are, `masks` which cells are
solid; `read` puts all together and says what it assumed. `regrid` fits the fields to a model's
grid and back, `write` gives a forecast the layout of the file that it continues. Nothing is ever
unpickled.
"""

from data_shards.simulation_file.read import Reading, read_simulation
from data_shards.simulation_file.simulation import Simulation
from data_shards.simulation_file.write import write_simulation

__all__ = ["Reading", "Simulation", "read_simulation", "write_simulation"]
