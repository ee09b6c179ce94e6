"""docs/daemon.md shows the table of options that the parser, the help and the file are made from."""

from collections.abc import Callable

from linkspan.daemon.options import BY_NAME, CONFIG_FILE, DEFAULT_HOST, OPTIONS, Option

INTRODUCTION = f"""# The daemon

    linkspan daemon [FLAG...]

serves Docker's Engine API and the `linkspan` command. What it builds outlives it: `SIGTERM` ends the daemon and leaves
networks and containers as they are, and the next daemon on the same roots takes them over. `SIGHUP` reads the
configuration file again; what can change then is marked below. Log lines are `key=value` pairs on standard error.

Every option is a flag and, under its own name, a key of `{CONFIG_FILE}` (`--config-file` names another); an option
that is in both is refused. Names and meanings are dockerd's. Without `--host` the daemon listens on `{DEFAULT_HOST}`,
with mode 0660 for the group `docker`, if there is one. TCP is served only to clients with a certificate. Units for
systemd are in [packaging/systemd](../packaging/systemd/).

Where `--ip-forward` had to turn forwarding on, what passes the bridges by is dropped, so that the host does not become
a router between its other interfaces. A host that is to route, for a VPN for one, has `net.ipv4.ip_forward=1` (and
`net.ipv6.conf.all.forwarding=1`) in `/etc/sysctl.d`, or `--ip-forward-no-drop`. Bridges of others, as those of
libvirt and Podman, are not cut off.
The rules are in [rules/transit.md](rules/transit.md), the
reasons in [adr/0023](adr/0023-transit-is-dropped-where-we-switched-forwarding-on.md).

| flag | in the file | default | what it is for |
|---|---|---|---|
"""


def test_the_page_shows_every_option(page: Callable[[str, str], None]) -> None:
    page("docs/daemon.md", INTRODUCTION + "".join(map(row, OPTIONS)))
    assert len(BY_NAME) == len(OPTIONS)


def row(option: Option) -> str:
    flag = f"`-{option.short}`, `--{option.flag}`" if option.short else f"`--{option.flag}`"
    default = "" if option.default in (None, (), "") else f"`{str(option.default).lower()}`"
    kind = {list: "list", dict: "object", bool: "boolean", int: "number"}.get(option.json, "text")
    reloads = "; changes at SIGHUP" if option.reloads else ""
    return f"| {flag} | `{option.name}`, {kind} | {default} | {option.help}{reloads} |\n"
