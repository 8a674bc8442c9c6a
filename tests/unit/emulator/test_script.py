from __future__ import annotations

import httpx2
import pytest
from tests.support.emulator import emulator_thread

PATH = "/v2/image/generate/ideogram-4"


def statuses(vendor, count, path=PATH):
    return [vendor.post(path, json={"prompt": "a", "async": True}).status_code for _ in range(count)]


def test_a_rule_acts_on_the_first_n_matching_requests(emulator, vendor):
    """`first` counts how often it acted."""
    emulator.control.fault("503", first=2)
    assert statuses(vendor, 4) == [503, 503, 200, 200]


def test_a_rule_lets_so_many_requests_pass_first(emulator, vendor):
    """`after` and `first` together pick out one request."""
    emulator.control.fault("503", after=2, first=1)
    assert statuses(vendor, 5) == [200, 200, 503, 200, 200]


def test_a_rule_acts_at_its_rate_and_always_on_the_same_requests(emulator, vendor, tmp_path):
    """The draws follow from the seed, so a script replays."""
    emulator.control.fault("503", rate=0.3)
    first = statuses(vendor, 200)
    assert 30 < first.count(503) < 90
    rule_id = emulator.control.faults()[0].rule_id
    with emulator_thread(tmp_path / "other.sqlite", time_scale=0) as other:
        for _ in range(rule_id):  # the draw depends on the number of the rule
            other.control.clear_faults()
            other.control.fault("503", rate=0.3)
        with httpx2.Client(base_url=other.base_url, headers={"Api-Key": "k"}, trust_env=False) as client:
            assert statuses(client, 200) == first


def test_a_rule_acts_within_its_window(emulator, vendor):
    """Before `start_s` and after `window_s` it is quiet."""
    emulator.control.fault("503", start_s=3600)
    emulator.control.fault("500", window_s=0)
    assert statuses(vendor, 2) == [200, 200]
    emulator.control.fault("429", window_s=3600)
    assert statuses(vendor, 1) == [429]


def test_a_rule_concerns_the_operations_of_its_glob(emulator, vendor):
    """Operations are named by API generation, action and model."""
    emulator.control.fault("503", "v2.generate.ideogram-3*")
    assert statuses(vendor, 1) == [200]
    assert statuses(vendor, 1, "/v2/image/generate/ideogram-3-transparent") == [503]


def test_an_outcome_and_an_answer_act_together_and_the_first_rule_of_a_kind_wins(emulator, vendor):
    """A generation can be stuck and its answer lost; of two answers the earlier rule's is given."""
    emulator.control.fault("stuck_pending")
    emulator.control.fault("500_after")
    emulator.control.fault("400")
    assert statuses(vendor, 1) == [500]
    assert emulator.control.totals().pending == 1
    assert [rule.acted for rule in emulator.control.faults()] == [1, 1, 0]


def test_a_deleted_rule_acts_no_more(emulator, vendor):
    """One rule can be deleted, or all."""
    first = emulator.control.fault("503")
    emulator.control.fault("500")
    assert emulator.control.clear_faults(first) == 1
    assert statuses(vendor, 1) == [500]
    assert emulator.control.clear_faults() == 1
    assert statuses(vendor, 1) == [200]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({}, "fault must be one of"),
        ({"fault": "earthquake"}, "fault must be one of"),
        ({"fault": "503", "often": 3}, "often"),
        ({"fault": "503", "rate": 1.5}, "rate"),
        ({"fault": "503", "first": -1}, "first"),
        ({"fault": "503", "after": "two"}, "after"),
        ({"fault": "503", "window_s": -1}, "window_s"),
        ({"fault": "503", "params": {"seconds": 1}}, "seconds"),
        ({"fault": "delay", "params": {"seconds": "1"}}, "seconds"),
        ({"fault": "delay", "params": []}, "params"),
    ],
)
def test_a_wrong_rule_is_refused_and_changes_nothing(emulator, vendor, rule, named):
    """A script with a slip in it must not pass for one without faults."""
    answer = vendor.post("/_emulator/faults", json=rule)
    assert answer.status_code == 400
    assert named in answer.json()["message"]
    assert emulator.control.faults() == []
