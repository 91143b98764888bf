#include "store/testing/postgres_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include "base/fd.h"
#include "base/file.h"
#include "fmt/format.h"

namespace exeat::store {
namespace {

constexpr int kStartTries = 600;  // each some 20 to 50 ms

// PostgreSQL does not run as root.
uid_t ServerUid() {
  if (geteuid() != 0) return geteuid();
  const passwd* postgres = getpwnam("postgres");
  return postgres != nullptr ? postgres->pw_uid : 65534;
}

int FreePort() {
  base::UniqueFd socket_fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(socket_fd.get(), generic, size) != 0) abort();
  if (getsockname(socket_fd.get(), generic, &size) != 0) abort();
  return ntohs(address.sin_port);
}

// A restart after a kill syncs every file, which on a busy disk takes seconds.
std::filesystem::path Parent() {
  constexpr std::uintmax_t kRoom = std::uintmax_t{1} << 30;
  std::error_code absent;
  const std::filesystem::space_info memory = std::filesystem::space("/dev/shm", absent);
  const bool fits = !absent && memory.available >= kRoom;
  return fits ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
}

constexpr char kAccess[] = R"(local all all trust
host all edge 127.0.0.1/32 scram-sha-256
host all edge ::1/128 scram-sha-256
)";

}  // namespace

PostgresServer& PostgresServer::Shared() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() : directory_(Parent()), uid_(ServerUid()), port_(FreePort()) {
  if (chown(directory_.path().c_str(), uid_, static_cast<gid_t>(-1)) != 0) Fail("chown");
  RunProgram({Program("initdb"), "-D", data_, "-U", "super", "-A", "trust", "-E", "UTF8",
              "--locale=C", "--no-sync", "--no-instructions"});
  RunProgram({"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
              "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
              "-addext", "subjectAltName=DNS:localhost", "-keyout",
              directory_.path() + "/server.key", "-out", CertificatePath()});
  std::ofstream(data_ + "/pg_hba.conf") << kAccess;
  std::ofstream(data_ + "/postgresql.conf", std::ios::app) << fmt::format(
      "listen_addresses = 'localhost'\nport = {}\nunix_socket_directories = '{}'\n"
      "shared_buffers = 16MB\nmax_connections = 50\nssl = on\n"
      "ssl_cert_file = '{}'\nssl_key_file = '{}/server.key'\nlc_messages = 'C'\n",
      port_, directory_.path(), CertificatePath(), directory_.path());
  Start();
  Run("postgres", "CREATE ROLE edge LOGIN PASSWORD 'edge-pw'");
}

PostgresServer::~PostgresServer() {
  if (postmaster_ <= 0) return;
  kill(postmaster_, SIGQUIT);
  waitpid(postmaster_, nullptr, 0);
}

void PostgresServer::Fail(const std::string& message) const {
  const std::string log = base::ReadFile(log_).value_or("");
  fprintf(stderr, "the tests' PostgreSQL: %s\n%s\n", message.c_str(),
          log.substr(log.size() > 2000 ? log.size() - 2000 : 0).c_str());
  if (postmaster_ > 0) {
    kill(postmaster_, SIGQUIT);
    waitpid(postmaster_, nullptr, 0);
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_.path(), ignored);
  // Tests that cannot run have not passed.
  _exit(1);
}

std::string PostgresServer::Program(const std::string& name) const {
  for (const char* const directory :
       {"/usr/lib/postgresql/15/bin/", "/usr/bin/", "/usr/local/bin/"}) {
    if (access((directory + name).c_str(), X_OK) == 0) return directory + name;
  }
  Fail(name + " is not installed; run: tools/setup test");
}

pid_t PostgresServer::Spawn(const std::vector<std::string>& argv) const {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  const int log = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (geteuid() == 0 && (setgid(uid_) != 0 || setuid(uid_) != 0)) _exit(126);
  if (chdir("/") != 0) _exit(126);
  // After the change of user, which clears it: no server outlives its tests.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  execv(words[0], words.data());
  _exit(127);
}

void PostgresServer::RunProgram(const std::vector<std::string>& argv) const {
  int status = 0;
  const pid_t child = Spawn(argv);
  if (waitpid(child, &status, 0) != child || status != 0) Fail(argv[0] + " failed");
}

void PostgresServer::Start() {
  const std::string postgres = Program("postgres");
  for (int i = 0; i < kStartTries; ++i) {
    // A server that was killed leaves its memory to processes that end a moment later.
    if (postmaster_ <= 0) postmaster_ = Spawn({postgres, "-D", data_});
    if (PQping(Conninfo("postgres").c_str()) == PQPING_OK) return;
    poll(nullptr, 0, 20);
    if (waitpid(postmaster_, nullptr, WNOHANG) == postmaster_) postmaster_ = 0;
  }
  Fail("does not start");
}

void PostgresServer::Kill() {
  kill(postmaster_, SIGKILL);
  waitpid(std::exchange(postmaster_, 0), nullptr, 0);
}

void PostgresServer::MakeStandby() const {
  const std::string path = data_ + "/standby.signal";
  std::ofstream{path};
  if (chown(path.c_str(), uid_, static_cast<gid_t>(-1)) != 0) Fail("chown");
}

std::string PostgresServer::Conninfo(const std::string& database) const {
  return fmt::format("host={} port={} user=super dbname={}", directory_.path(), port_, database);
}

std::string PostgresServer::NewDatabase() {
  const std::string name = fmt::format("test{}", ++databases_);
  Run("postgres", fmt::format("CREATE DATABASE {} OWNER edge", name));
  return name;
}

std::string PostgresServer::Url(const std::string& database) const {
  return fmt::format("postgresql://edge@/{}?host={}&port={}", database, directory_.path(), port_);
}

std::string PostgresServer::TcpUrl(const std::string& host, const std::string& database) const {
  return fmt::format("postgresql://edge@{}:{}/{}", host, port_, database);
}

std::string PostgresServer::Run(const std::string& database, const std::string& sql) const {
  std::string error;
  for (int i = 0; i < kStartTries; ++i) {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
        PQconnectdb(Conninfo(database).c_str()), &PQfinish);
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(
        PQexec(connection.get(), sql.c_str()), &PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
      return PQntuples(result.get()) == 0 ? "" : PQgetvalue(result.get(), 0, 0);
    }
    error = PQerrorMessage(connection.get());
    if (PQstatus(connection.get()) == CONNECTION_OK) break;
    // It is just starting again.
    poll(nullptr, 0, 20);
  }
  Fail(sql + ": " + error);
}

void PostgresServer::Set(const std::string& name, const std::string& value) const {
  Run("postgres", fmt::format("ALTER SYSTEM SET {} = '{}'", name, value));
  Run("postgres", "SELECT pg_reload_conf()");
  // The postmaster, which starts the connections, hears of it a moment later.
  for (int i = 0; i < kStartTries; ++i) {
    if (Run("postgres", fmt::format("SELECT current_setting('{}')", name)) == value) return;
    poll(nullptr, 0, 10);
  }
  Fail(name + " does not change");
}

}  // namespace exeat::store
