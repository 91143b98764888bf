"""Runs a command on a machine that permits less: `without.py WHAT... -- COMMAND ARGS...`.

net_admin      no process of it ever has CAP_NET_ADMIN
pidfd_getfd    the kernel refuses the call, as a container's default seccomp filter does
sock_diag      the kernel has no NETLINK_SOCK_DIAG, as gVisor has none
"""
import ctypes
import errno
import os
import platform
import struct
import sys

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 24, 38, 22
SECCOMP_MODE_FILTER = 2
CAP_NET_ADMIN = 12
AF_NETLINK, NETLINK_SOCK_DIAG = 16, 4
ALLOW, REFUSE = 0x7fff0000, 0x00050000
# seccomp_data: the call's number at 0, its arguments, 8 bytes each, from 16.
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
PIDFD_GETFD = 438


def argument(number):
    return 16 + 8 * number


def refuses(what):
    """The instructions that refuse a call with an error, each as (code, if, else, value)."""
    if what == "pidfd_getfd":
        return [(LOAD, 0, 0, 0), (EQUAL, 0, 1, PIDFD_GETFD), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    if what == "sock_diag":
        return [(LOAD, 0, 0, 0), (EQUAL, 0, 5, SOCKET),
                (LOAD, 0, 0, argument(0)), (EQUAL, 0, 3, AF_NETLINK),
                (LOAD, 0, 0, argument(2)), (EQUAL, 0, 1, NETLINK_SOCK_DIAG),
                (RETURN, 0, 0, REFUSE | errno.EPROTONOSUPPORT)]
    return []


def prctl(*arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(*(ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl{arguments}")


def main():
    end = sys.argv.index("--")
    missing, command = sys.argv[1:end], sys.argv[end + 1:]
    if "net_admin" in missing and os.geteuid() == 0:
        prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0)
    program = [line for what in missing for line in refuses(what)] + [(RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
