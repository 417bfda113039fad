"""What torch raises when ranks cannot meet, in one line."""

import socket

import pytest
import torch.distributed as dist

from data_shards.errors import UserError
from launchers.training.endings import told


def test_a_port_of_another_program_is_named(monkeypatch):
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        with pytest.raises(UserError, match=f"port {port} is taken.* --master_port"):
            told(lambda: dist.TCPStore("127.0.0.1", port, is_master=True))
