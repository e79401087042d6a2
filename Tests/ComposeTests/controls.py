"""compose.yaml with one hardening key taken away here and there: the rules must notice each."""

import copy

SERVICES = ["gateway", "quant", "train", "eval"]


def without(service, key):
    """Takes a key of a service away, which must be there."""

    def change(document):
        del document["services"][service][key]

    return change


def put(service, key, value):
    def change(document):
        document["services"][service][key] = value

    return change


def opened(network):
    def change(document):
        del document["networks"][network]["internal"]

    return change


def also_published(port):
    def change(document):
        document["services"]["gateway"]["ports"].append(port)

    return change


def published_everywhere(document):
    ports = document["services"]["gateway"]["ports"]
    assert len(ports) == 1 and "127.0.0.1" in ports[0]
    ports[0] = ports[0].replace("127.0.0.1", "0.0.0.0")


# Rounds of changes, each with the services in which its rule, and no other, must then be broken:
# few, for each starts four containers, and mixed, so that a rule that looks at more than its own
# key is seen.
ROUNDS = [
    [
        (without("quant", "read_only"), [("quant", "read_only")]),
        (without("train", "cap_drop"), [("train", "cap_drop")]),
        (without("train", "ulimits"), [("train", "ulimits")]),
        (without("eval", "security_opt"), [("eval", "security_opt")]),
        (without("eval", "init"), [("eval", "init")]),
        (also_published("127.0.0.1:7444:7444"), [("gateway", "ports")]),
    ],
    [
        (without("quant", "pids_limit"), [("quant", "pids_limit")]),
        (without("quant", "tmpfs"), [("quant", "tmpfs")]),
        (without("train", "mem_limit"), [("train", "mem_limit")]),
        (put("eval", "user", "0:0"), [("eval", "user")]),
        (opened("core"), [(service, "internal") for service in ["quant", "train", "eval"]]),
        (published_everywhere, [("gateway", "ports")]),
        (
            put("gateway", "security_opt", ["no-new-privileges:true", "seccomp=unconfined"]),
            [("gateway", "seccomp")],
        ),
    ],
]


def changed(document, changes):
    """A copy with changes made, in which the daemons only sleep: hardening needs nothing of them."""
    result = copy.deepcopy(document)
    for change in changes:
        change(result)
    del result["services"]["volumes-init"]
    for service in SERVICES:
        result["services"][service]["command"] = ["sleep", "600"]
        result["services"][service].pop("depends_on")
    return result
