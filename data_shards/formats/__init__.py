"""Files of other programs: HDF5, MATLAB, NumPy, archives; opened without trust."""
