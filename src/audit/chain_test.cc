#include "audit/chain.h"

#include <array>
#include <cstdio>
#include <random>
#include <vector>

#include "audit/record.h"
#include "audit/testing/log_directory.h"
#include "base/testing/status_matchers.h"
#include "crypto/digest.h"
#include "fmt/format.h"
#include "gtest/gtest.h"

namespace exeat::audit {
namespace {

// Records 1 to `count` of a log, each with its newline.
std::vector<std::string> Records(int count, const std::string& method = "GET") {
  std::vector<std::string> lines;
  std::string prev(kFirstPrev);
  for (int seq = 1; seq <= count; ++seq) {
    Event event;
    event.method = method;
    event.path = "/" + std::to_string(seq);
    std::string line;
    RenderRecord(event, {.seq = static_cast<std::uint64_t>(seq), .prev = prev, .time_ms = 1},
                 RenderMetadata("lab"), line);
    prev = crypto::Sha256Hex(line);
    lines.push_back(line + "\n");
  }
  return lines;
}

std::string Join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

TEST(AuditChain, AcceptsWhatWasWritten) {
  const auto lines = Records(5);
  const Verdict verdict = VerifyText(Join(lines));
  EXPECT_TRUE(verdict.intact) << verdict.problem;
  EXPECT_EQ(verdict.records, 5u);
  EXPECT_EQ(verdict.first_bad_line, 0u);
  EXPECT_EQ(verdict.head,
            crypto::Sha256Hex(std::string_view(lines[4]).substr(0, lines[4].size() - 1)));
}

TEST(AuditChain, DoesNotCallAnEmptyLogIntact) {
  EXPECT_FALSE(VerifyText("").intact);
  EXPECT_EQ(VerifyText("").first_bad_line, 1u);
  EXPECT_FALSE(Verdict{}.intact);
}

TEST(AuditChain, NoticesEveryFlippedBitButInTheLastRecord) {
  const auto lines = Records(3);
  const std::string text = Join(lines);
  const std::size_t protected_bytes = text.size() - lines[2].size();
  for (std::size_t at = 0; at < protected_bytes; ++at) {
    for (const int bit : {0, 3, 7}) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      const Verdict verdict = VerifyText(changed);
      ASSERT_FALSE(verdict.intact) << at;
      const std::uint64_t changed_line = at < lines[0].size() ? 1 : 2;
      // A changed prev is blamed on the record before, which it no longer names.
      ASSERT_LE(verdict.first_bad_line, changed_line) << at;
      ASSERT_LT(verdict.records, changed_line) << at;
    }
  }
}

TEST(AuditChain, NoticesAFlippedBitInTheLastRecordByTheExpectedHead) {
  const auto lines = Records(3);
  std::string text = Join(lines);
  const std::string head = VerifyText(text).head;
  EXPECT_TRUE(VerifyText(text, head).intact);
  for (std::size_t at = text.size() - lines[2].size(); at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    ASSERT_FALSE(VerifyText(changed, head).intact) << at;
  }
}

HeadRecord HeadOf(const std::vector<std::string>& lines, std::size_t seq) {
  const std::string_view line = lines.at(seq - 1);
  return {seq, crypto::Sha256Hex(line.substr(0, line.size() - 1))};
}

TEST(AuditChain, HoldsTheRecordThatWasWrittenAndPerhapsMore) {
  const auto lines = Records(5);
  for (std::size_t seq = 1; seq <= 5; ++seq) {
    EXPECT_TRUE(VerifyText(Join(lines), {}, {HeadOf(lines, seq)}).intact) << seq;
  }
  EXPECT_TRUE(VerifyText(Join(lines), {}, {HeadOf(lines, 5), HeadOf(lines, 2)}).intact);
  EXPECT_FALSE(VerifyText(Join(lines), HeadOf(lines, 4).hash, {HeadOf(lines, 4)}).intact);
}

TEST(AuditChain, ThatEndsBeforeTheRecordThatWasWrittenIsTruncated) {
  const auto lines = Records(5);
  for (std::size_t kept = 0; kept < 5; ++kept) {
    const std::vector<std::string> cut(lines.begin(), lines.begin() + static_cast<long>(kept));
    const Verdict verdict = VerifyText(Join(cut), {}, {HeadOf(lines, 1), HeadOf(lines, 5)});
    EXPECT_FALSE(verdict.intact) << kept;
    EXPECT_EQ(verdict.records, kept);
    EXPECT_EQ(verdict.first_bad_line, kept + 1);
    EXPECT_NE(verdict.problem.find(fmt::format("ends at record {}, but record 5", kept)),
              std::string::npos)
        << verdict.problem;
  }
}

TEST(AuditChain, OfAnotherLogDiffersAtTheRecordThatWasWritten) {
  const auto lines = Records(5);
  const auto others = Records(7, "PUT");
  const Verdict verdict = VerifyText(Join(others), {}, {HeadOf(lines, 5)});
  EXPECT_FALSE(verdict.intact);
  EXPECT_EQ(verdict.first_bad_line, 5u);
  EXPECT_EQ(verdict.records, 4u);
  EXPECT_EQ(verdict.head, HeadOf(others, 4).hash);
  EXPECT_NE(verdict.problem.find("record 5 differs"), std::string::npos) << verdict.problem;
}

struct Tampering {
  std::string name;
  std::string text;
  std::uint64_t first_bad_line;
};

std::vector<Tampering> Tamperings() {
  const auto lines = Records(6);
  const auto others = Records(6, "PUT");
  std::vector<Tampering> all;
  const auto add = [&](std::string name, std::vector<std::string> changed, std::uint64_t bad) {
    all.push_back({std::move(name), Join(changed), bad});
  };
  const auto with = [&](std::size_t at, std::string line) {
    auto changed = lines;
    changed[at] = std::move(line);
    return changed;
  };
  std::string edited = lines[2];
  edited.replace(edited.find("/3"), 2, "/9");
  add("one record changed", with(2, edited), 3);
  add("one record of another log", with(2, others[2]), 2);
  add("first missing", {lines[1], lines[2], lines[3]}, 1);
  add("middle missing", {lines[0], lines[1], lines[3], lines[4]}, 3);
  add("swapped", {lines[0], lines[2], lines[1], lines[3]}, 2);
  add("twice", {lines[0], lines[1], lines[1], lines[2]}, 3);
  add("inserted", {lines[0], lines[1], others[1], lines[2]}, 3);
  add("inserted empty line", {lines[0], "\n", lines[1]}, 2);
  add("trailing garbage", {lines[0], lines[1], "garbage\n"}, 3);
  add("trailing garbage without end", {lines[0], lines[1], "garbage"}, 3);
  add("trailing empty line", {lines[0], lines[1], "\n"}, 3);
  add("torn", {lines[0], lines[1].substr(0, 40)}, 2);
  add("torn before its newline", {lines[0], lines[1].substr(0, lines[1].size() - 1)}, 2);
  add("two on one line", {lines[0].substr(0, lines[0].size() - 1) + lines[1]}, 1);
  add("carriage return", {lines[0].substr(0, lines[0].size() - 1) + "\r\n", lines[1]}, 1);
  add("zeros", {lines[0], std::string(512, '\0') + "\n"}, 2);
  add("empty", {}, 1);
  add("only a newline", {"\n"}, 1);
  const std::string start = lines[0].substr(0, lines[0].find(R"(,"kind")"));
  add("cut behind prev", {start + "}}}\n"}, 0);  // well-formed, however little it says
  add("not closed", {start + "}}\n"}, 1);
  add("number too large", {start + "},\"x\":1e999}}\n"}, 1);
  add("huge integer", {start + "},\"x\":" + std::string(400, '9') + "}}\n"}, 1);
  add("NaN", {start + "},\"x\":NaN}}\n"}, 1);
  add("lone surrogate", {start + "},\"x\":\"\\ud800\"}}\n"}, 1);
  add("surrogate pair", {start + "},\"x\":\"\\ud83d\\ude00\"}}\n"}, 0);
  add("brackets in a string", {start + "},\"x\":\"[[[[[[[[[[[[\\\"{{\"}}\n"}, 0);
  add("nested too deeply",
      {start + "},\"x\":" + std::string(7, '[') + std::string(7, ']') + "}}\n"}, 1);
  add("nested as deeply as it may be",
      {start + "},\"x\":" + std::string(6, '[') + std::string(6, ']') + "}}\n"}, 0);
  add("nested absurdly",
      {start + "},\"x\":" + std::string(60'000, '[') + std::string(60'000, ']') + "}}\n"}, 1);
  add("too long", {start + "},\"x\":\"" + std::string(kMaxRecordBytes, 'x') + "\"}}\n"}, 1);
  std::string zero = lines[0];
  zero.replace(zero.find("\"seq\":1"), 7, "\"seq\":01");
  add("leading zero", {zero}, 1);
  zero.replace(zero.find("\"seq\":01"), 8, "\"seq\":99999999999999999999");
  add("seq out of range", {zero}, 1);
  return all;
}

TEST(AuditChain, NamesTheFirstBadLine) {
  for (const Tampering& tampering : Tamperings()) {
    const Verdict verdict = VerifyText(tampering.text);
    EXPECT_EQ(verdict.first_bad_line, tampering.first_bad_line)
        << tampering.name << ": " << verdict.problem;
    EXPECT_EQ(verdict.intact, tampering.first_bad_line == 0) << tampering.name;
    EXPECT_EQ(verdict.problem.empty(), verdict.intact) << tampering.name;
  }
}

// Runs tools/verify_audit.py over files 0, 1, 2, ... of `directory`; a line of output each.
std::vector<std::string> RunIndependentVerifier(const std::string& directory, std::size_t files,
                                                int& status, const std::string& options = {}) {
  std::string command = "python3 tools/verify_audit.py " + options;
  for (std::size_t i = 0; i < files; ++i) command += fmt::format(" {}/{}", directory, i);
  std::vector<std::string> output;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> line;
  while (fgets(line.data(), line.size(), pipe) != nullptr) output.emplace_back(line.data());
  status = pclose(pipe);
  return output;
}

TEST(AuditChain, AgreesWithTheIndependentVerifier) {
  LogDirectory directory;
  auto cases = Tamperings();
  // Noise beside the tampering that someone thought of.
  std::mt19937 random(3);
  const std::string text = Join(Records(4));
  for (int i = 0; i < 400; ++i) {
    std::string changed = text;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % changed.size();
      if (random() % 2 == 0) {
        changed[at] = static_cast<char>(random());
      } else {
        changed.erase(at, 1 + random() % 5);
      }
    }
    cases.push_back({"noise", changed, 0});
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::ofstream(fmt::format("{}/{}", directory.path(), i), std::ios::binary) << cases[i].text;
  }
  int status = 0;
  const auto output = RunIndependentVerifier(directory.path(), cases.size(), status);
  ASSERT_EQ(output.size(), cases.size()) << "run from the root of the sources";
  EXPECT_NE(status, 0);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Verdict verdict = VerifyText(cases[i].text);
    const std::string expected =
        fmt::format(": records={} {}", verdict.records,
                    verdict.intact ? "INTACT head=" + verdict.head
                                   : fmt::format("BROKEN line={}:", verdict.first_bad_line));
    EXPECT_NE(output[i].find(expected), std::string::npos)
        << cases[i].name << "\nours: " << verdict.problem << expected << "\ntheirs: " << output[i];
  }
}

TEST(AuditChain, IndependentVerifierExitsZeroForAnIntactLog) {
  LogDirectory directory;
  std::ofstream(directory.path() + "/0") << Join(Records(3));
  int status = 1;
  const auto output = RunIndependentVerifier(directory.path(), 1, status);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(output.size(), 1u);
  EXPECT_NE(output[0].find("INTACT"), std::string::npos);
}

TEST(AuditChain, IndependentVerifierAgreesOnARecordThatWasWritten) {
  LogDirectory directory;
  const auto lines = Records(3);
  std::ofstream(directory.path() + "/0") << Join(lines);
  const HeadRecord missing{4, std::string(64, 'a')};
  for (const HeadRecord& record :
       {HeadOf(lines, 2), HeadOf(lines, 3), HeadRecord{2, HeadOf(lines, 3).hash}, missing}) {
    const Verdict verdict = VerifyText(Join(lines), {}, {record});
    int status = 0;
    const auto output = RunIndependentVerifier(
        directory.path(), 1, status, fmt::format("--seq {} --head {}", record.seq, record.hash));
    ASSERT_EQ(output.size(), 1u);
    EXPECT_EQ(status == 0, verdict.intact) << record.seq << output[0];
    EXPECT_NE(output[0].find(verdict.intact ? fmt::format("records={} INTACT", verdict.records)
                                            : fmt::format("records={} BROKEN line={}:",
                                                          verdict.records, verdict.first_bad_line)),
              std::string::npos)
        << output[0] << verdict.problem;
  }
}

}  // namespace
}  // namespace exeat::audit
