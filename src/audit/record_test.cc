#include "audit/record.h"

#include <random>

#include "audit/chain.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace exeat::audit {
namespace {

using nlohmann::json;

Event Request() {
  Event event;
  event.kind = EventKind::kRequest;
  event.phase = Phase::kOutcome;
  event.allowed = true;
  event.activity = "request";
  event.sid = "s1";
  event.jti = "j1";
  event.sub = "build";
  event.request_id = "r1";
  event.destination = "origin";
  event.credential = "origin_key";
  event.method = "POST";
  event.host = "api.example.com";
  event.path = "/v1/items";
  event.port = 443;
  event.source = "192.0.2.7:40000";
  event.status = 201;
  event.bytes_in = 30;
  event.bytes_out = 12;
  event.duration_ms = 8;
  event.policy_revision = 3;
  return event;
}

std::string Render(const Event& event) {
  std::string out;
  RenderRecord(event, {.seq = 1, .prev = kFirstPrev, .time_ms = 1'800'000'000'123},
               RenderMetadata("lab"), out);
  return out;
}

json Parse(const Event& event) { return json::parse(Render(event)); }

TEST(Record, OfARequestReadsAsDocumented) {
  EXPECT_EQ(
      Render(Request()),
      R"({"unmapped":{"exeat":{"seq":1,"prev":"0000000000000000000000000000000000000000000000000000)"
      R"(000000000000","kind":"request","phase":"outcome","activity":"request","sid":"s1",)"
      R"("jti":"j1","sub":"build","destination":"origin","credential":"origin_key","bytes_in":30,)"
      R"("bytes_out":12,"request_id":"r1","policy_revision":3}},"metadata":{"version":"1.8.0",)"
      R"("product":{"name":"exeat","vendor_name":"exeat","version":")" EXEAT_VERSION
      R"("},"profiles":["host","security_control"],"tenant_uid":"lab"},"time":1800000000123,)"
      R"("class_uid":4002,"category_uid":4,"activity_id":6,"type_uid":400206,"severity_id":1,)"
      R"("status_id":1,"action_id":1,"disposition_id":1,"duration":8,"actor":{"user":{"name":)"
      R"("build"},"session":{"uid":"s1"}},"src_endpoint":{"ip":"192.0.2.7","port":40000},)"
      R"("dst_endpoint":{"hostname":"api.example.com","port":443},"http_request":{"http_method":)"
      R"("POST","uid":"r1","url":{"hostname":"api.example.com","path":"/v1/items","port":443}},)"
      R"("http_response":{"code":201},"traffic":{"bytes":42,"bytes_in":30,"bytes_out":12}})");
}

TEST(Record, OfADenialSaysDeniedAndWhy) {
  Event event = Request();
  event.allowed = false;
  event.reason = "grant_missing";
  event.status = 403;
  const json record = Parse(event);
  EXPECT_EQ(record["action_id"], 2);
  EXPECT_EQ(record["status_id"], 2);
  EXPECT_EQ(record["disposition_id"], 2);
  EXPECT_EQ(record["status_detail"], "grant_missing");
  EXPECT_EQ(record["unmapped"]["exeat"]["reason"], "grant_missing");
  EXPECT_EQ(record["http_response"]["code"], 403);
}

TEST(Record, DefaultConstructedEventIsADenial) {
  const json record = Parse(Event{});
  EXPECT_EQ(record["action_id"], 2);
  EXPECT_EQ(record["status_id"], 2);
}

// Required by OCSF 1.8.0 in every class, with the constraints between attributes.
TEST(Record, HoldsWhatOcsfRequiresOfEachClass) {
  struct Case {
    EventKind kind;
    int class_uid;
    std::vector<std::string> required;
  };
  const Case cases[] = {
      {EventKind::kRequest, 4002, {"http_request", "src_endpoint", "dst_endpoint"}},
      {EventKind::kConnection, 4001, {"src_endpoint", "dst_endpoint"}},
      {EventKind::kSession, 3002, {"user", "service"}},
      {EventKind::kOperatorAction, 6003, {"actor", "api", "src_endpoint"}},
      {EventKind::kLeaf, 6003, {"actor", "api", "src_endpoint"}},
  };
  for (const Case& c : cases) {
    for (const bool bare : {true, false}) {
      Event event = bare ? Event{} : Request();
      event.kind = c.kind;
      const json record = Parse(event);
      EXPECT_EQ(record["class_uid"], c.class_uid);
      EXPECT_EQ(record["category_uid"], c.class_uid / 1000);
      EXPECT_EQ(record["type_uid"], c.class_uid * 100 + record["activity_id"].get<int>());
      for (const char* name : {"activity_id", "metadata", "severity_id", "time"}) {
        EXPECT_TRUE(record.contains(name)) << c.class_uid << " " << name;
      }
      for (const std::string& name : c.required) {
        EXPECT_TRUE(record.contains(name)) << c.class_uid << " " << name;
      }
      for (const char* endpoint : {"src_endpoint", "dst_endpoint"}) {
        if (!record.contains(endpoint)) continue;
        EXPECT_TRUE(record[endpoint].contains("ip") || record[endpoint].contains("hostname") ||
                    record[endpoint].contains("name"));
      }
      if (record.contains("actor")) {
        EXPECT_FALSE(record["actor"].empty());
      }
      if (record["activity_id"] == 99) {
        EXPECT_TRUE(record.contains("activity_name"));
      }
    }
  }
}

TEST(Record, NamesTheActivityOfEachKind) {
  Event event = Request();
  event.method = "PROPFIND";
  EXPECT_EQ(Parse(event)["activity_id"], 99);
  event.method = "CONNECT";
  EXPECT_EQ(Parse(event)["activity_id"], 1);
  event.kind = EventKind::kConnection;
  event.allowed = false;
  EXPECT_EQ(Parse(event)["activity_id"], 5);
  event.kind = EventKind::kSession;
  event.allowed = true;
  event.activity = "session_revoked";
  EXPECT_EQ(Parse(event)["activity_id"], 2);
  EXPECT_EQ(Parse(event)["disposition_id"], 24);
  event.activity = "session_renewed";
  EXPECT_EQ(Parse(event)["activity_name"], "session_renewed");
  event.kind = EventKind::kOperatorAction;
  event.activity = "policy_applied";
  EXPECT_EQ(Parse(event)["activity_id"], 3);
  EXPECT_EQ(Parse(event)["api"]["operation"], "policy_applied");
}

TEST(Record, SplitsTheSourceAddress) {
  Event event = Request();
  event.source = "[2001:db8::1]:8443";
  EXPECT_EQ(Parse(event)["src_endpoint"]["ip"], "2001:db8::1");
  EXPECT_EQ(Parse(event)["src_endpoint"]["port"], 8443);
  for (const char* odd : {"@", "/run/guest.sock", "192.0.2.1:99999", "host:80", ":80"}) {
    event.source = odd;
    EXPECT_EQ(Parse(event)["src_endpoint"], json({{"name", odd}}));
  }
}

TEST(Record, IsOneWellFormedLineWhateverTheGuestSent) {
  std::mt19937 random(11);
  const auto noise = [&](std::size_t length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  };
  for (int round = 0; round < 300; ++round) {
    Event event;
    event.kind = static_cast<EventKind>(round % 5);
    const std::size_t length = round % 3 == 0 ? 6000 : 20;
    for (std::string* field :
         {&event.activity, &event.reason, &event.sid, &event.jti, &event.sub, &event.request_id,
          &event.vetted_by, &event.destination, &event.credential, &event.method, &event.host,
          &event.path, &event.source, &event.detail}) {
      *field = noise(length);
    }
    const std::string line = Render(event);
    ASSERT_TRUE(IsWellFormed(line));
    ASSERT_TRUE(ParseLink(line));
  }
}

TEST(Record, StaysBelowItsLimitWithEveryFieldAtItsLongest) {
  Event event;
  const std::string longest(100'000, '\x01');
  for (std::string* field :
       {&event.activity, &event.reason, &event.sid, &event.jti, &event.sub, &event.request_id,
        &event.vetted_by, &event.destination, &event.credential, &event.method, &event.host,
        &event.path, &event.source, &event.detail}) {
    *field = longest;
  }
  for (int kind = 0; kind < 5; ++kind) {
    event.kind = static_cast<EventKind>(kind);
    EXPECT_LT(Render(event).size(), kMaxRecordBytes);
  }
}

}  // namespace
}  // namespace exeat::audit
