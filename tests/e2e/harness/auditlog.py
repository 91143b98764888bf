"""Reading audit records by what they mean, so that tests do not repeat OCSF's paths."""


class Record(dict):
    @property
    def exeat(self):
        return self.get("unmapped", {}).get("exeat", {})

    @property
    def class_uid(self):
        return self.get("class_uid")

    @property
    def phase(self):
        return self.exeat.get("phase")

    @property
    def reason(self):
        return self.exeat.get("reason")

    @property
    def sid(self):
        return self.exeat.get("sid")

    @property
    def request_id(self):
        return self.exeat.get("request_id")

    @property
    def allowed(self):
        return self.get("action_id") == 1

    @property
    def denied(self):
        return self.get("action_id") == 2

    @property
    def method(self):
        return self.get("http_request", {}).get("http_method")

    @property
    def path(self):
        return self.get("http_request", {}).get("url", {}).get("path")

    @property
    def answered(self):
        """An answer began; without one the request ended half way, wherever that was."""
        return "http_response" in self

    @property
    def is_request(self):
        """A request inside the bumped TLS: not CONNECT, not a connection."""
        return self.class_uid == 4002 and self.method != "CONNECT"


def reached_origin(records):
    """Requests that were allowed to the end: the origins must have seen those with an answer."""
    return [r for r in records if r.is_request and r.phase == "outcome" and r.allowed]
