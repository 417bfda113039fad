"""Agreement of the spectral convolution with that of the package neuraloperator 2.0.

The package is no dependency; its numbers stand beside this file.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file

from foundation.nn.spectral import SpectralConvolution

MODES, WIDTH = 3, 4


def test_the_same_weights_give_the_same_map():
    tensors = load_file(Path(__file__).with_name("neuraloperator_spectral.safetensors"))
    layer = SpectralConvolution(WIDTH, MODES)
    with torch.no_grad():
        for part, name in enumerate(("real", "imaginary")):
            # (in, out, rows from -modes on, columns) -> rows from 0 on, columns, in, out
            by_mode = tensors[f"weight.{name}"].permute(2, 3, 0, 1).roll(-MODES, 0)
            layer.weight[part] = by_mode.flatten(0, 1)
        found = layer(tensors["golden.input"].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    # float32: both sum four products per mode, by transforms in another order
    torch.testing.assert_close(found, tensors["golden.output"], rtol=1e-5, atol=1e-5)
