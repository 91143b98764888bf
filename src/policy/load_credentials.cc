#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "fmt/format.h"
#include "policy/sections.h"

namespace exeat::policy {
namespace {

constexpr std::size_t kMaxUsernameBytes = 256;
constexpr std::size_t kMaxAwsNameBytes = 63;

// Headers that frame the message, name its target or are exeat's and Envoy's own words: a
// credential there would break the request or forge a fact.
constexpr std::array<std::string_view, 16> kReservedHeaders = {
    "host",         "connection", "content-length", "transfer-encoding",   "te",
    "trailer",      "upgrade",    "keep-alive",     "proxy-authorization", "proxy-connection",
    "x-request-id", "expect",     "x-deny-reason",  "forwarded",           "via",
    "content-type"};
constexpr std::array<std::string_view, 3> kReservedPrefixes = {"x-exeat-", "x-envoy-",
                                                               "x-forwarded-"};

bool IsLowerTokenChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string HeaderObjection(const std::string& header) {
  if (const std::string lower = Lower(header); lower != header) {
    return fmt::format("write it in lower case: {}", Quoted(lower));
  }
  if (header.size() > 128 || !std::all_of(header.begin(), header.end(), IsLowerTokenChar)) {
    return fmt::format("{} is not a header name", Quoted(header));
  }
  const bool reserved =
      std::find(kReservedHeaders.begin(), kReservedHeaders.end(), header) !=
          kReservedHeaders.end() ||
      std::any_of(kReservedPrefixes.begin(), kReservedPrefixes.end(),
                  [&](std::string_view prefix) { return header.starts_with(prefix); });
  return reserved ? fmt::format("{} cannot carry a credential: it belongs to the message itself",
                                Quoted(header))
                  : std::string();
}

void ReadHeader(Reader& reader, const Located& at, Credential& credential) {
  const auto header_at = reader.Get(at, "header");
  if (credential.kind != CredentialKind::kHeader) {
    if (credential.kind == CredentialKind::kMtls) credential.header.clear();
    if (header_at) reader.Add(*header_at, "stands only with kind: header");
    return;
  }
  const auto required =
      reader.Require(at, "header", "kind: header needs the name of the header, like x-api-key");
  const auto header = required ? reader.Text(*required) : std::nullopt;
  if (!header) return;
  if (auto objection = HeaderObjection(*header); !objection.empty()) {
    return reader.Add(*required, std::move(objection));
  }
  credential.header = *header;
}

bool IsAwsName(const std::string& text) {
  return text.size() <= kMaxAwsNameBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// The two parts of a signature's scope that say where it counts.
std::string ReadScope(Reader& reader, const Located& at, std::string_view key,
                      std::string_view example, const Credential& credential) {
  const auto found = reader.Get(at, key);
  if (credential.kind != CredentialKind::kAwsSigv4) {
    if (found) reader.Add(*found, "stands only with kind: aws_sigv4");
    return {};
  }
  const auto required =
      reader.Require(at, key, fmt::format("kind: aws_sigv4 needs the {}, like {}", key, example));
  const auto text = required ? reader.Text(*required) : std::nullopt;
  if (!text) return {};
  if (IsAwsName(*text)) return *text;
  reader.Add(*required, fmt::format("{} is no {}: a to z, digits and hyphens, like {}",
                                    Quoted(*text), key, example));
  return {};
}

void ReadUsername(Reader& reader, const Located& at, Credential& credential) {
  const auto username_at = reader.Get(at, "username");
  if (credential.kind != CredentialKind::kBasic) {
    if (username_at) reader.Add(*username_at, "stands only with kind: basic");
    return;
  }
  const auto required = reader.Require(at, "username", "kind: basic needs the user's name");
  const auto username = required ? reader.Text(*required) : std::nullopt;
  if (!username) return;
  if (username->find(':') != std::string::npos) {
    return reader.Add(*required, "must not hold ':': the password alone stands in the source file");
  }
  if (username->size() > kMaxUsernameBytes) {
    return reader.Add(*required, fmt::format("is longer than {} bytes", kMaxUsernameBytes));
  }
  credential.username = *username;
}

void RefuseKeys(Reader& reader, const Located& source, std::initializer_list<std::string_view> keys,
                std::string_view why) {
  for (const std::string_view key : keys) {
    if (const auto at = reader.Get(source, key)) reader.Add(*at, std::string(why));
  }
}

void ReadPair(Reader& reader, const Located& source, Credential& credential) {
  const auto certificate = reader.Require(source, "certificate",
                                          "the path of the client certificate and its chain, PEM");
  const auto key = reader.Require(source, "key", "the path of its private key, PEM");
  if (certificate) {
    credential.line = certificate->line();
    credential.file = reader.FilePath(*certificate).value_or("");
  }
  if (key) credential.key_file = reader.FilePath(*key).value_or("");
  RefuseKeys(reader, source, {"file"}, "kind: mtls has a certificate and a key instead");
}

void ReadSource(Reader& reader, const Located& at, Credential& credential) {
  const bool is_pair = credential.kind == CredentialKind::kMtls;
  const auto source = reader.Require(at, "source",
                                     is_pair ? "where it is kept: {certificate: PATH, key: PATH}"
                                             : "where its value is kept: {file: PATH}");
  if (!source || !reader.Map(*source, "credentials[].source")) return;
  credential.line = source->line();
  if (is_pair) return ReadPair(reader, *source, credential);
  RefuseKeys(reader, *source, {"certificate", "key"}, "stands only with kind: mtls");
  const auto file = reader.Get(*source, "file");
  if (!file) {
    if (!reader.HasLaterKey(*source, "credentials[].source")) {
      reader.Require(*source, "file", "the path of the file that holds the value");
    }
    return;
  }
  credential.line = file->line();
  credential.file = reader.FilePath(*file).value_or("");
}

void ReadHosts(Reader& reader, const Located& at, Credential& credential) {
  const auto hosts = reader.Get(at, "hosts");
  if (!hosts) return;
  const auto items = reader.FilledList(*hosts, "list the hosts it may go to, or remove the key");
  if (!items) return;
  std::set<std::string> seen;
  for (const Located& item : *items) {
    const auto host = ReadHost(reader, item);
    if (!host) continue;
    if (!seen.insert(*host).second) {
      reader.Add(item, fmt::format("{} stands twice: remove one", *host));
      continue;
    }
    credential.hosts.push_back(*host);
  }
}

// nullopt: no kind of this version, and the keys of another kind are not worth a look.
std::optional<CredentialKind> ReadKind(Reader& reader, const Located& at) {
  const auto kind_at = reader.Require(at, "kind", "header, bearer, basic, mtls or aws_sigv4");
  if (!kind_at) return std::nullopt;
  const auto kind = reader.OneOf(*kind_at, {"header", "bearer", "basic", "mtls", "aws_sigv4"},
                                 {"oauth2_client_credentials", "gcp"});
  if (kind == "header") return CredentialKind::kHeader;
  if (kind == "bearer") return CredentialKind::kBearer;
  if (kind == "basic") return CredentialKind::kBasic;
  if (kind == "mtls") return CredentialKind::kMtls;
  if (kind == "aws_sigv4") return CredentialKind::kAwsSigv4;
  return std::nullopt;
}

Credential ReadCredential(Reader& reader, const Located& at) {
  Credential credential;
  if (!reader.Map(at, "credentials[]")) return credential;
  credential.line = at.line();
  const auto name = reader.Require(at, "name", "what destinations call it by");
  if (name) credential.name = reader.Name(*name).value_or("");
  const auto kind = ReadKind(reader, at);
  if (!kind) return credential;
  credential.kind = *kind;
  ReadHeader(reader, at, credential);
  ReadUsername(reader, at, credential);
  credential.service = ReadScope(reader, at, "service", "s3", credential);
  credential.region = ReadScope(reader, at, "region", "eu-west-1", credential);
  ReadSource(reader, at, credential);
  ReadHosts(reader, at, credential);
  return credential;
}

}  // namespace

void ReadCredentials(Reader& reader, const Located& root, Draft& draft) {
  const auto at = reader.Get(root, "credentials");
  const auto items = at ? reader.List(*at) : std::nullopt;
  if (!items) return;
  draft.credentials = *items;
  std::map<std::string, int> first_lines;
  for (const Located& item : *items) {
    Credential credential = ReadCredential(reader, item);
    const auto name = credential.name.empty() ? std::nullopt : reader.Get(item, "name");
    if (name) {
      const auto [first, inserted] = first_lines.emplace(credential.name, name->line());
      if (!inserted) {
        reader.Add(*name, fmt::format("{} is taken by the credential on line {}: names are unique",
                                      credential.name, first->second));
      }
    }
    draft.policy.credentials.push_back(std::move(credential));
  }
}

}  // namespace exeat::policy
