#include "store/postgresql.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "fmt/format.h"

namespace exeat::store {
namespace {

using base::BootTime;
using base::MakeStatus;
using base::Status;
using base::StatusCode;
using base::StatusOr;

constexpr Oid kBytea = 17;
constexpr Oid kBigint = 20;
constexpr Oid kByteaArray = 1001;
constexpr Oid kBigintArray = 1016;

template <class Integer>
void Append(std::string& out, Integer value) {
  for (int shift = static_cast<int>(sizeof(value)) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

std::string ArrayHead(Oid element, std::size_t size) {
  std::string out;
  Append(out, std::int32_t{1});  // dimensions
  Append(out, std::int32_t{0});  // no null among them
  Append(out, static_cast<std::uint32_t>(element));
  Append(out, static_cast<std::uint32_t>(size));
  Append(out, std::int32_t{1});  // the first index
  return out;
}

std::string Field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text == nullptr ? std::string() : std::string(text);
}

// Never the server's own sentence: it may quote a value.
struct Meaning {
  StatusCode code;
  std::string text;
};
Meaning MeaningOf(const std::string& sqlstate) {
  const auto is = [&](std::string_view prefix) { return sqlstate.starts_with(prefix); };
  if (is("23505")) return {StatusCode::kAlreadyExists, "the key is taken"};
  if (is("57014")) return {StatusCode::kDeadlineExceeded, "the statement took too long"};
  if (is("55P03") || is("40")) {
    return {StatusCode::kUnavailable, "another edge holds the lock; try again"};
  }
  if (is("53100")) return {StatusCode::kUnavailable, "the server's disk is full; free some space"};
  if (is("53")) return {StatusCode::kUnavailable, "the server is out of connections or memory"};
  if (is("57P") || is("08") || is("25P03")) {
    return {StatusCode::kUnavailable, "the server ended the connection"};
  }
  if (is("25006"))
    return {StatusCode::kUnavailable, "the server takes no changes; is it a standby?"};
  if (is("42501")) {
    return {StatusCode::kPermissionDenied,
            "the role may not do that; let it own the database or the schema exeat"};
  }
  if (is("XX001") || is("XX002")) return {StatusCode::kUnavailable, "the server's data is damaged"};
  return {StatusCode::kUnavailable, "the server refused"};
}

std::string OneLine(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// What stands in libpq's sentence about a failed connection, without the password.
std::string Cleaned(std::string text, std::string_view password) {
  for (std::size_t at = text.find(password); !password.empty() && at != std::string::npos;
       at = text.find(password, at)) {
    text.replace(at, password.size(), "*");
    at += 1;
  }
  return OneLine(std::move(text));
}

}  // namespace

Parameters& Parameters::Add(std::int64_t number) {
  types_.push_back(kBigint);
  Append(values_.emplace_back(), number);
  return *this;
}

Parameters& Parameters::Add(std::string_view bytes) {
  types_.push_back(kBytea);
  values_.emplace_back(bytes);
  return *this;
}

Parameters& Parameters::Add(const std::vector<std::int64_t>& numbers) {
  types_.push_back(kBigintArray);
  std::string& out = values_.emplace_back(ArrayHead(kBigint, numbers.size()));
  for (const std::int64_t number : numbers) {
    Append(out, std::int32_t{8});
    Append(out, number);
  }
  return *this;
}

Parameters& Parameters::Add(const std::vector<std::string_view>& texts) {
  types_.push_back(kByteaArray);
  std::string& out = values_.emplace_back(ArrayHead(kBytea, texts.size()));
  for (const std::string_view text : texts) {
    Append(out, static_cast<std::uint32_t>(text.size()));
    out.append(text);
  }
  return *this;
}

std::string_view Answer::Bytes(int row, int column) const {
  return {PQgetvalue(result_.get(), row, column),
          static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
}

std::int64_t Answer::Number(int row, int column) const {
  const std::string_view bytes = Bytes(row, column);
  std::int64_t number = 0;
  if (PQfformat(result_.get(), column) == 0) {
    std::from_chars(bytes.data(), bytes.data() + bytes.size(), number);
    return number;
  }
  std::uint64_t bits = 0;
  for (const char byte : bytes) bits = (bits << 8) | static_cast<unsigned char>(byte);
  return static_cast<std::int64_t>(bits);
}

std::int64_t Answer::changed() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Status Connection::Error(StatusCode code, std::string_view message) const {
  return MakeStatus(code, fmt::format("{}: {}", shown_, message));
}

Status Connection::Lost() {
  lost_ = true;
  return Error(StatusCode::kUnavailable, "the connection is lost");
}

Status Connection::ErrorOf(const PGresult* result) {
  const std::string sqlstate = Field(result, PG_DIAG_SQLSTATE);
  if (sqlstate.empty() || lost()) return Lost();
  if (Field(result, PG_DIAG_SEVERITY_NONLOCALIZED) == "FATAL") lost_ = true;
  const Meaning meaning = MeaningOf(sqlstate);
  return Error(meaning.code, fmt::format("{} (SQLSTATE {})", meaning.text, sqlstate));
}

void Connection::Notice(void* self, const PGresult* notice) {
  if (Field(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING") {
    static_cast<Connection*>(self)->warned_ = true;
  }
}

Status Connection::Wait(short events, BootTime deadline) {
  while (true) {
    const BootTime left = deadline - base::SystemClock().BootNow();
    const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    pollfd socket{PQsocket(connection_.get()), events, 0};
    if (socket.fd < 0) return Lost();
    const int ready = left_ms <= 0 ? 0 : poll(&socket, 1, static_cast<int>(left_ms));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) {
      // Whatever runs there is not waited for any more, so nothing may follow it on this line.
      lost_ = true;
      return Error(StatusCode::kDeadlineExceeded, "no answer in time");
    }
    if (errno != EINTR) return Lost();
  }
}

StatusOr<std::unique_ptr<Connection>> Connection::Open(const PostgresqlAddress& address,
                                                       const base::Secret& password,
                                                       std::chrono::milliseconds patience) {
  auto connection = std::unique_ptr<Connection>(new Connection(address.shown, patience));
  RETURN_IF_ERROR(connection->Connect(address, password));
  return connection;
}

Status Connection::Connect(const PostgresqlAddress& address, const base::Secret& password) {
  std::string secret(password.Reveal());
  std::vector<const char*> keywords = {"application_name", "gssencmode", "target_session_attrs"};
  std::vector<const char*> values = {"exeat", "disable", "read-write"};
  for (const auto& [keyword, value] : address.parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  if (!secret.empty()) {
    keywords.push_back("password");
    values.push_back(secret.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 0));
  PQsetNoticeReceiver(connection_.get(), &Connection::Notice, this);
  const BootTime deadline = Deadline();
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  Status waited;
  while (waited.ok() && PQstatus(connection_.get()) != CONNECTION_BAD &&
         (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING)) {
    waited = Wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
    if (waited.ok()) next = PQconnectPoll(connection_.get());
  }
  const std::string said = Cleaned(PQerrorMessage(connection_.get()), secret);
  base::Secret::Wipe(secret);
  RETURN_IF_ERROR(waited);
  if (PQconnectionNeedsPassword(connection_.get()) == 1) {
    return Error(StatusCode::kFailedPrecondition,
                 "the server asks for a password: name its file as password_file");
  }
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    return Error(StatusCode::kUnavailable, "no connection: " + said);
  }
  PQsetnonblocking(connection_.get(), 1);
  return absl::OkStatus();
}

Status Connection::Flush(BootTime deadline) {
  while (true) {
    const int more = PQflush(connection_.get());
    if (more == 0) return absl::OkStatus();
    if (more < 0) return Lost();
    RETURN_IF_ERROR(Wait(POLLIN | POLLOUT, deadline));
    // The server may wait for us to read before it reads on.
    if (PQconsumeInput(connection_.get()) == 0) return Lost();
  }
}

StatusOr<PGresult*> Connection::Next(BootTime deadline) {
  while (PQisBusy(connection_.get()) == 1) {
    RETURN_IF_ERROR(Wait(POLLIN, deadline));
    if (PQconsumeInput(connection_.get()) == 0) return Lost();
  }
  return PQgetResult(connection_.get());
}

Status Connection::Send(const char* sql, const Parameters& parameters) {
  if (lost()) return Lost();
  const std::size_t count = parameters.values_.size();
  std::vector<const char*> values(count);
  std::vector<int> lengths(count);
  const std::vector<int> binary(count, 1);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = parameters.values_[i].data();
    lengths[i] = static_cast<int>(parameters.values_[i].size());
  }
  const int sent =
      PQsendQueryParams(connection_.get(), sql, static_cast<int>(count), parameters.types_.data(),
                        values.data(), lengths.data(), binary.data(), /*resultFormat=*/1);
  return sent == 1 ? absl::OkStatus() : Lost();
}

StatusOr<Answer> Connection::Collect() {
  const BootTime deadline = Deadline();
  RETURN_IF_ERROR(Flush(deadline));
  Answer last(nullptr);
  Status failed;
  while (true) {
    ASSIGN_OR_RETURN(PGresult* const result, Next(deadline));
    if (result == nullptr) break;
    Answer answer(result);
    const ExecStatusType status = PQresultStatus(result);
    const bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!done && failed.ok()) failed = ErrorOf(result);
    last = std::move(answer);
  }
  RETURN_IF_ERROR(failed);
  if (last.result_ == nullptr || lost()) return Lost();
  return last;
}

StatusOr<Answer> Connection::Run(const char* sql, const Parameters& parameters) {
  RETURN_IF_ERROR(Send(sql, parameters));
  return Collect();
}

StatusOr<Answer> Connection::RunScript(const std::string& sql) {
  if (lost() || PQsendQuery(connection_.get(), sql.c_str()) != 1) return Lost();
  return Collect();
}

Status Connection::Stream(const char* sql, const Parameters& parameters, const RowVisitor& visit) {
  RETURN_IF_ERROR(Send(sql, parameters));
  PQsetSingleRowMode(connection_.get());
  RETURN_IF_ERROR(Flush(Deadline()));
  Status failed;
  while (true) {
    // Each wait is bounded, not the whole: a million rows may take their time.
    ASSIGN_OR_RETURN(PGresult* const result, Next(Deadline()));
    if (result == nullptr) break;
    const Answer answer(result);
    const ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_SINGLE_TUPLE && failed.ok()) failed = visit(answer);
    const bool known = status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK;
    if (!known && failed.ok()) failed = ErrorOf(result);
  }
  RETURN_IF_ERROR(failed);
  return lost() ? Lost() : absl::OkStatus();
}

StatusOr<bool> Connection::WaitForNotification(std::chrono::milliseconds timeout) {
  const BootTime deadline = base::SystemClock().BootNow() + timeout;
  while (true) {
    if (lost() || PQconsumeInput(connection_.get()) == 0) return Lost();
    bool notified = false;
    while (PGnotify* notify = PQnotifies(connection_.get())) {
      PQfreemem(notify);
      notified = true;
    }
    if (notified) return true;
    const BootTime left = deadline - base::SystemClock().BootNow();
    if (left <= BootTime(0)) return false;
    pollfd socket{PQsocket(connection_.get()), POLLIN, 0};
    const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const auto most_ms = std::min<std::int64_t>(left_ms, 3'600'000);
    if (poll(&socket, 1, static_cast<int>(most_ms)) < 0 && errno != EINTR) return Lost();
  }
}

}  // namespace exeat::store
