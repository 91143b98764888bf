#include "rpc/accesslog_server.h"

#include "envoy/names.h"
#include "gtest/gtest.h"

namespace exeat::rpc {
namespace {

using ::envoy::data::accesslog::v3::HTTPAccessLogEntry;

HTTPAccessLogEntry Entry(const std::string& vetted_by) {
  HTTPAccessLogEntry entry;
  entry.mutable_common_properties()->set_stream_id("r-1");
  (*entry.mutable_common_properties()->mutable_custom_tags())[envoy::kVettedByTag] = vetted_by;
  return entry;
}

TEST(OutcomeOf, NamesTheTunnelWhoseIntentItBelongsTo) {
  EXPECT_EQ(OutcomeOf(Entry("tunnel-1"))->vetted_by, "tunnel-1");
  EXPECT_EQ(OutcomeOf(Entry("-"))->vetted_by, "");
  EXPECT_EQ(OutcomeOf(Entry("r-1"))->vetted_by, "") << "the CONNECT itself";
  EXPECT_EQ(OutcomeOf(HTTPAccessLogEntry())->vetted_by, "");
}

TEST(OutcomeOf, LeavesOutWhatCheckRefused) {
  HTTPAccessLogEntry entry = Entry("tunnel-1");
  entry.mutable_response()->set_response_code_details("ext_authz_denied");
  EXPECT_FALSE(OutcomeOf(entry).has_value());
}

}  // namespace
}  // namespace exeat::rpc
