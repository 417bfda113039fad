"""Planted faults are told once when they begin, and a healthy run is silent."""

import math

from foundation.train.health import Health, HealthConfig


def falling(steps: int) -> list[float]:
    """A loss as a healthy run has it: it falls, and jumps by a factor of three."""
    return [math.exp(-step / 50) * (3.0 if step % 7 == 0 else 1.0) for step in range(steps)]


def kinds(findings: list) -> list[str]:
    return [finding.what for finding in findings]


def test_a_healthy_run_is_silent():
    health = Health(HealthConfig())
    found = [finding for loss in falling(200) for finding in health.of_loss(loss)]
    for step in range(50):
        found += health.of_corpora({"a": 0.5, "b": 2.0 + step / 100})
        found += health.of_experts([[0.4, 0.3, 0.2, 0.1], [0.25] * 4], 80)
    assert found == []


def test_a_spike_is_told_once_with_how_high_it_is_and_the_next_one_again():
    health = Health(HealthConfig())
    for _ in range(30):
        assert health.of_loss(0.5) == []
    (spike,) = health.of_loss(3.7e9)
    assert (spike.what, spike.value) == ("loss_spike", 7.4e9)
    assert "3.7e+09, 7.4e+09 times its lowest level of 0.5" in spike.line
    assert health.of_loss(1e9) == [], "it goes on"
    assert health.of_loss(0.6) == []
    assert kinds(health.of_loss(5.5)) == ["loss_spike"]


def test_a_loss_that_creeps_up_is_told_too():
    health = Health(HealthConfig())
    found = [health.of_loss(math.exp(step / 50)) for step in range(200)]
    assert sum(map(len, found)) == 1


def test_a_loss_below_zero_has_no_level_to_be_a_multiple_of():
    health = Health(HealthConfig())
    assert not any(health.of_loss(-5.0 + step % 2) for step in range(50))
    assert health.of_loss(1.0) == []


def test_dead_experts_are_told_by_block_once_enough_samples_were_seen():
    health = Health(HealthConfig())
    collapsed, healthy = [0.5, 0.5] + [0.0] * 14, [1 / 16] * 16
    assert health.of_experts([healthy, collapsed], 310) == [], "too few to tell"
    (found,) = health.of_experts([healthy, collapsed], 10)
    assert (found.what, found.value) == ("dead_experts", 14)
    assert found.line.startswith("block 1: 14 of 16 experts get next to no sample")
    assert health.of_experts([healthy, collapsed], 320) == []
    assert health.of_experts([healthy, healthy], 320) == []
    assert kinds(health.of_experts([collapsed, collapsed], 320)) == ["dead_experts"] * 2


def test_a_field_at_rest_is_told_by_its_corpus():
    health = Health(HealthConfig())
    (found,) = health.of_corpora({"still": 9.8e5, "moving": 0.3})
    assert found.value == 9.8e5
    assert found.line.startswith("still: a relative error of 9.8e+05: its fields are at rest")


def test_thresholds_are_those_of_the_configuration():
    health = Health(HealthConfig(spike=2.0, window=2, relative_error=1.0, samples=1))
    health.of_loss(1.0)
    health.of_loss(1.0)
    assert health.of_loss(2.5)
    assert health.of_corpora({"a": 1.5})
    assert health.of_experts([[1.0, 0.0]], 2)
