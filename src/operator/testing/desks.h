// Session and revocation desks over fakes, as the tests of both use them.
#pragma once

#include <string>
#include <utility>

#include "audit/testing/fake_log.h"
#include "base/testing/fake_clock.h"
#include "base/testing/status_matchers.h"
#include "operator/sessions.h"
#include "operator/testing/fake_edge.h"
#include "operator/testing/fake_keys.h"
#include "store/testing/memory_store.h"

namespace exeat::ops {

inline policy::Policy PolicyWithGrants() {
  policy::Policy policy;
  policy.deployment = "acme";
  policy.sessions.max_lifetime = std::chrono::seconds(600);
  for (const char* grant : {"docs", "mail"}) {
    policy::Destination destination;
    destination.name = grant;
    destination.grant = grant;
    policy.destinations.push_back(destination);
  }
  return policy;
}

class Desks : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(revocations_.Load(), base::IsOk());
    ASSERT_THAT(desk_.Load(), base::IsOk());
  }

  Minted MustCreate(const std::string& sub = "alice") {
    base::StatusOr<Minted> minted = desk_.Create({sub, {"docs"}, std::chrono::seconds(60)});
    EXPECT_THAT(minted, base::IsOk());
    return std::move(minted).value();
  }
  revocation::Standing StandingOf(const Minted& minted) {
    const store::SessionRow& row = minted.session.row;
    return denylist_.Read().Check({row.sid, row.jti, row.sub});
  }

  base::FakeClock clock_;
  revocation::Denylist denylist_;
  FakeEdge edge_{PolicyWithGrants(), denylist_};
  FakeKeys keys_;
  store::MemoryStore store_;
  audit::FakeLog audit_;
  Metrics metrics_;
  base::Worker worker_{64};
  Recorder recorder_{audit_, metrics_, [this] { return edge_.Current().policy_revision; }};
  RevocationDesk revocations_{{edge_, denylist_, store_, worker_, recorder_, metrics_, clock_},
                              {.margin = std::chrono::seconds(60)}};
  SessionDesk desk_{{edge_, keys_, revocations_, store_, worker_, recorder_, metrics_, clock_},
                    {.max_live_sessions = 3, .margin = std::chrono::seconds(60)}};
};

}  // namespace exeat::ops
