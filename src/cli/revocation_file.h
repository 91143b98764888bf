// A list of revocations, as `session revoke` and `session restore` take it with --from-file.
//
// Format:     one a line: `ID`, which is a session's, or `session ID`, `sub ID`, `jti ID`. Blank
//             lines and lines that begin with # count for nothing; neither do spaces around, and a
//             repetition counts once.
// Errors:     kInvalidArgument the first malformed lines by file and number, with what was
// expected,
//             or what the list as a whole lacks; else those of the file's reading, naming it.
// Fail mode:  one malformed line and nothing of the list is given: half a list revoked would look
//             like all of it.
// Units:      at most ops::kMaxAtOnce entries.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "operator.pb.h"

namespace exeat::cli {

// `name` stands for the text in messages.
base::StatusOr<std::vector<ops::v1::Revocable>> ParseRevocations(std::string_view text,
                                                                 const std::string& name);

// Of a file or a pipe; "-" is standard input.
base::StatusOr<std::vector<ops::v1::Revocable>> ReadRevocations(const std::string& file);

}  // namespace exeat::cli
