"""A guest: opens connections through an edge on either leg and asks for one thing."""
import base64
import urllib.parse

from . import h1client, h2client, transport


def basic(token, user="session"):
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


def bearer(token):
    return f"Bearer {token}"


# Where a token stands inside the request.
PLACES = {
    "x-exeat-session": lambda token: ("x-exeat-session", token),
    "authorization": lambda token: ("authorization", bearer(token)),
    "x-api-key": lambda token: ("x-api-key", token),
}


def tunnel(edge, target, token, auth=basic, version="1.1", source=None):
    """CONNECT: (byte stream or None, Response)."""
    values = () if token is None else (auth(token),)
    if version == "2":
        return h2client.open_tunnel(h2client.proxy_connection(edge.proxy, source), target,
                                    values)
    stream, response = h1client.connect(edge.proxy, target, values, version, source=source)
    if response.status != 200:
        stream.close()
        return None, response
    return stream, response


def split(url):
    parts = urllib.parse.urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.hostname, parts.port or 443, path


def speak(edge, stream, sni, http):
    """TLS inside, then an H1 or H2 client over it."""
    secured = transport.tls(stream, sni, edge.ca,
                            ("h2",) if http == "2" else ("http/1.1",))
    assert secured.selected_alpn_protocol() == ("h2" if http == "2" else "http/1.1")
    return h2client.H2(secured) if http == "2" else h1client.H1(secured)


def open_client(edge, url, token, leg="connect", http="1.1", auth=basic, proxy_version="1.1",
                sni=None, source=None):
    """A warm connection on that leg: (client, None), or (None, Response) refused at CONNECT."""
    host, port, _ = split(url)
    if leg == "connect":
        stream, response = tunnel(edge, f"{host}:{port}", token, auth, proxy_version, source)
        if stream is None:
            return None, response
    else:
        stream = transport.dial(edge.transparent, source)
    return speak(edge, stream, sni or host, http), None


def get(edge, url, token, leg="connect", http="1.1", method="GET", headers=(), body=b"",
        place=None, auth=basic, proxy_version="1.1", source=None, sni=None, host=None):
    """One request through the edge. On the connect leg the token goes to CONNECT, unless `place`
    names a header; on the transparent leg it stands in `place`, x-exeat-session by default."""
    inner = list(headers)
    at_connect = token
    if leg == "transparent" or place is not None:
        if token is not None:
            inner.append(PLACES[place or "x-exeat-session"](token))
        at_connect = None if leg == "transparent" else token
    client, refused = open_client(edge, url, at_connect, leg, http, auth, proxy_version,
                                  sni, source)
    if client is None:
        return refused
    try:
        name, port, path = split(url)
        authority = host or (name if port == 443 else f"{name}:{port}")
        return client.request(method, path, authority, inner, body)
    finally:
        client.close()
