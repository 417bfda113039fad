"""Laws of messages: what is secret in a URL is told to nobody, and the rest stays as it is."""

import pickle

import pytest

from data_shards.errors import UserError, without_secrets

# Of each a password, a token and a signature by this name.
URLS = [
    "https://me:SECRET@here.org/shards/",
    "https:/me:SECRET@here.org/shards",  # as a path on disk writes it
    "https://SECRET@here.org/shards",
    "https://me:SEC@RET:SECRET@here.org:8443/shards",
    "HTTPS://me:SECRET@here.org/shards?token=SECRET#SECRET",
    "https://here.org/a.tar?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET/2026",
    "https:/here.org/a.tar?token=SECRET",
    "https://here.org/a.tar#token=SECRET",
    "http://here.org?sig=SECRET",
    "s3://SECRET:SECRET@bucket/key?versionId=SECRET",
    "https:///?token=SECRET",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "form", ["{}", "{}: no such folder", "'{}', again: {}; try", '"{}".', "at {}, then {} (twice)"]
)
def test_no_message_tells_what_is_secret_in_a_url(url, form):
    told = str(UserError(form.replace("{}", url)))
    assert "SECRET" not in told
    for words in form.split("{}"):
        assert words in told


@pytest.mark.parametrize(
    "text",
    [
        "https://here.org/shards/: status 404; try again",
        "hf://datasets/owner/name@main: no such revision",
        "runs/a?b#c: mail me@here.org?",
        "why? https://here.org/a@b/c.tar: came with checksum 12",
        "line 3: a/b@c",
    ],
)
def test_what_is_not_secret_stays(text):
    assert without_secrets(text) == text


def test_an_error_crosses_processes_as_it_is():
    error = UserError("https://me:SECRET@here.org/a: gone")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "https://here.org/a: gone"
