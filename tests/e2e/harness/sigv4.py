"""Whether a request is signed for AWS, as botocore says: an implementation that is not Envoy's."""
import hashlib
import re

from botocore import auth, awsrequest, credentials

FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                  r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def scope(request):
    """(access key id, region, service) that the signature claims."""
    found = FORM.match(request.header("authorization") or "")
    return found and (found[1], found[3], found[4])


def objection(request, secret, token=None):
    """Why AWS would refuse it, or None."""
    found = FORM.match(request.header("authorization") or "")
    if not found:
        return "not signed"
    key_id, date, region, service, signed, signature = found.groups()
    signed = signed.split(";")
    if not {"host", "x-amz-date"} <= set(signed):
        return f"signs {signed} only"
    stamp = request.header("x-amz-date")
    if not stamp.startswith(date):
        return "dates disagree"
    if request.header("x-amz-security-token") != token:
        return "another session token"
    digest = request.header("x-amz-content-sha256")
    if digest not in ("UNSIGNED-PAYLOAD", hashlib.sha256(request.body).hexdigest()):
        return "signs another body"
    if digest == "UNSIGNED-PAYLOAD" and service != "s3":
        return "does not sign its body"
    path = request.path
    asked = awsrequest.AWSRequest(request.method, f"https://{request.authority}{path}")
    for name in signed:
        value = request.authority if name == "host" else request.header(name)
        if value is None:
            return f"signs {name}, which is not there"
        asked.headers[name] = value
    if "x-amz-content-sha256" not in signed:
        return "the digest is not signed"
    asked.context["timestamp"] = stamp
    signer = (auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth)(
        credentials.Credentials(key_id, secret, token), service, region)
    canonical = signer.canonical_request(asked)
    expected = signer.signature(signer.string_to_sign(asked, canonical), asked)
    return None if expected == signature else f"another signature than of:\n{canonical}"
