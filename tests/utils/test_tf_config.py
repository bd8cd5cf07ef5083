"""TF_CONFIG: the workers in TensorFlow's order, or one line of error."""

import json

import pytest

from kd_keras.utils import tf_config

TWO = {"worker": ["a:1", "b:2"]}


def text(cluster, role="worker", index=0):
    return json.dumps(
        {"cluster": cluster, "task": {"type": role, "index": index}}
    )


@pytest.mark.parametrize(
    ("config", "hosts", "index"),
    [
        (text(TWO, index=1), ("a:1", "b:2"), 1),
        # Some launchers write numbers as text.
        (text(TWO, index="1"), ("a:1", "b:2"), 1),
        (text({"worker": ["b:2"], "chief": ["a:1"]}), ("a:1", "b:2"), 1),
        (
            text({"worker": ["b:2"], "chief": ["a:1"]}, "chief"),
            ("a:1", "b:2"),
            0,
        ),
        (
            text({"worker": ["[::1]:70", "10.0.0.1:70"]}),
            ("[::1]:70", "10.0.0.1:70"),
            0,
        ),
        # Launchers add fields of their own.
        (
            json.dumps({**json.loads(text(TWO)), "environment": "cloud"}),
            ("a:1", "b:2"),
            0,
        ),
    ],
)
def test_workers_are_in_tensorflows_order(monkeypatch, config, hosts, index):
    monkeypatch.setenv("TF_CONFIG", config)
    workers = tf_config.from_environment()
    assert workers == tf_config.Workers(hosts=hosts, index=index)
    assert workers.count == 2
    assert workers.is_chief == (index == 0)
    assert workers.name(1) == f"worker 1 ({hosts[1]})"


@pytest.mark.parametrize(
    "config",
    [
        None,
        "",
        " {} ",
        text({"worker": ["a:1"]}),
        text({"chief": ["a:1"], "worker": []}, "chief"),
    ],
)
def test_one_process_alone_is_no_cluster(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    assert tf_config.from_environment() is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", r"must be JSON, such as .*Received: \{ \("),
        ("[" * 100_000, "must be JSON"),
        ("[]", r"be an object of JSON. Received: \[\]"),
        ('{"task": 1}', 'have a "cluster".*Received: none'),
        (text([]), r'have a "cluster".*Received: \[\]'),
        (text({}), r"name the hosts of the workers.*Received: \{\}"),
        (text({"worker": []}), "name the hosts of the workers"),
        (text({"worker": "a:1"}), 'list of hosts for the role worker.*"a:1"'),
        (text({"worker": [1]}), "list of hosts for the role worker"),
        (text({"worker": {"0": "a:1"}}), "list of hosts"),
        (text({"worker": ["a"]}), 'host as host:port.*"a"'),
        (text({"worker": ["a:"]}), "host as host:port"),
        (text({"worker": [":1"]}), "host as host:port"),
        (text({"worker": ["a:0"]}), "port from 1 to 65535"),
        (text({"worker": ["a:65536"]}), "port from 1 to 65535"),
        (text({"worker": ["a:x"]}), "host as host:port"),
        (text({"worker": ["http://a:1"]}), "host as host:port"),
        (text({"worker": ["a :1"]}), "host as host:port"),
        (text({"worker": ["::1:70"]}), "IPv6 in brackets"),
        (text({"worker": ["a:1", "A:1"]}), 'each host:port once.*"(a|A):1"'),
        (text({"worker": ["a:1"], "chief": ["a:1"]}), "each host:port once"),
        (text({"chief": ["a:1", "b:1"]}, "chief"), "at most one chief"),
        (text({**TWO, "ps": ["c:1"]}), 'roles chief and worker.*"ps"'),
        (text(TWO, "evaluator"), 'roles chief and worker.*"evaluator"'),
        (text(TWO, None), "roles chief and worker"),
        (text(TWO, []), "roles chief and worker"),
        (json.dumps({"cluster": TWO}), 'have a "task".*Received: none'),
        (json.dumps({"cluster": TWO, "task": 0}), 'have a "task"'),
        (
            json.dumps({"cluster": TWO, "task": {"type": "worker"}}),
            'with "type" and "index"',
        ),
        (text(TWO, index=2), "from 0 to 1, .*Received: 2"),
        (text(TWO, index=-1), "from 0 to 1,"),
        (text(TWO, index=True), "from 0 to 1, .*true"),
        (text(TWO, index=1.0), "from 0 to 1,"),
        (text(TWO, index=None), "from 0 to 1,"),
        (text(TWO, "chief"), 'hosts for the role of its task.*"chief"'),
    ],
)
def test_mistakes_are_one_line(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message) as error:
        tf_config.from_environment()
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
