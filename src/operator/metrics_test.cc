#include "operator/metrics.h"

#include <set>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::ops {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, HaveASeriesForEachLegAndReasonFromTheStart) {
  const std::string text = Metrics().Text();
  std::set<std::string> series;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("exeat_decisions_total{", 0) == 0) {
      EXPECT_TRUE(series.insert(line.substr(0, line.rfind(' '))).second) << line;
    }
  }
  const std::size_t reasons = static_cast<std::size_t>(authz::Reason::kRequestMalformed) + 1;
  EXPECT_EQ(series.size(), 3 * (reasons + 1));
}

TEST(Metrics, CountDecisionsUnderTheirOwnCode) {
  Metrics metrics;
  metrics.Decided(authz::Leg::kTunnel, authz::Reason::kGrantMissing);
  metrics.Decided(authz::Leg::kTunnel, authz::Reason::kGrantMissing);
  metrics.Decided(authz::Leg::kConnect, std::nullopt);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("exeat_decisions_total{leg=\"tunnel\",reason=\"grant_missing\"} 2"));
  EXPECT_THAT(text, HasSubstr("exeat_decisions_total{leg=\"connect\",reason=\"allowed\"} 1"));
  EXPECT_THAT(text, HasSubstr("exeat_decisions_total{leg=\"connect\",reason=\"grant_missing\"} 0"));
}

TEST(Metrics, ShowLatenciesInSeconds) {
  Metrics metrics;
  metrics.CheckTook(std::chrono::microseconds(200));
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("exeat_check_seconds_bucket{le=\"0.0001\"} 0"));
  EXPECT_THAT(text, HasSubstr("exeat_check_seconds_bucket{le=\"0.00025\"} 1"));
}

TEST(Metrics, ShowTheStateOfTheEdge) {
  Metrics metrics;
  metrics.SetEnvoyUp(true);
  metrics.SetLeaves(5);
  metrics.Nacked();
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("exeat_envoy_up 1"));
  EXPECT_THAT(text, HasSubstr("exeat_leaves_cached 5"));
  EXPECT_THAT(text, HasSubstr("exeat_xds_nacks_total 1"));
}

TEST(Metrics, ShowWhetherTheAuditRecordsAndWhetherItsFileWasChanged) {
  Metrics metrics;
  metrics.SetAudit(absl::OkStatus());
  EXPECT_THAT(metrics.Text(), HasSubstr("exeat_audit_up 1"));
  metrics.SetAudit(base::MakeStatus(base::StatusCode::kUnavailable, "not synced"));
  EXPECT_THAT(metrics.Text(), HasSubstr("exeat_audit_up 0"));
  EXPECT_THAT(metrics.Text(), HasSubstr("exeat_audit_tampered 0"));
  metrics.SetAudit(base::MakeStatus(base::StatusCode::kDataLoss, "replaced"));
  EXPECT_THAT(metrics.Text(), HasSubstr("exeat_audit_up 0"));
  EXPECT_THAT(metrics.Text(), HasSubstr("exeat_audit_tampered 1"));
}

}  // namespace
}  // namespace exeat::ops
