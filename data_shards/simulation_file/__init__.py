"""A scientist's own simulation: a file of a common format in, fields of one layout out, and back.

`arrays` opens a file, `axes` says which axis is which, `read` puts both together and says
what it assumed, `regrid` fits the fields to a model's grid and back, `write` gives a
forecast the layout of the file that it continues. Nothing is ever unpickled.
"""

from data_shards.simulation_file.read import Reading, read_simulation
from data_shards.simulation_file.simulation import Simulation
from data_shards.simulation_file.write import write_simulation

__all__ = ["Reading", "Simulation", "read_simulation", "write_simulation"]
