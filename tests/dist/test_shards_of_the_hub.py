"""Training by the name of shards far away gives what training on their folder gives."""

from pathlib import Path

import pytest
import yaml
from file_server import serving
from group import on_ranks
from local_hub import TOKEN, only_hub
from runs import curve, pretrain

from data_shards.remote.share import push_shards

pytestmark = [
    pytest.mark.dist,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

NAME = "hf://datasets/somebody/waves"
SHORT = ("steps=2", "validation.every=2", "checkpoint.every=2")


def pretrain_from(endpoint: str, cache: Path, output: Path) -> int:
    from huggingface_hub import constants

    constants.ENDPOINT, constants.HF_HUB_CACHE = endpoint, str(cache)
    template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    constants.HUGGINGFACE_CO_URL_TEMPLATE = template
    constants.HF_HUB_DISABLE_XET = True
    return pretrain(NAME, output, ep_size=2, extra=SHORT)  # type: ignore[arg-type]


def test_a_data_set_trains_by_its_name_as_its_folder_does(waves, tmp_path, monkeypatch):
    with only_hub(monkeypatch, tmp_path) as hub:
        push_shards(waves, "somebody/waves", deep=False, token=TOKEN)
        hub.faults.add("drop_once")
        made = on_ranks(2, pretrain_from, hub.endpoint, tmp_path / "cache", tmp_path / "named")
        assert made == [0, 0]
        tars = [r for r in hub.requests if r.startswith("GET") and r.endswith(".tar")]
        assert not any("-test-" in tar for tar in tars), "only what training reads"
    assert on_ranks(2, pretrain, waves, tmp_path / "here", 2, None, SHORT) == [0, 0]
    assert curve(tmp_path / "named") == curve(tmp_path / "here")
    assert yaml.safe_load((tmp_path / "named" / "config.yaml").read_text())["shards"] == NAME


def pretrain_at(url: str, home: Path, output: Path) -> int:
    from huggingface_hub import constants

    constants.HF_HOME = str(home)
    return pretrain(url, output, ep_size=2, extra=SHORT)  # type: ignore[arg-type]


@pytest.mark.slow
def test_shards_at_a_url_train_as_their_folder_does_and_come_once_for_all_ranks(waves, tmp_path):
    with serving(waves) as server:
        server.faults.add("drop_once")
        made = on_ranks(2, pretrain_at, server.url, tmp_path / "home", tmp_path / "named")
        assert made == [0, 0]
        whole = [tar for tar in server.fetched() if "from" not in tar]
        assert len(whole) == len(set(whole))
        assert not any("-test-" in tar for tar in whole), "only what training reads"
    assert on_ranks(2, pretrain, waves, tmp_path / "here", 2, None, SHORT) == [0, 0]
    assert curve(tmp_path / "named") == curve(tmp_path / "here")
