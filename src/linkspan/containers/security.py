"""`--security-opt`, read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from linkspan.model.errors import InvalidError

UNCONFINED = "unconfined"


@dataclass(frozen=True, slots=True)
class Security:
    """What a process is kept from. `seccomp` is the text of a profile, `unconfined`, or empty for the default one."""

    seccomp: str = ""
    no_new_privileges: bool = False
    writable_cgroups: bool = False


def security(options: Sequence[str]) -> Security:
    """The options together; `InvalidError`, in Docker's words, for one that is none.

    Labels (SELinux) and AppArmor profiles confine nothing where the kernel has neither, as in Docker: of those only
    the ones that ask for no confinement are taken.
    """
    found = Security()
    for text in options:
        name, separator, value = text.partition("=" if "=" in text else ":")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            found = replace(found, no_new_privileges=value != "false")
        elif name == "writable-cgroups" and value in ("", "true", "false"):
            found = replace(found, writable_cgroups=value != "false")
        elif name == "seccomp" and value:
            found = replace(found, seccomp="" if value in ("builtin", "default") else value)
        elif (name, value) in (("label", "disable"), ("apparmor", UNCONFINED)):
            continue
        elif name in ("label", "apparmor") and separator:
            raise InvalidError(f"{name} profiles are not supported: --security-opt {text}", field="security")
        else:
            kind = 2 if separator else 1  # Docker's numbers: without a value, and without such a name
            raise InvalidError(f'invalid --security-opt {kind}: "{text}"', field="security", value=text)
    return found
