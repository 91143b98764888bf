"""Session tokens, real and forged."""
import base64
import json
import pathlib
import time
import uuid

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

TYPE = "exeat-session+jwt"
AUDIENCE = "exeat"


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token):
    """(header, claims) without verifying."""
    header, claims, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(claims))


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def sign(key, header, claims):
    """ES256 over exactly this header and these claims; dicts, or raw bytes for odd JSON."""
    segments = [b64(part if isinstance(part, bytes)
                    else json.dumps(part, separators=(",", ":")).encode())
                for part in (header, claims)]
    signing_input = ".".join(segments)
    r, s = utils.decode_dss_signature(key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signing_input}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Forge:
    """Variants of one real token. `key` is the deployment's own signing key, read from its state
    directory: what only the key's owner could make, and must still be refused by its claims."""

    def __init__(self, token, state):
        self.token = token
        self.header, self.claims = parts(token)
        self.key = self._find_key(pathlib.Path(state))

    def _find_key(self, state):
        found = list(state.rglob(f"{self.header['kid']}.pem"))
        assert len(found) == 1, f"signing key {self.header['kid']} under {state}: {found}"
        return serialization.load_pem_private_key(found[0].read_bytes(), None)

    def public_pem(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def public_der(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def variant(self, key=None, header=(), drop=(), **claims):
        """Signed with the right key unless told otherwise; `drop` names claims left out."""
        merged = {**self.claims, "jti": str(uuid.uuid4()), **claims}
        for name in drop:
            merged.pop(name)
        return sign(key or self.key, {**self.header, **dict(header)}, merged)

    def good(self, **claims):
        return self.variant(**claims)

    def expired(self, seconds_ago=3600):
        now = int(time.time())
        return self.variant(exp=now - seconds_ago, nbf=now - seconds_ago - 60,
                            iat=now - seconds_ago - 60)

    def not_yet(self, seconds=600):
        now = int(time.time())
        return self.variant(nbf=now + seconds, exp=now + seconds + 600)

    def none(self, spelling="none", signature=""):
        header = {**self.header, "alg": spelling}
        return ".".join([b64(json.dumps(header).encode()), b64(json.dumps(self.claims).encode()),
                         signature])

    def hs256(self, secret):
        """HMAC with bytes anyone can know; PyJWT itself refuses PEM secrets, so by hand."""
        import hashlib
        import hmac
        header = {**self.header, "alg": "HS256"}
        signing_input = ".".join(b64(json.dumps(x).encode()) for x in (header, self.claims))
        mac = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{b64(mac)}"

    def rs256(self):
        from cryptography.hazmat.primitives.asymmetric import rsa
        key = rsa.generate_private_key(65537, 2048)
        return jwt.encode(self.claims, key, "RS256", {"kid": self.header["kid"], "typ": TYPE})

    def bad_signature(self):
        head, claims, signature = self.token.split(".")
        raw = bytearray(unb64(signature))
        raw[0] ^= 1
        return f"{head}.{claims}.{b64(bytes(raw))}"

    def swapped_claims(self, **claims):
        """The real signature over other claims."""
        head, _, signature = self.token.split(".")
        return f"{head}.{b64(json.dumps({**self.claims, **claims}).encode())}.{signature}"
