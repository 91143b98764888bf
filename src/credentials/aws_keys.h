// A file of AWS credentials, in the form that AWS's own tools write.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace exeat::credentials {

struct AwsKeys {
  std::string access_key_id;
  base::Secret secret_access_key;
  base::Secret session_token;  // empty: the keys are long-lived
};

// Lines of `aws_access_key_id = ...`, `aws_secret_access_key = ...` and, for temporary keys,
// `aws_session_token = ...`; blank lines, comments and one `[profile]` line may stand there too.
// kInvalidArgument names the line and what is expected there, and never quotes it.
base::StatusOr<AwsKeys> ParseAwsKeys(std::string_view content);

}  // namespace exeat::credentials
