// The commands against an edge that remembers what it was asked.
#include "cli/testing/commands.h"

#include <fstream>

#include "audit/log.h"
#include "base/clock.h"
#include "base/file.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(Commands, SessionCreateGivesTokenAndProxy) {
  const Ran ran = Run({"session", "create", "--sub", "alice", "--grant", "a", "--grant", "b",
                       "--ttl", "2m", "--json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const nlohmann::json json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json, nlohmann::json({{"sid", "sid1"},
                                  {"token", "tok.en.1"},
                                  {"expires_at", 1'800'000'000},
                                  {"proxy_url", "http://session:tok.en.1@127.0.0.1:3128"}}));
  ASSERT_EQ(edge_.created.size(), 1U);
  EXPECT_EQ(edge_.created[0].sub(), "alice");
  EXPECT_EQ(edge_.created[0].grants_size(), 2);
  EXPECT_EQ(edge_.created[0].ttl_s(), 120);
}

TEST_F(Commands, SessionCreateReportsARefusalWithOne) {
  edge_.failure = {::grpc::StatusCode::INVALID_ARGUMENT, "no destination asks for the grant \"x\""};
  const Ran ran = Run({"session", "create", "--grant", "x"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("asks for the grant"));
}

TEST_F(Commands, PolicyApplySendsTheFileAndWhereItStands) {
  ASSERT_EQ(Cli({"init", edge_.directory() + "/exeat.yaml"}).code, 0);
  const std::string file = edge_.directory() + "/exeat.yaml";
  const Ran ran = Run({"policy", "apply", file});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("revision 7"));
  ASSERT_EQ(edge_.applied.size(), 1U);
  EXPECT_EQ(edge_.applied[0].base_directory(), edge_.directory());
  EXPECT_EQ(edge_.applied[0].text(), *base::ReadFile(file));
}

TEST_F(Commands, PolicyApplySaysWhatBecameOfTheStreams) {
  const std::string file = edge_.directory() + "/exeat.yaml";
  ASSERT_EQ(Cli({"init", file}).code, 0);
  edge_.streams.set_cut(2);
  edge_.streams.set_took_us(1500);
  EXPECT_THAT(Run({"policy", "apply", file}).out, HasSubstr("2 open streams cut, 1.5 ms"));
  edge_.streams.set_uncut(1);
  const Ran json = Run({"policy", "apply", file, "--json"});
  EXPECT_EQ(json.code, 1) << "what is no longer allowed may still be open";
  EXPECT_EQ(nlohmann::json::parse(json.out)["streams"],
            nlohmann::json({{"cut", 2}, {"uncut", 1}, {"ms", 1.5}, {"ends_within_s", 0}}));
  EXPECT_THAT(json.err, HasSubstr("1 open stream is not known to have ended"));
}

TEST_F(Commands, PolicyApplySaysThatNothingChanged) {
  const std::string file = edge_.directory() + "/exeat.yaml";
  ASSERT_EQ(Cli({"init", file}).code, 0);
  edge_.unchanged = true;
  EXPECT_EQ(Run({"policy", "apply", file}).out,
            "nothing changed: revision 7 is in force and stored\n");
  EXPECT_EQ(nlohmann::json::parse(Run({"policy", "apply", file, "--json"}).out)["unchanged"], true);
}

TEST_F(Commands, PolicyApplyFindsTheEdgeByThePolicysOwnState) {
  const std::string file = edge_.directory() + "/exeat.yaml";
  ASSERT_EQ(Cli({"init", file}).code, 0);
  EXPECT_EQ(Cli({"policy", "apply", file}).code, 0);
  EXPECT_EQ(edge_.applied.size(), 1U);
}

TEST_F(Commands, PolicyApplySendsNothingThatHasAMistake) {
  const std::string file = Write("bad.yaml", "version: 1\nposture: open\n");
  const Ran ran = Run({"policy", "apply", file});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad.yaml:2: posture"));
  EXPECT_TRUE(edge_.applied.empty());
}

TEST_F(Commands, WhyAsksForTheSessionAndExitsZeroWhateverTheAnswer) {
  const Ran ran = Run({"why", "--sid", "sid1", "GET", "https://api.test/"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "refused\n");
  EXPECT_EQ(edge_.explained[0].sid(), "sid1");
  EXPECT_EQ(Run({"why", "GET", "https://api.test/", "--json"}).out, "{\"allowed\":false}\n");
}

TEST_F(Commands, CaShowPrintsTheEdgesCertificate) {
  EXPECT_EQ(Run({"ca", "show"}).out, edge_.status.ca_pem());
}

TEST_F(Commands, MetricsPrintsTextOrSamples) {
  EXPECT_THAT(Run({"metrics"}).out, HasSubstr("exeat_envoy_up 1\n"));
  const nlohmann::json json = nlohmann::json::parse(Run({"metrics", "--json"}).out);
  EXPECT_EQ(json["samples"][0]["series"], "exeat_envoy_up");
}

TEST_F(Commands, DoctorNamesProcessesAndWhatIsWrong) {
  ops::v1::Process& envoy = *edge_.status.add_processes();
  envoy.set_role("envoy");
  envoy.set_pid(42);
  edge_.status.set_ready(false);
  const Ran ran = Run({"doctor", "--json"});
  EXPECT_EQ(ran.code, 1);
  const nlohmann::json json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["processes"][0], nlohmann::json({{"role", "envoy"}, {"pid", 42}}));
  EXPECT_EQ(json["ok"], false);
  const auto ready = std::find_if(json["checks"].begin(), json["checks"].end(),
                                  [](const nlohmann::json& c) { return c["name"] == "ready"; });
  ASSERT_NE(ready, json["checks"].end());
  EXPECT_EQ((*ready)["ok"], false);
}

TEST_F(Commands, DoctorSaysWhyTheAuditCannotRecord) {
  EXPECT_THAT(Run({"doctor"}).out, Not(HasSubstr("cannot record")));
  edge_.status.set_audit_problem("audit.jsonl was replaced");
  const Ran ran = Run({"doctor"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("cannot record: audit.jsonl was replaced"));
}

TEST_F(Commands, DoctorSaysHowOpenStreamsAreCutAndFailsWhenTheyCannotBe) {
  const auto streams = [this](const std::string& means) {
    edge_.status.set_stream_cutting(means);
    const nlohmann::json json = nlohmann::json::parse(Run({"doctor", "--json"}).out);
    return *std::find_if(json["checks"].begin(), json["checks"].end(),
                         [](const nlohmann::json& check) { return check["name"] == "streams"; });
  };
  EXPECT_EQ(streams("pidfd_getfd")["detail"], "pidfd_getfd");
  EXPECT_EQ(streams("pidfd_getfd")["ok"], true);
  EXPECT_EQ(streams("none: not permitted")["ok"], false);
  EXPECT_THAT(streams("none: not permitted")["detail"].get<std::string>(),
              HasSubstr("not permitted"));
  EXPECT_EQ(streams("max_stream_duration; every stream ends")["ok"], true) << "as it was wanted";
  EXPECT_EQ(streams("")["ok"], false);
}

// A log of three records beside an edge that has written as many.
class VerifyOfARunningEdge : public Commands {
 protected:
  void SetUp() override {
    const std::string directory = edge_.state() + "/audit";
    auto log = audit::Log::Open(directory, "acme", base::SystemClock());
    ASSERT_THAT(log, base::IsOk());
    for (int i = 0; i < 3; ++i) ASSERT_THAT((*log)->Append({}), base::IsOk());
    Says((*log)->Head());
    edge_.status.set_audit_dir(directory);
    path_ = directory + "/audit.jsonl";
    text_ = *base::ReadFile(path_);
  }
  void Says(const audit::HeadRecord& head) {
    edge_.status.set_audit_seq(head.seq);
    edge_.status.set_audit_head(head.hash);
  }
  void Put(const std::string& text) {
    ASSERT_THAT(base::WriteFileAtomically(path_, text, 0600), base::IsOk());
  }
  // Of the first `lines` records.
  std::string Prefix(int lines) const {
    std::size_t end = 0;
    for (int i = 0; i < lines; ++i) end = text_.find('\n', end) + 1;
    return text_.substr(0, end);
  }

  std::string path_;
  std::string text_;
};

TEST_F(VerifyOfARunningEdge, IsIntactWhenTheFileHoldsItsLastRecord) {
  const Ran ran = Run({"audit", "verify"});
  EXPECT_EQ(ran.code, 0) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("intact: 3 records, head " + edge_.status.audit_head()));
  EXPECT_THAT(ran.out, HasSubstr("the running edge has written 3"));
}

TEST_F(VerifyOfARunningEdge, IsIntactWhenItHasGoneOnWriting) {
  const std::string directory = edge_.status.audit_dir();
  auto log = audit::Log::Open(directory, "acme", base::SystemClock());
  ASSERT_THAT(log, base::IsOk());
  ASSERT_THAT((*log)->Append({}), base::IsOk());
  EXPECT_EQ(Run({"audit", "verify"}).code, 0);
}

TEST_F(VerifyOfARunningEdge, FindsThatTheFileEndsEarlier) {
  for (const int kept : {0, 1, 2}) {
    Put(Prefix(kept));
    const Ran ran = Run({"audit", "verify", "--json"});
    EXPECT_EQ(ran.code, 1) << kept;
    const nlohmann::json json = nlohmann::json::parse(ran.out);
    EXPECT_EQ(json["intact"], false);
    EXPECT_EQ(json["records"], kept);
    EXPECT_EQ(json["edge_seq"], 3);
    EXPECT_THAT(json["problem"].get<std::string>(),
                HasSubstr(fmt::format("ends at record {}, but record 3 was written", kept)));
  }
  const Ran ran = Run({"audit", "verify"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("the running edge has written 3"));
}

TEST_F(VerifyOfARunningEdge, FindsThatItsLastRecordIsAnother) {
  Says({3, std::string(64, 'a')});
  const Ran ran = Run({"audit", "verify"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("record 3 differs"));
}

TEST_F(VerifyOfARunningEdge, FailsWhenItDoesNotSay) {
  edge_.status.clear_audit_head();
  EXPECT_EQ(Run({"audit", "verify"}).code, 1);
  edge_.failure = {::grpc::StatusCode::UNAVAILABLE, "busy"};
  const Ran ran = Run({"audit", "verify"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, HasSubstr("does not say"));
}

TEST_F(VerifyOfARunningEdge, IsNotAskedOfACopy) {
  Put(Prefix(2));
  const std::string directory = edge_.status.audit_dir();
  const Ran ran = Run({"audit", "verify", "--dir", directory});
  EXPECT_EQ(ran.code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("no edge was asked"));
  EXPECT_EQ(Run({"audit", "verify", "--dir", directory, "--seq", "3", "--head",
                 edge_.status.audit_head()})
                .code,
            1);
  EXPECT_EQ(Run({"audit", "verify", "--dir", directory, "--seq", "3"}).code, 2);
  Put(text_);
  EXPECT_EQ(Run({"audit", "verify", "--seq", "3", "--head", edge_.status.audit_head()}).code, 0);
}

TEST_F(Commands, ErrorsAreOneJsonObjectWhenAskedFor) {
  edge_.failure = {::grpc::StatusCode::NOT_FOUND, "no session x"};
  const Ran ran = Run({"session", "renew", "x", "--json"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_EQ(nlohmann::json::parse(ran.err)["error"], "no session x");
}

TEST(PolicyCheck, NeedsNoEdgeAndNamesTheLine) {
  const store::PrivateDirectory directory;
  const std::string file = directory.path() + "/p.yaml";
  std::ofstream(file) << "version: 1\ndestinatons: []\n";
  const Ran ran = Cli({"policy", "check", file});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("p.yaml:2:"));
  EXPECT_THAT(ran.err, HasSubstr("destinations"));
}

TEST(PolicyCheck, AnswersTwoForAKeyOfALaterVersion) {
  const store::PrivateDirectory directory;
  ASSERT_EQ(Cli({"init", directory.path() + "/p.yaml"}).code, 0);
  std::ofstream(directory.path() + "/p.yaml", std::ios::app)
      << "tripwire: {window: 10m, bytes_out: 512MiB, action: revoke}\n";
  const Ran ran = Cli({"policy", "check", directory.path() + "/p.yaml", "--json"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, IsEmpty()) << "said once";
  EXPECT_EQ(nlohmann::json::parse(ran.out)["mistakes"][0]["not_supported_yet"], true);
}

TEST(PolicyCheck, ReportsAFileThatIsNotThere) {
  const Ran ran = Cli({"policy", "check", "/nowhere/p.yaml"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("/nowhere/p.yaml"));
}

TEST(Init, WritesAPolicyThatChecksAndNeverOverwrites) {
  const store::PrivateDirectory directory;
  const std::string file = directory.path() + "/exeat.yaml";
  const Ran first = Cli({"init", file});
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("exeat up"));
  EXPECT_THAT(first.out, HasSubstr("exeat run"));
  const Ran checked = Cli({"policy", "check", file});
  EXPECT_EQ(checked.code, 0) << checked.err;
  std::ofstream(file) << "mine";
  const Ran second = Cli({"init", file});
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err, HasSubstr("not touched"));
  EXPECT_EQ(*base::ReadFile(file), "mine");
}

TEST(AuditVerify, SaysThatADirectoryIsNotThere) {
  for (const char* command : {"verify", "export"}) {
    const Ran ran = Cli({"audit", command, "--dir", "/nowhere/audit"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.out, IsEmpty());
    EXPECT_THAT(ran.err, HasSubstr("/nowhere/audit: there is no such directory"));
  }
}

TEST(AuditVerify, SaysThatAnEmptyLogProvesNothing) {
  const store::PrivateDirectory directory;
  const Ran ran = Cli({"audit", "verify", "--dir", directory.path(), "--json"});
  EXPECT_EQ(ran.code, 1);
}

}  // namespace
}  // namespace exeat::cli
