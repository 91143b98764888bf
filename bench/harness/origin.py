"""A fast TLS origin: nginx with keep-alive and 1 KiB answers, which counts its requests."""
import pathlib
import re
import urllib.request

from .children import Child, free_port, wait_listening
from .machine import LOAD_CORE

ADDRESS = "127.10.0.1"

CONFIG = """
worker_processes 1;
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 100000000;
  server {{
    listen {address}:{port} ssl backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_session_tickets off;
    location / {{ default_type application/octet-stream; return 200 "{body}"; }}
  }}
  server {{
    listen {address}:{status_port};
    location / {{ stub_status; }}
  }}
}}
"""


class Origin:
    def __init__(self, directory, authority, hosts):
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True)
        certificate, key = authority.issue("origin", hosts)
        self.port, self._status_port = free_port(ADDRESS), free_port(ADDRESS)
        config = directory / "nginx.conf"
        config.write_text(CONFIG.format(
            directory=directory, address=ADDRESS, port=self.port, status_port=self._status_port,
            certificate=certificate, key=key, body="x" * 1024))
        self._child = Child(LOAD_CORE, ["/usr/sbin/nginx", "-p", directory, "-c", config],
                            log=directory / "nginx.out", speaks=False)
        wait_listening(ADDRESS, self.port)
        wait_listening(ADDRESS, self._status_port)
        self._asked = 0

    def requests(self):
        """How many requests of others it has answered."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{ADDRESS}:{self._status_port}/", timeout=5) as answer:
            text = answer.read().decode()
        self._asked += 1
        return int(re.search(r"\n\s*\d+ \d+ (\d+)", text)[1]) - self._asked

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.close()
