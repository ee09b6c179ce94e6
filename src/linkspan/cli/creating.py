"""From the flags of `run` and `create` to the body of POST /containers/create."""

import os
from collections.abc import Iterator, Mapping, Sequence

from linkspan.cli.answers import Json
from linkspan.cli.forms import file_lines, size
from linkspan.cli.grammar import Line
from linkspan.cli.limits import health_check, limits
from linkspan.cli.networks import endpoint_body
from linkspan.cli.words import pairs
from linkspan.model.errors import InvalidError

_NO_ENDPOINT = ("bridge", "host", "none")
_ENDPOINT_FLAGS = ("ip", "ip6", "mac-address", "network-alias", "link-local-ip", "driver-opt")


def create_body(line: Line, environment: Mapping[str, str]) -> dict[str, Json]:
    """What the daemon is asked for: the first argument is the image, unless a directory stands in its place."""
    if not (line.has("rootfs") or line.arguments):
        raise InvalidError(
            "a container needs an image, or a root file system",
            hint=f"linkspan {line.command.path} IMAGE [COMMAND...]",
            field="image",
        )
    image, words = ("", line.arguments) if line.has("rootfs") else (line.arguments[0], line.arguments[1:])
    tty, stdin = line.switch("tty"), line.switch("interactive")
    attached = attachments(line)
    exposed, bindings = _ports(line)
    body: dict[str, Json] = {
        "Image": image,
        "Cmd": [*words],
        "Hostname": line.text("hostname"),
        "Domainname": line.text("domainname"),
        "User": line.text("user"),
        "AttachStdin": "stdin" in attached,
        "AttachStdout": "stdout" in attached,
        "AttachStderr": "stderr" in attached,
        "Tty": tty,
        "OpenStdin": stdin,
        "StdinOnce": "stdin" in attached,
        "Env": [*_environment(line, environment)],
        "WorkingDir": line.text("workdir"),
        "Labels": {**pairs(_lines(line, "label-file")), **pairs(line.list("label"))},
        "ExposedPorts": exposed,
        "HostConfig": _host_config(line, bindings),
        "NetworkingConfig": {"EndpointsConfig": _endpoints(line)},
    }
    if line.has("rootfs"):
        body["Rootfs"] = os.path.abspath(line.text("rootfs"))  # noqa: PTH100 - symbolic links stay as they are
    if line.has("entrypoint"):
        body["Entrypoint"] = [line.text("entrypoint")]
    if line.has("stop-signal"):
        body["StopSignal"] = line.text("stop-signal")
    if line.has("stop-timeout"):
        body["StopTimeout"] = line.number("stop-timeout")
    if (check := health_check(line)) is not None:
        body["Healthcheck"] = check
    if nameless := [text for text in line.list("volume") if ":" not in text]:
        body["Volumes"] = {text: {} for text in nameless}
    return body


def attachments(line: Line) -> frozenset[str]:
    """Which streams a client holds on to: those of `--attach`, or by default the outputs and, with `-i`, the input."""
    if line.switch("detach"):
        return frozenset()
    wanted = frozenset(name.lower() for name in line.list("attach"))
    if unknown := wanted - {"stdin", "stdout", "stderr"}:
        raise InvalidError(f"cannot attach {min(unknown)!r}", hint="there are stdin, stdout and stderr", field="attach")
    usual = {"stdout", "stderr"} | ({"stdin"} if line.switch("interactive") else set())
    return wanted or frozenset(usual)


def _host_config(line: Line, bindings: Json) -> dict[str, Json]:
    return {
        "Binds": [*_binds(line)],
        "Mounts": [_mount(text) for text in line.list("mount")],
        "Tmpfs": {target: options for target, _, options in (text.partition(":") for text in line.list("tmpfs"))},
        "NetworkMode": _modes(line)[0],
        "PortBindings": bindings,
        "PublishAllPorts": line.switch("publish-all"),
        "AutoRemove": line.switch("rm"),
        "CapAdd": [*line.list("cap-add")],
        "CapDrop": [*line.list("cap-drop")],
        "Privileged": line.switch("privileged"),
        "ReadonlyRootfs": line.switch("read-only"),
        "Sysctls": pairs(line.list("sysctl")),
        "ShmSize": size(line.text("shm-size", "0"), flag="shm-size"),
        "Dns": [*line.list("dns")],
        "DnsSearch": [*line.list("dns-search")],
        "DnsOptions": [*line.list("dns-option")],
        "ExtraHosts": [text.replace("=", ":", 1) if ":" not in text else text for text in line.list("add-host")],
        "Links": [*line.list("link")],
        "LogConfig": _log_config(line),
        "Init": line.switch("init"),
        "PidMode": line.text("pid"),
        "IpcMode": line.text("ipc"),
        "UTSMode": line.text("uts"),
        "UsernsMode": line.text("userns"),
        **limits(line),
    }


def _log_config(line: Line) -> Json:
    if line.text("log-driver") == "none" and line.has("log-opt"):
        raise InvalidError("invalid logging opts for driver none", field="log-opt")  # Docker's client says so
    return {"Type": line.text("log-driver"), "Config": {**pairs(line.list("log-opt"))}}


def _modes(line: Line) -> list[str]:
    """The name in each `--network`, the first of which is the network mode."""
    return [_network(text)[0] for text in line.list("network")] or ["default"]


def _network(text: str) -> tuple[str, list[tuple[str, str]]]:
    """`web`, or `name=web,alias=db,alias=store,ip=10.0.0.2`."""
    if "=" not in text:
        return text, []
    options = [(key, value) for key, _, value in (option.partition("=") for option in text.split(","))]
    name = next((value for key, value in options if key == "name"), "")
    if not name:
        raise InvalidError(f"--network {text} has no name=", field="network")
    return name, [(key, value) for key, value in options if key != "name"]


def _endpoints(line: Line) -> dict[str, Json]:
    """An endpoint for each network that one can be on; the flags about addresses and names are the first one's."""
    given = any(line.has(flag) for flag in _ENDPOINT_FLAGS)
    found: dict[str, Json] = {}
    for at, text in enumerate(line.list("network") or ["default"]):
        name, options = _network(text)
        first = at == 0 and given
        if name.startswith("container:") or (name in _NO_ENDPOINT and not (first or options or at)):
            continue
        body = endpoint_body(line) if first else {}
        if at == 0 and line.has("link") and name not in (*_NO_ENDPOINT, "default"):
            body["Links"] = [*line.list("link")]  # elsewhere links are the host's configuration
        found[name] = _advanced(body, options)
    return found


def _advanced(body: dict[str, Json], options: Sequence[tuple[str, str]]) -> dict[str, Json]:
    """An endpoint with what stands behind its network's name."""
    ipam: dict[str, Json] = {}
    aliases: list[Json] = []
    for key, value in options:
        if key in ("ip", "ip6"):
            ipam["IPv4Address" if key == "ip" else "IPv6Address"] = value
        elif key == "alias":
            aliases.append(value)
        elif key == "mac-address":
            body["MacAddress"] = value
        elif key == "gw-priority" and value.removeprefix("-").isdecimal():
            body["GwPriority"] = int(value)
        else:
            raise InvalidError(f"--network does not understand {key}={value}", field="network")
    if aliases:
        body["Aliases"] = aliases
    return {**body, "IPAMConfig": ipam} if ipam else body


def _ports(line: Line) -> tuple[dict[str, Json], dict[str, Json]]:
    """`ExposedPorts` and `PortBindings` of `--expose` and `--publish`."""
    if not (line.list("publish") or line.list("expose")):
        return {}, {}
    from linkspan.model.portspec import parse_publish

    exposed: dict[str, Json] = {}
    bindings: dict[str, list[Json]] = {}
    for text in line.list("expose"):
        wish = parse_publish(text)
        exposed |= {f"{wish.target.first + at}/{wish.protocol}": {} for at in range(len(wish.target))}
    for text in line.list("publish"):
        wish = parse_publish(text)
        one_to_one = wish.host is not None and len(wish.host) == len(wish.target)
        for at in range(len(wish.target)):
            host = "" if wish.host is None else str(wish.host.first + at) if one_to_one else str(wish.host)
            port = f"{wish.target.first + at}/{wish.protocol}"
            exposed[port] = {}
            bindings.setdefault(port, []).append({"HostIp": str(wish.address or ""), "HostPort": host})
    return exposed, {**bindings}


def _lines(line: Line, flag: str) -> Iterator[str]:
    for path in line.list(flag):
        yield from file_lines(path, flag=flag)


def _environment(line: Line, environment: Mapping[str, str]) -> Iterator[str]:
    """`-e NAME` alone takes the value that the command itself has."""
    for text in (*_lines(line, "env-file"), *line.list("env")):
        if "=" in text:
            yield text
        elif text in environment:
            yield f"{text}={environment[text]}"


def _binds(line: Line) -> Iterator[str]:
    """`-v SOURCE:TARGET[:OPTIONS]`; a source that begins with a dot is relative to here."""
    for text in line.list("volume"):
        source, colon, rest = text.partition(":")
        if colon:
            yield f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else text  # noqa: PTH100


_MOUNT_KEYS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}


def _mount(text: str) -> Json:
    """`--mount type=bind,source=/a,target=/b,readonly`."""
    given = {_MOUNT_KEYS.get(key, key): value for key, value in pairs(text.split(",")).items()}
    mount: dict[str, Json] = {
        "Type": given.pop("type", "volume"),
        "Source": given.pop("source", ""),
        "Target": given.pop("target", ""),
        "ReadOnly": given.pop("readonly", "false") in ("", "true", "1"),
    }
    if "bind-propagation" in given:
        mount["BindOptions"] = {"Propagation": given.pop("bind-propagation")}
    tmpfs: dict[str, Json] = {}
    if "tmpfs-size" in given:
        tmpfs["SizeBytes"] = size(given.pop("tmpfs-size"), flag="mount")
    if "tmpfs-mode" in given:
        tmpfs["Mode"] = _mode(given.pop("tmpfs-mode"))
    volume: dict[str, Json] = {}
    if "volume-nocopy" in given:
        volume["NoCopy"] = given.pop("volume-nocopy") in ("", "true", "1")
    if "volume-subpath" in given:
        volume["Subpath"] = given.pop("volume-subpath")
    if "volume-driver" in given:
        volume["DriverConfig"] = {"Name": given.pop("volume-driver")}
    mount |= {"VolumeOptions": volume} if volume else {}
    if given:
        raise InvalidError(f"--mount does not understand {min(given)!r}", field="mount")
    return {**mount, "TmpfsOptions": tmpfs} if tmpfs else mount


def _mode(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError as error:
        raise InvalidError(f"invalid mode {text!r}: expected octal digits", field="mount") from error
