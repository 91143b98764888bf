// Taking sessions away and giving them back, against an edge that remembers what it was asked.
#include <unistd.h>

#include "cli/testing/commands.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(Commands, SessionListShowsNoToken) {
  EXPECT_THAT(Run({"session", "list"}).out, HasSubstr("sid1"));
  EXPECT_EQ(nlohmann::json::parse(Run({"session", "list", "--json"}).out)["sessions"][0]["sid"],
            "sid1");
}

TEST_F(Commands, SessionRevokeAcknowledgesThenReportsStreams) {
  edge_.streams.set_cut(3);
  edge_.streams.set_took_us(1500);
  const Ran ran = Run({"session", "revoke", "sid1", "--reason", "leaked", "--json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  std::istringstream lines(ran.out);
  std::string first;
  std::string second;
  ASSERT_TRUE(std::getline(lines, first));
  ASSERT_TRUE(std::getline(lines, second));
  EXPECT_EQ(nlohmann::json::parse(first)["acknowledged"], true);
  const nlohmann::json streams = nlohmann::json::parse(second);
  EXPECT_EQ(streams["cut"], 3);
  EXPECT_EQ(streams["uncut"], 0);
  EXPECT_EQ(streams["ms"], 1.5);
  ASSERT_EQ(edge_.revoked.size(), 1U);
  EXPECT_EQ(edge_.revoked[0].what(0).kind(), ops::v1::REVOKED_KIND_SESSION);
  EXPECT_EQ(edge_.revoked[0].reason(), "leaked");
}

TEST_F(Commands, SessionRevokeFailsWhenAStreamIsNotKnownToHaveEnded) {
  edge_.streams.set_cut(1);
  edge_.streams.set_uncut(2);
  const Ran text = Run({"session", "revoke", "sid1"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, HasSubstr("in force and durable"));
  EXPECT_THAT(text.err, HasSubstr("2 open streams are not known to have ended"));
}

TEST_F(Commands, SessionRevokeSaysHowLongItTakesWhereStreamsAreNotCut) {
  edge_.streams.set_uncut(2);
  edge_.streams.set_ends_within_s(75);
  const Ran text = Run({"session", "revoke", "sid1"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, HasSubstr("in force and durable"));
  EXPECT_THAT(text.err, HasSubstr("2 open streams are not cut"));
  EXPECT_THAT(text.err, HasSubstr("they end by themselves within 75 s"));
  const Ran json = Run({"session", "revoke", "sid1", "--json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_THAT(json.out, HasSubstr("\"ends_within_s\":75"));
}

TEST_F(Commands, SessionRevokeThatIsNotDurableFailsAndSaysThatItIsInForce) {
  edge_.acknowledged.set_durable(false);
  edge_.acknowledged.set_problem("in force on this edge, but not stored: locked");
  const Ran json = Run({"session", "revoke", "--sub", "alice", "--json"});
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(nlohmann::json::parse(json.out)["acknowledged"], false);
  EXPECT_EQ(nlohmann::json::parse(json.out)["in_force"], true);
  const Ran text = Run({"session", "revoke", "--sub", "alice"});
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.err, HasSubstr("not stored: locked"));
}

TEST_F(Commands, SessionRevokeIsNotAcknowledgedWhileATunnelThatIsAskedAboutOnceIsOpen) {
  edge_.acknowledged.set_uncut(1);
  edge_.acknowledged.set_problem("1 open streams are not known to have ended");
  const Ran json = Run({"session", "revoke", "sid1", "--json"});
  EXPECT_EQ(json.code, 1);
  const nlohmann::json said = nlohmann::json::parse(json.out);
  EXPECT_EQ(said["acknowledged"], false);
  EXPECT_EQ(said["in_force"], false);
  EXPECT_EQ(said["durable"], true);
  EXPECT_THAT(Run({"session", "revoke", "sid1"}).err, HasSubstr("not known to have ended"));
}

TEST_F(Commands, SessionRevokeWarnsOfAnIdThatTheEdgeDoesNotKnow) {
  EXPECT_THAT(Run({"session", "revoke", "sid1"}).err, IsEmpty());
  const Ran ran = Run({"session", "revoke", "sid2"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("in force"));
  EXPECT_THAT(ran.err, HasSubstr("knows no session sid2"));
}

TEST_F(Commands, SessionRevokeAndRestoreNameTheirKind) {
  ASSERT_EQ(Run({"session", "revoke", "--sub", "alice"}).code, 0);
  ASSERT_EQ(Run({"session", "revoke", "--jti", "j1"}).code, 0);
  ASSERT_EQ(Run({"session", "revoke", "--all", "--yes"}).code, 0);
  ASSERT_EQ(Run({"session", "restore", "--all"}).code, 0);
  ASSERT_EQ(edge_.revoked.size(), 3U);
  EXPECT_EQ(edge_.revoked[0].what(0).kind(), ops::v1::REVOKED_KIND_SUBJECT);
  EXPECT_EQ(edge_.revoked[1].what(0).kind(), ops::v1::REVOKED_KIND_TOKEN_ID);
  EXPECT_EQ(edge_.revoked[2].what(0).kind(), ops::v1::REVOKED_KIND_ALL);
  EXPECT_EQ(edge_.restored[0].what(0).kind(), ops::v1::REVOKED_KIND_ALL);
}

TEST_F(Commands, SessionRevokeOfEverythingIsAskedForTwice) {
  const Ran ran = Run({"session", "revoke", "--all"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("--yes"));
  EXPECT_TRUE(edge_.revoked.empty());
}

TEST_F(Commands, SessionRevokeFromAFileSendsAllOfItAtOnce) {
  const std::string file = Write("leaked.txt", "# leaked\nsid1\n\nsub alice\njti j1\nsid1\n");
  const Ran ran = Run({"session", "revoke", "--from-file", file, "--reason", "leaked"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("revoked 3 entries of " + file));
  ASSERT_EQ(edge_.revoked.size(), 1U);
  EXPECT_EQ(edge_.revoked[0].reason(), "leaked");
  ASSERT_EQ(edge_.revoked[0].what_size(), 3);
  EXPECT_EQ(edge_.revoked[0].what(1).kind(), ops::v1::REVOKED_KIND_SUBJECT);
  EXPECT_EQ(edge_.revoked[0].what(1).id(), "alice");
  const Ran json = Run({"session", "restore", "--from-file", file, "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out), nlohmann::json({{"restored", true}, {"entries", 3}}));
  EXPECT_EQ(edge_.restored[0].what_size(), 3);
}

TEST_F(Commands, SessionRevokeFromAFileSendsNothingOfOneWithAMistake) {
  const std::string file = Write("leaked.txt", "sid1\nuser alice\n");
  for (const char* command : {"revoke", "restore"}) {
    const Ran ran = Run({"session", command, "--from-file", file});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr(file + ":2: expected ID, session ID, sub ID or jti ID"));
  }
  EXPECT_TRUE(edge_.revoked.empty());
  EXPECT_TRUE(edge_.restored.empty());
}

TEST_F(Commands, SessionRevokeReadsAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  ASSERT_EQ(write(ends[1], "sid1\n", 5), 5);
  close(ends[1]);
  const Ran ran = Run({"session", "revoke", "--from-file", fmt::format("/dev/fd/{}", ends[0])});
  close(ends[0]);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(edge_.revoked.size(), 1U);
}

TEST_F(Commands, SessionRevokeFromAFileWarnsOfIdsThatTheEdgeDoesNotKnow) {
  const Ran known = Run({"session", "revoke", "--from-file", Write("a.txt", "sid1\nsub alice\n")});
  EXPECT_THAT(known.err, IsEmpty());
  const Ran unknown =
      Run({"session", "revoke", "--from-file", Write("b.txt", "a\nb\nsid1\nc\nd\n")});
  EXPECT_EQ(unknown.code, 0);
  EXPECT_THAT(unknown.err, HasSubstr("knows no session a, b, c and 1 more"));
}

TEST_F(Commands, SessionRevokeTakesExactlyOneWay) {
  const std::string file = Write("a.txt", "sid1\n");
  EXPECT_EQ(Run({"session", "revoke", "sid1", "--from-file", file}).code, 2);
  EXPECT_EQ(Run({"session", "revoke", "--all", "--yes", "--from-file", file}).code, 2);
  EXPECT_EQ(Run({"session", "restore"}).code, 2);
  EXPECT_TRUE(edge_.revoked.empty());
}

TEST_F(Commands, SessionListMarksWhatIsRevoked) {
  edge_.session_revoked = true;
  EXPECT_THAT(Run({"session", "list"}).out, HasSubstr("revoked"));
  EXPECT_EQ(
      nlohmann::json::parse(Run({"session", "list", "--json"}).out)["sessions"][0]["standing"],
      "revoked");
}

TEST_F(Commands, SessionListOfRevocationsSaysWhatWhyAndUntilWhen) {
  ops::v1::Revocation& subject = *edge_.revocations.add_revocations();
  subject.mutable_what()->set_kind(ops::v1::REVOKED_KIND_SUBJECT);
  subject.mutable_what()->set_id("alice");
  subject.set_reason("left\x1b[2J");
  subject.set_revoked_at(1'800'000'000);
  ops::v1::Revocation& token = *edge_.revocations.add_revocations();
  token.mutable_what()->set_kind(ops::v1::REVOKED_KIND_TOKEN_ID);
  token.mutable_what()->set_id("j1");
  token.set_revoked_at(1'800'000'000);
  token.set_expires_at(1'800'003'600);
  const Ran text = Run({"session", "list", "--revoked"});
  EXPECT_THAT(text.out, HasSubstr("alice"));
  EXPECT_THAT(text.out, HasSubstr("2027-01-15T09:00:00Z"));
  EXPECT_THAT(text.out, Not(HasSubstr("\x1b"))) << "a reason is anybody's text";
  EXPECT_THAT(text.err, IsEmpty());
  const Ran json = Run({"session", "list", "--revoked", "--json"});
  const nlohmann::json rows = nlohmann::json::parse(json.out)["revocations"];
  EXPECT_EQ(rows[0], nlohmann::json({{"kind", "sub"},
                                     {"id", "alice"},
                                     {"reason", "left\x1b[2J"},
                                     {"since", 1'800'000'000},
                                     {"until", nullptr}}));
  EXPECT_EQ(rows[1]["kind"], "jti");
  EXPECT_EQ(rows[1]["until"], 1'800'003'600);
}

TEST_F(Commands, SessionListOfRevocationsTellsOfThoseThatARestartWouldForget) {
  edge_.revocations.set_not_stored(2);
  EXPECT_THAT(Run({"session", "list", "--revoked"}).err, HasSubstr("2 more in force, but not"));
}

}  // namespace
}  // namespace exeat::cli
