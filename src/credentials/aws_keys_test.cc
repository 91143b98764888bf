#include "credentials/aws_keys.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace exeat::credentials {
namespace {

using base::StatusCode;
using base::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(AwsKeys, AreReadAsAwsWritesThem) {
  const auto keys = ParseAwsKeys(
      "# made by hand\n[default]\r\naws_access_key_id = AKIDEXAMPLE\n\n"
      "  aws_secret_access_key=wJal/rXUtn+FEMI=\n;end\n");
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->access_key_id, "AKIDEXAMPLE");
  EXPECT_EQ(keys->secret_access_key.Reveal(), "wJal/rXUtn+FEMI=");
  EXPECT_TRUE(keys->session_token.empty());
  EXPECT_EQ(ParseAwsKeys("aws_session_token=T\naws_secret_access_key=S\naws_access_key_id=A")
                ->session_token.Reveal(),
            "T");
}

TEST(AwsKeys, AreRefusedWithTheLineAndWithoutItsText) {
  const std::string good = "aws_access_key_id=A\naws_secret_access_key=S\n";
  const std::pair<std::string, std::string> bad[] = {
      {"", "aws_access_key_id is missing"},
      {"\n \n", "aws_access_key_id is missing"},
      {"hunter2\n", "line 1 is none of"},
      {"hunter2=x\n", "line 1 is none of"},
      {"aws_access_key_id=A\n", "aws_secret_access_key is missing"},
      {"aws_access_key_id=A\naws_secret_access_key= \n", "line 2: aws_secret_access_key is blank"},
      {"aws_access_key_id=A\naws_secret_access_key=hunter2 x\n", "line 2: aws_secret_access_key "},
      {"aws_access_key_id=A\naws_secret_access_key=hunter2\x01\n", "line 2: "},
      {good + "aws_session_token=\xc3\xa9\n", "line 3: aws_session_token holds"},
      {good + "aws_access_key_id=hunter2\n", "line 3: aws_access_key_id stands twice"},
      {"[a]\n" + good + "[b]\n", "line 4 begins a second profile"}};
  for (const auto& [content, expected] : bad) {
    const base::Status status = ParseAwsKeys(content).status();
    EXPECT_THAT(status, StatusIs(StatusCode::kInvalidArgument)) << content;
    EXPECT_THAT(base::Message(status), HasSubstr(expected));
    EXPECT_THAT(base::Message(status), Not(HasSubstr("hunter2")));
  }
}

}  // namespace
}  // namespace exeat::credentials
