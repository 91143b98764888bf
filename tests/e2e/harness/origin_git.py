"""git's smart HTTP on the origin, by Debian's own CGI program."""
import asyncio
import os
import pathlib
import subprocess
import urllib.parse

from .messages import Reply

BACKEND = "/usr/lib/git-core/git-http-backend"


def make_repository(root, name="hello.git"):
    """A bare repository with one commit, readable over HTTP; returns its directory."""
    root = pathlib.Path(root)
    work, bare = root / "work", root / name
    env = dict(os.environ, GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@example.test",
               GIT_COMMITTER_NAME="t", GIT_COMMITTER_EMAIL="t@example.test",
               GIT_CONFIG_GLOBAL="/dev/null")

    def git(*arguments, cwd=work):
        subprocess.run(["git", *arguments], cwd=cwd, env=env, check=True, capture_output=True)

    work.mkdir(parents=True)
    git("init", "-q", "-b", "main")
    (work / "README").write_text("hello from the origin\n")
    git("add", "README")
    git("commit", "-q", "-m", "first")
    git("clone", "-q", "--bare", str(work), str(bare), cwd=root)
    (bare / "git-daemon-export-ok").touch()
    return bare


async def answer(root, request):
    url = urllib.parse.urlsplit(request.path)
    env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
           "PATH_INFO": url.path[len("/git"):], "QUERY_STRING": url.query,
           "REQUEST_METHOD": request.method, "GIT_CONFIG_GLOBAL": "/dev/null",
           "CONTENT_TYPE": request.header("content-type") or "",
           "HTTP_CONTENT_ENCODING": request.header("content-encoding") or "",
           "HTTP_GIT_PROTOCOL": request.header("git-protocol") or "",
           "CONTENT_LENGTH": str(len(request.body)), "GIT_CONFIG_COUNT": "1",
           "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    child = await asyncio.create_subprocess_exec(
        BACKEND, env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    output, _ = await child.communicate(request.body)
    head, _, body = output.partition(b"\r\n\r\n")
    status, headers = 200, []
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers.append((name.lower(), value))
    return Reply(status=status, headers=headers, body=body)
