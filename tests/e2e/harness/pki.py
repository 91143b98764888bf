"""The origins' own certificate authority, and the faulty certificates that an edge must refuse."""
import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def write_key(path, key):
    path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))
    path.chmod(0o600)


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Signs certificates for origins; `certificate` is the path to give as upstream_trust."""

    def __init__(self, directory, name="origin test CA"):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = _name(name)
        now = datetime.datetime.utcnow()
        certificate = (
            x509.CertificateBuilder().subject_name(self.subject).issuer_name(self.subject)
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False,
                                         False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
            .sign(self.key, hashes.SHA256()))
        self.certificate = self.directory / "ca.pem"
        self.certificate.write_bytes(certificate.public_bytes(PEM))

    def issue(self, label, names, not_before=None, not_after=None, self_signed=False,
              usage=ExtendedKeyUsageOID.SERVER_AUTH):
        """Returns (certificate path, key path) for these SANs."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        subject = _name(names[0])
        certificate = (
            x509.CertificateBuilder().subject_name(subject)
            .issuer_name(subject if self_signed else self.subject)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(not_before or now - DAY).not_valid_after(not_after or now + 7 * DAY)
            .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .sign(key if self_signed else self.key, hashes.SHA256()))
        certificate_path = self.directory / f"{label}.pem"
        key_path = self.directory / f"{label}.key"
        certificate_path.write_bytes(certificate.public_bytes(PEM))
        write_key(key_path, key)
        return certificate_path, key_path

    def client(self, label):
        """As issue, of a certificate that a client presents."""
        return self.issue(label, [label], usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def expired(self, label, names):
        now = datetime.datetime.utcnow()
        return self.issue(label, names, not_before=now - 10 * DAY, not_after=now - DAY)
