// exeat audit tail | verify | export.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <system_error>

#include "audit/log.h"
#include "cli/commands.h"
#include "cli/edge_client.h"
#include "cli/find_edge.h"
#include "cli/render.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

struct Options {
  std::string directory;
  std::string head;
  std::uint64_t head_seq = 0;  // 0: the last
  std::uint64_t from_seq = 1;
  std::uint64_t lines = 10;
  bool follow = false;
};

// A chain that ends before its first record and a directory that was mistyped are not the same.
base::Status CheckNamed(const std::string& directory) {
  std::error_code error;
  if (directory.empty() || std::filesystem::is_directory(directory, error)) return absl::OkStatus();
  if (error && error != std::errc::no_such_file_or_directory) {
    return base::ErrnoStatus(error.value(), directory);
  }
  return base::MakeStatus(
      base::StatusCode::kNotFound,
      fmt::format("{}: there is no such directory; name the one that holds audit.jsonl",
                  directory));
}

// --dir; else where the running edge says; else the usual place under the state.
base::StatusOr<std::string> Directory(const Context& context, const Options& options) {
  RETURN_IF_ERROR(CheckNamed(options.directory));
  if (!options.directory.empty()) return options.directory;
  ASSIGN_OR_RETURN(const std::string state, FindState(context.state, {}));
  base::StatusOr<EdgeClient> edge = EdgeClient::ConnectState(state);
  ops::v1::EdgeStatus status;
  if (edge.ok() && edge->Call(&Stub::GetStatus, {}, &status).ok() && !status.audit_dir().empty()) {
    return status.audit_dir();
  }
  return state + "/audit";
}

// A log to verify and what is known of it.
struct Claim {
  std::string directory;
  std::string head;                        // the last record's; empty: not known
  std::vector<audit::HeadRecord> written;  // these and perhaps more
  std::uint64_t edge_seq = 0;              // the running edge's last record; 0: none was asked
};

// A running edge is asked before its file is read, so that the file can only hold more than that.
// One that runs but does not answer is an error: a file alone cannot show what is missing.
base::StatusOr<Claim> FindClaim(const Context& context, const Options& options) {
  Claim claim;
  if (options.head_seq == 0) claim.head = options.head;
  if (options.head_seq != 0) claim.written.push_back({options.head_seq, options.head});
  RETURN_IF_ERROR(CheckNamed(options.directory));
  claim.directory = options.directory;
  if (!claim.directory.empty()) return claim;
  ASSIGN_OR_RETURN(const std::string state, FindState(context.state, {}));
  claim.directory = state + "/audit";
  base::StatusOr<EdgeClient> edge = EdgeClient::ConnectState(state);
  if (edge.status().code() == base::StatusCode::kNotFound) return claim;
  ops::v1::EdgeStatus status;
  base::Status asked = edge.status();
  if (asked.ok()) asked = edge->Call(&Stub::GetStatus, {}, &status);
  if (asked.ok() && status.audit_seq() != 0 && status.audit_head().empty()) {
    asked = base::MakeStatus(base::StatusCode::kFailedPrecondition,
                             "it is older than this exeat; restart it");
  }
  RETURN_IF_ERROR(base::Annotate(asked,
                                 "the running edge does not say what it has written (the file "
                                 "alone: exeat audit verify --dir " +
                                     claim.directory + ")"));
  if (!status.audit_dir().empty()) claim.directory = status.audit_dir();
  claim.edge_seq = status.audit_seq();
  if (claim.edge_seq != 0) claim.written.push_back({claim.edge_seq, status.audit_head()});
  return claim;
}

std::string Member(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string Labelled(const nlohmann::json& object, const char* name) {
  const std::string value = Member(object, name);
  return value.empty() ? "" : std::string(name) + "=" + value;
}

std::string Where(const nlohmann::json& record) {
  const nlohmann::json endpoint = record.value("dst_endpoint", nlohmann::json::object());
  const std::string port = Member(endpoint, "port");
  return Member(endpoint, "hostname") + (port.empty() ? "" : ":" + port);
}

// One record on one line for people; a record that is not what we know stays as it is.
std::string Brief(const std::string& line) {
  const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
  if (!record.is_object()) return line;
  const nlohmann::json ours =
      record.value("/unmapped/exeat"_json_pointer, nlohmann::json::object());
  const nlohmann::json request = record.value("http_request", nlohmann::json::object());
  const auto time_ms = record.value("time", std::int64_t{0});
  const nlohmann::json response = record.value("http_response", nlohmann::json::object());
  std::string text = fmt::format("{:>6}  {}", Member(ours, "seq"), TimeText(time_ms / 1000));
  for (const std::string& word :
       {Member(ours, "activity"), Member(ours, "phase"), Member(response, "code"),
        Member(ours, "reason"), Member(request, "http_method"), Where(record),
        Member(request.value("url", nlohmann::json::object()), "path"), Labelled(ours, "sub"),
        Labelled(ours, "sid")}) {
    if (!word.empty()) text += "  " + word;
  }
  return text;
}

int Tail(Context& context, const Options& options) {
  base::StatusOr<EdgeClient> edge = EdgeClient::Connect(context);
  if (!edge.ok()) return Fail(context, edge.status());
  ops::v1::EdgeStatus status;
  const base::Status asked = edge->Call(&Stub::GetStatus, {}, &status);
  if (!asked.ok()) return Fail(context, asked);
  ops::v1::TailAuditRequest request;
  request.set_follow(options.follow);
  request.set_from_seq(status.audit_seq() > options.lines ? status.audit_seq() - options.lines + 1
                                                          : 1);
  const base::Status ended = edge->TailAudit(request, [&context](const std::string& line) {
    context.out << (context.json ? line : Brief(line)) << "\n";
    context.out.flush();
    return context.out.good();
  });
  return ended.ok() ? kDone : Fail(context, ended);
}

std::string WhatWasCompared(const Claim& claim) {
  if (claim.edge_seq != 0) {
    return fmt::format("the running edge has written {} records", claim.edge_seq);
  }
  return claim.head.empty() && claim.written.empty()
             ? "no edge was asked: only a head that was kept elsewhere shows a loss at the end"
             : "no edge was asked";
}

int Verify(Context& context, const Options& options) {
  const base::StatusOr<Claim> claim = FindClaim(context, options);
  if (!claim.ok()) return Fail(context, claim.status());
  const base::StatusOr<audit::Verdict> verdict =
      audit::Verify(claim->directory, claim->head, claim->written);
  if (!verdict.ok()) return Fail(context, verdict.status());
  if (context.json) {
    context.out << JsonLine({{"intact", verdict->intact},
                             {"records", verdict->records},
                             {"first_bad_line", verdict->first_bad_line},
                             {"problem", verdict->problem},
                             {"head", verdict->head},
                             {"edge_seq", claim->edge_seq},
                             {"directory", claim->directory}});
  } else if (verdict->intact) {
    context.out << "intact: " << verdict->records << " records, head " << verdict->head << "\n";
  } else {
    context.out << "broken at line " << verdict->first_bad_line << ": " << verdict->problem << "\n"
                << verdict->records << " records before it form a whole chain\n";
  }
  if (!context.json) context.out << WhatWasCompared(*claim) << "\n";
  return verdict->intact ? kDone : kFailed;
}

int Export(Context& context, const Options& options) {
  const base::StatusOr<std::string> directory = Directory(context, options);
  if (!directory.ok()) return Fail(context, directory.status());
  const base::Status exported =
      audit::Export(*directory, options.from_seq,
                    [&context](std::string_view line) { context.out << line << "\n"; });
  return exported.ok() ? kDone : Fail(context, exported);
}

void AddDirectory(CLI::App& command, Options& options) {
  command
      .add_option("--dir", options.directory,
                  "The log's directory (else the running edge's, else STATE/audit)")
      ->type_name("DIR");
}

}  // namespace

void AddAudit(CLI::App& root, Context& context) {
  CLI::App& group = AddGroup(
      root, {"audit", "Read and verify the audit log", "exeat audit tail -f\nexeat audit verify"});
  const auto tail = std::make_shared<Options>();
  CLI::App& tail_command =
      AddCommand(group, context,
                 {"tail", "Print the last records of the running edge",
                  "exeat audit tail\nexeat audit tail -f --json | jq .unmapped.exeat"},
                 [&context, tail] { return Tail(context, *tail); });
  tail_command.add_flag("-f,--follow", tail->follow, "Go on with new records until interrupted");
  tail_command.add_option("-n,--lines", tail->lines, "How many")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();

  const auto verify = std::make_shared<Options>();
  CLI::App& verify_command = AddCommand(
      group, context,
      {"verify",
       "Find the first changed, missing or reordered record. A running edge is asked for its last "
       "record, which the log must hold; without one the file is read alone",
       "exeat audit verify\nexeat audit verify --dir ./copy --seq 812 --head 5f0c..."},
      [&context, verify] { return Verify(context, *verify); });
  AddDirectory(verify_command, *verify);
  CLI::Option* head =
      verify_command
          .add_option("--head", verify->head, "The head it must end in: shows a lost tail")
          ->type_name("HEX");
  verify_command
      .add_option("--seq", verify->head_seq,
                  "The record that --head is of; later ones may follow (else the last)")
      ->type_name("SEQ")
      ->check(CLI::PositiveNumber)
      ->needs(head);

  const auto all = std::make_shared<Options>();
  CLI::App& export_command = AddCommand(group, context,
                                        {"export", "Print every record as JSON lines, oldest first",
                                         "exeat audit export > audit.jsonl"},
                                        [&context, all] { return Export(context, *all); });
  AddDirectory(export_command, *all);
  export_command.add_option("--from", all->from_seq, "The first record's number")
      ->type_name("SEQ")
      ->capture_default_str();
}

}  // namespace exeat::cli
