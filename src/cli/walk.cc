#include "cli/walk.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>

#include "fmt/format.h"

namespace exeat::cli {
namespace {

constexpr std::string_view kReasonHeader = "x-deny-reason:";

bool StartsWithNoCase(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), text.begin(), [](char a, char b) {
           return a == std::tolower(static_cast<unsigned char>(b));
         });
}

// libcurl calls this with each header line, those of CONNECT's answer too.
std::size_t OnHeader(char* bytes, std::size_t size, std::size_t count, void* into) {
  std::string& reason = *static_cast<std::string*>(into);
  const std::string_view line(bytes, size * count);
  if (StartsWithNoCase(line, "http/")) reason.clear();
  if (StartsWithNoCase(line, kReasonHeader)) {
    const std::string_view value = line.substr(kReasonHeader.size());
    for (const char c : value) {
      if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_') reason += c;
    }
  }
  return size * count;
}

std::size_t OnBody(char*, std::size_t size, std::size_t count, void*) { return size * count; }

bool IsTlsError(CURLcode code) {
  return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
         code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM;
}

struct CurlFree {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

Answer Ask(const WalkRequest& request) {
  Answer answer;
  const std::unique_ptr<CURL, CurlFree> handle(curl_easy_init());
  if (handle == nullptr) {
    answer.curl_code = CURLE_FAILED_INIT;
    answer.curl_error = "libcurl could not be started";
    return answer;
  }
  CURL* curl = handle.get();
  const std::string url = fmt::format("https://{}:{}{}", request.host, request.port, request.path);
  const std::string proxy = "http://" + request.proxy_address;
  curl_blob ca{};
  ca.data = const_cast<char*>(request.ca_pem.data());
  ca.len = request.ca_pem.size();
  ca.flags = CURL_BLOB_NOCOPY;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROXY, proxy.c_str());
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
  curl_easy_setopt(curl, CURLOPT_PROXYUSERNAME, "session");
  curl_easy_setopt(curl, CURLOPT_PROXYPASSWORD, request.token.c_str());
  curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.deny_reason);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 15000L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  const CURLcode code = curl_easy_perform(curl);
  answer.curl_code = code;
  answer.curl_error = code == CURLE_OK ? "" : curl_easy_strerror(code);
  answer.tls_failed = IsTlsError(code);
  curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &answer.connect_status);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

std::string HopOf(const std::string& reason) {
  if (reason == "credential_unavailable") return "credential";
  if (reason == "address_denied" || reason.compare(0, 9, "upstream_") == 0) return "upstream";
  return "decision";
}

// What to do about a denial where the edge, its policy and the origin are all one's own.
std::string RemedyOf(const std::string& reason) {
  if (reason == "credential_unavailable") {
    return "repair the credential's file; the edge's log says what is wrong with it";
  }
  if (reason == "address_denied") {
    return "the name resolves into private space: resolver.allow_private opens an exact range";
  }
  if (reason == "upstream_tls") {
    return "upstream_trust must hold the authority that signed this host's certificate";
  }
  if (reason == "upstream_unreachable") {
    return "see whether the name resolves (`resolver`) and the origin listens; the last record of "
           "`exeat audit tail --json` says how the connection failed";
  }
  if (reason == "posture_deny_all") return "set posture: bump and: exeat policy apply FILE";
  return reason.empty() ? "see the edge's log" : "look up " + reason + " in docs/denials.md";
}

}  // namespace

std::vector<Hop> Judge(const Answer& answer, bool may_get) {
  std::vector<Hop> hops;
  if (answer.connect_status == 0) {
    hops.push_back(
        {"proxy", false, "no answer from the proxy: " + answer.curl_error, "see the edge's log"});
    return hops;
  }
  hops.push_back({"proxy", true, "answers", ""});
  if (answer.connect_status != 200) {
    hops.push_back(
        {"connect", false,
         fmt::format("HTTP {}, {}", answer.connect_status,
                     answer.deny_reason.empty() ? "no reason given" : answer.deny_reason),
         RemedyOf(answer.deny_reason)});
    return hops;
  }
  hops.push_back({"connect", true, "token, destination and grant accepted", ""});
  if (answer.tls_failed) {
    hops.push_back({"leaf", false, "TLS to the edge: " + answer.curl_error, "see the edge's log"});
    return hops;
  }
  hops.push_back({"leaf", true, "certificate signed by this edge's CA", ""});
  // What curl counts as an error after CONNECT, before an answer inside.
  if (answer.curl_code != 0 || answer.status == 0) {
    hops.push_back({"decision", false, "no answer inside the tunnel: " + answer.curl_error,
                    "see the edge's log"});
    return hops;
  }
  if (!may_get && answer.deny_reason == "method_not_allowed") {
    hops.push_back({"decision", true,
                    "refused GET as the rules say; not walked further, since this destination "
                    "allows no GET",
                    ""});
    return hops;
  }
  for (const char* name : {"decision", "credential", "upstream"}) {
    const bool failed = !answer.deny_reason.empty() && HopOf(answer.deny_reason) == name;
    hops.push_back({name, !failed,
                    failed ? fmt::format("HTTP {}, {}", answer.status, answer.deny_reason) : "ok",
                    failed ? RemedyOf(answer.deny_reason) : ""});
    if (failed) return hops;
  }
  hops.back().detail = fmt::format("answered HTTP {}", answer.status);
  return hops;
}

std::vector<Hop> Walk(const WalkRequest& request) { return Judge(Ask(request), request.may_get); }

}  // namespace exeat::cli
