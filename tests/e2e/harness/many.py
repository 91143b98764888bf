"""A policy of many destinations, as text: writing a value of that size by the YAML library is what
would take longest. Half of them attach a credential, a quarter wants a grant, a quarter lists methods
and paths; no two share a host."""

ORIGIN = "127.10.0.1"


def host(index):
    return f"h{index:05}.many.test"


def has_credential(index):
    return index % 2 == 0


def grants(index, count, last_grant="g0"):
    """What a session needs for this destination."""
    if index == count - 1:
        return [last_grant]
    return [f"g{index % 50}"] if index % 4 == 1 else []


def policy_text(count, trust, secret, port=443, last_grant="g0"):
    """`last_grant` is the grant that the last one wants: the line for a test to change."""
    lines = ["version: 1", "deployment: many",
             'listeners: {proxy: "127.0.0.1:0", transparent: "127.0.0.1:0"}', "posture: bump",
             "resolver:", "  allow_private: [127.10.0.0/16]", "  hosts:"]
    lines += [f"    {host(index)}: [{ORIGIN}]" for index in range(count)]
    lines += [f"upstream_trust: {trust}", "credentials:",
              f"- {{name: key, kind: bearer, source: {{file: {secret}}}}}", "destinations:"]
    for index in range(count):
        more = ", credential: key" if has_credential(index) else ""
        more += "".join(f", grant: {grant}" for grant in grants(index, count, last_grant))
        if index % 4 == 3:
            more += ", allow: [{methods: [GET, HEAD], path: /read/**}]"
        lines.append(f"- {{name: d{index:05}, host: {host(index)}, ports: [{port}]{more}}}")
    return "\n".join(lines) + "\n"
